"""A reward of one's own: any object with `reward(step) -> (N,)`, asked once for all accounts.

It is called after the step kernel, with arrays; it sees what one step did and nothing of the
future. In a config::

    reward:
      _target_: regimegym.envs.settings.RewardSettings
      kind: custom
      rule:
        _target_: my_module.MyReward
        risk_aversion: 2.0
"""

from typing import NamedTuple, Protocol

import numpy as np


class StepFacts(NamedTuple):
    """What one step from t to t+1 did to N accounts; every array is (N,) and read-only."""

    log_return: np.ndarray  # ℓ, unshaped, net of costs
    exposure: np.ndarray  # x right after the order filled, or where it would have
    regime: np.ndarray  # ρ_t, codes of Regime, known when the decision was made
    traded: np.ndarray  # bool, whether an order executed
    notional: np.ndarray  # money at the mid of the executed order
    costs: np.ndarray  # money lost to spread, slippage, impact and fees
    equity: np.ndarray  # V_{t+1}, money
    drawdown: np.ndarray  # (peak − V_{t+1}) / peak
    terminated: np.ndarray  # bool, liquidated in this step


class RewardRule(Protocol):
    """The rule of `kind: custom`; the same step must always earn the same."""

    def reward(self, step: StepFacts) -> np.ndarray:
        """(N,) finite rewards of N accounts; not scaled any further."""
        ...
