"""The step of accounts one after the other: every rule, every event (DEFINITIONS §5).

The order of events is written out in events.live; every rule it calls is one function of costs.py, accounting.py,
orders.py, exits.py or rewards.py. Within a step an account is a `Position` of plain numbers, which the compiler
keeps in registers; arrays are read before and written after it.
"""

import numpy as np
from numba import njit

from regimegym.common.prefetch import prefetch
from regimegym.envs import costs, exits, rewards
from regimegym.envs.events import Mark, live, marked, turnover_after
from regimegym.envs.orders import NOTHING, Ledger, Position
from regimegym.envs.results import (
    BORROW,
    CREDIT,
    DEBIT,
    EXPOSURE_AT_FILL,
    FEES,
    FUNDING,
    LOG_RETURN,
    N_FILLS,
    NOTIONAL,
    REWARD,
    SLIPPAGE,
    SPREAD,
    TRADED,
)
from regimegym.envs.state import (
    ACCOUNT_ROWS,
    BARS_HELD,
    CASH,
    DECISIONS,
    DONE,
    DRAWDOWN_PENALISED,
    ENTRY_PRICE,
    EQUITY,
    EXPOSURE,
    LAST_TARGET,
    PEAK_EQUITY,
    RECENT_TRADES,
    RETURN_MEAN,
    RETURN_SQUARE,
    REWARD_SUM,
    SHAPED,
    TRADES,
    TURNOVER,
    UNITS,
)

AHEAD = 8  # accounts whose bars are on their way from memory while one is stepped


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
    """What step_batch does, without its checks; results may overwrite the accounts read.

    No function called here takes both an array and a branch: reference counts, which are atomic,
    would otherwise cost more than the step itself.
    """
    rule = rules[0]
    in_place = accounts.ctypes.data == next_accounts.ctypes.data
    for i in range(len(rows)):
        if i + AHEAD < len(rows):
            prefetch(bars, rows[i + AHEAD] + 1)
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
        position, ledger, paid, funding, exposure = live(before, bar, rule, rows[i], target, position, slots)
        mark = marked(bar.close, units_t, position, peak_t, next_accounts[BARS_HELD, i])
        _keep(position, mark, next_accounts, i)
        recent = next_accounts[RECENT_TRADES, i]
        next_accounts[DECISIONS, i] = decisions + 1.0
        next_accounts[TURNOVER, i] = turnover_after(turnover, ledger, equity_t)
        if ledger.traded > 0 or recent > 0:  # else the ring holds zeros only
            slot = slot_of(decisions, next_ring.shape[1])
            recent += ledger.traded - next_ring[i, slot]
            next_ring[i, slot] = np.uint8(ledger.traded)
            next_accounts[RECENT_TRADES, i] = recent
            next_accounts[TRADES, i] += ledger.traded
        log_return = rewards.floored_log_return(equity_t, mark.equity)
        if rule.reward_kind == SHAPED:
            reward = rewards.shaped_reward(log_return, exposure, recent, ledger.notional, equity_t, before.regime, rule)
        elif rule.reward_kind == DRAWDOWN_PENALISED:
            growth = rewards.drawdown_growth(equity_t, peak_t, mark.equity, mark.peak_equity)
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
def _sharpe_step(return_t: float, adaptation: float, accounts: np.ndarray, i: int) -> float:
    """Differential Sharpe ratio of the step; the running moments take the return in."""
    mean, square = accounts[RETURN_MEAN, i], accounts[RETURN_SQUARE, i]
    accounts[RETURN_MEAN, i] = mean + adaptation * (return_t - mean)
    accounts[RETURN_SQUARE, i] = square + adaptation * (return_t**2 - square)
    return rewards.differential_sharpe(return_t, mean, square)


@njit(cache=True, error_model="numpy", forceinline=True)
def _keep(position: Position, mark: Mark, accounts: np.ndarray, i: int) -> None:
    """Write account i as it stands at the close."""
    accounts[CASH, i] = position.cash
    accounts[UNITS, i] = position.units
    accounts[ENTRY_PRICE, i] = position.entry_price
    accounts[LAST_TARGET, i] = position.last_target
    accounts[DONE, i] = 1.0 if position.done else 0.0
    accounts[EQUITY, i] = mark.equity
    accounts[EXPOSURE, i] = mark.exposure
    accounts[PEAK_EQUITY, i] = mark.peak_equity
    accounts[BARS_HELD, i] = mark.bars_held


@njit(cache=True, error_model="numpy", forceinline=True)
def slot_of(decisions: float, window: int) -> int:
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
