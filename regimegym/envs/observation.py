"""What an agent sees: a window of market features, or its row, and the state of its account."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numba import carray, njit

from regimegym.common.errors import ConfigError
from regimegym.envs.memory import dense_rows, stack_room
from regimegym.envs.state import (
    BARS_HELD,
    ENTRY_PRICE,
    EQUITY,
    EXPOSURE,
    LAST_TARGET,
    PEAK_EQUITY,
    RECENT_TRADES,
    UNITS,
)
from regimegym.envs.vector_math import hyperbolic_tangent

OBSERVATIONS = ("window", "reference")
ACCOUNT_FIELDS = (
    "exposure",  # units · close / equity, clipped to ±10
    "unrealised_return",  # tanh(10 · return of the open position since its average entry)
    "bars_held",  # ln(1 + bars) / ln(1001), clipped to 1
    "drawdown",  # (peak − equity) / peak, clipped to [0, 1]
    "last_target",  # last executed target weight, clipped to ±10
    "recent_trades",  # share of the last W decisions that traded
)
BLOCK_SIZE = 64  # accounts whose blocks are computed together
ROOM_SIZE = len(ACCOUNT_FIELDS) * BLOCK_SIZE
LOWEST = np.array([-10, -1, 0, 0, -10, 0], np.float32)
HIGHEST = np.array([10, 1, 1, 1, 10, 1], np.float32)
MOST_EXPOSURE = 10.0
RETURN_GAIN = 10.0  # tanh of ten times the return: ±10 % is ±0.76
LONG_HOLD = 1000  # a position this many bars old is as old as can be told
AGES = np.log1p(np.arange(LONG_HOLD + 1)) / np.log1p(LONG_HOLD)  # of a position held 0, 1, … bars
MOST_ROWS = 2**31 - 1
LARGEST = np.finfo(np.float32).max  # features are finite; their scale is the scaler's affair


def check_observation(mode: str) -> str:
    """`mode` itself, or ConfigError when it is not one of OBSERVATIONS."""
    if mode not in OBSERVATIONS:
        raise ConfigError(
            "unknown-observation", f"'observation' must be one of {', '.join(OBSERVATIONS)}, got '{mode}'"
        )
    return mode


def observation_space(mode: str, window: int, n_features: int) -> spaces.Dict:
    """Dict of `account` (K,) float32 and `market` (W, F) float32 or `row` (1,) int64."""
    account = spaces.Box(LOWEST, HIGHEST, dtype=np.float32)
    if mode == "reference":
        return spaces.Dict({"account": account, "row": spaces.Box(0, MOST_ROWS, (1,), np.int64)})
    market = spaces.Box(-LARGEST, LARGEST, (window, n_features), np.float32)
    return spaces.Dict({"account": account, "market": market})


@njit(cache=True, error_model="numpy")
def write_account_blocks(bars: Any, rows: np.ndarray, accounts: np.ndarray, window: int, out: np.ndarray) -> None:
    """Account blocks (N, K) float32 in the order of ACCOUNT_FIELDS, each account on its own row.

    `accounts` is Accounts.values; the first N columns are used. `window` is W of recent trades.
    Blocks are computed field by field, which the compiler turns into vector instructions, and then written out.
    """
    accounts, size = dense_rows(accounts), BLOCK_SIZE
    room = carray(stack_room(ROOM_SIZE), (len(ACCOUNT_FIELDS), BLOCK_SIZE), np.float32)
    for first in range(0, out.shape[0], size):
        n = min(size, out.shape[0] - first)
        for j in range(n):
            i = np.uint64(first + j)
            units, peak = accounts[UNITS, i], accounts[PEAK_EQUITY, i]
            gain = bars[np.uint64(rows[i])].close / (accounts[ENTRY_PRICE, i] if units != 0 else 1.0) - 1
            room[0, j] = seen_weight(accounts[EXPOSURE, i])
            room[1, j] = seen_return(gain, units)
            room[2, j] = seen_age(accounts[BARS_HELD, i], units)
            room[3, j] = min((peak - accounts[EQUITY, i]) / peak, 1.0)
            room[4, j] = seen_weight(accounts[LAST_TARGET, i])
            room[5, j] = accounts[RECENT_TRADES, i] / window
        for j in range(n):
            for field in range(len(ACCOUNT_FIELDS)):
                out[np.uint64(first + j), field] = room[field, j]


@njit(cache=True, error_model="numpy", forceinline=True)
def seen_weight(weight: float) -> float:
    """An exposure or a target as it is observed."""
    return min(max(weight, -MOST_EXPOSURE), MOST_EXPOSURE)


@njit(cache=True, error_model="numpy", forceinline=True)
def seen_return(gain: float, side: float) -> float:
    """The observed return of a position, `gain` = close / entry price − 1; `side` has the sign of its units."""
    bent = hyperbolic_tangent(RETURN_GAIN * (gain if side > 0 else -gain))
    return bent if side != 0 else 0.0


@njit(cache=True, error_model="numpy", forceinline=True)
def seen_age(bars_held: float, side: float) -> float:
    """The observed age of a position, in [0, 1]."""
    age = AGES[np.uint64(min(bars_held, float(LONG_HOLD)))]
    return age if side != 0 else 0.0
