"""Joins as of a bar's close: what was known then, and nothing that came later."""

import numpy as np

from regimegym.features.bars import Bars


def close_times(bars: Bars) -> np.ndarray:
    """(T,) int64 UTC nanoseconds at which each bar closes: its start plus the bar length."""
    return bars.timestamps + bars.timeframe_ns


def rows_as_of(known_at: np.ndarray, clock: np.ndarray) -> np.ndarray:
    """Index of the last of `known_at` (S,) that is ≤ each of `clock` (T,); −1 where there is none."""
    return np.searchsorted(known_at, clock, side="right") - 1


def closes_as_of(other: Bars, clock: np.ndarray, longest_age_ns: int) -> np.ndarray:
    """Close of the last bar of `other` that had closed by each of `clock` (T,), (T,) float64.

    NaN before its first bar, and where that bar closed more than `longest_age_ns` before.
    """
    known_at = close_times(other)
    row = rows_as_of(known_at, clock)
    found = np.maximum(row, 0)
    is_fresh = (row >= 0) & (clock - known_at[found] <= longest_age_ns)
    return np.where(is_fresh, other.close[found], np.nan)
