"""step_portfolio_batch: several instruments in one account, one step of time (DEFINITIONS §5).

The clock, the carry, the fills and the margin are those of one instrument; every scalar rule is
the one of costs.py, accounting.py or rewards.py; which instruments trade and how much is written
out in portfolio_sizing.py. With M = 1 the numbers are those of core.step_batch.

**Carry.** All shorts together count as one short of their value: borrow on Σ_short |units|·C,
credit on the cash above it. Every instrument pays or earns its own funding.

**Margin.** The account is liquidated at the close, all instruments at once, when E ≤ 0 or
E < maint·Σ|units|·C.
"""

from typing import Any

import numpy as np
from numba import njit

from regimegym.common.errors import RegimeGymError
from regimegym.envs import costs, rewards
from regimegym.envs.portfolio_sizing import (
    CHANGE,
    HALF_SPREAD,
    MID,
    ORDERED,
    SCRATCH_ROWS,
    VOLUME,
    WEIGHT,
    choose_legs,
    equity_at,
    plan_changes,
    scale_to_leverage,
)
from regimegym.envs.portfolio_state import (
    BORROW,
    CASH,
    CREDIT,
    DEBIT,
    DECISIONS,
    DONE,
    EQUITY,
    EXPOSURE,
    FEES,
    FUNDING,
    LAST_TARGET,
    LOG_RETURN,
    N_FILLS,
    NOTIONAL,
    PEAK_EQUITY,
    REWARD,
    REWARD_SUM,
    SLIPPAGE,
    SPREAD,
    TRADED,
    TRADES,
    UNITS,
    PortfolioAccounts,
    PortfolioResult,
    new_portfolio_result,
)
from regimegym.envs.results import MARGIN, ORDER
from regimegym.envs.state import NEXT_OPEN, SAME_CLOSE


def step_portfolio_batch(
    bars: np.ndarray,
    rules: np.ndarray,
    rows: np.ndarray,
    accounts: PortfolioAccounts,
    targets: np.ndarray,
    out: PortfolioResult | None = None,
) -> PortfolioResult:
    """Carry N accounts of M instruments from their rows t to t+1.

    Args:
        bars: (T, M) records of portfolio_state.portfolio_bars.
        rules: (1,) record of PortfolioSettings.rules.
        rows: (N,) int64 rows t of the decisions, each below T − 1 and not the last of its segment.
        accounts: state at close t; not changed (unless the caller hands the same one in `out`).
        targets: (N, M) float64 target weights; NaN keeps the instrument's units.
        out: where the result goes; a new one where None.

    Returns:
        The result at close t+1. A liquidated account stays as it is and earns 0.

    Raises:
        RegimeGymError: targets of another shape, a row outside the bars, or an infinite target,
            naming the account.
    """
    rows = np.ascontiguousarray(rows, np.int64)
    targets = np.ascontiguousarray(targets, np.float64)
    if targets.shape != accounts.units.shape:
        raise RegimeGymError(
            "wrong-targets", f"needed targets of shape {accounts.units.shape}, got shape {targets.shape}"
        )
    outside = np.flatnonzero((rows < 0) | (rows >= len(bars) - 1))
    if len(outside):
        raise RegimeGymError(
            "row-outside",
            f"account {outside[0]} decides on row {rows[outside[0]]}, needed 0 ≤ row < {len(bars) - 1}",
        )
    infinite = np.argwhere(np.isinf(targets))
    if len(infinite):
        i, j = infinite[0]
        raise RegimeGymError("bad-target", f"the target of account {i} for asset {j} is {targets[i, j]}")
    result = new_portfolio_result(accounts) if out is None else out
    following = result.accounts
    portfolio_kernel(
        bars, rules, rows, targets, accounts.values, accounts.legs,
        following.values, following.legs, result.values, result.fills,
    )  # fmt: skip
    return result


