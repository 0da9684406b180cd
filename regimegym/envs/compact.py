"""Compact accounts: what a replay buffer keeps of an account, a few float32 in units of its equity.

A packed account gives the step kernel back everything that decides what any action would lead to
(and write_account_blocks everything that is seen); counters that are statistics only are dropped:
`trades`, `reward_sum`, `start_equity` of an unpacked account mean nothing.
"""

from dataclasses import dataclass

import numpy as np
from numba import carray, njit

from regimegym.envs.actions import ActionTranslator
from regimegym.envs.memory import stack_room
from regimegym.envs.observation import ACCOUNT_FIELDS, BLOCK_SIZE, ROOM_SIZE, seen_age, seen_return, seen_weight
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import (
    ACCOUNT_ROWS,
    BARS_HELD,
    CASH,
    DECISIONS,
    DONE,
    ENTRY_PRICE,
    EQUITY,
    EXPOSURE,
    LAST_TARGET,
    PEAK_EQUITY,
    RECENT_TRADES,
    RETURN_MEAN,
    RETURN_SQUARE,
    START_EQUITY,
    TURNOVER,
    UNITS,
    Accounts,
    field_rows,
)

# Columns that every packed account has; those below come where the settings need them.
PACKED = (
    "exposure",
    "gain",  # close / entry price − 1; 0 when flat
    "bars_held",  # −1: liquidated
    "drawdown",  # (peak − V) / peak
    "last_target",  # over max_leverage
)
WEIGHT, GAIN, HELD, DRAWDOWN, TARGET = range(len(PACKED))
RING = len(PACKED)  # first word of the ring of recent trades
NEAREST, TRADES, N_SEEN = range(len(PACKED), len(PACKED) + 3)  # what is made of the columns, behind them
SEEN_SIZE = N_SEEN * BLOCK_SIZE
BITS = 24  # whole numbers below 2²⁴ are exact in float32
LIQUIDATED = -1.0

# Places in AccountCodec.places, −1 where the settings do not need the column.
N_WORDS, RING_LENGTH, AGE, SPENT, MEAN, SQUARE, MONEY = range(7)


@dataclass(frozen=True, eq=False)
class AccountCodec:
    """Packs accounts that live under one kind of settings.

    Attributes:
        columns: names of the S columns.
        places: (7,) int64, where the optional columns stand.
        known_targets: targets that an account can have, ascending; empty where every one can be
            (continuous actions). float32 cannot hold 0.1; an unpacked target is the nearest of
            these, so that the same target ordered again is still the same.
        numbers: (max_leverage, lot, turnover_window).
    """

    columns: tuple[str, ...]
    places: np.ndarray
    known_targets: np.ndarray
    numbers: tuple[float, float, float]

    @property
    def size(self) -> int:
        """S, the number of float32 of one account."""
        return len(self.columns)

    def pack(self, bars: np.ndarray, references: np.ndarray, accounts: Accounts) -> np.ndarray:
        """(N, S) float32 of N accounts, each at the close of its reference (N,) into `bars`."""
        packed = np.empty((len(accounts), self.size), np.float32)
        _pack(bars, references, accounts.values, accounts.ring, self.places, self.numbers, packed)
        return packed

    def unpack(self, bars: np.ndarray, references: np.ndarray, packed: np.ndarray) -> Accounts:
        """N accounts of equity 1 (their own where it was kept) that would fare as those packed did.

        A liquidated account has peak equity 1 instead.
        """
        n = len(packed)
        accounts = Accounts(field_rows(len(ACCOUNT_ROWS), n), np.zeros((n, int(self.places[RING_LENGTH])), np.uint8))
        _unpack(bars, references, packed, self.places, self.known_targets, self.numbers, accounts.values, accounts.ring)
        return accounts

    def write_blocks(self, packed: np.ndarray, out: np.ndarray) -> None:
        """The account blocks that were observed of accounts packed (N, S), to rounding, into `out` (N, K) float32."""
        _write_blocks(packed, self.places, self.known_targets, self.numbers[0], out)

    def fits(self, settings: EnvSettings) -> bool:
        """Whether accounts under `settings` lose nothing in this codec."""
        other = account_codec(settings)
        return set(other.columns) <= set(self.columns) and other.numbers == self.numbers


