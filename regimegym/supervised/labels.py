"""Labels of T bars and the row at which each is known; they look forward, so they are no features.

Where a label is decided before its horizon it ends there, and the splitter purges no more than it must.
"""

import numpy as np
from numba import njit

from regimegym.common.checks import check_at_least, check_number, check_positive
from regimegym.common.errors import ConfigError
from regimegym.features.labels import Labels

STEADY = 1e-12  # share of the sum of squares below which what a line leaves over is rounding
STEEPEST = 1e6  # t value of a line that leaves nothing over


def forward_return_labels(close: np.ndarray, horizon: int) -> Labels:
    """ln(C_{t+h}/C_t), known at t + h. Raises ConfigError for a `horizon` below 1."""
    check_at_least("horizon", horizon, 1)
    values, ends = _empty(len(close))
    if len(close) > horizon:
        values[:-horizon] = np.log(close[horizon:] / close[:-horizon])
        ends[:-horizon] = np.arange(horizon, len(close))
    return Labels(values, ends)


def forward_volatility_labels(close: np.ndarray, horizon: int) -> Labels:
    """√(mean of r²) of the log returns r of t+1 … t+h, known at t + h. Raises ConfigError for a `horizon` below 1."""
    check_at_least("horizon", horizon, 1)
    values, ends = _empty(len(close))
    if len(close) > horizon:
        squares = np.diff(np.log(close)) ** 2
        windows = np.lib.stride_tricks.sliding_window_view(squares, horizon)
        values[:-horizon] = np.sqrt(windows.mean(axis=1))
        ends[:-horizon] = np.arange(horizon, len(close))
    return Labels(values, ends)


def move_labels(close: np.ndarray, thresholds: tuple[float, ...], horizon: int) -> Labels:
    """How many of the rising `thresholds` a close of t+1 … t+`horizon` reaches above C_t: 0 … len(thresholds).

    A move of 5 % is one of 2 % and of 1 % too. The label ends where the last threshold is reached,
    else at t + horizon.

    Args:
        close: (T,) > 0.
        thresholds: fractions of C_t, rising: (0.01, 0.02, 0.05).
        horizon: bars ≥ 1.
    """
    check_thresholds("thresholds", thresholds)
    check_at_least("horizon", horizon, 1)
    return Labels(*_moves(close, np.array(thresholds, dtype=np.float64), horizon))


def check_thresholds(name: str, thresholds: tuple[float, ...]) -> None:
    """Raise ConfigError unless they are positive and rising."""
    for value in thresholds:
        check_positive(name, value)
    if not thresholds or (np.diff(thresholds) <= 0).any():
        raise ConfigError("out-of-order", f"'{name}' must rise, got {list(thresholds)}")


