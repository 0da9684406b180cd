"""step_batch: the one function in which time advances (DEFINITIONS §5).

N accounts, each on its own row t of the bars, decide at close t and are carried through bar t+1.
The order of events is written out in `_live_through_bar`; every rule it calls is one function of
costs.py, accounting.py or rewards.py.
"""

from typing import Any

import numpy as np
from numba import njit

from regimegym.common.errors import RegimeGymError
from regimegym.envs import accounting, costs, rewards
from regimegym.envs.results import (
    BORROW,
    CREDIT,
    DEBIT,
    EXPOSURE_AT_FILL,
    FEES,
    GAP,
    LOG_RETURN,
    MARGIN,
    N_FILLS,
    NOTIONAL,
    ORDER,
    REWARD,
    SLIPPAGE,
    SPREAD,
    TRADED,
    TRIGGER,
    StepResult,
    new_result,
)
from regimegym.envs.state import (
    BARS_HELD,
    CASH,
    CASH_SIZING,
    CHECK_INTRABAR,
    DECISIONS,
    DONE,
    ENTRY_PRICE,
    EQUITY,
    EXPOSURE,
    LAST_TARGET,
    NEXT_OPEN,
    PEAK_EQUITY,
    RECENT_TRADES,
    REWARD_SUM,
    SAME_CLOSE,
    TRADES,
    UNITS,
    Accounts,
)


def step_batch(
    bars: np.ndarray,
    rules: np.ndarray,
    rows: np.ndarray,
    accounts: Accounts,
    targets: np.ndarray,
    out: StepResult | None = None,
) -> StepResult:
    """Carry N accounts from their rows t to t+1.

    Args:
        bars: (T,) records of envs.state.bar_records.
        rules: (1,) record of envs.state.rule_record.
        rows: (N,) int64 rows t of the decisions, each below T − 1 and not the last of its segment.
        accounts: state at close t; not changed (unless the caller hands the same one in `out`).
        targets: (N,) float64 target weights; NaN keeps the position (HOLD).
        out: where the result goes; a new one where None.

    Returns:
        The result at close t+1. A liquidated account stays as it is and earns 0.

    Raises:
        RegimeGymError: a row outside the bars, or an infinite target, naming the account.
    """
    rows = np.ascontiguousarray(rows, np.int64)
    targets = np.ascontiguousarray(targets, np.float64)
    outside = np.flatnonzero((rows < 0) | (rows >= len(bars) - 1))
    if len(outside):
        raise RegimeGymError(
            "row-outside",
            f"account {outside[0]} decides on row {rows[outside[0]]}, needed 0 ≤ row < {len(bars) - 1}",
        )
    infinite = np.flatnonzero(np.isinf(targets))
    if len(infinite):
        raise RegimeGymError("bad-target", f"the target of account {infinite[0]} is {targets[infinite[0]]}")
    result = new_result(accounts) if out is None else out
    following = result.accounts
    step_kernel(
        bars,
        rules,
        rows,
        targets,
        accounts.values,
        accounts.ring,
        following.values,
        following.ring,
        result.values,
        result.fills,
    )
    return result


@njit(cache=True, error_model="numpy")
def step_kernel(
    bars: np.ndarray,
    rules: np.ndarray,
    rows: np.ndarray,
    targets: np.ndarray,
    accounts: np.ndarray,
    ring: np.ndarray,
    next_accounts: np.ndarray,
    next_ring: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
) -> None:
    """The compiled loop of step_batch, without its checks; results may overwrite the accounts read."""
    for i in range(len(rows)):
        for field in range(results.shape[0]):
            results[field, i] = 0.0
        for field in range(accounts.shape[0]):
            next_accounts[field, i] = accounts[field, i]
        for slot in range(ring.shape[1]):
            next_ring[i, slot] = ring[i, slot]
        if next_accounts[DONE, i] == 0:
            _step_account(bars, rules[0], rows[i], targets[i], next_accounts, next_ring, results, fills, i)


