"""What a replay buffer draws, and how it weighs what it drew; `conf/replay/` writes the same defaults out."""

from collections.abc import Sequence
from dataclasses import dataclass

from regimegym.common.checks import (
    check_between,
    check_choice,
    check_not_negative,
    check_number,
    check_positive,
)
from regimegym.common.errors import ConfigError
from regimegym.common.regimes import N_REGIMES

KINDS = ("uniform", "prioritized", "regime")
IS_TARGETS = ("uniform", "balanced")
TAPE_DEVICES = ("cpu", "learner")


@dataclass(frozen=True)
class ReplaySettings:
    """Replay of transitions (DEFINITIONS §7).

    Attributes:
        kind: `uniform` draws every transition alike; `prioritized` by its TD error, from one ring;
            `regime` first a regime, then by TD error within it. `regime` shares the capacity out
            to the regimes evenly, so that what is rare is kept long.
        alpha: exponent of the priorities in [0, 1]; 0 draws alike within a regime.
        beta: β0, exponent of the importance weights at the start; it reaches 1 with the last step
            of the training.
        regime_weights: w_r in the order of Regime, renormalised over the regimes that hold anything.
        is_target: what the importance weights restore at β = 1: `uniform`, the mean over
            everything held; `balanced`, Σ_r w_r · mean of regime r (with `regime` only).
        epsilon: least priority.
        max_td_error: δ_max, |TD error| beyond which a priority no longer grows, in scaled rewards.
        priority_decay: factor per update by which the running maximum priority, which new
            transitions get, sinks towards what was seen last.
        tape_device: where windows are gathered: `cpu`, or `learner`: on the learner's device,
            which then holds a copy of the features.

    Raises:
        ConfigError: a setting is out of its range, with the value that came.
    """

    kind: str = "uniform"
    alpha: float = 0.6
    beta: float = 0.4
    regime_weights: Sequence[float] = (0.25, 0.25, 0.25, 0.25)
    is_target: str = "uniform"
    epsilon: float = 1e-5
    max_td_error: float = 10.0
    priority_decay: float = 0.999
    tape_device: str = "learner"

    def __post_init__(self) -> None:
        check_choice("replay.kind", self.kind, KINDS)
        check_between("replay.alpha", self.alpha, 0, 1)
        check_between("replay.beta", self.beta, 0, 1)
        check_choice("replay.is_target", self.is_target, IS_TARGETS)
        check_positive("replay.epsilon", self.epsilon)
        check_positive("replay.max_td_error", self.max_td_error)
        check_number("replay.priority_decay", self.priority_decay, "in (0, 1]", lambda v: 0 < v <= 1)
        check_choice("replay.tape_device", self.tape_device, TAPE_DEVICES)
        weights = tuple(self.regime_weights)
        if len(weights) != N_REGIMES:
            raise ConfigError("regime-weights", f"'replay.regime_weights' needs {N_REGIMES} numbers, got {weights}")
        for i, weight in enumerate(weights):
            check_not_negative(f"replay.regime_weights[{i}]", weight)
        check_positive("the sum of replay.regime_weights", sum(weights))
        object.__setattr__(self, "regime_weights", tuple(float(weight) for weight in weights))
        if self.is_target == "balanced" and self.kind != "regime":
            raise ConfigError(
                "idle-balance",
                f"'replay.is_target' is balanced, and 'replay.kind' is {self.kind}",
                needed="replay=regime",
            )

    def beta_at(self, done: float) -> float:
        """β = β0 + (1 − β0)·min(1, done) at the share `done` ≥ 0 of the training."""
        return self.beta + (1.0 - self.beta) * min(1.0, max(0.0, done))
