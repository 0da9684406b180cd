"""From an agent's action to a target weight (DEFINITIONS §1); NaN keeps the position."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numba import njit

from regimegym.common.actions import Action
from regimegym.common.errors import RegimeGymError
from regimegym.envs.settings import ActionSettings

KEEP = np.nan  # the target of HOLD


class ActionTranslator:
    """The action space of one account and what its actions mean as target weights.

    Args:
        settings: mode, shorts and ladder.
        max_leverage: weight of the largest continuous action.

    Attributes:
        space: Discrete(3) for `trade`, Discrete(len(ladder)) for `target`, Box (1,) for `continuous`.
        weights: target weight of each discrete action, (A,) float64; None for `continuous`.
        known: the same as a table, which one action is looked up in fastest; empty for `continuous`.
    """

    def __init__(self, settings: ActionSettings, max_leverage: float) -> None:
        self.max_leverage = max_leverage
        self.weights: np.ndarray | None
        self.known: dict[int, float] = {}
        if settings.mode == "continuous":
            self.weights = None
            self.lowest_weight = -max_leverage if settings.allow_short else 0.0
            self.space: spaces.Space = spaces.Box(-1.0, 1.0, (1,), np.float32)
            return
        if settings.mode == "trade":
            self.weights = np.empty(len(Action))
            self.weights[Action.HOLD] = KEEP
            self.weights[Action.SELL] = -1.0 if settings.allow_short else 0.0
            self.weights[Action.BUY] = 1.0
        else:
            self.weights = np.array(settings.ladder, np.float64)
        self.known = dict(enumerate(self.weights.tolist()))
        self.space = spaces.Discrete(len(self.weights))

    def target(self, action: Any) -> float:
        """The target weight of one action; raises as `targets` does."""
        return float(self.targets(action, 1)[0])

    def targets(self, actions: Any, n_accounts: int) -> np.ndarray:
        """(N,) target weights of N actions: (N,) whole numbers, or (N, 1) floats when continuous.

        Raises:
            RegimeGymError: the wrong number of actions, or one that is NaN, infinite or outside
                the space; it names the account.
        """
        given = np.asarray(actions)
        if given.size != n_accounts:
            raise RegimeGymError(
                "wrong-actions", f"needed {n_accounts} actions, one per account, got shape {given.shape}"
            )
        given = given.reshape(n_accounts)
        if self.weights is None:
            return self._continuous(given)
        if given.dtype.kind not in "iu":
            given = self._whole(given)
        outside = (given < 0) | (given >= len(self.weights))
        if outside.any():
            raise _bad_action(given, outside, f"one of 0 … {len(self.weights) - 1}")
        return self.weights[given]

    def write_targets(self, actions: Any, out: np.ndarray) -> None:
        """Write `targets` into `out` (N,); int64 actions as they come from a network or a space go faster."""
        weights = self.weights
        is_plain = isinstance(actions, np.ndarray) and actions.dtype == np.int64 and actions.flags.c_contiguous
        is_plain = is_plain and actions.shape == out.shape
        if weights is None or not is_plain or not translate(actions, weights, out):
            out[:] = self.targets(actions, len(out))

    def masks(self, is_held: np.ndarray, is_spent: np.ndarray) -> np.ndarray:
        """(N, A) bool, the admissible actions; masked is what a brake on orders would turn into HOLD.

        A redundant order (SELL while flat, BUY at the target) is admissible: it executes no trade
        and costs nothing. Where every action of an account would be refused, all are admissible
        and mean HOLD, since algorithms need one.

        Args:
            is_held: (N,) bool, the position is too young for another order.
            is_spent: (N,) bool, the turnover budget is used up: only orders to 0 execute.

        Raises:
            RegimeGymError: continuous actions have no masks.
        """
        if self.weights is None:
            raise RegimeGymError("no-masks", "continuous actions have no masks; use mode trade or target")
        is_order = ~np.isnan(self.weights)
        refused = is_order & (is_held[:, None] | (is_spent[:, None] & (self.weights != 0)))
        refused[refused.all(axis=1)] = False
        return ~refused

    def _continuous(self, given: np.ndarray) -> np.ndarray:
        values = given.astype(np.float64)
        outside = ~(np.abs(values) <= 1.0)  # also catches NaN
        if outside.any():
            raise _bad_action(values, outside, "a number in [-1, 1]")
        return np.maximum(values * self.max_leverage, self.lowest_weight)

    def _whole(self, given: np.ndarray) -> np.ndarray:
        assert self.weights is not None
        values = given.astype(np.float64)
        broken = ~(values == np.floor(values))  # also catches NaN and infinity
        broken |= np.isinf(values)
        if broken.any():
            raise _bad_action(values, broken, f"one of 0 … {len(self.weights) - 1}")
        return values.astype(np.int64)


@njit(cache=True, error_model="numpy")
def translate(actions: np.ndarray, weights: np.ndarray, targets: np.ndarray) -> bool:
    """Write the target weight of every action (N,) int64; False where one is outside."""
    n_outside = 0
    for i in range(len(actions)):
        is_outside = actions[i] < 0 or actions[i] >= len(weights)
        n_outside += is_outside
        targets[i] = weights[np.uint64(0 if is_outside else actions[i])]
    return n_outside == 0


def _bad_action(actions: np.ndarray, wrong: np.ndarray, needed: str) -> RegimeGymError:
    account = int(np.flatnonzero(wrong)[0])
    return RegimeGymError(
        "bad-action",
        f"the action of account {account} is {actions[account]}, needed {needed}",
    )
