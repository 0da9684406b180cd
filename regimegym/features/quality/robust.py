"""Robust scales from the past alone."""

import numpy as np
import pandas as pd

MAD_TO_SD = 1.4826  # of a normal distribution


def past_scale(values: np.ndarray, window: int, least: int) -> np.ndarray:
    """(T,) spread of `values` around zero over the `window` rows before each row, in units of a standard deviation.

    1.4826 times the median absolute value of those that are not zero: where a price mostly stands still,
    the others say how far it moves. NaN until `least` such rows. Row t sees rows before t only.
    """
    size = pd.Series(np.where(values == 0, np.nan, np.abs(values)))
    return MAD_TO_SD * size.rolling(window, min_periods=least).median().shift(1).to_numpy()


def causal_outliers(values: np.ndarray, window: int = 500, least: int = 50, limit: float = 25.0) -> np.ndarray:
    """(T,) bool: rows farther than `limit` robust deviations from zero, judged by rows before them alone."""
    with np.errstate(invalid="ignore"):
        return np.abs(values) > limit * past_scale(values, window, least)
