"""A tree of state on disk: arrays in safetensors, everything else in JSON; reading it runs no code.

state.json            the tree; an array is {"$array": its name}, a tensor {"$tensor": its name}
state.safetensors     the arrays, one behind the other
"""

import json
from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from regimegym.common.errors import ModelError

TREE, ARRAYS = "state.json", "state.safetensors"
ARRAY, TENSOR = "$array", "$tensor"
Tree = dict[str, Any]


def write_state(folder: Path, tree: Mapping[str, Any]) -> None:
    """Write `tree` into the existing `folder`.

    A tree holds mappings with text as keys, lists, numbers of any size, text, booleans, None,
    NumPy arrays and tensors. Tuples come back as lists.

    Raises:
        TypeError: something else, with its place in the tree.
        OSError: the disk or its permissions refuse.
    """
    arrays: dict[str, torch.Tensor] = {}
    plain = _planted(tree, "", arrays)
    save_file(arrays, folder / ARRAYS)
    with (folder / ARRAYS).open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    (folder / TREE).write_text(json.dumps({"arrays_sha256": digest, "tree": plain}), encoding="utf-8")


def read_state(folder: Path) -> Tree:
    """The tree of `write_state`; arrays come back as arrays, tensors as tensors on the CPU.

    Raises:
        ModelError: `damaged-checkpoint`, a file is missing, cut short or not the one that was written.
    """
    try:
        stored = json.loads((folder / TREE).read_text(encoding="utf-8"))
        with (folder / ARRAYS).open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        if digest != stored["arrays_sha256"]:
            raise ValueError(f"the checksum of {ARRAYS} differs")
        with safe_open(folder / ARRAYS, framework="pt") as arrays:
            return _grown(stored["tree"], arrays)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError("damaged-checkpoint", f"{folder} is no whole checkpoint: {error}") from error


def _planted(node: Any, path: str, arrays: dict[str, torch.Tensor]) -> Any:
    """`node` as JSON takes it; its arrays go into `arrays` under their path."""
    if isinstance(node, Mapping):
        wrong = [key for key in node if not isinstance(key, str)]
        if wrong:
            raise TypeError(f"a key below '{path}' is no text: {wrong[0]!r}")
        return {key: _planted(value, f"{path}/{key}", arrays) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_planted(value, f"{path}/{i}", arrays) for i, value in enumerate(node)]
    if isinstance(node, torch.Tensor):
        arrays[path] = node.detach().cpu().contiguous().clone()
        return {TENSOR: path}
    if isinstance(node, np.ndarray):
        arrays[path] = torch.from_numpy(np.array(node, order="C"))
        return {ARRAY: path}
    if isinstance(node, np.generic):
        return node.item()
    if node is None or isinstance(node, bool | int | float | str):
        return node
    raise TypeError(f"'{path}' of a checkpoint is a {type(node).__name__}")


def _grown(node: Any, arrays: Any) -> Any:
    if isinstance(node, dict):
        if TENSOR in node:
            return arrays.get_tensor(node[TENSOR])
        if ARRAY in node:
            return arrays.get_tensor(node[ARRAY]).numpy()
        return {key: _grown(value, arrays) for key, value in node.items()}
    if isinstance(node, list):
        return [_grown(value, arrays) for value in node]
    return node
