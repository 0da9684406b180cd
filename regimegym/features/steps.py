"""Steps that many features share: logs, returns, deviations; each made once per inputs."""

from math import frexp

import numpy as np

from regimegym.features.feature import FeatureInputs
from regimegym.features.moving import change, leading_nan, moving_mean_sd, moving_regression, moving_sum, ratio

FLAT = 1e-9  # log price per bar; a deviation below it is float noise (DEFINITIONS §3)


def log_of(inputs: FeatureInputs, price: str) -> np.ndarray:
    """ln of `open`, `high`, `low` or `close`, (T,)."""
    return inputs.shared(f"log_{price}", lambda: np.log(getattr(inputs.bars, price)))


def log_returns(inputs: FeatureInputs, bars: int = 1) -> np.ndarray:
    """ln C_t − ln C_{t−bars}, (T,); NaN on the first `bars` rows."""
    return inputs.shared(("log_returns", bars), lambda: change(log_of(inputs, "close"), bars))


def squared_returns(inputs: FeatureInputs) -> np.ndarray:
    """Squared log returns, (T,)."""
    return inputs.shared("squared_returns", lambda: log_returns(inputs) ** 2)


def absolute_returns(inputs: FeatureInputs) -> np.ndarray:
    """Absolute log returns, (T,)."""
    return inputs.shared("absolute_returns", lambda: np.abs(log_returns(inputs)))


def sum_of_squares(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Σ r² over `window` returns, (T,); 0 at round-off level."""
    return inputs.shared(
        ("sum_of_squares", window),
        lambda: _zero_below(moving_sum(squared_returns(inputs), window), window * FLAT**2),
    )


def path_length(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Σ |r| over `window` returns, (T,)."""
    return inputs.shared(("path_length", window), lambda: moving_sum(absolute_returns(inputs), window))


def deviation(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Standard deviation (ddof 0) of the last `window` log returns, (T,); 0 at round-off level."""
    return inputs.shared(
        ("deviation", window), lambda: _zero_below(moving_mean_sd(log_returns(inputs), window)[1], FLAT)
    )


def in_deviations(inputs: FeatureInputs, values: np.ndarray, window: int, bars: float = 1.0) -> np.ndarray:
    """A log change over `bars` bars in units of the deviation of `window` returns; 0 where that is 0."""
    unit = inputs.shared(("unit", window, bars), lambda: deviation(inputs, window) * np.sqrt(bars))
    return ratio(values, unit, 0.0)


def regression(inputs: FeatureInputs, window: int) -> tuple[np.ndarray, ...]:
    """Slope, R², last residual and z-score of log close over `window` bars; see moving_regression."""
    return inputs.shared(("regression", window), lambda: moving_regression(log_of(inputs, "close"), window))


def unit_prices(inputs: FeatureInputs) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Open, high, low, close in a unit near 1: TA-Lib takes differences below 1e-14 for 0.

    The unit is a power of two, so that equal differences of prices stay equal.
    """
    bars = inputs.bars

    def make() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        unit = 2.0 ** -frexp(bars.close[0])[1]
        return bars.open * unit, bars.high * unit, bars.low * unit, bars.close * unit

    return inputs.shared("unit_prices", make)


def _zero_below(values: np.ndarray, least: float) -> np.ndarray:
    """`values` ≥ 0 with those up to `least` set to 0; NaN stays. In place."""
    if not np.fmin.reduce(values, initial=np.inf) > least:  # seldom: it takes longer than to look
        values[values <= least] = 0.0
    return values


def unmoved(values: np.ndarray) -> np.ndarray:
    """Whether the values have been the same from the first one that is no NaN on, (T,) bool."""
    first = leading_nan(values)
    return np.maximum.accumulate(np.abs(values - values[min(first, len(values) - 1)])) == 0.0
