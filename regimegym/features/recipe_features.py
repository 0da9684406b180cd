"""Features in which the learners of docs/learning.md are measured: past returns, levels, volatility.

`recipe` shows the last 30 returns one by one; `trend` sums them up over horizons instead and says
how volatile the market is against its long run. Fewer inputs leave less noise to memorise.
"""

from functools import partial

import numpy as np

from regimegym.features.default_features import (
    VOLATILITY_BARS,
    VOLATILITY_MEMORY,
    in_volatility,
    volatility,
)
from regimegym.features.feature import FeatureInputs, ewma_memory, feature
from regimegym.features.indicators import ewma_volatility, log_returns, rolling_z_score
from regimegym.features.rolling import divide, ewma, rolling_sum
from regimegym.features.steps import log_of

LAGS = tuple(range(1, 30))  # bars
WINDOWS = (20, 60, 120)  # bars
VOLATILITY_PAIRS = ((10, 60), (20, 200), (10, 500), (30, 500), (100, 500))  # spans of fast and slow, bars
LONGEST_WARM_UP = 250  # an EWMA of span 500 rests on enough returns after half a span
SWING_BARS = 10


def _squares(inputs: FeatureInputs) -> np.ndarray:
    """Squared log returns (T,), 0 on row 0."""
    return inputs.shared("squares_of_returns", lambda: np.nan_to_num(log_returns(inputs.bars.close)) ** 2)


def _lagged_return(inputs: FeatureInputs, lag: int) -> np.ndarray:
    """Log return of `lag` bars ago in today's volatility; 0 before the first one."""
    past = np.zeros(len(inputs))
    past[lag:] = np.nan_to_num(log_returns(inputs.bars.close))[:-lag]
    return in_volatility(inputs, past, 1)


for _lag in LAGS:
    feature(f"lagged_return_{_lag}", VOLATILITY_BARS + _lag, VOLATILITY_MEMORY)(partial(_lagged_return, lag=_lag))


def _level_score(inputs: FeatureInputs, window: int) -> np.ndarray:
    """z-score of the log close in its window."""
    return rolling_z_score(log_of(inputs, "close"), window)


def _path_score(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Log return over the window over the root of its sum of squared returns."""
    length = np.sqrt(rolling_sum(_squares(inputs), window))
    return divide(log_returns(inputs.bars.close, window), np.where(length > 1e-9, length, 0.0 * length), 0.0)


for _window in WINDOWS:
    feature(f"level_score_{_window}", _window, _window)(partial(_level_score, window=_window))
    feature(f"path_score_{_window}", _window + 1, _window + 1)(partial(_path_score, window=_window))


def _log_volatility(inputs: FeatureInputs, fast: int, slow: int) -> np.ndarray:
    """ln(σ_fast/σ_slow) of two EWMA volatilities; 0 where either is 0."""

    def of(span: int) -> np.ndarray:
        return inputs.shared(("ewma_volatility", span), lambda: ewma_volatility(inputs.bars.close, span))

    ratio = divide(of(fast), of(slow), 1.0)
    return np.log(np.where(ratio > 0.0, ratio, 1.0)) + 0.0 * of(fast)


for _fast, _slow in VOLATILITY_PAIRS:
    feature(f"log_volatility_{_fast}_{_slow}", min(_slow, LONGEST_WARM_UP), ewma_memory(_slow))(
        partial(_log_volatility, fast=_fast, slow=_slow)
    )


@feature("swing", warm_up=VOLATILITY_BARS + SWING_BARS, memory=VOLATILITY_MEMORY + SWING_BARS)
def _swing(inputs: FeatureInputs) -> np.ndarray:
    """ln of the variance of 10-bar returns over 10 × that of 1-bar returns, about 0, both exponential.

    Above 0 where moves go on, below where they turn back; 0 where nothing moved, at least −5.
    """
    long = np.nan_to_num(log_returns(inputs.bars.close, SWING_BARS)) ** 2
    ratio = divide(ewma(long, VOLATILITY_BARS), SWING_BARS * volatility(inputs) ** 2, 1.0)
    return np.log(np.maximum(ratio, np.exp(-5.0)))
