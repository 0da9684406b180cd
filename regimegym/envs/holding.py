"""The twin of every account: it bought at the first fill of the episode and holds.

It lives under the same bars, costs, execution and exits, so it is stepped by the same kernel; but
nobody looks at it before the episode ends, and most twins cannot meet anything on their way.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from regimegym.envs.actions import KEEP
from regimegym.envs.calm import step_many
from regimegym.envs.kernel import step_kernel
from regimegym.envs.results import new_result
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import CASH, DONE, EQUITY, UNITS, new_accounts

BUY_AND_HOLD = 1.0  # target weight


class Extremes(NamedTuple):
    """What a holder can meet on any of the bars."""

    lowest: float  # of all lows
    is_funded: bool  # whether somebody pays


def extremes_of(bars: np.ndarray) -> Extremes:
    """Those of bars (T,)."""
    return Extremes(float(bars["low"].min()), bool(bars["funding_rate"].any()))


def hold_equities(
    bars: np.ndarray,
    rules: np.ndarray,
    settings: EnvSettings,
    first: np.ndarray,
    last: np.ndarray,
    extremes: Extremes,
) -> np.ndarray:
    """(n,) marks on rows `last` of accounts that bought at their decision on rows `first` and held.

    Args:
        bars, rules: as for envs.core.step_batch.
        settings: those that `rules` were made of.
        first, last: (n,) int64 rows of one segment, first < last.
        extremes: of the bars: where they say that nothing can happen, nobody looks bar by bar.
    """
    n = len(first)
    accounts = new_accounts(n, settings)
    values, room = accounts.values, new_result(accounts)
    step = step_many if n > 1 else step_kernel
    step(
        bars, rules, first, np.full(n, BUY_AND_HOLD), values, accounts.ring,
        values, accounts.ring, room.values, room.fills,
    )  # fmt: skip
    account = new_accounts(1, settings)
    room = new_result(account)
    out = np.empty(n)
    _hold(
        bars, rules, first, last, *extremes,
        values, account.values, account.ring, room.values, room.fills, out,
    )  # fmt: skip
    return out


@njit(cache=True, error_model="numpy")
def _hold(
    bars: np.ndarray,
    rules: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    lowest: float,
    is_funded: bool,
    bought: np.ndarray,
    account: np.ndarray,
    ring: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    out: np.ndarray,
) -> None:
    """The compiled loop of hold_equities: let each of the accounts `bought`, one step old, live on.

    What follows `bought` is room for one account.
    """
    rows, targets = np.empty(1, np.int64), np.full(1, KEEP)
    for k in range(len(first)):
        rows[0] = first[k] + 1
        for field in range(len(bought)):
            account[field, 0] = bought[field, k]
        ring[0, :] = 0
        while account[DONE, 0] == 0 and rows[0] < last[k]:
            if _is_left_alone(bars, rules[0], rows[0], last[k], lowest, is_funded, account):
                break
            step_kernel(bars, rules, rows, targets, account, ring, account, ring, results, fills)
            rows[0] += 1
        out[k] = account[EQUITY, 0]
        if account[DONE, 0] == 0:
            out[k] = account[CASH, 0] + account[UNITS, 0] * bars[last[k]].close


@njit(cache=True, error_model="numpy")
def _is_left_alone(
    bars: np.ndarray, rules: Any, row: int, last: int, lowest: float, is_funded: bool, account: np.ndarray
) -> bool:
    """Whether cash and units of a holder stay as they are from `row` to `last`: no carry, no exit, no liquidation."""
    cash, units = account[CASH, 0], account[UNITS, 0]
    if rules.stop_loss != 0 or rules.take_profit != 0 or units <= 0:
        return False
    if (cash > 0 and rules.credit_rate != 0) or (cash < 0 and rules.debit_rate != 0):
        return False
    liquidated_below = -cash / (units * (1 - rules.maintenance_margin))
    if lowest > liquidated_below and not is_funded:
        return True
    for t in range(row + 1, last + 1):  # noqa: SIM110  numba knows no all() of a generator
        if bars[t].funding_rate != 0 or bars[t].low <= liquidated_below:
            return False
    return True
