"""step_portfolio_batch: several instruments in one account, one step of time (DEFINITIONS §5).

The clock, the carry, the fills and the margin are those of one instrument; every scalar rule is
the one of costs.py, accounting.py or rewards.py; which instruments trade and how much is written
out in portfolio_sizing.py. With M = 1 the numbers are those of core.step_batch.

**Carry.** All shorts together count as one short of their value: borrow on Σ_short |units|·C,
credit on the cash above it. Every instrument pays or earns its own funding.

**Exits and brakes** (envs.order_settings) are those of each instrument, but the turnover budget,
which is the account's. An instrument is closed at its stop-loss or take-profit on its own; where
both are reached in one bar the stop counts.

**Margin.** The account is liquidated at the close, all instruments at once, when E ≤ 0 or
E < maint·Σ|units|·C.
"""

from typing import Any

import numpy as np
from numba import njit

from regimegym.common.errors import RegimeGymError
from regimegym.envs import accounting, costs, exits, rewards
from regimegym.envs.portfolio_sizing import (
    CHANGE,
    HALF_SPREAD,
    MID,
    ORDERED,
    SCRATCH_ROWS,
    TARGET,
    UNITS_T,
    VOLUME,
    WEIGHT,
    choose_legs,
    equity_at,
    plan_changes,
    scale_to_leverage,
)
from regimegym.envs.portfolio_state import (
    BARS_HELD,
    BORROW,
    CASH,
    CREDIT,
    DEBIT,
    DECISIONS,
    DONE,
    ENTRY_PRICE,
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
    TURNOVER,
    UNITS,
    PortfolioAccounts,
    PortfolioResult,
    new_portfolio_result,
)
from regimegym.envs.results import MARGIN, ORDER, STOP_LOSS, TAKE_PROFIT
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
    following.values[:], following.legs[:] = accounts.values, accounts.legs
    portfolio_kernel(bars, rules, rows, targets, following.values, following.legs, result.values, result.fills)
    return result


@njit(cache=True, error_model="numpy")
def portfolio_kernel(
    bars: np.ndarray,
    rules: np.ndarray,
    rows: np.ndarray,
    targets: np.ndarray,
    values: np.ndarray,
    legs: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
) -> None:
    """The compiled loop of step_portfolio_batch, without its checks; `values` and `legs` are changed in place."""
    scratch = np.empty((SCRATCH_ROWS, targets.shape[1]))
    results[:] = 0.0
    for i in range(len(rows)):
        if values[DONE, i] == 0:
            _step_account(bars, rules[0], rows[i], targets[i], values, legs, results, fills, i, scratch)


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
    scratch[UNITS_T] = units
    _brake(targets, rules, values, legs, i, scratch)
    if rules.execution == SAME_CLOSE:  # events 6 and 7 of bar `row`
        _quote_close(bars[row], rules, scratch)
        _order(row, rules, values, legs, results, fills, i, scratch)
        if results[N_FILLS, i] > 0 and breaches_margin(values[CASH, i], units, scratch[MID], rules):
            _liquidate(row, rules, values, legs, results, fills, i, scratch)
    if values[DONE, i] == 0:
        _carry(bars[row], bars[row + 1], rules, values, units, results, i)  # event 1
        if rules.execution == NEXT_OPEN:  # event 3
            _quote_open(bars[row + 1], rules, scratch)
            _order(row + 1, rules, values, legs, results, fills, i, scratch)
        if rules.stop_loss > 0 or rules.take_profit > 0:  # event 4
            _take_out(bars[row + 1], row + 1, rules, values, legs, results, fills, i, scratch)
        _quote_close(bars[row + 1], rules, scratch)
        if breaches_margin(values[CASH, i], units, scratch[MID], rules):  # event 5
            _liquidate(row + 1, rules, values, legs, results, fills, i, scratch)
    _mark(scratch, values, legs, i)  # event 8; liquidated at its own close it holds nothing to quote anew
    log_return = rewards.floored_log_return(equity_t, values[EQUITY, i])
    results[LOG_RETURN, i] = log_return
    results[REWARD, i] = rules.reward_scale * log_return
    values[REWARD_SUM, i] += results[REWARD, i]
    values[DECISIONS, i] += 1.0
    values[TRADES, i] += results[TRADED, i]
    if results[TRADED, i] > 0:
        values[TURNOVER, i] += results[NOTIONAL, i] / equity_t