@njit(cache=True, error_model="numpy")
def _step_account(
    bars: np.ndarray,
    rules: Any,
    row: int,
    target: float,
    accounts: np.ndarray,
    ring: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    i: int,
) -> None:
    """Account i decides at close `row`, lives through the next bar, is marked and rewarded."""
    equity_t, units_t = accounts[EQUITY, i], accounts[UNITS, i]
    if rules.execution == SAME_CLOSE:
        _fill_at_own_close(bars, rules, row, target, accounts, results, fills, i)
    if accounts[DONE, i] == 0:
        _live_through_bar(bars, rules, row + 1, target, accounts, results, fills, i)
    _mark(bars[row + 1].close, units_t, accounts, i)
    _count_trade(accounts, ring, results, rules, i)
    log_return = rewards.floored_log_return(equity_t, accounts[EQUITY, i])
    reward = rewards.shaped_reward(
        log_return,
        results[EXPOSURE_AT_FILL, i],
        accounts[RECENT_TRADES, i],
        results[NOTIONAL, i],
        equity_t,
        bars[row].regime,
        rules,
    )
    results[LOG_RETURN, i] = log_return
    results[REWARD, i] = reward
    accounts[REWARD_SUM, i] += reward


@njit(cache=True, error_model="numpy")
def _fill_at_own_close(
    bars: np.ndarray,
    rules: Any,
    row: int,
    target: float,
    accounts: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    i: int,
) -> None:
    """Events 6 and 7 of bar `row` (same_close): the order fills, then the close is checked again."""
    mid = bars[row].close
    half_spread = costs.half_spread_at_close(bars[row], rules)
    _order(target, mid, half_spread, row, rules, accounts, results, fills, i)
    results[EXPOSURE_AT_FILL, i] = accounting.exposure_of(accounts[CASH, i], accounts[UNITS, i], mid)
    if results[N_FILLS, i] > 0 and accounting.breaches_margin(accounts[CASH, i], accounts[UNITS, i], mid, rules):
        _liquidate(mid, half_spread, row, MARGIN, rules, accounts, results, fills, i)


@njit(cache=True, error_model="numpy")
def _live_through_bar(
    bars: np.ndarray,
    rules: Any,
    row: int,
    target: float,
    accounts: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    i: int,
) -> None:
    """Events 1 to 5 of bar `row`."""
    bar, before = bars[row], bars[row - 1]
    at_open = costs.half_spread_at_open(bar, rules)
    intrabar = rules.margin_check == CHECK_INTRABAR
    # 1. carry
    _carry(before, bar, rules, accounts, results, i)
    # 2. gap check at the open
    if intrabar and accounting.breaches_margin(accounts[CASH, i], accounts[UNITS, i], bar.open, rules):
        _liquidate(bar.open, at_open, row, GAP, rules, accounts, results, fills, i)
        return
    # 3. fill of the pending order at the open
    if rules.execution == NEXT_OPEN:
        _order(target, bar.open, at_open, row, rules, accounts, results, fills, i)
        results[EXPOSURE_AT_FILL, i] = accounting.exposure_of(accounts[CASH, i], accounts[UNITS, i], bar.open)
    # 4. intrabar check
    cash, units = accounts[CASH, i], accounts[UNITS, i]
    if intrabar and units != 0 and accounting.breaches_margin(cash, units, accounting.worst_price(units, bar), rules):
        mid = accounting.trigger_price(cash, units, bar, rules)
        _liquidate(mid, at_open, row, TRIGGER, rules, accounts, results, fills, i)
        return
    # 5. close check
    if accounting.breaches_margin(cash, units, bar.close, rules):
        at_close = costs.half_spread_at_close(bar, rules)
        _liquidate(bar.close, at_close, row, MARGIN, rules, accounts, results, fills, i)


@njit(cache=True, error_model="numpy")
def _carry(before: Any, bar: Any, rules: Any, accounts: np.ndarray, results: np.ndarray, i: int) -> None:
    """Event 1: interest on what was held over from the last bar."""
    dt = costs.years_between(before, bar, rules)
    credit, borrow, debit = costs.carry(accounts[CASH, i], accounts[UNITS, i], before.close, dt, rules)
    accounts[CASH, i] += credit - borrow - debit
    results[CREDIT, i] = credit
    results[BORROW, i] = borrow
    results[DEBIT, i] = debit


