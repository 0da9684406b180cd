"""The gate: stay flat unless what was selected on validation stands out of its own noise."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from regimegym.common.actions import Action
from regimegym.common.policy import Decision, Observations, Policy
from regimegym.envs.observation import ACCOUNT_FIELDS
from regimegym.envs.settings import ActionSettings

EXPOSURE = ACCOUNT_FIELDS.index("exposure")


def gate_statistic(log_returns: np.ndarray) -> float:
    """t = mean/sd·√n of the log returns (n,) per bar of the selected model on validation; 0 where it never moved.

    The best of several checkpoints is looked at, so t is flattered: that is why a threshold of
    1.5 is no test at a level, only a fence against models that selected noise.
    """
    if len(log_returns) < 2:
        return 0.0
    deviation = float(log_returns.std(ddof=1))
    return float(log_returns.mean()) / deviation * math.sqrt(len(log_returns)) if deviation > 0 else 0.0


@dataclass(frozen=True)
class Gate:
    """What the gate saw; saved with the model.

    Attributes:
        threshold: least t-statistic.
        t_statistic: of the selected model on validation.
    """

    threshold: float
    t_statistic: float

    @property
    def is_open(self) -> bool:
        """Whether the model may trade."""
        return self.t_statistic > self.threshold


def flat_action(action: ActionSettings) -> int | float | None:
    """The action of an account that never trades; None on a ladder without 0."""
    if action.mode == "trade":
        return int(Action.HOLD)  # of an account that begins with cash
    if action.mode == "continuous":
        return 0.0
    return list(action.ladder).index(0.0) if 0.0 in action.ladder else None


class FlatPolicy:
    """A policy behind a closed gate: it opens nothing, and closes what it finds open.

    In a walk-forward, and at work, the account may hold what another model bought; to keep it would be that
    model's trade going on.

    Args:
        action: what `flat_action` says of the environment.
    """

    def __init__(self, action: int | float) -> None:
        self._action = action

    def act(
        self, observations: Observations, state: Any = None, episode_starts: np.ndarray | None = None
    ) -> tuple[Decision, Any]:
        """See common.policy.Policy."""
        held = observations["account"][:, EXPOSURE] != 0.0
        target = np.where(held, 0.0, np.nan) if held.any() else None
        if isinstance(self._action, float):
            return Decision(np.full((len(held), 1), self._action), target=target), None
        return Decision(np.full(len(held), self._action, np.int64), target=target), None

    def on_tape(self, tape: Any, start: int, stop: int) -> Policy:
        """The same: it looks at nothing."""
        return self


def gated(policy: Policy, gate: Gate | None, action: ActionSettings) -> Policy:
    """`policy` itself where the gate is open or there is none, else a policy that stays flat."""
    flat = flat_action(action)
    return policy if gate is None or gate.is_open or flat is None else FlatPolicy(flat)
