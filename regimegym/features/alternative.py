"""Series from outside the market – sentiment, news, mentions – as they were known at each bar's close.

An item counts from its publication on. Every function walks forward; before the first item each
holds its neutral value 0.
"""

import numpy as np
from numba import njit

from regimegym.features.alignment import rows_as_of
from regimegym.features.external import ExternalSeries
from regimegym.features.order_book import sum_per_bar

FEWEST = 10  # items before a mean and a deviation say anything


@njit(cache=True)
def expanding_z_score(values: np.ndarray, fewest: int = FEWEST) -> np.ndarray:
    """(x_n − mean)/sd over the items 0 … n (ddof 0), (N,); 0 for the first `fewest` − 1 and where nothing varies.

    Running mean and squares by Welford's recurrence, which does not cancel.
    """
    out = np.zeros(len(values))
    mean, squares = 0.0, 0.0
    for n in range(len(values)):
        deviation = values[n] - mean
        mean += deviation / (n + 1)
        squares += deviation * (values[n] - mean)
        sd = np.sqrt(squares / (n + 1))
        if n + 1 >= fewest and sd > 1e-12 * max(abs(mean), 1.0):
            out[n] = (values[n] - mean) / sd
    return out


def sentiment_on_bars(series: ExternalSeries, clock: np.ndarray, longest_age_ns: int) -> np.ndarray:
    """Expanding z-score of the newest item published at or before each of `clock` (T,); 0 when it is too old."""
    if not len(series):
        return np.zeros(len(clock))
    row = rows_as_of(series.published, clock)
    found = np.maximum(row, 0)
    is_fresh = (row >= 0) & (clock - series.published[found] <= longest_age_ns)
    return np.where(is_fresh, expanding_z_score(series.values)[found], 0.0)


@njit(cache=True)
def decayed_impact(published: np.ndarray, values: np.ndarray, clock: np.ndarray, half_life_ns: float) -> np.ndarray:
    """Σ x_n · 2^(−(t − published_n)/half-life) over the items published at or before t, (T,) for each t of `clock`."""
    out = np.zeros(len(clock))
    level, since, n = 0.0, 0, 0
    for t in range(len(clock)):
        while n < len(published) and published[n] <= clock[t]:
            level = level * 2.0 ** (-(published[n] - since) / half_life_ns) + values[n]
            since = published[n]
            n += 1
        out[t] = level * 2.0 ** (-(clock[t] - since) / half_life_ns)
    return out


def mention_burst(counts: np.ndarray, window: int) -> np.ndarray:
    """How unusual the count of mentions of each bar is, in √counts: 2·(√x_t − √mean of the window before), (T,).

    About N(0, 1) when mentions arrive as a steady Poisson stream (Anscombe's transform, less its
    constants); NaN on the first `window` rows.
    """
    before = np.full(len(counts), np.nan)
    sums = np.concatenate([[0.0], np.cumsum(counts)])  # counts are whole numbers: exact
    before[window:] = (sums[window:-1] - sums[: -window - 1]) / window
    return 2.0 * (np.sqrt(counts) - np.sqrt(before))


def mentions_on_bars(series: ExternalSeries, open_times: np.ndarray, close_times: np.ndarray) -> np.ndarray:
    """Mentions published after the bar before closed and by this bar's close, (T,); values are counts per item.

    What came in a gap between two bars belongs to the bar after it, where it is first known.
    """
    begin = np.concatenate([open_times[:1] - (close_times[0] - open_times[0]), close_times[:-1]])
    # published ≤ close, so both edges move by one nanosecond.
    return sum_per_bar(series.values, series.published, begin + 1, close_times + 1)