@njit(cache=True, error_model="numpy")
def portfolio_kernel(
    bars: np.ndarray,
    rules: np.ndarray,
    rows: np.ndarray,
    targets: np.ndarray,
    values: np.ndarray,
    legs: np.ndarray,
    next_values: np.ndarray,
    next_legs: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
) -> None:
    """The compiled loop of step_portfolio_batch, without its checks; results may overwrite what is read."""
    scratch = np.empty((SCRATCH_ROWS, targets.shape[1]))
    results[:] = 0.0
    next_values[:] = values
    next_legs[:] = legs
    for i in range(len(rows)):
        if next_values[DONE, i] == 0:
            _step_account(bars, rules[0], rows[i], targets[i], next_values, next_legs, results, fills, i, scratch)


# --- the step of one account ----------------------------------------------------------------------


@njit(cache=True, error_model="numpy")
def _step_account(
    bars: np.ndarray,
    rules: Any,
    row: int,
    targets: np.ndarray,
    values: np.ndarray,
    legs: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    i: int,
    scratch: np.ndarray,
) -> None:
    """Account i decides at close `row`, lives through the next bar, is marked and rewarded."""
    equity_t, units = values[EQUITY, i], legs[UNITS, i]
    if rules.execution == SAME_CLOSE:  # events 6 and 7 of bar `row`
        _quote_close(bars[row], rules, scratch)
        _order(targets, row, rules, values, legs, results, fills, i, scratch)
        if results[N_FILLS, i] > 0 and breaches_margin(values[CASH, i], units, scratch[MID], rules):
            _liquidate(row, rules, values, legs, results, fills, i, scratch)
    if values[DONE, i] == 0:
        _carry(bars[row], bars[row + 1], rules, values, units, results, i)  # event 1
        if rules.execution == NEXT_OPEN:  # event 3
            _quote_open(bars[row + 1], rules, scratch)
            _order(targets, row + 1, rules, values, legs, results, fills, i, scratch)
        _quote_close(bars[row + 1], rules, scratch)
        if breaches_margin(values[CASH, i], units, scratch[MID], rules):  # event 5
            _liquidate(row + 1, rules, values, legs, results, fills, i, scratch)
    _mark(scratch[MID], values, legs, i)  # event 8; liquidated at its own close it holds nothing to quote anew
    log_return = rewards.floored_log_return(equity_t, values[EQUITY, i])
    results[LOG_RETURN, i] = log_return
    results[REWARD, i] = rules.reward_scale * log_return
    values[REWARD_SUM, i] += results[REWARD, i]
    values[DECISIONS, i] += 1.0
    values[TRADES, i] += results[TRADED, i]


@njit(cache=True, error_model="numpy")
def _quote_open(bar: np.ndarray, rules: Any, scratch: np.ndarray) -> None:
    """Mids, half-spreads and volumes of the M opens of one row."""
    for j in range(len(bar)):
        scratch[VOLUME, j] = bar[j].volume
        scratch[MID, j] = bar[j].open
        scratch[HALF_SPREAD, j] = costs.half_spread_at_open(bar[j], rules)


@njit(cache=True, error_model="numpy")
def _quote_close(bar: np.ndarray, rules: Any, scratch: np.ndarray) -> None:
    """Mids, half-spreads and volumes of the M closes of one row."""
    for j in range(len(bar)):
        scratch[VOLUME, j] = bar[j].volume
        scratch[MID, j] = bar[j].close
        scratch[HALF_SPREAD, j] = costs.half_spread_at_close(bar[j], rules)


@njit(cache=True, error_model="numpy")
def _carry(
    before: np.ndarray, bar: np.ndarray, rules: Any, values: np.ndarray, units: np.ndarray, results: np.ndarray, i: int
) -> None:
    """Event 1: interest and funding on what was held over; all shorts count as one short of their value."""
    short_value, funding = 0.0, 0.0
    for j in range(len(units)):
        funding += costs.funding(units[j], before[j].close, bar[j].funding_rate)
        if units[j] < 0:
            short_value -= units[j] * before[j].close
    credit, borrow, debit = costs.carry(values[CASH, i], -short_value, 1.0, bar[0].years, rules)
    values[CASH, i] += credit - borrow - debit - funding
    results[CREDIT, i] = credit
    results[BORROW, i] = borrow
    results[DEBIT, i] = debit
    results[FUNDING, i] = funding


