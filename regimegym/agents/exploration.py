"""Epsilon-greedy exploration in which every account tosses its own coin."""

from dataclasses import dataclass

import numpy as np

from regimegym.common.checks import check_between, check_choice, check_number

SHAPES = ("linear", "exponential")


@dataclass(frozen=True)
class EpsilonSchedule:
    """ε as a function of the share of the training that is done.

    linear:      ε = start + (end − start)·min(1, done/fraction)
    exponential: ε = start·(end/start)^min(1, done/fraction)
    """

    start: float = 1.0
    end: float = 0.05
    fraction: float = 0.5
    shape: str = "linear"

    def __post_init__(self) -> None:
        check_between("epsilon_start", self.start, 0, 1)
        check_between("epsilon_end", self.end, 0, 1)
        check_number("epsilon_fraction", self.fraction, "in (0, 1]", lambda v: 0 < v <= 1)
        check_choice("epsilon_shape", self.shape, SHAPES)
        if self.shape == "exponential":
            check_number("epsilon_end", self.end, "> 0 for an exponential schedule", lambda v: v > 0)
            check_number("epsilon_start", self.start, "> 0 for an exponential schedule", lambda v: v > 0)

    def __call__(self, done: float) -> float:
        """ε at `done` in [0, 1]."""
        part = min(1.0, max(0.0, done) / self.fraction)
        if self.shape == "exponential":
            return self.start * (self.end / self.start) ** part
        return self.start + (self.end - self.start) * part


def draw_explorers(rng: np.random.Generator, n_accounts: int, epsilon: float) -> np.ndarray:
    """(N,) bool: which accounts explore in this step, each with probability ε on its own."""
    return rng.random(n_accounts) < epsilon
