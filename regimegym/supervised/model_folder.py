"""Folders of predictors: JSON and arrays, with checksums; loading one runs no code of it.

predictor.json   the Card, SHA-256 of itself and of every other file
anything else    arrays in safetensors, trees in the library's own format, members in folders of their own
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from regimegym.common.errors import MachineError, ModelError
from regimegym.common.files import replace_folder, write_file

FORMAT_VERSION = 1
CARD = "predictor.json"
LIBRARIES = ("numpy", "scikit-learn", "xgboost-cpu", "xgboost", "hmmlearn", "torch", "safetensors")


def installed_versions() -> dict[str, str]:
    """Versions of those LIBRARIES that are there."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Card:
    """What stands in predictor.json; every value is plain JSON.

    Attributes:
        predictor: registered name.
        settings: by field name.
        task: classification or regression.
        names: features, in the order of the columns.
        classes: names of the classes, empty for a regression.
        horizon, warm_up: in bars.
        only_class: the one class there was in the lesson, None where there were more.
        typical: median of every feature in the lesson, None where it had no value.
        importance: of every feature, at the end of the fitting.
        values: what the predictor itself keeps.
        versions: of the libraries that wrote it.
        format_version: of this file.
    """

    predictor: str
    settings: dict[str, Any]
    task: str
    names: tuple[str, ...]
    classes: tuple[str, ...]
    horizon: int
    warm_up: int
    only_class: int | None
    typical: tuple[float | None, ...]
    importance: dict[str, float]
    values: dict[str, Any]
    versions: dict[str, str] = field(default_factory=installed_versions)
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        for name in ("names", "classes", "typical"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def feature_hash(self) -> str:
        """16 hex digits of SHA-256 over the feature names in order."""
        return feature_hash(self.names)


def feature_hash(names: tuple[str, ...]) -> str:
    """16 hex digits of SHA-256 over the names in order."""
    return sha256(json.dumps(list(names)).encode()).hexdigest()[:16]


def tensors_to_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays by name as a safetensors file."""
    return save_tensors({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def tensors_from_bytes(content: bytes) -> dict[str, np.ndarray]:
    """Arrays by name of a safetensors file. Raises ModelError when it is none."""
    try:
        return {name: np.array(array) for name, array in load_tensors(content).items()}
    except SafetensorError as error:
        raise ModelError(
            "damaged-predictor", f"the arrays of the predictor are no safetensors file: {error}"
        ) from error


def folder_files(card: Card, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Content of every file of a predictor's folder, its card among them, by relative path."""
    values = json.loads(json.dumps(asdict(card), allow_nan=False))
    values["feature_hash"] = card.feature_hash
    values["files"] = {name: sha256(content).hexdigest() for name, content in files.items()}
    values["card_sha256"] = _digest(values)
    return {CARD: f"{json.dumps(values, indent=1)}\n".encode(), **files}


def write_folder(folder: Path, content: Mapping[str, bytes]) -> None:
    """Write these files as the folder; an older one there is replaced once the new one is on disk.

    Raises:
        MachineError: the disk or its permissions refuse.
    """

    def write(fresh: Path) -> None:
        for name, data in content.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            write_file(fresh / name, data)

    try:
        replace_folder(folder, write)
    except OSError as error:
        raise MachineError(
            "cannot-write-predictor",
            f"the predictor could not be written to {folder}: {error.strerror}",
            needed=f"{sum(map(len, content.values())) / 1e6:.1f} MB",
            kept="an older predictor there is kept; the half-written one was removed",
        ) from error


def read_folder(folder: Path) -> tuple[Card, dict[str, bytes]]:
    """Card and files of a folder, every checksum compared.

    Raises:
        ModelError: no predictor, another format, damaged or edited files.
        MachineError: a file cannot be read.
    """
    return opened(lambda name: _read(folder / name), str(folder))


def nested(files: Mapping[str, bytes], prefix: str) -> tuple[Card, dict[str, bytes]]:
    """Card and files of a member that was saved below `prefix` of another predictor. Raises as read_folder."""

    def read(name: str) -> bytes:
        if f"{prefix}/{name}" not in files:
            raise ModelError("missing-file", f"the predictor has no file {prefix}/{name}")
        return files[f"{prefix}/{name}"]

    return opened(read, prefix)


def opened(read: Any, place: str) -> tuple[Card, dict[str, bytes]]:
    """Card and files, each fetched by `read(name) -> bytes`. Raises ModelError as read_folder."""
    try:
        values = json.loads(read(CARD))
    except ValueError as error:
        if isinstance(error, ModelError | MachineError):
            raise
        raise ModelError("damaged-predictor", f"{CARD} of {place} is no JSON: {error}") from error
    if not isinstance(values, dict) or "predictor" not in values:
        raise ModelError("foreign-model", f"{CARD} of {place} is no card of a predictor")
    if values.get("format_version") != FORMAT_VERSION:
        raise ModelError(
            "format-version",
            f"{place} was written in another format",
            needed=f"format version {FORMAT_VERSION}",
            found=f"format version {values.get('format_version')}",
        )
    if values.pop("card_sha256", None) != _digest(values):
        raise ModelError("edited-card", f"{CARD} of {place} was changed after it was written: its checksum differs")
    checksums, hashed = values.pop("files"), values.pop("feature_hash")
    unknown = set(values) ^ {item.name for item in fields(Card)}
    if unknown:
        raise ModelError("damaged-predictor", f"{CARD} of {place} lacks or adds {', '.join(sorted(unknown))}")
    card = Card(**values)
    if hashed != card.feature_hash:
        raise ModelError("damaged-predictor", f"the feature names of {place} do not fit their hash {hashed}")
    return card, {name: _checked(read, name, checksum, place) for name, checksum in checksums.items()}


def _checked(read: Any, name: str, checksum: str, place: str) -> bytes:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ModelError("damaged-predictor", f"{place} names a file outside of it: {name}")
    content = read(name)
    if sha256(content).hexdigest() != checksum:
        raise ModelError(
            "damaged-file",
            f"{name} of {place} is not the file that was written: its checksum differs",
            needed=f"SHA-256 {checksum}",
            found=f"SHA-256 {sha256(content).hexdigest()}, {len(content)} bytes",
        )
    return content


def _digest(values: Mapping[str, Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(
            "missing-file", f"{path.parent} is no folder of a predictor: it has no {path.name}", needed=CARD
        ) from None
    except OSError as error:
        raise MachineError("cannot-read-predictor", f"{path} could not be read: {error.strerror}") from error
