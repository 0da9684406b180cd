"""Features of sudden moves: each lights up on the bar of the move and not before."""

import numpy as np

from regimegym.features.families import extremes, family
from regimegym.features.feature import FeatureInputs
from regimegym.features.moving import ratio, shifted
from regimegym.features.steps import absolute_returns, in_deviations, log_of, log_returns, sum_of_squares


@family(5, 20, more=3 * 20 + 1)
def momentum_acceleration(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Log return of this window minus that of the one before it, in deviations of 60 returns."""
    returns = log_returns(inputs, window)
    return in_deviations(inputs, returns - shifted(returns, window), 60, 2.0 * window)


@family(20, 60)
def volatility_breakout(inputs: FeatureInputs, window: int) -> np.ndarray:
    """|r_t| in units of √(mean r²) of the window, in [0, √w]; √w is one move after stillness."""
    return ratio(absolute_returns(inputs), np.sqrt(sum_of_squares(inputs, window) / window), 0.0)


@family(20, 60)
def range_breakout(inputs: FeatureInputs, window: int) -> np.ndarray:
    """How far the close lies outside the range of the bars before it, in deviations · √window, signed; else 0."""
    close = log_of(inputs, "close")
    highest, lowest = extremes(inputs, window)
    above, below = close - shifted(highest, 1), close - shifted(lowest, 1)
    return in_deviations(inputs, np.maximum(above, 0.0) + np.minimum(below, 0.0), window, window)
