"""Tape folders: what is opened is what was saved, mapped and read-only; damage is named."""

import json
import re
from dataclasses import fields, replace
from hashlib import sha256
from mmap import mmap

import numpy as np
import pytest

from regimegym.common.errors import DataError, MachineError
from regimegym.features import tape_file
from regimegym.features.tape import MarketTape, Segment
from regimegym.features.tape_file import INDEX, open_tape, save_tape

N = 50
SEGMENTS = (Segment("A", 0, 30, 5), Segment("B", 30, N, 33))


def made_tape(seed=0):
    rng = np.random.default_rng(seed)
    columns = {name: rng.random(N) + 1 for name in ("open", "high", "low", "close", "volume")}
    return MarketTape(
        timestamps=np.arange(N, dtype=np.int64) * 10**9,
        **columns,
        half_spread_open=np.zeros(N),
        half_spread_close=np.zeros(N),
        features=rng.standard_normal((N, 3)).astype(np.float32),
        feature_names=("a", "b", "σ"),
        regimes=rng.integers(-1, 4, N).astype(np.int8),
        regime_probabilities=np.full((N, 4), 0.25, np.float32),
        segments=SEGMENTS,
        segment_start=np.repeat([0, 30], [30, 20]).astype(np.int64),
        periods_per_year=252.1,
        timeframe_ns=10**9,
    )


@pytest.fixture
def saved(tmp_path):
    save_tape(made_tape(), tmp_path / "tape")
    return tmp_path / "tape"


