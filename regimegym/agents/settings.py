"""Hyper-parameters of the agents; `conf/agent/` writes the same defaults out."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from regimegym.agents.exploration import EpsilonSchedule
from regimegym.common.checks import (
    check_at_least,
    check_between,
    check_not_negative,
    check_number,
    check_positive,
)


@dataclass(frozen=True)
class EnhancedDQNSettings:
    """EnhancedDQN (DEFINITIONS §9); the defaults follow what was measured to learn.

    Attributes:
        learning_rate, final_learning_rate: AdamW, linear from the first to the second.
        weight_decay: AdamW decay of weight matrices; biases and norms are not decayed.
        max_grad_norm: clip of the gradient's norm.
        batch_size: transitions per gradient step.
        updates_per_bar: gradient steps per environment transition, of all accounts together.
        buffer_size: transitions held.
        learning_starts: transitions before the first gradient step; actions are random until then.
        gamma, n_steps: discount per bar, bars per n-step return.
        tau: share of the online weights in each soft update of the averaged ones.
        huber_delta: |TD error| beyond which the loss is linear, in scaled rewards.
        scale_rewards: divide rewards by the standard deviation that the first transitions had.
        regime_loss_weight: λ_reg of the auxiliary cross-entropy.
        act_with_average: act with the averaged (target) weights, else with the online ones.
        epsilon_start, epsilon_end, epsilon_fraction, epsilon_shape: exploration.EpsilonSchedule.
    """

    name: ClassVar[str] = "enhanced_dqn"

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
    tau: float = 0.01
    huber_delta: float = 1.0
    scale_rewards: bool = True
    regime_loss_weight: float = 0.1
    act_with_average: bool = True
    epsilon_start: float = 1.0
    epsilon_end: float = 0.05
    epsilon_fraction: float = 0.5
    epsilon_shape: str = "linear"

    def __post_init__(self) -> None:
        for key in ("learning_rate", "max_grad_norm", "updates_per_bar", "huber_delta"):
            check_positive(f"agent.{key}", getattr(self, key))
        for key in ("final_learning_rate", "weight_decay", "regime_loss_weight"):
            check_not_negative(f"agent.{key}", getattr(self, key))
        for key in ("batch_size", "buffer_size", "n_steps"):
            check_at_least(f"agent.{key}", getattr(self, key), 1)
        check_at_least("agent.learning_starts", self.learning_starts, 0)
        check_between("agent.gamma", self.gamma, 0, 1)
        check_number("agent.tau", self.tau, "in (0, 1]", lambda v: 0 < v <= 1)
        self.epsilon()

    def epsilon(self) -> EpsilonSchedule:
        """The exploration schedule."""
        return EpsilonSchedule(self.epsilon_start, self.epsilon_end, self.epsilon_fraction, self.epsilon_shape)


@dataclass(frozen=True)
class DQNSettings:
    """stable-baselines3's DQN; every field is the argument of that name there, but weight_decay."""

    name: ClassVar[str] = "dqn"

    learning_rate: float = 5e-4
    weight_decay: float = 0.1
    buffer_size: int = 50_000
    learning_starts: int = 1000
    batch_size: int = 64
    tau: float = 1.0
    gamma: float = 0.97
    train_freq: int = 1
    gradient_steps: int = 1
    target_update_interval: int = 1000
    exploration_fraction: float = 0.5
    exploration_initial_eps: float = 1.0
    exploration_final_eps: float = 0.05
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        _check_common(self)
        for key in ("buffer_size", "train_freq", "gradient_steps", "target_update_interval"):
            check_at_least(f"agent.{key}", getattr(self, key), 1)
        check_number("agent.tau", self.tau, "in (0, 1]", lambda v: 0 < v <= 1)
        check_between("agent.exploration_fraction", self.exploration_fraction, 0, 1)
        check_between("agent.exploration_initial_eps", self.exploration_initial_eps, 0, 1)
        check_between("agent.exploration_final_eps", self.exploration_final_eps, 0, 1)
        check_not_negative("agent.weight_decay", self.weight_decay)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the algorithm's constructor."""
        return {key: value for key, value in asdict(self).items() if key not in _OF_THE_POLICY}


@dataclass(frozen=True)
class QRDQNSettings(DQNSettings):
    """sb3-contrib's QR-DQN: DQN over quantiles of the return."""

    name: ClassVar[str] = "qrdqn"

    n_quantiles: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("agent.n_quantiles", self.n_quantiles, 1)


@dataclass(frozen=True)
class PPOSettings:
    """stable-baselines3's PPO; every field is the argument of that name there."""

    name: ClassVar[str] = "ppo"

    learning_rate: float = 3e-4
    n_steps: int = 256
    batch_size: int = 256
    n_epochs: int = 4
    gamma: float = 0.97
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5

    def __post_init__(self) -> None:
        _check_common(self)
        check_at_least("agent.n_epochs", self.n_epochs, 1)
        check_at_least("agent.n_steps", self.n_steps, 2)
        check_positive("agent.clip_range", self.clip_range)
        _check_actor_critic(self)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the algorithm's constructor."""
        return asdict(self)


@dataclass(frozen=True)
class A2CSettings:
    """stable-baselines3's A2C; every field is the argument of that name there."""

    name: ClassVar[str] = "a2c"

    learning_rate: float = 7e-4
    n_steps: int = 16
    gamma: float = 0.97
    gae_lambda: float = 0.95
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5

    def __post_init__(self) -> None:
        _check_common(self)
        check_at_least("agent.n_steps", self.n_steps, 2)
        _check_actor_critic(self)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the algorithm's constructor."""
        return asdict(self)


BaselineSettings = DQNSettings | QRDQNSettings | PPOSettings | A2CSettings
AgentSettings = EnhancedDQNSettings | BaselineSettings

_OF_THE_POLICY = ("weight_decay", "n_quantiles")


def _check_common(settings: BaselineSettings) -> None:
    check_positive("agent.learning_rate", settings.learning_rate)
    check_between("agent.gamma", settings.gamma, 0, 1)
    check_positive("agent.max_grad_norm", settings.max_grad_norm)
    check_at_least("agent.batch_size", getattr(settings, "batch_size", 1), 1)
    check_at_least("agent.learning_starts", getattr(settings, "learning_starts", 0), 0)


def _check_actor_critic(settings: PPOSettings | A2CSettings) -> None:
    check_between("agent.gae_lambda", settings.gae_lambda, 0, 1)
    check_not_negative("agent.ent_coef", settings.ent_coef)
    check_not_negative("agent.vf_coef", settings.vf_coef)
