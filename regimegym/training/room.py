"""Whether a training fits on the disk, asked before it starts."""

import os
import shutil
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm

from regimegym.agents.state import BUFFER_ARRAYS
from regimegym.common.errors import MachineError
from regimegym.training.formatting import size
from regimegym.training.run_folder import existing_parent

SMALL_FILES = 32 * 2**20  # bytes for events, report and metrics
COPIES = 3  # weights and the two moments of Adam


def check_writable(path: Path) -> None:
    """Raise MachineError unless a folder can be made at `path`; nothing is written."""
    place = existing_parent(path)
    if place.is_dir() and not os.access(place, os.W_OK | os.X_OK):
        raise MachineError(
            "permission",
            f"may not write {path}",
            needed=f"permission to write below {place}",
            help=("choose another folder, for example: run_dir=~/runs/first",),
            kept="nothing was written",
        )


def check_room(path: Path, algorithm: BaseAlgorithm, keep_checkpoints: int) -> None:
    """Raise MachineError where the disk of `path` cannot hold the run.

    Args:
        path: the folder that will be made.
        algorithm: as built.
        keep_checkpoints: a new one is whole before the oldest goes.
    """
    needed = (keep_checkpoints + 1) * checkpoint_bytes(algorithm) + SMALL_FILES
    free = shutil.disk_usage(existing_parent(path)).free
    if free < needed:
        raise MachineError(
            "disk-full",
            f"the run would not fit on the disk of {existing_parent(path)}",
            needed=f"{size(needed)} for {keep_checkpoints + 1} checkpoints, model and report",
            found=f"{size(free)} free",
            help=(
                "free some space, or choose another disk: run_dir=/elsewhere/run",
                "or keep less: trainer.keep_checkpoints=1 agent.buffer_size=20_000",
            ),
            kept="nothing was written",
        )


def checkpoint_bytes(algorithm: BaseAlgorithm) -> int:
    """Bytes of one checkpoint when the replay memory is full."""
    weights = sum(tensor.nbytes for tensor in algorithm.policy.state_dict().values())
    buffer = getattr(algorithm, "replay_buffer", None)
    own = getattr(buffer, "nbytes", 0) + getattr(buffer, "tree_nbytes", 0)
    theirs = 0 if own else sum(_bytes_of(getattr(buffer, name, None)) for name in BUFFER_ARRAYS)
    return COPIES * weights + own + theirs


def _bytes_of(held: object) -> int:
    """Of an array, or of a mapping of arrays."""
    return sum(map(_bytes_of, held.values())) if isinstance(held, dict) else int(getattr(held, "nbytes", 0))
