"""Rolling windows by explicit sums (running sums drift) and exponential averages; all causal."""

import numpy as np
from numba import njit


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
