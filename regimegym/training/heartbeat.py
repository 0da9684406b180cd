"""heartbeat.json: whether a training is alive, how far it is and how fast, for whoever watches from outside."""

import logging
import time
from collections.abc import Callable
from datetime import datetime

from stable_baselines3.common.callbacks import BaseCallback

from regimegym.common.errors import MachineError
from regimegym.training.run_folder import RunFolder

LOG = logging.getLogger(__name__)
NAME = "heartbeat.json"
SECONDS = 15.0


class Heartbeat(BaseCallback):
    """Writes the heartbeat of the run in `folder`: at the start, every SECONDS, and at the end.

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
        super().__init__()
        self._folder, self._total_steps = folder, total_steps
        self._clock, self._now = clock, now
        self._last = (0.0, 0)  # seconds and step of the beat before

    def _on_training_start(self) -> None:
        self._last = (self._clock(), self.num_timesteps)
        self._beat()

    def _on_step(self) -> bool:
        if self._clock() - self._last[0] >= SECONDS:
            self._beat()
        return True

    def _on_training_end(self) -> None:
        self._beat()

    def _beat(self) -> None:
        moment, step = self._clock(), self.num_timesteps
        seconds, steps = moment - self._last[0], step - self._last[1]
        self._last = (moment, step)
        content = {
            "time": self._now().isoformat(timespec="seconds"),
            "step": step,
            "total_steps": self._total_steps,
            "steps_per_second": steps / seconds if seconds > 0 else None,
        }
        try:
            self._folder.write_json(NAME, content)
        except MachineError as error:
            LOG.warning("the heartbeat could not be written: %s", error)
