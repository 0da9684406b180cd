"""Rolling windows by explicit sums (running sums drift) and exponential averages; all causal."""

import numpy as np
from numba import njit
from scipy.signal import lfilter


@njit(cache=True)
def rolling_sum(values: np.ndarray, window: int) -> np.ndarray:
    """Sum of the last `window` values (T,), each window added up anew; NaN before it is full."""
    out = np.full(len(values), np.nan)
    for t in range(window - 1, len(values)):
        total = 0.0
        for i in range(t - window + 1, t + 1):
            total += values[i]
        out[t] = total
    return out


@njit(cache=True)
def rolling_mean_sd(values: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (ddof 0) of the last `window` values (T,); NaN before it is full."""
    mean = np.full(len(values), np.nan)
    sd = np.full(len(values), np.nan)
    for t in range(window - 1, len(values)):
        total = 0.0
        for i in range(t - window + 1, t + 1):
            total += values[i]
        centre = total / window
        squares = 0.0
        for i in range(t - window + 1, t + 1):
            squares += (values[i] - centre) ** 2
        mean[t] = centre
        sd[t] = np.sqrt(squares / window)
    return mean, sd


def ewma(values: np.ndarray, span: float) -> np.ndarray:
    """Exponentially weighted mean (T,) with α = 2/(span + 1) and weights that sum to 1 from the start.

    Equals pandas' `ewm(span=span, adjust=True).mean()`.
    """
    keep = 1.0 - 2.0 / (span + 1.0)
    weights = lfilter([1.0], [1.0, -keep], np.ones(len(values)))
    return lfilter([1.0], [1.0, -keep], values) / weights


def divide(numerator: np.ndarray, denominator: np.ndarray, otherwise: float) -> np.ndarray:
    """numerator / denominator, and `otherwise` where the denominator is 0; NaN passes through."""
    out = np.full(len(numerator), otherwise)
    np.divide(numerator, denominator, out=out, where=denominator != 0.0)
    return out
