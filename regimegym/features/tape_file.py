"""Tape folders: one .npy per array and a JSON beside them; opening one maps them and runs no code of it.

tape.json     names, segments, dtype and shape of every array, and SHA-256 of all that
records.npy   prices, volume, funding: one record per bar, as a step reads them
NAME.npy      each other array of MarketTape

Format 1 had an array of its own for every price; such a folder is still opened, and its prices, alone, are copied.
"""

import json
from dataclasses import MISSING, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from regimegym.common.errors import DataError, MachineError
from regimegym.common.files import flush_to_disk, replace_folder, write_file
from regimegym.common.plain import plain
from regimegym.features.bar_records import BAR
from regimegym.features.tape import OWN_ARRAYS, MarketTape, Segment

INDEX = "tape.json"
FORMAT_VERSION = 2
VALUES = ("feature_names", "segments", "periods_per_year", "timeframe_ns")


def save_tape(tape: MarketTape, folder: Path) -> None:
    """Write the tape folder; an older tape there is replaced only once the new one is on disk.

    Raises:
        DataError: `folder` holds something else than a tape.
        MachineError: the disk or its permissions refuse.
    """
    arrays: dict[str, np.ndarray] = {name: getattr(tape, name) for name in (*OWN_ARRAYS, "records")}
    values = {name: getattr(tape, name) for name in VALUES} | {"is_funded": tape.funding_rate is not None}
    index = {
        "format_version": FORMAT_VERSION,
        "arrays": {name: {"dtype": _words(value.dtype), "shape": value.shape} for name, value in arrays.items()},
        "values": values,
    }

    def write(fresh: Path) -> None:
        for name, array in arrays.items():
            with (fresh / f"{name}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
                flush_to_disk(file)
        write_file(fresh / INDEX, _index_text(plain(index)).encode())

    try:
        _check_replaceable(folder)
        replace_folder(folder, write)
    except OSError as error:
        raise MachineError(
            "cannot-write-tape",
            f"the tape could not be written to {folder}: {error.strerror}",
            needed=f"{sum(array.nbytes for array in arrays.values()) / 1e6:.1f} MB",
            kept="an older tape there is kept; the half-written one was removed",
        ) from error


def open_tape(folder: Path) -> MarketTape:
    """The tape of a folder, its arrays mapped from disk, read-only; nothing is copied into memory.

    Raises:
        DataError: no tape folder, another format, an edited index, or an array that is missing,
            cut short or not the one described; it says which.
        MachineError: the files cannot be read.
    """
    index = _read_index(folder)
    contents = index["values"] | {
        name: _map_array(folder / f"{name}.npy", described["dtype"], tuple(described["shape"]))
        for name, described in index["arrays"].items()
    }
    contents["feature_names"] = tuple(contents["feature_names"])
    contents["segments"] = tuple(Segment(*segment) for segment in contents["segments"])
    return MarketTape(**contents) if index["format_version"] == 1 else MarketTape.of_records(**contents)


def _words(dtype: np.dtype) -> Any:
    """A dtype as JSON can hold it: the fields of a record one by one."""
    return [list(field) for field in dtype.descr] if dtype.names else dtype.str


def _check_replaceable(folder: Path) -> None:
    """Only a tape or an empty folder may be replaced: what else lies there is the user's."""
    if folder.is_dir() and ((folder / INDEX).exists() or not any(folder.iterdir())):
        return
    if folder.exists():
        raise DataError(
            "folder-taken",
            f"{folder} holds something else than a tape",
            needed=f"a new folder, an empty one, or one with {INDEX}",
            kept=f"{folder} as it was; nothing was written",
        )


def _index_text(index: dict[str, Any]) -> str:
    return json.dumps(index | {"sha256": _digest(index)}, indent=2) + "\n"


def _digest(index: dict[str, Any]) -> str:
    return sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    try:
        index = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise DataError("no-tape", f"{folder} is no tape folder: it has no {INDEX}") from None
    except OSError as error:
        raise MachineError("cannot-read-tape", f"{path} could not be read: {error}") from error
    except ValueError as error:
        raise DataError("damaged-tape", f"{path} is no JSON: {error}") from error
    if not isinstance(index, dict) or "format_version" not in index:
        raise DataError("foreign-tape", f"{path} is no index of a tape")
    if index["format_version"] not in (1, FORMAT_VERSION):
        raise DataError(
            "format-version",
            f"{path} was written in another format",
            needed=f"format version {FORMAT_VERSION} (or 1)",
            found=f"format version {index['format_version']}",
        )
    if index.pop("sha256", None) != _digest(index):
        raise DataError("edited-tape", f"{path} was changed after it was written: its checksum differs")
    _check_names(path, index["format_version"], {*index["arrays"], *index["values"]})
    return index


def _check_names(path: Path, version: int, found: set[str]) -> None:
    columns = [field for field in fields(MarketTape) if field.init]
    known = {field.name for field in columns}
    needed = {field.name for field in columns if field.default is MISSING}
    if version == FORMAT_VERSION:
        needed = known = {*OWN_ARRAYS, "records", *VALUES, "is_funded"}
    missing, unknown = sorted(needed - found), sorted(found - known)
    if missing or unknown:
        raise DataError(
            "tape-names",
            f"{path} does not describe a tape of this version",
            needed=f"also {', '.join(missing)}" if missing else None,
            found=f"unknown {', '.join(unknown)}" if unknown else None,
        )


def _map_array(path: Path, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError("missing-array", f"{path.parent} is incomplete: it has no {path.name}") from None
    except (ValueError, EOFError) as error:
        raise DataError("damaged-array", f"{path} is not the file that was written: {error}") from error
    except OSError as error:
        raise MachineError("cannot-read-tape", f"{path} could not be read: {error}") from error
    found = _words(array.dtype)
    if (found, array.shape) != (dtype, shape):
        raise DataError(
            "wrong-array",
            f"{path} is not the array that {INDEX} describes",
            needed=f"{dtype} {shape}",
            found=f"{found} {array.shape}",
        )
    if path.stem == "records" and array.dtype != BAR:
        raise DataError("wrong-array", f"{path} does not hold the records of this version", needed=f"{_words(BAR)}")
    return array
