"""Epsilon-greedy exploration in which every account tosses its own coin."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from regimegym.common.checks import check_between, check_choice, check_number
from regimegym.common.errors import ConfigError

SHAPES = ("linear", "exponential", "stages")


@dataclass(frozen=True)
class EpsilonSchedule:
    """ε as a function of the share of the training that is done.

    linear:      ε = start + (end − start)·min(1, done/fraction)
    exponential: ε = start·(end/start)^min(1, done/fraction)
    stages:      ε of the last of `stages`, pairs (share done from which it holds, ε)

    Raises:
        ConfigError: a number is out of its range, or the stages do not begin at 0 and ascend.
    """

    start: float = 1.0
    end: float = 0.05
    fraction: float = 0.5
    shape: str = "linear"
    stages: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        check_between("epsilon_start", self.start, 0, 1)
        check_between("epsilon_end", self.end, 0, 1)
        check_number("epsilon_fraction", self.fraction, "in (0, 1]", lambda v: 0 < v <= 1)
        check_choice("epsilon_shape", self.shape, SHAPES)
        if self.shape == "exponential":
            check_number("epsilon_end", self.end, "> 0 for an exponential schedule", lambda v: v > 0)
            check_number("epsilon_start", self.start, "> 0 for an exponential schedule", lambda v: v > 0)
        if self.shape == "stages":
            _check_stages(self.stages)

    def __call__(self, done: float) -> float:
        """ε at `done` in [0, 1]."""
        if self.shape == "stages":
            return [epsilon for begins, epsilon in self.stages if begins <= max(0.0, done)][-1]
        part = min(1.0, max(0.0, done) / self.fraction)
        if self.shape == "exponential":
            return self.start * (self.end / self.start) ** part
        return self.start + (self.end - self.start) * part


def _check_stages(stages: tuple[tuple[float, ...], ...]) -> None:
    begins = [stage[0] for stage in stages if len(stage) == 2]
    is_ascending = begins[:1] == [0.0] and all(a < b for a, b in pairwise(begins))
    if len(begins) != len(stages) or not is_ascending:
        raise ConfigError(
            "bad-stages",
            "'epsilon_stages' are pairs (share of the training from which it holds, ε), the first "
            f"from 0, ascending; got {list(map(list, stages))}",
            needed="[[0.0, 1.0], [0.3, 0.3], [0.6, 0.05]]",
        )
    for _, epsilon in stages:
        check_between("epsilon_stages", epsilon, 0, 1)


def draw_explorers(rng: np.random.Generator, n_accounts: int, epsilon: float) -> np.ndarray:
    """(N,) bool: which accounts explore in this step, each with probability ε on its own."""
    return rng.random(n_accounts) < epsilon