@njit(cache=True, error_model="numpy")
def _mark(closes: np.ndarray, values: np.ndarray, legs: np.ndarray, i: int) -> None:
    """Event 8: V = cash + Σ units·C, and what follows from it."""
    equity = equity_at(values[CASH, i], legs[UNITS, i], closes)
    values[EQUITY, i] = equity
    values[PEAK_EQUITY, i] = max(values[PEAK_EQUITY, i], equity)
    for j in range(len(closes)):
        legs[EXPOSURE, i, j] = legs[UNITS, i, j] * closes[j] / equity if equity > 0 else 0.0


@njit(cache=True, error_model="numpy")
def breaches_margin(cash: float, units: np.ndarray, prices: np.ndarray, rules: Any) -> bool:
    """E ≤ 0 or E < maint·Σ|units|·P."""
    equity = equity_at(cash, units, prices)
    needed = 0.0
    for j in range(len(units)):
        needed += rules.maintenance_margin * abs(units[j]) * prices[j]
    return equity <= 0 or equity < needed


# --- fills ------------------------------------------------------------------------------------------


@njit(cache=True, error_model="numpy")
def _order(
    targets: np.ndarray,
    row: int,
    rules: Any,
    values: np.ndarray,
    legs: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    i: int,
    scratch: np.ndarray,
) -> None:
    """Bring account i to its targets at the quoted mids; all legs are sized before the first one fills."""
    units, last_targets = legs[UNITS, i], legs[LAST_TARGET, i]
    scale_to_leverage(targets, last_targets, rules, scratch[WEIGHT])
    equity = equity_at(values[CASH, i], units, scratch[MID])
    if not choose_legs(units, last_targets, equity, rules, scratch):
        return
    plan_changes(units, equity, rules, scratch)
    for j in range(len(units)):
        if scratch[ORDERED, j] != 0:
            last_targets[j] = scratch[WEIGHT, j]
        change = scratch[CHANGE, j]
        if change != 0:
            _fill(j, change, row, ORDER, rules, values, units, results, fills, i, scratch)
            results[TRADED, i] = 1.0
            results[NOTIONAL, i] += abs(change) * scratch[MID, j]


@njit(cache=True, error_model="numpy")
def _fill(
    j: int,
    change: float,
    row: int,
    reason: int,
    rules: Any,
    values: np.ndarray,
    units: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    i: int,
    scratch: np.ndarray,
) -> None:
    """Δ units of instrument j change hands: the cost is charged once, in cash, here and nowhere else."""
    mid, half_spread = scratch[MID, j], scratch[HALF_SPREAD, j]
    side = 1.0 if change > 0 else -1.0
    slippage = rules.slippage + costs.market_impact(change, scratch[VOLUME, j], rules)
    price = costs.fill_price(mid, side, half_spread + slippage)
    fee = costs.fill_fee(change, price, rules)
    values[CASH, i] -= change * price + fee
    units[j] += change
    results[SPREAD, i] += abs(change) * mid * half_spread
    results[SLIPPAGE, i] += abs(change) * mid * slippage
    results[FEES, i] += fee
    record = fills[i, int(results[N_FILLS, i])]
    record.row = row
    record.asset = j
    record.units = change
    record.mid = mid
    record.price = price
    record.fee = fee
    record.reason = reason
    results[N_FILLS, i] += 1.0


@njit(cache=True, error_model="numpy")
def _liquidate(
    row: int,
    rules: Any,
    values: np.ndarray,
    legs: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    i: int,
    scratch: np.ndarray,
) -> None:
    """Close every open instrument at the quoted mids, with its costs, and end the account."""
    units = legs[UNITS, i]
    for j in range(len(units)):
        if units[j] != 0:
            _fill(j, -units[j], row, MARGIN, rules, values, units, results, fills, i, scratch)
    if rules.floor_zero:
        values[CASH, i] = max(0.0, values[CASH, i])
    values[DONE, i] = 1.0
