"""Trees of state come back equal, and damage is named."""

import numpy as np
import pytest
import torch

from regimegym.common.errors import ModelError
from regimegym.common.state_file import ARRAYS, TREE, read_state, write_state


def equal(a, b) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    return a == b or (a != a and b != b)


def tree():
    return {
        "generator": np.random.default_rng(3).bit_generator.state,
        "legacy": np.random.RandomState(1).get_state(legacy=False),
        "floats": [0.1, float("inf"), float("nan"), -0.0],
        "big": 2**127 + 1,
        "none": None,
        "words": {"a": "ü", "b": True},
        "arrays": {
            "empty": np.zeros((0, 3), np.float32),
            "scalar": np.array(2.5),
            "bool": np.array([True, False]),
            "int": np.arange(6, dtype=np.int64).reshape(2, 3).T,
            "nan": np.array([np.nan, 1.0]),
        },
        "tensors": [torch.arange(3), torch.randn(2, 2).to(torch.bfloat16)],
    }


def test_a_tree_comes_back_equal(tmp_path):
    write_state(tmp_path, tree() | {"tensors": []})
    before = tree() | {"tensors": []}
    assert equal(before, read_state(tmp_path))
    again = np.random.default_rng()
    again.bit_generator.state = read_state(tmp_path)["generator"]
    assert again.random() == np.random.default_rng(3).random()


def test_tensors_stay_tensors(tmp_path):
    state = {"x": torch.randn(3), "y": [torch.arange(4, dtype=torch.uint8)]}
    write_state(tmp_path, state)
    assert equal(state, read_state(tmp_path))


def test_what_is_no_data_is_refused_with_its_place(tmp_path):
    with pytest.raises(TypeError, match=r"/a/1.*object"):
        write_state(tmp_path, {"a": [1, object()]})
    with pytest.raises(TypeError, match="no text"):
        write_state(tmp_path, {"a": {1: 2}})


@pytest.mark.parametrize("damage", ["cut", "edited", "missing", "foreign"])
def test_damage_is_named(tmp_path, damage):
    write_state(tmp_path, tree())
    if damage == "cut":
        (tmp_path / ARRAYS).write_bytes((tmp_path / ARRAYS).read_bytes()[:-5])
    elif damage == "edited":
        content = bytearray((tmp_path / ARRAYS).read_bytes())
        content[-1] ^= 1
        (tmp_path / ARRAYS).write_bytes(bytes(content))
    elif damage == "missing":
        (tmp_path / ARRAYS).unlink()
    else:
        (tmp_path / TREE).write_text("[1]")
    with pytest.raises(ModelError, match="no whole checkpoint"):
        read_state(tmp_path)
