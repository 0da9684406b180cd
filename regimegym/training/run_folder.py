"""A run is a folder that explains itself: config, manifest, metrics, model, events, report.

Nothing that exists is ever written over by another run. JSON is written beside its place and
moved there, so a reader or a killed process never meets half a file.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from regimegym.common.errors import MachineError, RunError, nearest_name
from regimegym.common.plain import plain
from regimegym.training.formatting import size

RUNS = Path("runs")
MARKS = ("config.yaml", "manifest.json")
LOCK = ".lock"
PREDICTORS = "predictors"  # kind of a run without an agent, in its manifest


class RunFolder:
    """The files of one run below `path`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.overrides = self.path / "overrides.yaml"
        self.manifest = self.path / "manifest.json"
        self.metrics = self.path / "metrics.json"
        self.equity = self.path / "equity.parquet"
        self.report_html = self.path / "report.html"
        self.report_json = self.path / "report.json"
        self.report_md = self.path / "report.md"
        self.sb3_baseline = self.path / "baselines" / "sb3_dqn"
        self.scenarios_json = self.path / "scenarios.json"
        self.model = self.path / "model"
        self.predictors = self.path / "predictors"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"

    @classmethod
    def create(
        cls, run_dir: str | None, name: str, now: datetime, job: int | None = None, root: Path = RUNS
    ) -> "RunFolder":
        """Make the folder of a new run.

        Args:
            run_dir: explicit folder, or None for `root/<YYYY-MM-DD>/<HH-MM-SS>-<name>`.
            name: name of the run or sweep.
            now: start of the run; all jobs of a sweep hand in the start of the sweep.
            job: number of the job in a sweep, which becomes a folder of its own below.

        Raises:
            RunError: `exists` or `not-empty`, when an explicit folder is taken.
            MachineError: the folder cannot be made (permission, disk).
        """
        dated = root / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}-{name}"
        path = dated if run_dir is None else Path(run_dir)
        path = path if job is None else path / str(job)
        with refused_by_machine(path, 0, kept="no folder was made"):
            return cls(_new_folder(path) if run_dir is None else _empty_folder(path))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else trains in this folder inside the block; the hold ends with the process, however it ends.

        Raises:
            RunError: `in-use`, another process holds it.
        """
        with refused_by_machine(self.path, 0, kept="the folder as it was"), (self.path / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    "in-use", f"another process is training in {self.path}", kept="nothing was written"
                ) from None
            yield

    @classmethod
    def open(cls, path_or_last: str, root: Path = RUNS) -> "RunFolder":
        """The run at a path, or with `last` the newest finished training of an agent below `root`.

        Raises:
            RunError: `no-run-folder`, with the nearest run that exists.
        """
        if path_or_last == "last":
            return cls(_newest_finished(root))
        path = Path(path_or_last)
        if any((path / mark).is_file() for mark in MARKS):
            return cls(path)
        missing = "there is no such folder" if not path.is_dir() else _missing(path)
        known = [str(p) for p in runs_below(root)]
        nearest = nearest_name(str(path), known)
        raise RunError(
            "no-run-folder",
            f"'{path}' is no run folder",
            needed="a folder with config.yaml, manifest.json, model/",
            found=missing,
            nearest=nearest,
            help=(
                f"run={nearest or 'last'}",
                f"{len(known)} runs below {root}/; last is the newest finished one",
            ),
        )

    def read_manifest(self) -> dict[str, Any]:
        """The manifest, empty when the run was killed before it wrote one."""
        return read_json(self.manifest)

    def write_json(self, name: str, data: Any) -> Path:
        """Write `data` as JSON under `name`: keys sorted, NaN and infinite as null."""
        text = json.dumps(plain(data), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
        return self.write_text(name, text + "\n")

    def write_text(self, name: str, text: str) -> Path:
        """Write `text` under `name`, whole or not at all.

        Raises:
            MachineError: no space or no permission; the file that stood there is kept.
        """
        target, content = self.path / name, text.encode()
        temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
        kept = f"{target} as it was; the half-written file was removed"
        with refused_by_machine(target, len(content), kept=kept):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with temporary.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(target)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise
        return target


@contextlib.contextmanager
def refused_by_machine(path: Path, needed: int, kept: str) -> Iterator[None]:
    """Turn a full disk or a refused permission at `path` into a MachineError.

    Args:
        path: file or folder that is written.
        needed: bytes that were to be written.
        kept: what stands as before.
    """
    try:
        yield
    except OSError as error:
        place = existing_parent(path)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MachineError(
                "disk-full",
                f"no space left for {path}",
                needed=size(needed),
                found=f"{size(shutil.disk_usage(place).free)} free on the disk of {place}",
                help=("free some space, then start again",),
                kept=f"kept: {kept}",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise MachineError(
                "permission",
                f"may not write {path}",
                needed=f"permission to write below {place}",
                found=str(error.strerror),
                help=("choose another folder, for example: run_dir=~/runs/first",),
                kept=f"kept: {kept}",
            ) from error
        raise MachineError("cannot-write", f"cannot write {path}: {error.strerror}", kept=f"kept: {kept}") from error


def existing_parent(path: Path) -> Path:
    """`path` or the nearest folder above it that exists."""
    path = path.absolute()
    return next(p for p in (path, *path.parents) if p.exists())


def runs_below(root: Path) -> list[Path]:
    """All run folders below `root`, in the order of their paths."""
    return sorted({file.parent for mark in MARKS for file in root.rglob(mark)})


def _new_folder(path: Path) -> Path:
    """Make `path`, or `path-2`, `path-3`, … when it is taken; safe for several processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tried, n = path, 1
    while True:
        try:
            tried.mkdir()
            return tried
        except FileExistsError:
            n += 1
            tried = path.with_name(f"{path.name}-{n}")


