"""Hyper-parameters of EnsembleTrader; `conf/agent/ensemble.yaml` writes the defaults out."""

from dataclasses import dataclass
from typing import Any, ClassVar

from regimegym.agents.enhanced_dqn_settings import EnhancedDQNSettings
from regimegym.common.checks import check_at_least, check_choice, check_not_negative
from regimegym.common.errors import ConfigError

MODES = ("mixture", "switch", "vote")


@dataclass(frozen=True)
class EnsembleSettings(EnhancedDQNSettings):
    """EnsembleTrader (DEFINITIONS §10): those of EnhancedDQN, and how four specialists work together.

    Attributes:
        mode: how they decide when they act for good. `mixture`: the weighted Q that is learned;
            `switch`: the one the gate trusts most, until another is trusted more by `switch_margin`
            and the present one has decided `switch_dwell` times; `vote`: each gives its gate weight
            to its best action, a tie is HOLD.
        member_loss_weight: of Σ_k p_k·TD(Q_k), each specialist's own error in its own regime.
        balance_weight: of the term that keeps the gate from trusting one specialist with everything.

    Raises:
        ConfigError: a value is out of its range, or learning=afterstate.
    """

    name: ClassVar[str] = "ensemble"

    mode: str = "mixture"
    switch_margin: float = 0.1
    switch_dwell: int = 5
    member_loss_weight: float = 0.5
    balance_weight: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("agent.mode", self.mode, MODES)
        check_at_least("agent.switch_dwell", self.switch_dwell, 1)
        for key in ("switch_margin", "member_loss_weight", "balance_weight"):
            check_not_negative(f"agent.{key}", getattr(self, key))
        if self.learning == "afterstate":
            raise ConfigError(
                "no-members",
                "agent.learning=afterstate has one network, and agent=ensemble has four",
                needed="agent.learning=all_actions or sampled, or agent=enhanced_dqn",
            )

    def policy_arguments(self) -> dict[str, Any]:
        """What of the settings shapes the policy object."""
        return super().policy_arguments() | {
            "mode": self.mode,
            "switch_margin": self.switch_margin,
            "switch_dwell": self.switch_dwell,
        }
