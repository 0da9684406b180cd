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

from regimegym.common.prefetch import prefetch
from regimegym.envs import exits, rewards
from regimegym.envs.events import live, marked, turnover_after
from regimegym.envs.kernel import slot_of, step_kernel
from regimegym.envs.memory import dense_rows, stack_room
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
    field_rows,
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
    """What step_kernel does, faster where the rules are calm and most accounts are."""
    left = np.empty(len(rows), np.int64)
    n_left = _step_calm(
        bars, rules, rows, targets, accounts, ring, next_accounts, next_ring, results, fills, left
    )  # fmt: skip
    if n_left < 0:
        step_kernel(bars, rules, rows, targets, accounts, ring, next_accounts, next_ring, results, fills)
    elif n_left > 0:
        _step_left(left[:n_left], bars, rules, rows, targets, next_accounts, next_ring, results, fills)


def _step_left(
    which: np.ndarray,
    bars: np.ndarray,
    rules: np.ndarray,
    rows: np.ndarray,
    targets: np.ndarray,
    accounts: np.ndarray,
    ring: np.ndarray,
    results: np.ndarray,
    fills: np.ndarray,
) -> None:
    """Let step_kernel step the accounts `which` where they are."""
    # Laid out as all accounts are, or the kernel would be compiled once more.
    some, said = field_rows(len(accounts), len(which)), field_rows(len(results), len(which))
    some[:] = accounts[:, which]
    some_ring, some_fills = ring[which], fills[which]
    step_kernel(bars, rules, rows[which], targets[which], some, some_ring, some, some_ring, said, some_fills)
    accounts[:, which], ring[which], results[:, which], fills[which] = some, some_ring, said, some_fills


@njit(cache=True, error_model="numpy")
def _step_calm(
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
    left: np.ndarray,
) -> int:
    """Step all accounts whose step is calm; the others are copied, and listed in `left` (N,).

    Returns:
        How many are left; −1 where the rules are not calm, and nothing was done.
    """
    if not is_calm(rules[0]):
        return -1
    room = carray(stack_room(ROOM_SIZE), (N_ROOM, BLOCK), np.float64)
    held, noted = dense_rows(next_accounts), dense_rows(results)
    if accounts.ctypes.data != next_accounts.ctypes.data:
        _copy(dense_rows(accounts), held, ring, next_ring)
    n_left = 0
    for first in range(0, len(rows), BLOCK):
        n = min(BLOCK, len(rows) - first)
        _recall(bars, rows, held, next_ring, room, first, n)
        _live_block(bars, rules[0], rows, targets, held, room, first, n)
        _remember(bars, rows, next_ring, room, fills, first, n)
        n_left = _leave(held, next_ring, room, left, n_left, first, n)
        _store(room, held, noted, first, n)
    return n_left


@njit(cache=True, error_model="numpy", inline="always")
def _copy(accounts: np.ndarray, held: np.ndarray, ring: np.ndarray, next_ring: np.ndarray) -> None:
    """Accounts and rings as they were, by loops: assignments of whole arrays take five seconds to compile."""
    for field in range(N_STATE):
        for i in range(len(ring)):
            held[field, unsigned(i)] = accounts[field, unsigned(i)]
    for i in range(len(ring)):
        for slot in range(ring.shape[1]):
            next_ring[unsigned(i), unsigned(slot)] = ring[unsigned(i), unsigned(slot)]


@njit(cache=True, error_model="numpy", inline="always")
def _recall(
    bars: np.ndarray, rows: np.ndarray, accounts: np.ndarray, ring: np.ndarray, room: np.ndarray, first: int, n: int
) -> None:
    """What the ring of each account forgets when this decision goes in; the bars set out from memory."""
    for j in range(n):
        prefetch(bars, rows[first + j] + 1)
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
    n: int,
) -> None:
    """Step the accounts first … first + n − 1 into `room`: the vector loop.

    It is compiled by itself, not among the other loops: only so the compiler sees that nothing overlaps.
    """
    rule = _calm_rules(rules)
    for j in range(n):
        i = unsigned(first + j)
        before, bar = bars[unsigned(rows[i])], bars[unsigned(rows[i] + 1)]
        cash_t, units_t, entry_t = accounts[CASH, i], accounts[UNITS, i], accounts[ENTRY_PRICE, i]
        equity_t, peak_t = accounts[EQUITY, i], accounts[PEAK_EQUITY, i]
        last_t, held_t, decisions_t = accounts[LAST_TARGET, i], accounts[BARS_HELD, i], accounts[DECISIONS, i]
        turnover_t, recent_t = accounts[TURNOVER, i], accounts[RECENT_TRADES, i]
        trades_t, sum_t = accounts[TRADES, i], accounts[REWARD_SUM, i]
        target = exits.braked_target(targets[i], units_t, held_t, turnover_t, rule)
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


@njit(cache=True, error_model="numpy", inline="always")
def _store(room: np.ndarray, accounts: np.ndarray, results: np.ndarray, first: int, n: int) -> None:
    """Move the block out of `room`, row by row."""
    for field in CHANGING:
        for j in range(n):
            accounts[field, unsigned(first + j)] = room[field, j]
    for field in range(N_RESULT):
        for j in range(n):
            results[field, unsigned(first + j)] = room[N_STATE + field, j]


@njit(cache=True, error_model="numpy", inline="always")
def _leave(
    accounts: np.ndarray, ring: np.ndarray, room: np.ndarray, left: np.ndarray, n_left: int, first: int, n: int
) -> int:
    """List those that step_kernel has to step, as they were before; returns how many are listed by now."""
    postponed = 0.0
    for j in range(n):
        postponed += room[POSTPONED, j]
    if postponed > 0:
        for j in range(n):
            if room[POSTPONED, j] != 0:
                i = unsigned(first + j)
                ring[i, unsigned(room[SLOT, j])] = np.uint8(room[FORGOTTEN, j])
                for field in CHANGING:
                    room[field, j] = accounts[field, i]
                left[n_left] = i
                n_left += 1
    return n_left


@njit(cache=True, error_model="numpy", inline="always")
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
        j = int(room[FILLED, unsigned(k)])
        i = unsigned(first + j)
        fill = fills[i, 0]
        fill.row = rows[i] + 1
        fill.units = room[FILL_UNITS, j]
        fill.mid = bars[unsigned(rows[i] + 1)].open
        fill.price = room[FILL_PRICE, j]
        fill.fee = room[N_STATE + FEES, j]
        fill.reason = ORDER
