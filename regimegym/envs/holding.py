"""The twin of every account: it bought at the first fill of the episode and holds.

It lives under the same bars, costs, execution and exits, so it is stepped by the same kernel; but
nobody looks at it before the episode ends, and most twins cannot meet anything on their way.
"""

from typing import Any

import numpy as np
from numba import njit

from regimegym.envs.actions import KEEP
from regimegym.envs.kernel import step_kernel
from regimegym.envs.results import new_result
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import CASH, DONE, EQUITY, PEAK_EQUITY, START_EQUITY, UNITS, new_accounts

BUY_AND_HOLD = 1.0  # target weight


def hold_equities(
    bars: np.ndarray, rules: np.ndarray, settings: EnvSettings, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """(n,) marks on rows `last` of accounts that bought at their decision on rows `first` and held.

    Args:
        bars, rules: as for envs.core.step_batch.
        settings: those that `rules` were made of.
        first, last: (n,) int64 rows of one segment, first < last.
    """
    account = new_accounts(1, settings)
    room = new_result(account)
    out = np.empty(len(first))
    _hold(
        bars, rules, first, last, settings.account.initial_cash,
        account.values, account.ring, room.values, room.fills, out,
    )  # fmt: skip
    return out


@njit(cache=True, error_model="numpy")
def _hold(
    bars: np.ndarray,
    rules: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    initial_cash: float,
    account: np.ndarray,
    ring: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    out: np.ndarray,
) -> None:
    """The compiled loop of hold_equities; the arrays behind `initial_cash` are room for one account."""
    rows, targets = np.empty(1, np.int64), np.empty(1)
    for k in range(len(first)):
        account[:, 0] = 0.0
        ring[0, :] = 0
        for field in (CASH, EQUITY, PEAK_EQUITY, START_EQUITY):
            account[field, 0] = initial_cash
        rows[0], targets[0] = first[k], BUY_AND_HOLD
        while rows[0] < last[k]:
            step_kernel(bars, rules, rows, targets, account, ring, account, ring, results, fills)
            rows[0], targets[0] = rows[0] + 1, KEEP
            if account[DONE, 0] != 0 or _is_left_alone(bars, rules[0], rows[0], last[k], account):
                break
        out[k] = account[EQUITY, 0]
        if account[DONE, 0] == 0:
            out[k] = account[CASH, 0] + account[UNITS, 0] * bars[last[k]].close


@njit(cache=True, error_model="numpy")
def _is_left_alone(bars: np.ndarray, rules: Any, row: int, last: int, account: np.ndarray) -> bool:
    """Whether cash and units of a holder stay as they are from `row` to `last`: no carry, no exit, no liquidation."""
    cash, units = account[CASH, 0], account[UNITS, 0]
    if rules.stop_loss != 0 or rules.take_profit != 0 or units <= 0:
        return False
    if (cash > 0 and rules.credit_rate != 0) or (cash < 0 and rules.debit_rate != 0):
        return False
    liquidated_below = -cash / (units * (1 - rules.maintenance_margin))
    for t in range(row + 1, last + 1):  # noqa: SIM110  numba knows no all() of a generator
        if bars[t].funding_rate != 0 or bars[t].low <= liquidated_below:
            return False
    return True