@njit(cache=True, error_model="numpy")
def _brake(targets: np.ndarray, rules: Any, values: np.ndarray, legs: np.ndarray, i: int, scratch: np.ndarray) -> None:
    """The targets of account i that its brakes let through; a braked one keeps its units (NaN)."""
    values[TURNOVER, i] = exits.current_turnover(values[TURNOVER, i], values[DECISIONS, i], rules)
    for j in range(len(targets)):
        scratch[TARGET, j] = exits.braked_target(
            targets[j], legs[UNITS, i, j], legs[BARS_HELD, i, j], values[TURNOVER, i], rules
        )


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
def _mark(scratch: np.ndarray, values: np.ndarray, legs: np.ndarray, i: int) -> None:
    """Event 8: V = cash + Σ units·C at the quoted mids, and what follows from it."""
    closes = scratch[MID]
    equity = equity_at(values[CASH, i], legs[UNITS, i], closes)
    values[EQUITY, i] = equity
    values[PEAK_EQUITY, i] = max(values[PEAK_EQUITY, i], equity)
    for j in range(len(closes)):
        units = legs[UNITS, i, j]
        legs[EXPOSURE, i, j] = units * closes[j] / equity if equity > 0 else 0.0
        held = legs[BARS_HELD, i, j] if units * scratch[UNITS_T, j] > 0 else 0.0
        legs[BARS_HELD, i, j] = held + 1.0 if units != 0 else 0.0


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
    row: int,
    rules: Any,
    values: np.ndarray,
    legs: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    i: int,
    scratch: np.ndarray,
) -> None:
    """Bring account i to what its brakes let through, at the quoted mids; all legs are sized before one fills."""
    units, last_targets = legs[UNITS, i], legs[LAST_TARGET, i]
    scale_to_leverage(scratch[TARGET], last_targets, rules, scratch[WEIGHT])
    equity = equity_at(values[CASH, i], units, scratch[MID])
    if not choose_legs(units, last_targets, equity, rules, scratch):
        return
    plan_changes(units, equity, rules, scratch)
    for j in range(len(units)):
        if scratch[ORDERED, j] != 0:
            last_targets[j] = scratch[WEIGHT, j]
        change = scratch[CHANGE, j]
        if change != 0:
            _fill(j, change, row, ORDER, rules, values, legs, results, fills, i, scratch)
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
    legs: np.ndarray,
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
    entry_price, units = legs[ENTRY_PRICE, i, j], legs[UNITS, i, j]
    legs[ENTRY_PRICE, i, j] = accounting.entry_price_after(entry_price, units, change, price)
    legs[UNITS, i, j] = units + change
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
def _take_out(
    bar: np.ndarray,
    row: int,
    rules: Any,
    values: np.ndarray,
    legs: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    i: int,
    scratch: np.ndarray,
) -> None:
    """Close every instrument whose price reaches its stop-loss, else its take-profit; at the opening spread."""
    for j in range(len(bar)):
        units, entry_price = legs[UNITS, i, j], legs[ENTRY_PRICE, i, j]
        mid, reason = exits.stop_price(entry_price, units, bar[j], rules), STOP_LOSS
        if np.isnan(mid):
            mid, reason = exits.profit_price(entry_price, units, bar[j], rules), TAKE_PROFIT
        if not np.isnan(mid):
            scratch[MID, j], scratch[VOLUME, j] = mid, bar[j].volume
            scratch[HALF_SPREAD, j] = costs.half_spread_at_open(bar[j], rules)
            _fill(j, -units, row, reason, rules, values, legs, results, fills, i, scratch)
            legs[LAST_TARGET, i, j] = 0.0


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
            _fill(j, -units[j], row, MARGIN, rules, values, legs, results, fills, i, scratch)
    if rules.floor_zero:
        values[CASH, i] = max(0.0, values[CASH, i])
    values[DONE, i] = 1.0
