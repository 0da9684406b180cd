"""What a run was made of: code, data, packages, machine, time."""

import platform
import shutil
import subprocess
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import regimegym

FORMAT = 1
STATUSES = ("running", "finished", "interrupted", "pruned")
PACKAGES = (
    "torch",
    "gymnasium",
    "stable-baselines3",
    "sb3-contrib",
    "numpy",
    "pandas",
    "scipy",
    "TA-Lib",
    "numba",
    "hydra-core",
    "omegaconf",
    "scikit-learn",
    "hmmlearn",
    "tensorboard",
    "pyarrow",
    "safetensors",
)


def build_manifest(
    *,
    data_fingerprint: str,
    random_seed: int,
    device: str,
    execution: str,
    started: datetime,
    finished: datetime | None = None,
    status: str = "running",
    **more: Any,
) -> dict[str, Any]:
    """The manifest of a run, ready for `RunFolder.write_json("manifest.json", …)`.

    Args:
        data_fingerprint: hash of the bars.
        random_seed: seed from which all generators of the run come.
        device: where the networks ran ("cpu", "cuda:0").
        execution: execution mode of the fills ("next_open").
        started, finished: times with zone; the duration is their difference.
        status: "running", "finished", "interrupted" or "pruned".
        more: further entries, such as fingerprints of what stood beside the bars.
    """
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, got '{status}'")
    return {
        "format": FORMAT,
        "status": status,
        "started": started.isoformat(timespec="seconds"),
        "finished": None if finished is None else finished.isoformat(timespec="seconds"),
        "duration_s": None if finished is None else round((finished - started).total_seconds(), 3),
        "code": code_version(),
        "data_fingerprint": data_fingerprint,
        "random_seed": random_seed,
        "device": device,
        "execution": execution,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": package_versions(),
        **more,
    }


def code_version(folder: Path | None = None) -> dict[str, str | None]:
    """Package version and, where the package is tracked by git, its commit ("…+dirty" when changed).

    Never fails: without git, a checkout or a commit the commit is None.
    """
    folder = Path(regimegym.__path__[0]) if folder is None else folder
    return {"version": _version("regime-gym"), "commit": _commit(folder)}


def package_versions() -> dict[str, str | None]:
    """Installed versions of the packages that can change a number; None where one is missing."""
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit(folder: Path) -> str | None:
    # A virtual environment often lies inside some checkout that does not track it.
    if _git(folder, "ls-files", ".") in (None, ""):
        return None
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    return f"{commit}+dirty" if _git(folder, "status", "--porcelain", ".") else commit


def _git(folder: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(
            [git, "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
