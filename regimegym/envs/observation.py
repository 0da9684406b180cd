"""What an agent sees: a window of market features, or its row, and the state of its account."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numba import njit

from regimegym.common.errors import ConfigError
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

OBSERVATIONS = ("window", "reference")
ACCOUNT_FIELDS = (
    "exposure",  # units · close / equity, clipped to ±10
    "unrealised_return",  # tanh(10 · return of the open position since its average entry)
    "bars_held",  # ln(1 + bars) / ln(1001), clipped to 1
    "drawdown",  # (peak − equity) / peak, clipped to [0, 1]
    "last_target",  # last executed target weight, clipped to ±10
    "recent_trades",  # share of the last W decisions that traded
)
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
    """
    for i in range(out.shape[0]):
        units, peak, gain = accounts[UNITS, i], accounts[PEAK_EQUITY, i], 0.0
        if units != 0:
            gain = bars[rows[i]].close / accounts[ENTRY_PRICE, i] - 1
        drawdown = (peak - accounts[EQUITY, i]) / peak
        share = accounts[RECENT_TRADES, i] / window
        write_account_block(
            out,
            i,
            accounts[EXPOSURE, i],
            units,
            gain,
            accounts[BARS_HELD, i],
            drawdown,
            accounts[LAST_TARGET, i],
            share,
        )


@njit(cache=True, error_model="numpy")
def write_account_block(
    out: np.ndarray,
    i: int,
    exposure: float,
    side: float,
    gain: float,
    bars_held: float,
    drawdown: float,
    last_target: float,
    share: float,
) -> None:
    """The block of one account into out[i]; `side` has the sign of its units, `gain` is close / entry price − 1."""
    out[i, 0] = min(max(exposure, -MOST_EXPOSURE), MOST_EXPOSURE)
    out[i, 1] = out[i, 2] = 0.0
    if side != 0:
        out[i, 1] = np.tanh(RETURN_GAIN * (gain if side > 0 else -gain))
        out[i, 2] = AGES[min(int(bars_held), LONG_HOLD)]
    out[i, 3] = min(drawdown, 1.0)
    out[i, 4] = min(max(last_target, -MOST_EXPOSURE), MOST_EXPOSURE)
    out[i, 5] = share
