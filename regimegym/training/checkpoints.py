"""Checkpoints: a training can be stopped, or killed, at any moment and goes on exactly where it was.

A checkpoint is written between two rollouts, whole or not at all, and nothing in it is code.
Writing one changes nothing in the training, so a run with checkpoints and one without are equal.
"""

import logging
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from stable_baselines3.common.callbacks import BaseCallback

from regimegym.common.errors import ModelError
from regimegym.common.files import replace_folder
from regimegym.common.state_file import Tree, read_state, write_state
from regimegym.training.run_folder import refused_by_machine

LOG = logging.getLogger(__name__)
NAME = "step_"
SECONDS_PER_MINUTE = 60.0


class Checkpoints:
    """The checkpoints of one run: folders `step_<number>`, of which the last `keep` stay."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def steps(self) -> list[int]:
        """Steps at which there is a checkpoint, ascending."""
        found = self.folder.glob(f"{NAME}*") if self.folder.is_dir() else ()
        return sorted(int(path.name[len(NAME) :]) for path in found if path.name[len(NAME) :].isdigit())

    def path(self, step: int) -> Path:
        """Folder of the checkpoint at `step`."""
        return self.folder / f"{NAME}{step}"

    def save(self, step: int, tree: Tree) -> Path:
        """Write a checkpoint, then drop the oldest ones beyond `keep`.

        Raises:
            MachineError: the disk or its permissions refuse; older checkpoints stand as before.
        """
        path = self.path(step)
        kept = f"the checkpoints at {', '.join(map(str, self.steps())) or 'no step yet'}"
        with refused_by_machine(path, 0, kept=kept):
            replace_folder(path, lambda fresh: write_state(fresh, tree))
        for old in self.steps()[: -self.keep]:
            shutil.rmtree(self.path(old), ignore_errors=True)
        return path

    def newest(self) -> tuple[int, Tree] | None:
        """Step and state of the newest whole checkpoint; a damaged one is logged and passed over."""
        for step in reversed(self.steps()):
            try:
                return step, read_state(self.path(step))
            except ModelError as error:
                LOG.warning("%s; the one before it is taken", error)
        return None


class StopRequest:
    """Whether somebody wants the training to end: Ctrl-C or SIGTERM, asked for once, politely."""

    def __init__(self) -> None:
        self.by: str | None = None

    @contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Listen to SIGINT and SIGTERM inside the block; a second SIGINT interrupts at once.

        Threads other than the main one cannot listen, and leave signals alone.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {kind: signal.signal(kind, self._heard) for kind in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)

    def _heard(self, kind: int, frame: FrameType | None) -> None:
        if self.by is not None and kind == signal.SIGINT:
            raise KeyboardInterrupt
        self.by = "Ctrl-C" if kind == signal.SIGINT else signal.Signals(kind).name


class TrainingStopped(Exception):
    """The training was asked to stop and its state is saved at `path`."""

    def __init__(self, by: str, step: int, path: Path) -> None:
        super().__init__(by)
        self.by, self.step, self.path = by, step, path


class CheckpointCallback(BaseCallback):
    """Saves between rollouts: when enough steps or minutes have passed, or when asked to stop.

    Args:
        checkpoints: where to.
        state: the whole state of the training.
        every_steps, every_minutes: 0 is never.
        stop: who wants to stop.
        last_step: step of the checkpoint the training came from, 0 for a new one.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        state: Callable[[], Tree],
        every_steps: int,
        every_minutes: float,
        stop: StopRequest,
        last_step: int = 0,
    ) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._state = state
        self._every_steps = every_steps
        self._every_seconds = every_minutes * SECONDS_PER_MINUTE
        self._stop = stop
        self._last_step = last_step
        self._last_time = time.monotonic()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        step = self.model.num_timesteps
        if self._stop.by is not None:
            raise TrainingStopped(self._stop.by, step, self._save(step))
        if step > self._last_step and self._is_due(step):
            self._save(step)

    def _is_due(self, step: int) -> bool:
        by_steps = self._every_steps > 0 and step // self._every_steps > self._last_step // self._every_steps
        by_time = self._every_seconds > 0 and time.monotonic() - self._last_time >= self._every_seconds
        return by_steps or by_time

    def _save(self, step: int) -> Path:
        path = self._checkpoints.save(step, self._state())
        self._last_step, self._last_time = step, time.monotonic()
        return path