def owner(array):
    """Whose memory an array looks into."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array


def edit_index(folder, change):
    """Change the index and give it a checksum that fits."""
    index = json.loads((folder / INDEX).read_text())
    index.pop("sha256")
    change(index)
    digest = sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()
    (folder / INDEX).write_text(json.dumps(index | {"sha256": digest}))


def test_an_opened_tape_is_the_saved_one_field_by_field(saved):
    tape, again = made_tape(), open_tape(saved)
    assert len(fields(MarketTape)) > 10
    for field in fields(MarketTape):
        before, after = getattr(tape, field.name), getattr(again, field.name)
        if isinstance(before, np.ndarray):
            assert before.dtype == after.dtype
            np.testing.assert_array_equal(before, after)
        else:
            assert before == after
            assert type(before) is type(after)
    assert all(isinstance(segment, Segment) for segment in again.segments)


def test_the_arrays_are_mapped_and_read_only(saved):
    tape = open_tape(saved)
    for name in ("features", "close", "segment_start", "records"):
        array = getattr(tape, name)
        assert isinstance(owner(array), mmap)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def save_as_format_1(tape, folder):
    """A tape folder as version 1 wrote it: an array for every column."""
    contents = {field.name: getattr(tape, field.name) for field in fields(MarketTape) if field.init}
    arrays = {name: value for name, value in contents.items() if isinstance(value, np.ndarray)}
    described = {name: {"dtype": value.dtype.str, "shape": list(value.shape)} for name, value in arrays.items()}
    values = {name: value for name, value in contents.items() if name not in arrays}
    index = json.loads(json.dumps({"format_version": 1, "arrays": described, "values": values}))
    folder.mkdir()
    for name, value in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(value))
    digest = sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()
    (folder / INDEX).write_text(json.dumps(index | {"sha256": digest}))


@pytest.mark.parametrize("is_funded", [False, True])
def test_a_tape_of_format_1_still_opens_and_is_saved_as_format_2(tmp_path, is_funded):
    tape = replace(made_tape(), funding_rate=np.linspace(-1e-3, 1e-3, N) if is_funded else None)
    save_as_format_1(tape, tmp_path / "old")
    old = open_tape(tmp_path / "old")
    save_tape(old, tmp_path / "new")
    assert json.loads((tmp_path / "new" / INDEX).read_text())["format_version"] == 2
    for again in (old, open_tape(tmp_path / "new")):
        assert (again.segments, again.feature_names) == (tape.segments, tape.feature_names)
        assert (again.funding_rate is None) is not is_funded
        np.testing.assert_array_equal(again.records, tape.records)
        np.testing.assert_array_equal(again.features, tape.features)
    assert isinstance(owner(old.features), mmap)


def test_records_of_another_layout_are_named(saved):
    other = np.zeros(N, [("open", "<f8")])
    np.save(saved / "records.npy", other)
    edit_index(saved, lambda index: index["arrays"].update(records={"dtype": [["open", "<f8"]], "shape": [N]}))
    with pytest.raises(DataError, match=r"records\.npy does not hold the records of this version"):
        open_tape(saved)


def test_an_older_tape_is_replaced_and_stays_readable_for_those_who_opened_it(saved):
    before = open_tape(saved)
    save_tape(made_tape(seed=1), saved)
    np.testing.assert_array_equal(before.features, made_tape().features)
    np.testing.assert_array_equal(open_tape(saved).features, made_tape(seed=1).features)
    assert [path.name for path in saved.parent.iterdir()] == ["tape"]


def test_a_write_that_fails_leaves_the_older_tape_and_nothing_else(saved, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tape_file, "write_file", full_disk)
    with pytest.raises(MachineError, match="could not be written"):
        save_tape(made_tape(seed=1), saved)
    np.testing.assert_array_equal(open_tape(saved).features, made_tape().features)
    assert [path.name for path in saved.parent.iterdir()] == ["tape"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="holds something else than a tape"):
        save_tape(made_tape(), tmp_path)
    with pytest.raises(DataError, match="holds something else than a tape"):
        save_tape(made_tape(), tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "new").mkdir()
    save_tape(made_tape(), tmp_path / "new")
    assert len(open_tape(tmp_path / "new")) == N


def test_no_tape_is_named(tmp_path):
    with pytest.raises(DataError, match=r"is no tape folder: it has no tape\.json"):
        open_tape(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "is no index of a tape"),
        ('{"format_version": 99}', "was written in another format"),
        ('{"format_version": 1}', "its checksum differs"),
        ('{"format_version": 2}', "its checksum differs"),
    ],
)
def test_a_damaged_index_is_named(saved, text, message):
    (saved / INDEX).write_text(text)
    with pytest.raises(DataError, match=message):
        open_tape(saved)


def test_an_edited_index_is_refused(saved):
    text = (saved / INDEX).read_text()
    (saved / INDEX).write_text(text.replace("252.1", "365.0"))
    with pytest.raises(DataError, match="was changed after it was written"):
        open_tape(saved)


def test_names_of_another_version_are_listed(saved):
    edit_index(saved, lambda index: index["values"].update(colour="blue"))
    edit_index(saved, lambda index: index["arrays"].pop("records"))
    with pytest.raises(DataError) as caught:
        open_tape(saved)
    assert (caught.value.needed, caught.value.found) == ("also records", "unknown colour")


def test_a_missing_array_is_named(saved):
    (saved / "regimes.npy").unlink()
    with pytest.raises(DataError, match=r"is incomplete: it has no regimes\.npy"):
        open_tape(saved)


@pytest.mark.parametrize("n_bytes", [0, 40, 300])
def test_a_cut_array_is_named(saved, n_bytes):
    content = (saved / "records.npy").read_bytes()
    (saved / "records.npy").write_bytes(content[:n_bytes])
    with pytest.raises(DataError, match=r"records\.npy is not the file that was written"):
        open_tape(saved)


def test_an_array_of_another_shape_is_named(saved):
    np.save(saved / "segment_start.npy", np.zeros(N - 1, np.int64))
    with pytest.raises(DataError, match=re.escape("is not the array that tape.json describes")) as caught:
        open_tape(saved)
    assert (caught.value.needed, caught.value.found) == ("<i8 (50,)", "<i8 (49,)")


def test_a_pickled_array_is_refused_unread(saved):
    np.save(saved / "records.npy", np.array([{}] * N, object), allow_pickle=True)
    with pytest.raises(DataError, match="is not the file that was written"):
        open_tape(saved)


def test_a_tape_without_features_comes_back(tmp_path):
    bare = replace(made_tape(), features=np.empty((N, 0), np.float32), feature_names=())
    save_tape(bare, tmp_path / "bare")
    again = open_tape(tmp_path / "bare")
    assert (again.features.shape, again.feature_names) == ((N, 0), ())