@njit(cache=True)
def _moves(close: np.ndarray, thresholds: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    values = np.full(len(close), np.nan)
    ends = np.full(len(close), -1)
    for t in range(len(close) - horizon):
        reached, end = 0, t + horizon
        for k in range(t + 1, t + horizon + 1):
            rise = close[k] / close[t] - 1.0
            while reached < len(thresholds) and rise >= thresholds[reached]:
                reached += 1
            if reached == len(thresholds):
                end = k
                break
        values[t], ends[t] = reached, end
    return values, ends


def triple_barrier_labels(
    high: np.ndarray, low: np.ndarray, close: np.ndarray, above: np.ndarray, below: np.ndarray, horizon: int
) -> Labels:
    """+1 where the upper barrier is touched first, −1 where the lower, 0 where neither within `horizon` bars.

    A bar that touches both counts as the lower one: what happened first inside it is unknown. Source:
    López de Prado, Advances in Financial Machine Learning, ch. 3.

    Args:
        high, low, close: (T,) > 0.
        above, below: (T,) fractions of C_t; NaN or 0 gives no label, as before a volatility is known.
        horizon: bars ≥ 1.
    """
    check_at_least("horizon", horizon, 1)
    return Labels(*_barriers(high, low, close, above, below, horizon))


@njit(cache=True)
def _barriers(
    high: np.ndarray, low: np.ndarray, close: np.ndarray, above: np.ndarray, below: np.ndarray, horizon: int
) -> tuple[np.ndarray, np.ndarray]:
    values = np.full(len(close), np.nan)
    ends = np.full(len(close), -1)
    for t in range(len(close) - horizon):
        if not (above[t] > 0.0 and below[t] > 0.0):
            continue
        values[t], ends[t] = 0.0, t + horizon
        top, bottom = close[t] * (1.0 + above[t]), close[t] * (1.0 - below[t])
        for k in range(t + 1, t + horizon + 1):
            if low[k] <= bottom or high[k] >= top:
                values[t], ends[t] = -1.0 if low[k] <= bottom else 1.0, k
                break
    return values, ends


def shifted_labels(codes: np.ndarray, horizon: int) -> Labels:
    """The code of row t + `horizon`, such as its regime; negative codes are unknown and give no label.

    A `horizon` of 0 asks what the row itself is.
    """
    check_at_least("horizon", horizon, 0)
    values, ends = _empty(len(codes))
    n_rows = max(0, len(codes) - horizon)
    later = codes[horizon : horizon + n_rows].astype(np.float64)
    values[:n_rows] = np.where(later >= 0, later, np.nan)
    ends[:n_rows] = np.where(later >= 0, np.arange(horizon, horizon + n_rows), -1)
    return Labels(values, ends)


def trend_scanning_labels(close: np.ndarray, least: int, most: int) -> Labels:
    """t value of the straight line through ln C_t … ln C_{t+L} whose |t| is the largest, `least` ≤ L ≤ `most`.

    The sign is the trend, the size how sure it is. Every length up to `most` was looked at, so the
    label is known at t + most, not at the end of the chosen line. Source: López de Prado, Machine
    Learning for Asset Managers, ch. 5.

    Args:
        close: (T,) > 0.
        least, most: bars that a line spans, 2 ≤ least ≤ most.

    Raises:
        ConfigError: spans out of range.
    """
    check_at_least("least", least, 2)
    check_number("most", most, f"a whole number ≥ {least}", lambda value: value == int(value) and value >= least)
    return Labels(*_steepest(np.log(close), least, most))


@njit(cache=True)
def _steepest(logs: np.ndarray, least: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums over x = 0 … L of y_x − y_0, each length from the one before it."""
    values = np.full(len(logs), np.nan)
    ends = np.full(len(logs), -1)
    for t in range(len(logs) - most):
        best, sum_y, sum_xy, sum_yy = 0.0, 0.0, 0.0, 0.0
        for x in range(1, most + 1):
            y = logs[t + x] - logs[t]
            sum_y += y
            sum_xy += x * y
            sum_yy += y * y
            if x >= least:
                score = _t_value(x, sum_y, sum_xy, sum_yy)
                if abs(score) > abs(best):
                    best = score
        values[t], ends[t] = best, t + most
    return values, ends


@njit(cache=True)
def _t_value(last: int, sum_y: float, sum_xy: float, sum_yy: float) -> float:
    """Slope over its standard error for x = 0 … last; ±STEEPEST where the line leaves only rounding, 0 if flat."""
    n = last + 1
    centre = last / 2.0
    spread = n * (n * n - 1) / 12.0
    slope = (sum_xy - centre * sum_y) / spread
    total = sum_yy - sum_y * sum_y / n
    left = total - slope * slope * spread
    if total <= STEADY * sum_yy or sum_yy == 0.0:
        return 0.0
    if left <= STEADY * total:
        return np.sign(slope) * STEEPEST
    return slope / np.sqrt(left / (n - 2) / spread)


def _empty(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(n_rows, np.nan), np.full(n_rows, -1)
