"""A trial as its objective sees it: what to try, where, and whom to tell how it goes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from regimegym.training.sweeps.space import Value
from regimegym.training.watch import GivenUp


class TrialStopped(KeyboardInterrupt):
    """Somebody stopped the trial; what it has is saved, and it goes on when the sweep does."""


@dataclass(frozen=True)
class TrialRun:
    """One trial.

    Args:
        number: its place in the sweep, from 0.
        parameters: values by name.
        overrides: the same as words of the command line.
        folder: where it writes; holds what an earlier, killed attempt left.
        tell: hears (look, value) and returns whether the trial is given up.
    """

    number: int
    parameters: Mapping[str, Value]
    overrides: tuple[str, ...]
    folder: Path
    tell: Callable[[int, float], bool] = lambda look, value: False

    def report(self, look: int, value: float) -> None:
        """Say that the score stands at `value` at look `look`, counted from 1. Raises GivenUp."""
        if self.tell(look, value):
            raise GivenUp(f"given up at look {look}")


class Objective(Protocol):
    """What a search improves: a trial in, metrics by name out. Sent to other processes, so a plain object."""

    def __call__(self, trial: TrialRun) -> Mapping[str, Any]:
        """Metrics of validation, never of test; those of `search.objectives` among them.

        Raises:
            GivenUp: given up.
            TrialStopped: to be gone on with.
            Exception: the trial has failed.
        """
