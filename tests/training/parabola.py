"""An objective that costs nothing; in a module that imports little, because processes are sent it."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from regimegym.training.sweeps.trial import TrialRun


def score_of(parameters) -> float:
    """Best at x = 0.5, y = 1."""
    return -((parameters["x"] - 0.5) ** 2) - (parameters["y"] - 1) ** 2


@dataclass(frozen=True)
class Parabola:
    """A known function; odd things happen at the trials named.

    Args:
        fails, undefined: numbers of trials that raise, or have no score.
        killed: trials whose process is killed, the first time only (marks lie in `marks`).
        seconds: that every trial takes.
    """

    fails: tuple[int, ...] = ()
    undefined: tuple[int, ...] = ()
    killed: tuple[int, ...] = ()
    marks: Path = Path()
    seconds: float = 0.0

    def __call__(self, trial: TrialRun):
        mark = self.marks / f"killed-{trial.number}"
        if trial.number in self.killed and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)
        if trial.number in self.fails:
            raise RuntimeError("the lights went out")
        value = float("nan") if trial.number in self.undefined else score_of(trial.parameters)
        for look in range(1, 4):
            trial.report(look, value - 1 / look)
        return {"log_return": value, "max_drawdown": abs(trial.parameters["x"])}