def check_free(path: Path) -> None:
    """Raise RunError `exists` or `not-empty` where an explicit folder is taken."""
    holds_run = any((path / mark).exists() for mark in MARKS)
    if path.exists() and not path.is_dir():
        raise _taken("not-empty", path, f"'{path}' is a file, not a folder")
    if holds_run:
        raise _taken("exists", path, f"'{path}' already holds a run")
    if path.is_dir() and any(path.iterdir()):
        raise _taken("not-empty", path, f"'{path}' is not empty")


def _empty_folder(path: Path) -> Path:
    check_free(path)
    path.mkdir(parents=True, exist_ok=True)
    try:
        (path / LOCK).open("x").close()  # of two that start at once, one makes it
    except FileExistsError:
        raise _taken("exists", path, f"'{path}' is just being taken by another run") from None
    return path


def _taken(name: str, path: Path, sentence: str) -> RunError:
    n = 2
    while path.with_name(f"{path.name}-{n}").exists():
        n += 1
    return RunError(
        name,
        sentence,
        needed="a new or empty folder",
        help=("choose another folder, for example:", f"run_dir={path.with_name(f'{path.name}-{n}')}"),
        kept="nothing was written",
    )


def _newest_finished(root: Path) -> Path:
    found = []
    for path in runs_below(root):
        manifest = read_json(path / "manifest.json")
        if manifest.get("status") == "finished" and manifest.get("kind") != PREDICTORS:
            found.append((str(manifest.get("started", "")), str(path), path))
    if found:
        return max(found)[2]
    raise RunError(
        "no-run-folder",
        f"there is no finished run below '{root}'",
        needed="a folder with config.yaml, manifest.json (status finished), model/",
        found=f"{len(runs_below(root))} unfinished runs" if runs_below(root) else "no run at all",
        help=("make one:", "regime-gym train"),
    )


def _missing(path: Path) -> str:
    missing = [name for name in (*MARKS, "model/") if not (path / name).exists()]
    return f"a folder without {', '.join(missing)}"


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object at `path`; empty where there is none, or half of one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