def account_codec(settings: EnvSettings) -> AccountCodec:
    """The codec with the columns that `settings` need.

    Fixed fees, lots, market impact and custom rewards know money, so equity itself is kept there,
    as two float32 that add up to it (14 digits).
    """
    account, orders, reward = settings.account, settings.orders, settings.reward
    n_words = -(-reward.max_trades_window // BITS)
    columns = [*PACKED, *(f"recent_trades_{k}" for k in range(n_words))]
    places = np.full(7, -1, np.int64)
    places[N_WORDS], places[RING_LENGTH] = n_words, reward.max_trades_window
    knows_money = account.fixed_fee > 0 or account.lot > 0 or account.impact > 0 or reward.kind == "custom"
    for place, is_needed, names in (
        (AGE, orders.turnover_window > 0, ("decisions",)),
        (SPENT, orders.turnover_budget > 0, ("turnover",)),
        (MEAN, reward.kind == "differential_sharpe", ("return_mean",)),
        (SQUARE, reward.kind == "differential_sharpe", ("return_square",)),
        (MONEY, knows_money, ("equity", "equity_rest")),
    ):
        if is_needed:
            places[place] = len(columns)
            columns += names
    weights = ActionTranslator(settings.action, account.max_leverage).weights
    targets = np.empty(0) if weights is None else np.append(weights[~np.isnan(weights)], 0.0)
    known = np.unique(np.clip(targets, -account.max_leverage, account.max_leverage))
    numbers = (account.max_leverage, account.lot, float(orders.turnover_window))
    return AccountCodec(tuple(columns), places, known, numbers)


@njit(cache=True, error_model="numpy")
def _pack(
    bars: np.ndarray,
    references: np.ndarray,
    accounts: np.ndarray,
    ring: np.ndarray,
    places: np.ndarray,
    numbers: tuple,
    packed: np.ndarray,
) -> None:
    max_leverage, _, turnover_window = numbers
    for i in range(len(packed)):
        peak, decisions = accounts[PEAK_EQUITY, i], accounts[DECISIONS, i]
        packed[i, WEIGHT] = accounts[EXPOSURE, i]
        is_open = accounts[UNITS, i] != 0
        packed[i, GAIN] = bars[references[i]].close / accounts[ENTRY_PRICE, i] - 1 if is_open else 0.0
        packed[i, HELD] = accounts[BARS_HELD, i] if accounts[DONE, i] == 0 else LIQUIDATED
        packed[i, DRAWDOWN] = (peak - accounts[EQUITY, i]) / peak
        packed[i, TARGET] = accounts[LAST_TARGET, i] / max_leverage
        for k in range(places[N_WORDS]):
            packed[i, RING + k] = 0.0
        if accounts[RECENT_TRADES, i] > 0:
            _pack_ring(ring, i, int(decisions), packed)
        if places[AGE] >= 0:
            packed[i, places[AGE]] = decisions % turnover_window
        if places[SPENT] >= 0:
            packed[i, places[SPENT]] = accounts[TURNOVER, i]
        if places[MEAN] >= 0:
            packed[i, places[MEAN]] = accounts[RETURN_MEAN, i]
            packed[i, places[SQUARE]] = accounts[RETURN_SQUARE, i]
        if places[MONEY] >= 0:
            equity = accounts[EQUITY, i]
            packed[i, places[MONEY]] = equity
            packed[i, places[MONEY] + 1] = equity - np.float64(np.float32(equity))


@njit(cache=True, error_model="numpy")
def _pack_ring(ring: np.ndarray, i: int, decisions: int, packed: np.ndarray) -> None:
    """Bit j of the words is the decision that was the (j + 1)-th oldest of the last W."""
    length = ring.shape[1]
    for j in range(length):
        if ring[i, (decisions + j) % length]:
            packed[i, RING + j // BITS] += np.float32(1 << (j % BITS))


@njit(cache=True, error_model="numpy")
def _unpack(
    bars: np.ndarray,
    references: np.ndarray,
    packed: np.ndarray,
    places: np.ndarray,
    known_targets: np.ndarray,
    numbers: tuple,
    accounts: np.ndarray,
    ring: np.ndarray,
) -> None:
    """Into `accounts` and `ring`, which are zeros."""
    max_leverage, lot, _ = numbers
    for i in range(len(packed)):
        close, drawdown = bars[references[i]].close, np.float64(packed[i, DRAWDOWN])
        is_done = packed[i, HELD] == LIQUIDATED
        equity = 1.0 - drawdown if is_done else 1.0
        if places[MONEY] >= 0 and not is_done:
            equity = np.float64(packed[i, places[MONEY]]) + np.float64(packed[i, places[MONEY] + 1])
        exposure = np.float64(packed[i, WEIGHT])
        units = exposure * equity / close
        if lot > 0:
            units = np.rint(units / lot) * lot
        accounts[CASH, i] = equity - units * close
        accounts[UNITS, i] = units
        accounts[EQUITY, i] = accounts[START_EQUITY, i] = equity
        accounts[EXPOSURE, i] = exposure
        accounts[ENTRY_PRICE, i] = close / (1.0 + np.float64(packed[i, GAIN])) if units != 0 else 0.0
        accounts[BARS_HELD, i] = max(0.0, np.float64(packed[i, HELD]))
        accounts[PEAK_EQUITY, i] = 1.0 if is_done else equity / (1.0 - drawdown)
        accounts[LAST_TARGET, i] = _known(np.float64(packed[i, TARGET]) * max_leverage, known_targets)
        accounts[DONE, i] = 1.0 if is_done else 0.0
        decisions = np.float64(packed[i, places[AGE]]) if places[AGE] >= 0 else 0.0
        accounts[DECISIONS, i] = decisions
        accounts[RECENT_TRADES, i] = _unpack_ring(packed, i, int(decisions), places, ring)
        if places[SPENT] >= 0:
            accounts[TURNOVER, i] = packed[i, places[SPENT]]
        if places[MEAN] >= 0:
            accounts[RETURN_MEAN, i] = packed[i, places[MEAN]]
            accounts[RETURN_SQUARE, i] = packed[i, places[SQUARE]]


@njit(cache=True, error_model="numpy")
def _unpack_ring(packed: np.ndarray, i: int, decisions: int, places: np.ndarray, ring: np.ndarray) -> float:
    """Set bits of account i, written into its ring."""
    length, n_trades = places[RING_LENGTH], 0
    for k in range(places[N_WORDS]):
        word = int(packed[i, RING + k])
        n_trades += _count_bits(word)
        for j in range(BITS):
            if word >> j & 1:
                ring[i, (decisions + k * BITS + j) % length] = 1
    return float(n_trades)


@njit(cache=True, error_model="numpy")
def _count_bits(word: int) -> int:
    """Set bits of a word below 2³², in pairs, fours, eights, without a branch that has to be guessed."""
    pairs = word - (word >> 1 & 0x55555555)
    fours = (pairs & 0x33333333) + (pairs >> 2 & 0x33333333)
    eights = (fours + (fours >> 4)) & 0x0F0F0F0F
    return (eights * 0x01010101 >> 24) & 0xFF


@njit(cache=True, error_model="numpy")
def _known(target: float, known_targets: np.ndarray) -> float:
    """The nearest of the known targets, or `target` where all are possible."""
    if len(known_targets) == 0:
        return target
    nearest = known_targets[0]
    for known in known_targets[1:]:
        if abs(known - target) < abs(nearest - target):
            nearest = known
    return nearest


@njit(cache=True, error_model="numpy", forceinline=True)
def _nearest_known(targets: np.ndarray, max_leverage: float, known_targets: np.ndarray, out: np.ndarray) -> None:
    """_known of many targets, over max_leverage, at once."""
    for j in range(BLOCK_SIZE):
        out[j] = known_targets[0] if len(known_targets) > 0 else targets[j] * max_leverage
    for known in known_targets[1:]:
        for j in range(BLOCK_SIZE):
            target = targets[j] * max_leverage
            out[j] = known if abs(known - target) < abs(out[j] - target) else out[j]


@njit(cache=True, error_model="numpy")
def _write_blocks(
    packed: np.ndarray, places: np.ndarray, known_targets: np.ndarray, max_leverage: float, out: np.ndarray
) -> None:
    """What write_account_blocks writes of the unpacked accounts; everything that is seen stands in the words.

    As there, blocks are computed field by field, which the compiler turns into vector instructions.
    """
    room = carray(stack_room(ROOM_SIZE), (len(ACCOUNT_FIELDS), BLOCK_SIZE), np.float32)
    seen = carray(stack_room(SEEN_SIZE), (N_SEEN, BLOCK_SIZE), np.float64)
    last, trades = seen[NEAREST], seen[TRADES]
    n_words, length = np.uint64(places[N_WORDS]), float(places[RING_LENGTH])
    for first in range(0, out.shape[0], BLOCK_SIZE):
        n = min(BLOCK_SIZE, out.shape[0] - first)
        for j in range(n):
            for k in range(len(PACKED)):
                seen[k, j] = packed[np.uint64(first + j), k]
            trades[j] = 0.0
        for j in range(n):
            exposure = seen[WEIGHT, j]
            room[0, j] = seen_weight(exposure)
            room[1, j] = seen_return(seen[GAIN, j], exposure)
            room[2, j] = seen_age(max(0.0, seen[HELD, j]), exposure)
            room[3, j] = min(seen[DRAWDOWN, j], 1.0)
        for k in range(n_words):
            for j in range(n):
                trades[j] += _count_bits(int(packed[np.uint64(first + j), np.uint64(RING) + k]))
        _nearest_known(seen[TARGET], max_leverage, known_targets, last)
        for j in range(n):
            room[4, j] = seen_weight(last[j])
            room[5, j] = trades[j] / length
        for j in range(n):
            for field in range(len(ACCOUNT_FIELDS)):
                out[np.uint64(first + j), field] = room[field, j]