@njit(cache=True, error_model="numpy")
def _order(
    target: float,
    mid: float,
    half_spread: float,
    row: int,
    rules: Any,
    accounts: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    i: int,
) -> None:
    """Bring account i to its target at `mid`, unless it holds (NaN) or the order is skipped."""
    if np.isnan(target):
        return
    weight = accounting.clipped_target(target, rules)
    units = accounts[UNITS, i]
    equity = accounts[CASH, i] + units * mid
    if accounting.is_skipped(weight, accounts[LAST_TARGET, i], equity, units, mid, rules):
        return
    accounts[LAST_TARGET, i] = weight
    if rules.sizing == CASH_SIZING and weight * units < 0:
        _fill(-units, mid, half_spread, row, ORDER, rules, accounts, results, fills, i)
        units = accounts[UNITS, i]
        equity = accounts[CASH, i] + units * mid
    s = half_spread + rules.slippage
    change = accounting.order_change(weight, equity, units, mid, s, rules)
    if change != 0:
        _fill(change, mid, half_spread, row, ORDER, rules, accounts, results, fills, i)


@njit(cache=True, error_model="numpy")
def _fill(
    change: float,
    mid: float,
    half_spread: float,
    row: int,
    reason: int,
    rules: Any,
    accounts: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    i: int,
) -> None:
    """Δ units change hands: the cost is charged once, in cash, here and nowhere else."""
    side = 1.0 if change > 0 else -1.0
    price = costs.fill_price(mid, side, half_spread + rules.slippage)
    fee = costs.fill_fee(change, price, rules)
    entry_price = accounting.entry_price_after(accounts[ENTRY_PRICE, i], accounts[UNITS, i], change, price)
    accounts[CASH, i] -= change * price + fee
    accounts[UNITS, i] += change
    accounts[ENTRY_PRICE, i] = entry_price
    results[SPREAD, i] += abs(change) * mid * half_spread
    results[SLIPPAGE, i] += abs(change) * mid * rules.slippage
    results[FEES, i] += fee
    if reason == ORDER:
        results[TRADED, i] = 1.0
        results[NOTIONAL, i] += abs(change) * mid
    record = fills[i, int(results[N_FILLS, i])]
    record.row = row
    record.units = change
    record.mid = mid
    record.price = price
    record.fee = fee
    record.reason = reason
    results[N_FILLS, i] += 1.0


@njit(cache=True, error_model="numpy")
def _liquidate(
    mid: float,
    half_spread: float,
    row: int,
    reason: int,
    rules: Any,
    accounts: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
    i: int,
) -> None:
    """Close what is open, with its costs, and end the account."""
    if accounts[UNITS, i] != 0:
        _fill(-accounts[UNITS, i], mid, half_spread, row, reason, rules, accounts, results, fills, i)
    if rules.floor_zero:
        accounts[CASH, i] = max(0.0, accounts[CASH, i])
    accounts[DONE, i] = 1.0


@njit(cache=True, error_model="numpy")
def _mark(close: float, units_t: float, accounts: np.ndarray, i: int) -> None:
    """Event 8: V = cash + units·C, and what follows from it. `units_t` are those before the step."""
    cash, units = accounts[CASH, i], accounts[UNITS, i]
    accounts[EQUITY, i] = cash + units * close
    accounts[EXPOSURE, i] = accounting.exposure_of(cash, units, close)
    accounts[PEAK_EQUITY, i] = max(accounts[PEAK_EQUITY, i], accounts[EQUITY, i])
    held = accounts[BARS_HELD, i] if units * units_t > 0 else 0.0
    accounts[BARS_HELD, i] = held + 1.0 if units != 0 else 0.0


@njit(cache=True, error_model="numpy")
def _count_trade(accounts: np.ndarray, ring: np.ndarray, results: np.ndarray, rules: Any, i: int) -> None:
    """n_W: the newest decision takes the place of the one W decisions ago."""
    slot = int(accounts[DECISIONS, i]) % ring.shape[1]
    traded = results[TRADED, i]
    accounts[RECENT_TRADES, i] += traded - ring[i, slot]
    ring[i, slot] = np.uint8(traded)
    accounts[DECISIONS, i] += 1.0
    accounts[TRADES, i] += traded
