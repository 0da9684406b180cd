"""The step of many accounts at once, in loops that the compiler turns into vector instructions.

Most steps are calm: carry, an order that fills once or not at all, a mark. Where the rules allow only those and
a margin call (`is_calm`), accounts go in blocks through the functions of events.py, the very ones that step_kernel
calls, with the rules that are off written as constants, so that their branches are gone before the loop is compiled.
Whoever is liquidated, or was, is left as it was and stepped by step_kernel afterwards. Both give the same bits:
the same operations in the same order, each rounded as IEEE 754 says.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import carray, njit

from regimegym.envs import exits, rewards
from regimegym.envs.core import slot_of, step_kernel
from regimegym.envs.events import live, marked, turnover_after
from regimegym.envs.memory import at_address, stack_room
from regimegym.envs.orders import Position
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
    ORDER,
    RESULT_ROWS,
    REWARD,
    SLIPPAGE,
    SPREAD,
    TRADED,
)
from regimegym.envs.state import (
    ACCOUNT_ROWS,
    BARS_HELD,
    CASH,
    CHECK_CLOSE,
    CHECK_INTRABAR,
    CONSTANT_SPREAD,
    DECISIONS,
    DONE,
    ENTRY_PRICE,
    EQUITY,
    EXPOSURE,
    LAST_TARGET,
    NEXT_OPEN,
    ON_CHANGE,
    PEAK_EQUITY,
    POST_COST,
    RECENT_TRADES,
    REWARD_SUM,
    SHAPED,
    TRADES,
    TURNOVER,
    UNITS,
)

BLOCK = 128  # accounts whose numbers lie in the fastest cache together
N_STATE = len(ACCOUNT_ROWS)
N_RESULT = len(RESULT_ROWS)
FILL_UNITS, FILL_PRICE, POSTPONED, FORGOTTEN, SLOT, FILLED = range(N_STATE + N_RESULT, N_STATE + N_RESULT + 6)
N_ROOM = N_STATE + N_RESULT + 6
ROOM_SIZE = N_ROOM * BLOCK


unsigned = np.uint64  # of an index: the compiler need not ask whether it counts from the end


class CalmRules(NamedTuple):
    """What live and the rewards ask of envs.state.RULES; constants where `is_calm` fixes them."""

    execution: int
    spread_source: int
    sizing: int
    rebalance: int
    margin_check: int
    fee_rate: float
    fixed_fee: float
    half_spread: float
    slippage: float
    impact: float
    borrow_rate: float
    debit_rate: float
    credit_rate: float
    lot: float
    band: float
    max_leverage: float
    maintenance_margin: float
    stop_loss: float
    take_profit: float
    dead_band: float
    minimum_hold: float
    turnover_budget: float
    turnover_window: float
    missed_uptrend_penalty: float
    size_penalty: float
    overtrading_penalty: float
    small_trade_penalty: float
    reward_scale: float
    sized_target: float
    minimum_trade: float
    floor_zero: int
    positive_scale: np.ndarray
    negative_scale: np.ndarray
    uptrend_target: float
    max_trades_window: int
    max_trades: int


@njit(cache=True, error_model="numpy")
def is_calm(rules: Any) -> bool:
    """Whether the rules leave nothing to a step but carry, one fill at the open, and a margin call at the close."""
    return (
        rules.execution == NEXT_OPEN
        and rules.margin_check != CHECK_INTRABAR
        and rules.spread_source == CONSTANT_SPREAD
        and rules.sizing == POST_COST
        and rules.rebalance == ON_CHANGE
        and rules.dead_band == 0
        and rules.reward_kind == SHAPED
        and rules.impact == 0
        and rules.lot == 0
        and rules.stop_loss == 0
        and rules.take_profit == 0
        and rules.turnover_window == 0
    )


@njit(cache=True, error_model="numpy", forceinline=True)
def _calm_rules(rules: Any) -> CalmRules:
    """The rules of which `is_calm` holds, with everything it fixes as constants."""
    return CalmRules(
        execution=NEXT_OPEN,
        spread_source=CONSTANT_SPREAD,
        sizing=POST_COST,
        rebalance=ON_CHANGE,
        margin_check=CHECK_CLOSE,
        fee_rate=rules.fee_rate,
        fixed_fee=rules.fixed_fee,
        half_spread=rules.half_spread,
        slippage=rules.slippage,
        impact=0.0,
        borrow_rate=rules.borrow_rate,
        debit_rate=rules.debit_rate,
        credit_rate=rules.credit_rate,
        lot=0.0,
        band=0.0,
        max_leverage=rules.max_leverage,
        maintenance_margin=rules.maintenance_margin,
        stop_loss=0.0,
        take_profit=0.0,
        dead_band=0.0,
        minimum_hold=rules.minimum_hold,
        turnover_budget=rules.turnover_budget,
        turnover_window=0.0,
        missed_uptrend_penalty=rules.missed_uptrend_penalty,
        size_penalty=rules.size_penalty,
        overtrading_penalty=rules.overtrading_penalty,
        small_trade_penalty=rules.small_trade_penalty,
        reward_scale=rules.reward_scale,
        sized_target=rules.sized_target,
        minimum_trade=rules.minimum_trade,
        floor_zero=rules.floor_zero,
        positive_scale=rules.positive_scale,
        negative_scale=rules.negative_scale,
        uptrend_target=rules.uptrend_target,
        max_trades_window=rules.max_trades_window,
        max_trades=rules.max_trades,
    )


@njit(cache=True, error_model="numpy")
def step_many(
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
    """What step_kernel does, in blocks where the rules are calm."""
    if not is_calm(rules[0]) or accounts.strides[1] != 8:
        step_kernel(bars, rules, rows, targets, accounts, ring, next_accounts, next_ring, results, fills)
        return
    if ring.ctypes.data != next_ring.ctypes.data:
        next_ring[:] = ring
    room = carray(stack_room(ROOM_SIZE), (N_ROOM, BLOCK), np.float64)
    held, held_after, noted = _dense(accounts), _dense(next_accounts), _dense(results)
    for first in range(0, len(rows), BLOCK):
        n = min(BLOCK, len(rows) - first)
        _recall(held, next_ring, room, first, n)
        _live_block(bars, rules[0], rows[first : first + n], targets[first : first + n], held, room, first)
        _remember(bars, rows, next_ring, room, fills, first, n)
        n_left = _restore(held, next_ring, room, first, n)
        _store(room, held_after, noted, first, n)
        for j in range(n):
            if n_left > 0 and room[POSTPONED, j] != 0:
                i = first + j
                one = next_accounts[:, i : i + 1]
                step_kernel(
                    bars, rules, rows[i : i + 1], targets[i : i + 1], one, next_ring[i : i + 1],
                    one, next_ring[i : i + 1], results[:, i : i + 1], fills[i : i + 1],
                )  # fmt: skip


@njit(cache=True, error_model="numpy", forceinline=True)
def _dense(values: np.ndarray) -> np.ndarray:
    """The rows of `values` with what lies between them: an array whose numbers the compiler knows to be adjacent."""
    return carray(at_address(values.ctypes.data), (values.shape[0], values.strides[0] // 8), np.float64)


@njit(cache=True, error_model="numpy", forceinline=True)
def _recall(accounts: np.ndarray, ring: np.ndarray, room: np.ndarray, first: int, n: int) -> None:
    """What the ring of each account forgets when this decision goes in."""
    for j in range(n):
        i = unsigned(first + j)
        slot = slot_of(accounts[DECISIONS, i], ring.shape[1])
        room[SLOT, j] = slot
        room[FORGOTTEN, j] = ring[i, slot]


@njit(cache=True, error_model="numpy", forceinline=True)
def _live_block(
    bars: np.ndarray,
    rules: Any,
    rows: np.ndarray,
    targets: np.ndarray,
    accounts: np.ndarray,
    room: np.ndarray,
    first: int,
) -> None:
    """Step the accounts first … first + len(rows) − 1 into `room`; the vector loop."""
    rule = _calm_rules(rules)
    for j in range(len(rows)):
        i = unsigned(first + j)
        before, bar = bars[unsigned(rows[j])], bars[unsigned(rows[j] + 1)]
        cash_t, units_t, entry_t = accounts[CASH, i], accounts[UNITS, i], accounts[ENTRY_PRICE, i]
        equity_t, peak_t = accounts[EQUITY, i], accounts[PEAK_EQUITY, i]
        last_t, held_t, decisions_t = accounts[LAST_TARGET, i], accounts[BARS_HELD, i], accounts[DECISIONS, i]
        turnover_t, recent_t = accounts[TURNOVER, i], accounts[RECENT_TRADES, i]
        trades_t, sum_t = accounts[TRADES, i], accounts[REWARD_SUM, i]
        target = exits.braked_target(targets[j], units_t, held_t, turnover_t, rule)
        position = Position(cash_t, units_t, entry_t, last_t, False)
        position, ledger, paid, funding, exposure = live(before, bar, rule, 0, target, position, None)
        mark = marked(bar.close, units_t, position, peak_t, held_t)
        recent = recent_t + ledger.traded - room[FORGOTTEN, j]
        log_return = rewards.floored_log_return(equity_t, mark.equity)
        reward = rewards.shaped_reward(log_return, exposure, recent, ledger.notional, equity_t, before.regime, rule)
        room[POSTPONED, j] = 1.0 if ledger.n_fills < 0 or accounts[DONE, i] != 0 else 0.0
        room[CASH, j] = position.cash
        room[UNITS, j] = position.units
        room[EQUITY, j] = mark.equity
        room[EXPOSURE, j] = mark.exposure
        room[ENTRY_PRICE, j] = position.entry_price
        room[BARS_HELD, j] = mark.bars_held
        room[PEAK_EQUITY, j] = mark.peak_equity
        room[LAST_TARGET, j] = position.last_target
        room[DECISIONS, j] = decisions_t + 1.0
        room[RECENT_TRADES, j] = recent
        room[TRADES, j] = trades_t + ledger.traded
        room[REWARD_SUM, j] = sum_t + reward
        room[TURNOVER, j] = turnover_after(turnover_t, ledger, equity_t)
        room[N_STATE + REWARD, j] = reward
        room[N_STATE + LOG_RETURN, j] = log_return
        room[N_STATE + EXPOSURE_AT_FILL, j] = exposure
        room[N_STATE + TRADED, j] = ledger.traded
        room[N_STATE + NOTIONAL, j] = ledger.notional
        room[N_STATE + CREDIT, j] = paid.credit
        room[N_STATE + BORROW, j] = paid.borrow
        room[N_STATE + DEBIT, j] = paid.debit
        room[N_STATE + SPREAD, j] = ledger.spread
        room[N_STATE + SLIPPAGE, j] = ledger.slippage
        room[N_STATE + FEES, j] = ledger.fees
        room[N_STATE + N_FILLS, j] = ledger.n_fills
        room[N_STATE + FUNDING, j] = funding
        room[FILL_UNITS, j] = ledger.units
        room[FILL_PRICE, j] = ledger.price


CHANGING = (
    CASH, UNITS, EQUITY, EXPOSURE, ENTRY_PRICE, BARS_HELD, PEAK_EQUITY, LAST_TARGET, DECISIONS,
    RECENT_TRADES, TRADES, REWARD_SUM, TURNOVER,
)  # fmt: skip


@njit(cache=True, error_model="numpy", forceinline=True)
def _store(room: np.ndarray, accounts: np.ndarray, results: np.ndarray, first: int, n: int) -> None:
    """Move the block out of `room`, row by row."""
    for field in CHANGING:
        for j in range(n):
            accounts[field, unsigned(first + j)] = room[field, j]
    for field in range(N_RESULT):
        for j in range(n):
            results[field, unsigned(first + j)] = room[N_STATE + field, j]


@njit(cache=True, error_model="numpy", forceinline=True)
def _restore(accounts: np.ndarray, ring: np.ndarray, room: np.ndarray, first: int, n: int) -> int:
    """Undo in `room` what was done to the accounts that step_kernel has to step; returns how many they are."""
    n_left = 0.0
    for j in range(n):
        n_left += room[POSTPONED, j]
    if n_left > 0:
        for j in range(n):
            if room[POSTPONED, j] != 0:
                i = unsigned(first + j)
                ring[i, int(room[SLOT, j])] = np.uint8(room[FORGOTTEN, j])
                for field in CHANGING:
                    room[field, j] = accounts[field, i]
    return int(n_left)


@njit(cache=True, error_model="numpy", forceinline=True)
def _remember(
    bars: np.ndarray,
    rows: np.ndarray,
    ring: np.ndarray,
    room: np.ndarray,
    fills: np.ndarray,
    first: int,
    n: int,
) -> None:
    """Note in rings and fills what traded."""
    count = 0
    for j in range(n):
        ring[unsigned(first + j), unsigned(room[SLOT, j])] = np.uint8(room[N_STATE + TRADED, j])
        room[FILLED, unsigned(count)] = j
        count += int(room[N_STATE + TRADED, j])
    for k in range(count):
        j = unsigned(room[FILLED, unsigned(k)])
        i = unsigned(first) + j
        fill = fills[i, 0]
        fill.row = rows[i] + 1
        fill.units = room[FILL_UNITS, j]
        fill.mid = bars[unsigned(rows[i] + 1)].open
        fill.price = room[FILL_PRICE, j]
        fill.fee = room[N_STATE + FEES, j]
        fill.reason = ORDER
