"""Families of features over a window: trend, momentum, dispersion. Each looks back its window and no further."""

from collections.abc import Callable
from functools import partial

import numpy as np

from regimegym.features import ta
from regimegym.features.feature import FeatureInputs, feature
from regimegym.features.moving import (
    change,
    moving_max,
    moving_mean_sd,
    moving_min,
    moving_shape,
    moving_sum,
    ratio,
    shifted,
)
from regimegym.features.steps import (
    absolute_returns,
    deviation,
    in_deviations,
    log_of,
    log_returns,
    path_length,
    regression,
    sum_of_squares,
)

Family = Callable[..., np.ndarray]  # of (inputs, window)
SLOW = 5  # bars of the longer returns of the variance ratio


def family(*windows: int, more: int = 1) -> Callable[[Family], Family]:
    """Decorator that registers `NAME_WINDOW` for each window; `more` bars are needed beside it."""

    def register(compute: Family) -> Family:
        for window in windows:
            name = f"{compute.__name__}_{window}"
            register_window = feature(name, window + more - 1, window + more, windowed=True)
            register_window(partial(compute, window=window))
        return compute

    return register


@family(10, 30, 60, 120)
def momentum(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Log return over the window in units of its returns' deviation · √window."""
    return in_deviations(inputs, log_returns(inputs, window), window, window)


@family(10, 30, 60)
def up_share(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Σ of the gains over Σ |r|, in [0, 1]: an RSI whose memory ends; ½ where nothing moved."""
    gains = inputs.shared("gains", lambda: np.maximum(log_returns(inputs), 0.0))
    return ratio(moving_sum(gains, window), path_length(inputs, window), 0.5)


@family(10, 30, 60)
def efficiency(inputs: FeatureInputs, window: int) -> np.ndarray:
    """|ln C_t − ln C_{t−w}| over the length of the path, in [0, 1] (Kaufman); 0 where nothing moved."""
    return ratio(np.abs(log_returns(inputs, window)), path_length(inputs, window), 0.0)


def extremes(inputs: FeatureInputs, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Highest log high and lowest log low of the window, each (T,)."""
    high, low = log_of(inputs, "high"), log_of(inputs, "low")
    return inputs.shared(("extremes", window), lambda: (moving_max(high, window), moving_min(low, window)))


@family(10, 30, 60, 120, more=0)
def range_position(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Where the log close lies between the window's low (0) and high (1); ½ without a range."""
    highest, lowest = extremes(inputs, window)
    return ratio(log_of(inputs, "close") - lowest, highest - lowest, 0.5)


@family(20, 60, 120)
def high_gap(inputs: FeatureInputs, window: int) -> np.ndarray:
    """ln of the window's high over the close, in deviations · √window."""
    return in_deviations(inputs, extremes(inputs, window)[0] - log_of(inputs, "close"), window, window)


@family(20, 60, 120)
def low_gap(inputs: FeatureInputs, window: int) -> np.ndarray:
    """ln of the close over the window's low, in deviations · √window."""
    return in_deviations(inputs, log_of(inputs, "close") - extremes(inputs, window)[1], window, window)


@family(10, 40, 60, 120, more=0)
def close_z(inputs: FeatureInputs, window: int) -> np.ndarray:
    """z-score of the log close in its window; 0 where all are equal."""
    return regression(inputs, window)[3]


@family(10, 30, 60, 120)
def slope(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Least-squares slope of log close per bar, in deviations / √window."""
    return in_deviations(inputs, regression(inputs, window)[0], window, 1.0 / window)


@family(10, 30, 60, 120, more=0)
def fit(inputs: FeatureInputs, window: int) -> np.ndarray:
    """R² of the regression line of log close, in [0, 1]."""
    return regression(inputs, window)[1]


@family(10, 30, 60, 120, more=0)
def residual(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Distance of the log close from its regression line, in standard deviations of the residuals."""
    return regression(inputs, window)[2]


@family(10, 20, 60, 120)
def volatility(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Standard deviation (ddof 0) of the simple returns."""
    close = inputs.bars.close
    simple = inputs.shared("simple_returns", lambda: change(close, 1) / shifted(close, 1))
    return moving_mean_sd(simple, window)[1]


@family(30, 60, 120)
def skew(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Skewness of the log returns; 0 where they do not vary."""
    return _shape(inputs, window)[0]


@family(30, 60, 120)
def kurtosis(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Kurtosis of the log returns in [1, window]; 0 where they do not vary."""
    return _shape(inputs, window)[1]


def _shape(inputs: FeatureInputs, window: int) -> tuple[np.ndarray, np.ndarray]:
    r = log_returns(inputs)
    return inputs.shared(("shape", window), lambda: moving_shape(r, deviation(inputs, window), window))


@family(30, 60, 120, more=2)
def autocorrelation(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Σ r_t r_{t−1} / Σ r²: first-order autocorrelation about 0."""
    r = log_returns(inputs)
    products = inputs.shared("lagged_products", lambda: r * shifted(r, 1))
    return ratio(moving_sum(products, window), sum_of_squares(inputs, window), 0.0)


@family(30, 60, more=2)
def jump_share(inputs: FeatureInputs, window: int) -> np.ndarray:
    """1 − bipower variation / realised variance: the share of the variance that jumps made."""
    r = absolute_returns(inputs)
    products = inputs.shared("bipower_products", lambda: r * shifted(r, 1))
    bipower = 0.5 * np.pi * moving_sum(products, window)
    return 1.0 - ratio(bipower, sum_of_squares(inputs, window), 1.0)


@family(60, 120, more=SLOW)
def variance_ratio(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Variance of 5-bar returns over 5 × that of 1-bar returns: above 1 in trends, below in reversals."""
    slow = inputs.shared("squared_slow_returns", lambda: log_returns(inputs, SLOW) ** 2)
    return ratio(moving_sum(slow, window), SLOW * sum_of_squares(inputs, window), 1.0)


@family(20, 60)
def downside_share(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Share of falls in Σ r², in [0, 1]; ½ where nothing moved."""
    falls = inputs.shared("squared_falls", lambda: np.minimum(log_returns(inputs), 0.0) ** 2)
    return ratio(moving_sum(falls, window), sum_of_squares(inputs, window), 0.5)


@family(20, 60)
def volatility_of_volatility(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Deviation over mean of |r|; 0 where nothing moved."""
    mean, sd = moving_mean_sd(absolute_returns(inputs), window)
    return ratio(sd, np.where(mean <= 1e-9, 0.0, mean), 0.0)


@family(20, 60)
def largest_gain(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Largest return of the window in units of √(mean r²), in [−√w, √w]."""
    return _extreme_return(inputs, window, moving_max)


@family(20, 60)
def largest_loss(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Smallest return of the window in units of √(mean r²), in [−√w, √w]."""
    return _extreme_return(inputs, window, moving_min)


def _extreme_return(inputs: FeatureInputs, window: int, extreme: Callable[..., np.ndarray]) -> np.ndarray:
    return ratio(extreme(log_returns(inputs), window), np.sqrt(sum_of_squares(inputs, window) / window), 0.0)


@family(25, 60)
def aroon_up(inputs: FeatureInputs, window: int) -> np.ndarray:
    """100 · (1 − bars since the window's high / window); TA-Lib AROON."""
    return _aroon(inputs, window)[1]


@family(25, 60)
def aroon_down(inputs: FeatureInputs, window: int) -> np.ndarray:
    """100 · (1 − bars since the window's low / window); TA-Lib AROON."""
    return _aroon(inputs, window)[0]


def _aroon(inputs: FeatureInputs, window: int) -> tuple[np.ndarray, np.ndarray]:
    return inputs.shared(("aroon", window), lambda: ta.AROON(inputs.bars.high, inputs.bars.low, window))


@family(20, 60, more=2)
def turning_share(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Share of bars that went the other way than the bar before them."""
    r = log_returns(inputs)
    turns = inputs.shared("turns", lambda: np.where(np.isnan(shifted(r, 1)), np.nan, r * shifted(r, 1) < 0.0))
    return moving_sum(turns, window) / window
