"""Indicators: pure, causal and scale-free functions of float64 price arrays.

Every result has the length of its input. A value that needs more history than there is, is NaN.
Inputs must be finite and contiguous: one NaN would make TA-Lib wrong for ever without a word.
On prices that do not move every indicator holds its neutral value.
"""

import numpy as np
from numba import njit

from regimegym.features import ta
from regimegym.features.rolling import divide, ewma, rolling_mean_sd

ROUND_OFF = 1e-12  # relative; a movement below it is float noise


def log_returns(close: np.ndarray, bars: int = 1) -> np.ndarray:
    """ln C_t − ln C_{t−bars}, (T,); NaN on the first `bars` rows."""
    log_close = np.log(close)
    out = np.full(len(close), np.nan)
    out[bars:] = log_close[bars:] - log_close[: len(close) - bars]
    return out


def ewma_volatility(close: np.ndarray, span: float = 60.0) -> np.ndarray:
    """√ of the exponentially weighted mean of squared log returns per bar, (T,); NaN on row 0."""
    return root_ewma(log_returns(close) ** 2, span)


@njit(cache=True)
def root_ewma(squares: np.ndarray, span: float) -> np.ndarray:
    """√ of the exponentially weighted mean of `squares` (T,), whose row 0 is NaN and does not count.

    0 where it is at round-off level (1e-9 per bar, DEFINITIONS §3).
    """
    out = np.empty(len(squares))
    out[0] = np.nan
    mean = ewma(squares[1:], span)
    for t in range(1, len(out)):  # by loops: assignments of arrays take seconds to compile
        root = np.sqrt(mean[t - 1])
        out[t] = 0.0 if root <= 1e-9 else root
    return out


def in_volatility(change: np.ndarray, close: np.ndarray, bars: float) -> np.ndarray:
    """A log change over `bars` bars in units of σ_t·√bars; 0 where the price has not moved."""
    return divide(change, ewma_volatility(close) * np.sqrt(bars), 0.0)


def volatility_ratio(close: np.ndarray, fast: float, slow: float) -> np.ndarray:
    """ln(σ_fast/σ_slow) of two EWMA volatilities, (T,); 0 where either is 0, NaN on row 0."""
    return log_ratio(ewma_volatility(close, fast), ewma_volatility(close, slow))


def log_ratio(quick: np.ndarray, calm: np.ndarray) -> np.ndarray:
    """ln(quick/calm) of two volatilities, (T,); 0 where either is 0."""
    ratio = divide(quick, calm, 1.0)
    return np.log(np.where(ratio > 0.0, ratio, 1.0)) + 0.0 * quick


def average_gap(close: np.ndarray, span: float) -> np.ndarray:
    """ln C_t minus its exponential average, in units of σ_t·√span, (T,)."""
    log_close = np.log(close)
    return in_volatility(log_close - ewma(log_close, span), close, span)


def average_directional_index(high: np.ndarray, low: np.ndarray, close: np.ndarray, window: int = 14) -> np.ndarray:
    """Wilder's ADX in [0, 100] (T,), from TA-Lib; first value on row 2·window − 1, 0 on flat prices.

    Its smoothing remembers where the history starts: two starts agree to 0.1 after 150 bars.
    """
    return ta.ADX(high, low, close, timeperiod=window)


def log_slope(close: np.ndarray, window: int = 14) -> np.ndarray:
    """Least-squares slope of log price per bar over `window` bars, (T,); TA-Lib LINEARREG_SLOPE."""
    return ta.LINEARREG_SLOPE(np.log(close), timeperiod=window)


@njit(cache=True)
def trend_persistence(close: np.ndarray, window: int = 20) -> np.ndarray:
    """Signed length of the run of equal directions that ends at t, at most `window`, (T,).

    A zigzag gives ±1, a steady trend ±window, an unchanged price 0. NaN before `window` changes.
    """
    out = np.full(len(close), np.nan)
    run, last = 0, 0.0
    for t in range(1, len(close)):
        direction = np.sign(close[t] - close[t - 1])
        run = run + 1 if direction == last else 1
        last = direction
        if t >= window:
            out[t] = direction * min(run, window)
    return out


def relative_strength_index(close: np.ndarray, window: int = 14) -> np.ndarray:
    """Wilder's RSI in [0, 100] (T,), from TA-Lib; NaN before row `window`.

    50 as long as the price has not moved at all, where TA-Lib says 0.
    """
    rsi = ta.RSI(close, timeperiod=window)
    unmoved = np.maximum.accumulate(np.abs(close - close[0])) == 0.0
    return np.where(unmoved & ~np.isnan(rsi), 50.0, rsi)


def stochastic(
    high: np.ndarray, low: np.ndarray, close: np.ndarray, fast: int = 14, slow: int = 3, signal: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Slow %K and %D in [0, 100], each (T,); a window without range counts as 50 (TA-Lib says 0)."""
    lowest, highest = ta.MIN(low, timeperiod=fast), ta.MAX(high, timeperiod=fast)
    raw = 100.0 * divide(close - lowest, highest - lowest, 0.5)
    slow_k = rolling_mean_sd(raw, slow)[0]
    return slow_k, rolling_mean_sd(slow_k, signal)[0]


def bollinger(close: np.ndarray, window: int = 20, width: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Position of the close in its bands (0 lower, 1 upper) and width over the middle, each (T,).

    Bands lie `width` standard deviations (ddof 0) about the mean. Flat: position 0.5, width 0.
    """
    mean, sd = rolling_mean_sd(close, window)
    sd = np.where(sd > ROUND_OFF * mean, sd, 0.0 * mean)
    position = divide(close - (mean - width * sd), 2.0 * width * sd, 0.5)
    return position, 2.0 * width * sd / mean


def rolling_z_score(values: np.ndarray, window: int) -> np.ndarray:
    """(x_t − mean)/sd over the last `window` values, (T,); 0 where they are all equal."""
    mean, sd = rolling_mean_sd(values, window)
    sd = np.where(sd > ROUND_OFF * np.abs(mean), sd, 0.0 * mean)
    return divide(values - mean, sd, 0.0)
