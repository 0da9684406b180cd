"""heartbeat.json: whether a training is alive, how far it is and how fast, for whoever watches from outside."""

import logging
import time
from collections.abc import Callable
from datetime import datetime

from regimegym.common.errors import MachineError
from regimegym.training.run_folder import RunFolder

LOG = logging.getLogger(__name__)
NAME = "heartbeat.json"
SECONDS = 15.0


class Heartbeat:
    """Writes the heartbeat of the run in `folder` every SECONDS; a beat more often does nothing.

    A beat that the disk refuses is logged and passed over: the training is not ended for it.

    Args:
        folder: of the run.
        total_steps: at which the training ends.
        clock, now: seconds for the pace, time of day for the file.
    """

    def __init__(
        self,
        folder: RunFolder,
        total_steps: int,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._folder, self._total_steps = folder, total_steps
        self._clock, self._now = clock, now
        self._last: tuple[float, int] | None = None  # seconds and step of the beat before

    def beat(self, step: int, *, at_once: bool = False) -> None:
        """The training stands at `step`; `at_once` writes whenever the last beat was."""
        moment = self._clock()
        if self._last is not None and moment - self._last[0] < SECONDS and not at_once:
            return
        seconds, before = (0.0, step) if self._last is None else (moment - self._last[0], self._last[1])
        self._last = (moment, step)
        try:
            self._folder.write_json(
                NAME,
                {
                    "time": self._now().isoformat(timespec="seconds"),
                    "step": step,
                    "total_steps": self._total_steps,
                    "steps_per_second": (step - before) / seconds if seconds > 0 else None,
                },
            )
        except MachineError as error:
            LOG.warning("the heartbeat could not be written: %s", error)
