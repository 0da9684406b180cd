"""step_batch: the one function in which time advances (DEFINITIONS §5).

N accounts, each on its own row t of the bars, decide at close t and are carried through bar t+1.
The order of events is written out in `_live`; every rule it calls is one function of
costs.py, accounting.py, orders.py, exits.py or rewards.py. Within a step an account is a `Position` of plain
numbers, which the compiler keeps in registers; arrays are read before and written after it.
"""

from typing import Any

import numpy as np
from numba import njit

from regimegym.common.errors import RegimeGymError
from regimegym.envs import accounting, costs, exits, orders, rewards
from regimegym.envs.custom_reward import apply_reward_rule
from regimegym.envs.memory import prefetch
from regimegym.envs.orders import NOTHING, Ledger, Position, Quote
from regimegym.envs.results import (
    BORROW,
    CREDIT,
    DEBIT,
    EXPOSURE_AT_FILL,
    FEES,
    FUNDING,
    GAP,
    LOG_RETURN,
    MARGIN,
    N_FILLS,
    NOTIONAL,
    REWARD,
    SLIPPAGE,
    SPREAD,
    STOP_LOSS,
    TAKE_PROFIT,
    TRADED,
    TRIGGER,
    StepResult,
    new_result,
)
from regimegym.envs.results import ORDER as ORDER  # for the layers above, beside StepResult
from regimegym.envs.reward_rules import RewardRule
from regimegym.envs.state import (
    ACCOUNT_ROWS,
    BARS_HELD,
    CASH,
    CHECK_INTRABAR,
    DECISIONS,
    DONE,
    DRAWDOWN_PENALISED,
    ENTRY_PRICE,
    EQUITY,
    EXPOSURE,
    LAST_TARGET,
    NEXT_OPEN,
    PEAK_EQUITY,
    RECENT_TRADES,
    RETURN_MEAN,
    RETURN_SQUARE,
    REWARD_SUM,
    SAME_CLOSE,
    SHAPED,
    TRADES,
    TURNOVER,
    UNITS,
    Accounts,
)

AHEAD = 8  # accounts whose bars are on their way from memory while one is stepped


