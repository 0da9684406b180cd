"""What came after a bar, for learning only: a label at t looks at t+1 … t+h and is no feature."""

from typing import NamedTuple

import numpy as np
from numba import njit

from regimegym.common.checks import check_at_least, check_positive


class Labels(NamedTuple):
    """Labels of T bars.

    `values` (T,) float64, NaN on the last h rows; `ends` (T,) int64, the last row each label looks
    at, by which a splitter purges; −1 where there is no label.
    """

    values: np.ndarray
    ends: np.ndarray


def price_jump_labels(close: np.ndarray, threshold: float, horizon: int) -> Labels:
    """+1 where a close of t+1 … t+`horizon` first lies `threshold` above C_t, −1 where below, 0 where neither.

    `threshold` is a fraction of C_t: 0.01 is 1 %. A label ends at the jump, else at t + horizon.

    Raises:
        ConfigError: `threshold` that is not positive, `horizon` below 1.
    """
    check_positive("threshold", threshold)
    check_at_least("horizon", horizon, 1)
    return Labels(*_first_jumps(close, threshold, horizon))


@njit(cache=True)
def _first_jumps(close: np.ndarray, threshold: float, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    values = np.full(len(close), np.nan)
    ends = np.full(len(close), -1)
    for t in range(len(close) - horizon):
        values[t], ends[t] = 0.0, t + horizon
        for k in range(t + 1, t + horizon + 1):
            change = close[k] / close[t] - 1.0
            if abs(change) >= threshold:
                values[t], ends[t] = np.sign(change), k
                break
    return values, ends
