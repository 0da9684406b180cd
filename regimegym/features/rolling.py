"""Rolling windows by explicit sums (running sums drift) and exponential averages; all causal."""

import numpy as np
from numba import njit

CHUNK = 512  # windows that are added up side by side: each in its own order, from the oldest value on


@njit(cache=True)
def rolling_sum(values: np.ndarray, window: int) -> np.ndarray:
    """Sum of the last `window` values (T,), each window added up anew; NaN before it is full."""
    out = np.full(len(values), np.nan)
    for first in range(window - 1, len(values), CHUNK):
        total = out[first : first + CHUNK]
        total[:] = 0.0
        start, n = first - window + 1, len(total)
        while start + 3 <= first:  # four values at a time: their sum so far is read and written once
            part = values[start : start + n + 3]
            for i in range(n):
                total[i] = total[i] + part[i] + part[i + 1] + part[i + 2] + part[i + 3]
            start += 4
        for oldest in range(start, first + 1):
            part = values[oldest : oldest + n]
            for i in range(n):
                total[i] += part[i]
    return out


@njit(cache=True)
def rolling_mean_sd(values: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (ddof 0) of the last `window` values (T,); NaN before it is full."""
    mean = rolling_sum(values, window)
    for i in range(len(mean)):
        mean[i] /= window
    sd = np.full(len(values), np.nan)
    for first in range(window - 1, len(values), CHUNK):
        squares, centre = sd[first : first + CHUNK], mean[first : first + CHUNK]
        squares[:] = 0.0
        for start in range(first - window + 1, first + 1):
            part = values[start : start + len(squares)]
            for i in range(len(squares)):
                squares[i] += (part[i] - centre[i]) ** 2
        for i in range(len(squares)):
            squares[i] = np.sqrt(squares[i] / window)
    return mean, sd


@njit(cache=True)
def ewma(values: np.ndarray, span: float) -> np.ndarray:
    """Exponentially weighted mean (T,) with α = 2/(span + 1) and weights that sum to 1 from the start.

    Equals pandas' `ewm(span=span, adjust=True).mean()`.
    """
    keep = 1.0 - 2.0 / (span + 1.0)
    out = np.empty(len(values))
    total, weights = 0.0, 0.0
    for t in range(len(values)):
        total = values[t] + keep * total
        weights = 1.0 + keep * weights
        out[t] = total / weights
    return out


def divide(numerator: np.ndarray, denominator: np.ndarray, otherwise: float) -> np.ndarray:
    """numerator / denominator, and `otherwise` where the denominator is 0; NaN passes through."""
    out = np.full(len(numerator), otherwise)
    np.divide(numerator, denominator, out=out, where=denominator != 0.0)
    return out
