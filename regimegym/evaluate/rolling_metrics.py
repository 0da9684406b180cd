"""Metrics over a moving window: what the number was at each bar, on the bars before it.

Entry t covers the `window` bars that end with bar t; the first window − 1 entries are NaN, and so
is a window in which the metric is not defined.
"""

from collections.abc import Callable

import numpy as np

from regimegym.common.checks import check_at_least
from regimegym.evaluate.metrics import MIN_DEVIATION

CHUNK = 4_000_000  # numbers looked at together; bounds the memory


def rolling_sharpe_ratio(
    returns: np.ndarray, window: int, periods_per_year: float, risk_free: float = 0.0
) -> np.ndarray:
    """`sharpe_ratio` of each window of the simple returns (n,), (n,)."""

    def of(windows: np.ndarray) -> np.ndarray:
        """Of rows of returns."""
        deviation = windows.std(axis=1, ddof=1)
        return _ratio(windows.mean(axis=1) - risk_free, deviation, periods_per_year)

    return _rolled(returns, window, of, least=2)


def rolling_sortino_ratio(
    returns: np.ndarray, window: int, periods_per_year: float, minimum_return: float = 0.0
) -> np.ndarray:
    """`sortino_ratio` of each window of the simple returns (n,), (n,)."""

    def of(windows: np.ndarray) -> np.ndarray:
        """Of rows of returns."""
        excess = windows - minimum_return
        downside = np.sqrt((np.minimum(0.0, excess) ** 2).mean(axis=1))
        return _ratio(excess.mean(axis=1), downside, periods_per_year)

    return _rolled(returns, window, of, least=1)


def rolling_volatility(returns: np.ndarray, window: int, periods_per_year: float) -> np.ndarray:
    """`volatility` of each window of the simple returns (n,), (n,)."""
    scale = np.sqrt(periods_per_year)
    return _rolled(returns, window, lambda windows: scale * windows.std(axis=1, ddof=1), least=2)


def rolling_log_return(log_returns: np.ndarray, window: int) -> np.ndarray:
    """Σℓ of each window of the log returns (n,), (n,)."""
    return _rolled(log_returns, window, lambda windows: windows.sum(axis=1), least=1)


def rolling_max_drawdown(equity: np.ndarray, window: int) -> np.ndarray:
    """`max_drawdown` inside each window of bars, whose first mark is the first peak.

    Args:
        equity: (n + 1,) marks; entry t covers the marks t + 1 − window … t + 1.

    Returns:
        (n,) positive fractions.
    """

    def of(windows: np.ndarray) -> np.ndarray:
        """Of rows of marks."""
        peaks = np.maximum.accumulate(windows, axis=1)
        return ((peaks - windows) / peaks).max(axis=1)

    return _rolled(equity, window + 1, of, least=2)[1:]


def _ratio(mean: np.ndarray, deviation: np.ndarray, periods_per_year: float) -> np.ndarray:
    defined = deviation > MIN_DEVIATION
    return np.where(defined, np.sqrt(periods_per_year) * mean / np.where(defined, deviation, 1.0), np.nan)


def _rolled(values: np.ndarray, window: int, of: Callable[[np.ndarray], np.ndarray], least: int) -> np.ndarray:
    """`of` rows of windows, chunk by chunk."""
    check_at_least("window", window, least)
    values = np.asarray(values, np.float64)
    out = np.full(len(values), np.nan)
    if len(values) < window:
        return out
    windows = np.lib.stride_tricks.sliding_window_view(values, window)
    size = max(1, CHUNK // window)
    for start in range(0, len(windows), size):
        part = windows[start : start + size]
        out[window - 1 + start : window - 1 + start + len(part)] = of(part)
    return out