def step_batch(
    bars: np.ndarray,
    rules: np.ndarray,
    rows: np.ndarray,
    accounts: Accounts,
    targets: np.ndarray,
    out: StepResult | None = None,
    reward_rule: RewardRule | None = None,
) -> StepResult:
    """Carry N accounts from their rows t to t+1.

    Args:
        bars: (T,) records of envs.state.bar_records.
        rules: (1,) record of envs.state.rule_record.
        rows: (N,) int64 rows t of the decisions, each below T − 1 and not the last of its segment.
        accounts: state at close t; not changed (unless the caller hands the same one in `out`).
        targets: (N,) float64 target weights; NaN keeps the position (HOLD).
        out: where the result goes; a new one where None.
        reward_rule: settings.reward.rule, which gives the reward in place of the kernel.

    Returns:
        The result at close t+1. A liquidated account stays as it is and earns 0.

    Raises:
        RegimeGymError: a row outside the bars, or an infinite target, naming the account;
            a reward rule that returned no numbers.
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
    if reward_rule is not None:
        apply_reward_rule(reward_rule, bars, rows, following, result)
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
        if i + AHEAD < len(rows):
            prefetch(bars, rows[i + AHEAD] + 1)  # type: ignore[call-arg]
        if not in_place:
            for field in range(len(ACCOUNT_ROWS)):
                next_accounts[field, i] = accounts[field, i]
            for slot in range(ring.shape[1]):
                next_ring[i, slot] = ring[i, slot]
        if next_accounts[DONE, i] != 0:
            _report(0.0, 0.0, 0.0, NOTHING, costs.NO_CARRY, 0.0, results, i)
            continue
        before, bar = bars[rows[i]], bars[rows[i] + 1]
        slots = (fills[i, 0], fills[i, 1], fills[i, 2])
        equity_t, peak_t, position = _load(next_accounts, i)
        units_t, decisions = position.units, next_accounts[DECISIONS, i]
        turnover = exits.current_turnover(next_accounts[TURNOVER, i], decisions, rule)
        target = exits.braked_target(targets[i], units_t, next_accounts[BARS_HELD, i], turnover, rule)
        position, ledger, paid, funding, exposure = _live(before, bar, rule, rows[i], target, position, slots)
        equity = _mark(bar.close, units_t, position, next_accounts, i)
        recent = next_accounts[RECENT_TRADES, i]
        next_accounts[DECISIONS, i] = decisions + 1.0
        if ledger.traded > 0:
            turnover += ledger.notional / equity_t
        next_accounts[TURNOVER, i] = turnover
        if ledger.traded > 0 or recent > 0:  # else the ring holds zeros only
            slot = _slot(decisions, next_ring.shape[1])
            recent += ledger.traded - next_ring[i, slot]
            next_ring[i, slot] = np.uint8(ledger.traded)
            next_accounts[RECENT_TRADES, i] = recent
            next_accounts[TRADES, i] += ledger.traded
        log_return = rewards.floored_log_return(equity_t, equity)
        if rule.reward_kind == SHAPED:
            reward = rewards.shaped_reward(log_return, exposure, recent, ledger.notional, equity_t, before.regime, rule)
        elif rule.reward_kind == DRAWDOWN_PENALISED:
            growth = rewards.drawdown_growth(equity_t, peak_t, equity, next_accounts[PEAK_EQUITY, i])
            reward = rule.reward_scale * (log_return - rule.drawdown_penalty * growth)
        else:
            reward = rule.reward_scale * _sharpe_step(np.expm1(log_return), rule.sharpe_adaptation, next_accounts, i)
        next_accounts[REWARD_SUM, i] += reward
        _report(reward, log_return, exposure, ledger, paid, funding, results, i)


@njit(cache=True, error_model="numpy", forceinline=True)
def _load(accounts: np.ndarray, i: int) -> tuple[float, float, Position]:
    """(V_t, its peak so far, position) of account i."""
    position = Position(
        accounts[CASH, i], accounts[UNITS, i], accounts[ENTRY_PRICE, i], accounts[LAST_TARGET, i], False
    )
    return accounts[EQUITY, i], accounts[PEAK_EQUITY, i], position


@njit(cache=True, error_model="numpy", forceinline=True)
def _live(
    before: Any, bar: Any, rules: Any, row: int, target: float, position: Position, slots: tuple
) -> tuple[Position, Ledger, costs.Carry, float, float]:
    """Events 6 and 7 of bar `row` (same_close), then 1 to 5 of the next bar.

    Returns the position, the fills' costs, interest and funding, and x right after the order.
    """
    ledger, exposure = NOTHING, 0.0
    if rules.execution == SAME_CLOSE:
        # 6. fill at the close, 7. close check again
        quote = Quote(row, before.close, costs.half_spread_at_close(before, rules), before.volume)
        position, ledger = orders.execute(target, quote, rules, position, ledger, slots)
        exposure = accounting.exposure_of(position.cash, position.units, before.close)
        if ledger.n_fills > 0 and accounting.breaches_margin(position.cash, position.units, before.close, rules):
            position, ledger = orders.liquidate(quote, MARGIN, rules, position, ledger, slots)
            return position, ledger, costs.NO_CARRY, 0.0, exposure
    # 1. carry
    paid = costs.carry(position.cash, position.units, before.close, bar.years, rules)
    funding = costs.funding(position.units, before.close, bar.funding_rate)
    position = orders.received(position, paid.credit - paid.borrow - paid.debit - funding)
    at_open = Quote(row + 1, bar.open, costs.half_spread_at_open(bar, rules), bar.volume)
    # 2. gap check at the open
    is_gap = rules.margin_check == CHECK_INTRABAR
    if is_gap and accounting.breaches_margin(position.cash, position.units, bar.open, rules):
        position, ledger = orders.liquidate(at_open, GAP, rules, position, ledger, slots)
        return position, ledger, paid, funding, exposure
    # 3. fill of the pending order at the open
    if rules.execution == NEXT_OPEN:
        position, ledger = orders.execute(target, at_open, rules, position, ledger, slots)
        exposure = accounting.exposure_of(position.cash, position.units, bar.open)
    position, ledger = _within(bar, at_open, rules, position, ledger, slots)
    return position, ledger, paid, funding, exposure


@njit(cache=True, error_model="numpy", forceinline=True)
def _within(
    bar: Any, at_open: Quote, rules: Any, position: Position, ledger: Ledger, slots: tuple
) -> tuple[Position, Ledger]:
    """Event 4 of a bar, with the protective exits, and event 5. Fills inside a bar pay its opening spread."""
    cash, units = position.cash, position.units
    # 4. intrabar check
    called = np.nan
    intrabar = rules.margin_check == CHECK_INTRABAR and units != 0
    if intrabar and accounting.breaches_margin(cash, units, accounting.worst_price(units, bar), rules):
        called = accounting.trigger_price(cash, units, bar, rules)
    stop = exits.stop_price(position.entry_price, units, bar, rules)
    if exits.is_first(stop, called, units):
        position, ledger = orders.take_out(_moved(at_open, stop), STOP_LOSS, rules, position, ledger, slots)
    elif not np.isnan(called):
        return orders.liquidate(_moved(at_open, called), TRIGGER, rules, position, ledger, slots)
    else:
        profit = exits.profit_price(position.entry_price, units, bar, rules)
        if not np.isnan(profit):
            position, ledger = orders.take_out(_moved(at_open, profit), TAKE_PROFIT, rules, position, ledger, slots)
    # 5. close check
    if accounting.breaches_margin(position.cash, position.units, bar.close, rules):
        at_close = Quote(at_open.row, bar.close, costs.half_spread_at_close(bar, rules), bar.volume)
        return orders.liquidate(at_close, MARGIN, rules, position, ledger, slots)
    return position, ledger


@njit(cache=True, error_model="numpy", forceinline=True)
def _moved(quote: Quote, mid: float) -> Quote:
    """The quote at another mid."""
    return Quote(quote.row, mid, quote.half_spread, quote.volume)


@njit(cache=True, error_model="numpy", forceinline=True)
def _sharpe_step(return_t: float, adaptation: float, accounts: np.ndarray, i: int) -> float:
    """Differential Sharpe ratio of the step; the running moments take the return in."""
    mean, square = accounts[RETURN_MEAN, i], accounts[RETURN_SQUARE, i]
    accounts[RETURN_MEAN, i] = mean + adaptation * (return_t - mean)
    accounts[RETURN_SQUARE, i] = square + adaptation * (return_t**2 - square)
    return rewards.differential_sharpe(return_t, mean, square)


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
    funding: float,
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
    results[FUNDING, i] = funding
