"""Which stage comes next: by the count of episodes alone, or by what validation says too."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from regimegym.common.checks import check_at_least
from regimegym.curriculum.settings import GateSettings
from regimegym.curriculum.stages import stage_boundaries, stage_of


class Schedule(Protocol):
    """Says in which stage an episode begins."""

    def stage_at(self, episode: int) -> int:
        """Stage of the episode that is the next to begin; episodes are asked for in their order."""
        ...

    def scored(self, log_return: float, episode: int) -> None:
        """A look at validation, when `episode` is the next to begin."""
        ...

    def score(self) -> float:
        """What the gate compares with its threshold; NaN without a gate or too few looks."""
        ...

    def state(self) -> dict[str, Any]:
        """Plain; `load_state` takes it back."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        ...


class TimedSchedule:
    """A stage lasts its planned episodes.

    Args:
        lengths: episodes of each stage.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self.boundaries = stage_boundaries(lengths)

    def stage_at(self, episode: int) -> int:
        """See stages.stage_of, which it is."""
        return stage_of(episode, self.boundaries)

    def scored(self, log_return: float, episode: int) -> None:
        """The clock does not listen."""

    def score(self) -> float:
        """There is none."""
        return math.nan

    def state(self) -> dict[str, Any]:
        """Nothing changes."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing changes."""


class GatedSchedule:
    """A stage is passed on validation, left after its maximum stay, or gone back from.

    Args:
        lengths: planned episodes of each stage.
        gate: what it takes.
    """

    def __init__(self, lengths: Sequence[int], gate: GateSettings) -> None:
        self._gate = gate
        most = math.inf if gate.max_stay is None else gate.max_stay
        self._longest = [most * length for length in lengths]
        self._stage, self._entered = 0, 0
        self._scores: deque[float] = deque(maxlen=gate.trailing)

    def stage_at(self, episode: int) -> int:
        """The present stage, or the next one where its maximum stay is over."""
        check_at_least("episode", episode, 0)
        if episode - self._entered >= self._longest[self._stage]:
            self._go(self._stage + 1, episode)
        return self._stage

    def scored(self, log_return: float, episode: int) -> None:
        """Pass, or go back, by the mean of the last looks in this stage; a NaN among them decides nothing."""
        self._scores.append(log_return)
        mean = self.score()
        if mean >= self._gate.threshold:
            self._go(self._stage + 1, episode)
        elif self._gate.step_back is not None and mean < self._gate.step_back:
            self._go(self._stage - 1, episode)

    def score(self) -> float:
        """Mean log return of the last `trailing` looks since the stage began; NaN while there are fewer."""
        return float(np.mean(self._scores)) if len(self._scores) == self._gate.trailing else math.nan

    def state(self) -> dict[str, Any]:
        """Stage, the episode it was entered at, the looks in it."""
        return {"stage": self._stage, "entered": self._entered, "scores": list(self._scores)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        self._stage, self._entered = state["stage"], state["entered"]
        self._scores = deque(state["scores"], maxlen=self._gate.trailing)

    def _go(self, stage: int, episode: int) -> None:
        if 0 <= stage < len(self._longest):
            self._stage, self._entered = stage, episode
            self._scores.clear()


def schedule_of(lengths: Sequence[int], gate: GateSettings | None) -> Schedule:
    """By the clock, or by the gate where there is one."""
    return TimedSchedule(lengths) if gate is None else GatedSchedule(lengths, gate)
