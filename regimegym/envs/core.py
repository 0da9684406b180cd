"""step_batch: the one function in which time advances (DEFINITIONS §5).

N accounts, each on its own row t of the bars, decide at close t and are carried through bar t+1.
The order of events is written out in `_live`; every rule it calls is one function of
costs.py, accounting.py, orders.py or rewards.py. Within a step an account is a `Position` of plain
numbers, which the compiler keeps in registers; arrays are read before and written after it.
"""

from typing import Any

import numpy as np
from numba import njit

from regimegym.common.errors import RegimeGymError
from regimegym.envs import accounting, costs, orders, rewards
from regimegym.envs.orders import NOTHING, Ledger, Position
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
    REWARD,
    SLIPPAGE,
    SPREAD,
    TRADED,
    TRIGGER,
    StepResult,
    new_result,
)
from regimegym.envs.results import ORDER as ORDER  # for the layers above, beside StepResult
from regimegym.envs.state import (
    ACCOUNT_ROWS,
    BARS_HELD,
    CASH,
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
    """The compiled loop of step_batch, without its checks; results may overwrite the accounts read.

    No function called here takes both an array and a branch: reference counts, which are atomic,
    would otherwise cost more than the step itself.
    """
    rule = rules[0]
    in_place = accounts.ctypes.data == next_accounts.ctypes.data
    for i in range(len(rows)):
        if not in_place:
            for field in range(len(ACCOUNT_ROWS)):
                next_accounts[field, i] = accounts[field, i]
            for slot in range(ring.shape[1]):
                next_ring[i, slot] = ring[i, slot]
        if next_accounts[DONE, i] != 0:
            _report(0.0, 0.0, 0.0, NOTHING, costs.NO_CARRY, results, i)
            continue
        before, bar = bars[rows[i]], bars[rows[i] + 1]
        slots = (fills[i, 0], fills[i, 1], fills[i, 2])
        equity_t, position = _load(next_accounts, i)
        units_t = position.units
        position, ledger, paid, exposure = _live(before, bar, rule, rows[i], targets[i], position, slots)
        equity = _mark(bar.close, units_t, position, next_accounts, i)
        decisions, recent = next_accounts[DECISIONS, i], next_accounts[RECENT_TRADES, i]
        next_accounts[DECISIONS, i] = decisions + 1.0
        if ledger.traded > 0 or recent > 0:  # else the ring holds zeros only
            slot = _slot(decisions, next_ring.shape[1])
            recent += ledger.traded - next_ring[i, slot]
            next_ring[i, slot] = np.uint8(ledger.traded)
            next_accounts[RECENT_TRADES, i] = recent
            next_accounts[TRADES, i] += ledger.traded
        log_return = rewards.floored_log_return(equity_t, equity)
        reward = rewards.shaped_reward(log_return, exposure, recent, ledger.notional, equity_t, before.regime, rule)
        next_accounts[REWARD_SUM, i] += reward
        _report(reward, log_return, exposure, ledger, paid, results, i)


@njit(cache=True, error_model="numpy", forceinline=True)
def _load(accounts: np.ndarray, i: int) -> tuple[float, Position]:
    """(V_t, position) of account i."""
    position = Position(
        accounts[CASH, i], accounts[UNITS, i], accounts[ENTRY_PRICE, i], accounts[LAST_TARGET, i], False
    )
    return accounts[EQUITY, i], position


@njit(cache=True, error_model="numpy", forceinline=True)
def _live(
    before: Any, bar: Any, rules: Any, row: int, target: float, position: Position, slots: tuple
) -> tuple[Position, Ledger, costs.Carry, float]:
    """Events 6 and 7 of bar `row` (same_close), then 1 to 5 of bar `row` + 1; also x after the order."""
    ledger, paid, exposure = NOTHING, costs.NO_CARRY, 0.0
    if rules.execution == SAME_CLOSE:
        half_spread = costs.half_spread_at_close(before, rules)
        position, ledger = orders.execute(target, before.close, half_spread, row, rules, position, ledger, slots)
        exposure = accounting.exposure_of(position.cash, position.units, before.close)
        if ledger.n_fills > 0 and accounting.breaches_margin(position.cash, position.units, before.close, rules):
            position, ledger = orders.liquidate(before.close, half_spread, row, MARGIN, rules, position, ledger, slots)
            return position, ledger, paid, exposure
    # 1. carry
    paid = costs.carry(position.cash, position.units, before.close, costs.years_between(before, bar, rules), rules)
    position = orders.received(position, paid.credit - paid.borrow - paid.debit)
    at_open = costs.half_spread_at_open(bar, rules)
    intrabar = rules.margin_check == CHECK_INTRABAR
    # 2. gap check at the open
    if intrabar and accounting.breaches_margin(position.cash, position.units, bar.open, rules):
        position, ledger = orders.liquidate(bar.open, at_open, row + 1, GAP, rules, position, ledger, slots)
        return position, ledger, paid, exposure
    # 3. fill of the pending order at the open
    if rules.execution == NEXT_OPEN:
        position, ledger = orders.execute(target, bar.open, at_open, row + 1, rules, position, ledger, slots)
        exposure = accounting.exposure_of(position.cash, position.units, bar.open)
    # 4. intrabar check
    cash, units = position.cash, position.units
    if intrabar and units != 0 and accounting.breaches_margin(cash, units, accounting.worst_price(units, bar), rules):
        mid = accounting.trigger_price(cash, units, bar, rules)
        position, ledger = orders.liquidate(mid, at_open, row + 1, TRIGGER, rules, position, ledger, slots)
    # 5. close check
    elif accounting.breaches_margin(cash, units, bar.close, rules):
        at_close = costs.half_spread_at_close(bar, rules)
        position, ledger = orders.liquidate(bar.close, at_close, row + 1, MARGIN, rules, position, ledger, slots)
    return position, ledger, paid, exposure


@njit(cache=True, error_model="numpy", forceinline=True)
def _mark(close: float, units_t: float, position: Position, accounts: np.ndarray, i: int) -> float:
    """Event 8: V = cash + units·C, and what follows from it. `units_t` are those before the step."""
    cash, units = position.cash, position.units
    equity = cash + units * close
    accounts[CASH, i] = cash
    accounts[UNITS, i] = units
    accounts[ENTRY_PRICE, i] = position.entry_price
    accounts[LAST_TARGET, i] = position.last_target
    accounts[DONE, i] = 1.0 if position.done else 0.0
    accounts[EQUITY, i] = equity
    accounts[EXPOSURE, i] = accounting.exposure_of(cash, units, close)
    accounts[PEAK_EQUITY, i] = max(accounts[PEAK_EQUITY, i], equity)
    held = accounts[BARS_HELD, i] if units * units_t > 0 else 0.0
    accounts[BARS_HELD, i] = held + 1.0 if units != 0 else 0.0
    return equity


@njit(cache=True, error_model="numpy", forceinline=True)
def _slot(decisions: float, window: int) -> int:
    """Place in the ring of W of the decision after `decisions` others."""
    return int(np.uint32(decisions) % np.uint32(window))


@njit(cache=True, error_model="numpy", forceinline=True)
def _report(
    reward: float,
    log_return: float,
    exposure: float,
    ledger: Ledger,
    paid: costs.Carry,
    results: np.ndarray,
    i: int,
) -> None:
    """Everything the step of account i produced, one number per row of the results."""
    results[REWARD, i] = reward
    results[LOG_RETURN, i] = log_return
    results[EXPOSURE_AT_FILL, i] = exposure
    results[TRADED, i] = ledger.traded
    results[NOTIONAL, i] = ledger.notional
    results[CREDIT, i] = paid.credit
    results[BORROW, i] = paid.borrow
    results[DEBIT, i] = paid.debit
    results[SPREAD, i] = ledger.spread
    results[SLIPPAGE, i] = ledger.slippage
    results[FEES, i] = ledger.fees
    results[N_FILLS, i] = ledger.n_fills
