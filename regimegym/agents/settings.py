"""Hyper-parameters of the agents; `conf/agent/` writes the same defaults out."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from regimegym.agents.enhanced_dqn_settings import EnhancedDQNSettings, EnhancedQRDQNSettings
from regimegym.common.checks import (
    check_at_least,
    check_between,
    check_not_negative,
    check_number,
    check_positive,
)


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
        return _without_policy(self)


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


@dataclass(frozen=True)
class RecurrentPPOSettings(PPOSettings):
    """sb3-contrib's RecurrentPPO: PPO with an LSTM of the actor and one of the critic behind the encoder.

    The memory spans the bars of an episode, beyond the window; in evaluation, all bars so far.
    """

    name: ClassVar[str] = "recurrent_ppo"

    lstm_hidden_size: int = 32
    n_lstm_layers: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("agent.lstm_hidden_size", self.lstm_hidden_size, 1)
        check_at_least("agent.n_lstm_layers", self.n_lstm_layers, 1)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the algorithm's constructor."""
        return _without_policy(self)


@dataclass(frozen=True)
class MaskablePPOSettings(PPOSettings):
    """sb3-contrib's MaskablePPO: orders that a brake of the environment would refuse are never drawn in training."""

    name: ClassVar[str] = "maskable_ppo"


@dataclass(frozen=True)
class SACSettings:
    """stable-baselines3's SAC; every field is the argument of that name there, but weight_decay.

    Attributes:
        weight_decay: AdamW, of actor and critic.
        ent_coef: weight of the entropy, or `auto`: learned, towards an entropy of -1.
    """

    name: ClassVar[str] = "sac"

    learning_rate: float = 3e-4
    weight_decay: float = 0.1
    buffer_size: int = 50_000
    learning_starts: int = 1000
    batch_size: int = 64
    tau: float = 0.005
    gamma: float = 0.97
    train_freq: int = 1
    gradient_steps: int = 1
    ent_coef: float | str = "auto"

    def __post_init__(self) -> None:
        _check_common(self)
        for key in ("buffer_size", "train_freq", "gradient_steps"):
            check_at_least(f"agent.{key}", getattr(self, key), 1)
        check_number("agent.tau", self.tau, "in (0, 1]", lambda v: 0 < v <= 1)
        check_not_negative("agent.weight_decay", self.weight_decay)
        if self.ent_coef != "auto":
            check_number("agent.ent_coef", self.ent_coef, "≥ 0, or auto", lambda v: v >= 0)  # type: ignore[arg-type]

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the algorithm's constructor."""
        return _without_policy(self)


BaselineSettings = DQNSettings | QRDQNSettings | PPOSettings | A2CSettings | SACSettings
AgentSettings = EnhancedDQNSettings | EnhancedQRDQNSettings | BaselineSettings

_OF_THE_POLICY = ("weight_decay", "n_quantiles", "lstm_hidden_size", "n_lstm_layers")


def _without_policy(settings: BaselineSettings) -> dict[str, Any]:
    return {key: value for key, value in asdict(settings).items() if key not in _OF_THE_POLICY}


def _check_common(settings: BaselineSettings) -> None:
    check_positive("agent.learning_rate", settings.learning_rate)
    check_between("agent.gamma", settings.gamma, 0, 1)
    if not isinstance(settings, SACSettings):
        check_positive("agent.max_grad_norm", settings.max_grad_norm)
    check_at_least("agent.batch_size", getattr(settings, "batch_size", 1), 1)
    check_at_least("agent.learning_starts", getattr(settings, "learning_starts", 0), 0)


def _check_actor_critic(settings: PPOSettings | A2CSettings) -> None:
    check_between("agent.gae_lambda", settings.gae_lambda, 0, 1)
    check_not_negative("agent.ent_coef", settings.ent_coef)
    check_not_negative("agent.vf_coef", settings.vf_coef)
