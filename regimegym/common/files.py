"""Files and folders that are written whole or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp, mkstemp
from typing import IO


def write_file(path: Path, content: bytes) -> None:
    """Write `content` and wait until it is on disk.

    Raises:
        OSError: the disk or its permissions refuse.
    """
    with path.open("wb") as file:
        file.write(content)
        flush_to_disk(file)


def flush_to_disk(file: IO[bytes]) -> None:
    """Wait until what was written to the open `file` is on disk; raises OSError as write_file."""
    file.flush()
    os.fsync(file.fileno())


def replace_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write the files of a new folder, then put that in the place of `folder`.

    What stood at `folder` goes only once the new one is complete; where `fill` raises, it stays
    and the new one is removed.

    Raises:
        OSError: the disk or its permissions refuse.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fresh.chmod(0o755)
        fill(fresh)
        _take_place(fresh, folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _take_place(fresh: Path, folder: Path) -> None:
    """Rename `fresh` to `folder`; a folder that stands there steps aside first, then goes."""
    if folder.exists():
        aside = Path(mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
        folder.rename(aside / folder.name)
        fresh.rename(folder)
        shutil.rmtree(aside)
    else:
        fresh.rename(folder)
    parent = os.open(folder.parent, os.O_RDONLY)
    os.fsync(parent)
    os.close(parent)


def write_whole(path: Path, content: bytes) -> None:
    """Put a file with `content` in the place of `path`; a reader sees the old one or the new one, never a part.

    Raises:
        OSError: the disk or its permissions refuse; what stood at `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            flush_to_disk(file)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
