"""Hyper-parameters of EnhancedDQN and its distributional variant; `conf/agent/` writes the defaults out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from regimegym.agents.exploration import EpsilonSchedule
from regimegym.common.checks import (
    check_at_least,
    check_between,
    check_choice,
    check_flag,
    check_not_negative,
    check_number,
    check_positive,
)
from regimegym.common.errors import ConfigError

LEARNING = ("sampled", "all_actions", "afterstate")
TARGET_COPIES = ("soft", "interval")
PRECISIONS = ("float32", "bf16")


@dataclass(frozen=True)
class EnhancedDQNSettings:
    """EnhancedDQN (DEFINITIONS §9); the defaults follow what was measured to learn (docs/learning.md).

    Attributes:
        learning: what one sampled bar teaches. `sampled`: the action that was taken.
            `all_actions`: every action at the account that stood there, through the step kernel;
            right for any account and reward. `afterstate`: every action from every exposure;
            only where an account is its exposure (agents.afterstate).
        learning_rate, final_learning_rate: AdamW, linear from the first to the second.
        weight_decay: AdamW decay of weight matrices; biases and norms are not decayed.
        max_grad_norm: clip of the gradient's norm.
        batch_size: transitions (`afterstate`: bars) per gradient step.
        updates_per_bar: gradient steps per environment transition, of all accounts together.
        buffer_size: transitions held.
        learning_starts: transitions before the first gradient step; actions are random until then.
        gamma, n_steps: discount per bar, bars per n-step return (only `sampled` takes several).
        double_q: the online network chooses the action that the target network values.
        target_copy: `soft`: θ⁻ ← τθ + (1 − τ)θ⁻ after every gradient step; `interval`: a copy every
            `target_interval` gradient steps, between which encodings of bars are kept.
        tau: share of the online weights in each soft update.
        huber_delta: |TD error| beyond which the loss is linear, in scaled rewards.
        scale_rewards: divide rewards by the standard deviation that the first transitions had.
        regime_loss_weight: λ_reg of the auxiliary cross-entropy.
        act_with_average: act with the target weights (a running average when soft), else with the
            online ones.
        precision: `float32`, or `bf16` for the matrix products of learning (autocast).
        epsilon_start, epsilon_end, epsilon_fraction, epsilon_shape, epsilon_stages:
            exploration.EpsilonSchedule.

    Raises:
        ConfigError: a value is out of its range, or n_steps does not go with `learning`.
    """

    name: ClassVar[str] = "enhanced_dqn"
    n_quantiles: ClassVar[int] = 1
    cvar_level: ClassVar[float] = 1.0

    learning: str = "all_actions"
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-4
    weight_decay: float = 1.0
    max_grad_norm: float = 1.0
    batch_size: int = 64
    updates_per_bar: float = 0.1
    buffer_size: int = 200_000
    learning_starts: int = 1000
    gamma: float = 0.97
    n_steps: int = 1
    double_q: bool = True
    target_copy: str = "soft"
    target_interval: int = 250
    tau: float = 0.01
    huber_delta: float = 1.0
    scale_rewards: bool = True
    regime_loss_weight: float = 0.1
    act_with_average: bool = True
    precision: str = "float32"
    epsilon_start: float = 1.0
    epsilon_end: float = 0.05
    epsilon_fraction: float = 0.5
    epsilon_shape: str = "linear"
    epsilon_stages: Sequence[Sequence[float]] = ()

    def __post_init__(self) -> None:
        for key in ("learning_rate", "max_grad_norm", "updates_per_bar", "huber_delta"):
            check_positive(f"agent.{key}", getattr(self, key))
        for key in ("final_learning_rate", "weight_decay", "regime_loss_weight"):
            check_not_negative(f"agent.{key}", getattr(self, key))
        for key in ("batch_size", "buffer_size", "n_steps", "target_interval"):
            check_at_least(f"agent.{key}", getattr(self, key), 1)
        for key in ("double_q", "scale_rewards", "act_with_average"):
            check_flag(f"agent.{key}", getattr(self, key))
        check_choice("agent.learning", self.learning, LEARNING)
        check_choice("agent.target_copy", self.target_copy, TARGET_COPIES)
        check_choice("agent.precision", self.precision, PRECISIONS)
        check_at_least("agent.learning_starts", self.learning_starts, 0)
        check_between("agent.gamma", self.gamma, 0, 1)
        check_number("agent.tau", self.tau, "in (0, 1]", lambda v: 0 < v <= 1)
        if self.n_steps > 1 and self.learning != "sampled":
            raise ConfigError(
                "one-step-only",
                f"agent.learning={self.learning} knows the outcome of every action one bar ahead, "
                f"and 'agent.n_steps' is {self.n_steps}",
                needed="agent.n_steps=1, or agent.learning=sampled",
            )
        stages = tuple(tuple(float(number) for number in stage) for stage in self.epsilon_stages)
        object.__setattr__(self, "epsilon_stages", stages)
        self.epsilon()

    def policy_arguments(self) -> dict[str, Any]:
        """What of the settings shapes the policy object."""
        return {
            "act_with_average": self.act_with_average,
            "afterstate": self.learning == "afterstate",
            "n_quantiles": self.n_quantiles,
            "cvar_level": self.cvar_level,
        }

    def epsilon(self) -> EpsilonSchedule:
        """The exploration schedule."""
        return EpsilonSchedule(
            self.epsilon_start,
            self.epsilon_end,
            self.epsilon_fraction,
            self.epsilon_shape,
            tuple(map(tuple, self.epsilon_stages)),
        )


@dataclass(frozen=True)
class EnhancedQRDQNSettings(EnhancedDQNSettings):
    """EnhancedDQN over quantiles of the return, which can choose by its bad tail.

    Attributes:
        n_quantiles: quantiles of the return per action.
        cvar_level: actions are chosen by the mean of this lowest share of the quantiles (the
            conditional value at risk); 1 is the mean of all of them.
    """

    name: ClassVar[str] = "enhanced_qrdqn"

    n_quantiles: int = 32  # type: ignore[misc]
    cvar_level: float = 1.0  # type: ignore[misc]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("agent.n_quantiles", self.n_quantiles, 2)
        check_number("agent.cvar_level", self.cvar_level, "in (0, 1]", lambda v: 0 < v <= 1)
        if self.learning == "afterstate":
            raise ConfigError(
                "no-distribution",
                "agent.learning=afterstate learns differences of expectations and no distributions",
                needed="agent.learning=all_actions or sampled, or agent=enhanced_dqn",
            )
