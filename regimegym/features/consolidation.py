"""Features of consolidation: how directionless, how narrow, and for how long a market has stayed in its range."""

import numpy as np

from regimegym.features import ta
from regimegym.features.families import extremes, family
from regimegym.features.feature import FeatureInputs
from regimegym.features.moving import moving_sum, ratio, shifted
from regimegym.features.steps import log_of

LONGER = 4  # the window with which a range is compared, in windows
LONGEST_STAY = 120  # bars; a longer stay inside a range counts as this


@family(14, 50)
def choppiness(inputs: FeatureInputs, window: int) -> np.ndarray:
    """ln(Σ true range / range of the window) / ln w, about 1 without direction and 0 on a straight line (Dreiss).

    True ranges are log prices; 1 where there is no range.
    """

    def make() -> np.ndarray:
        before = shifted(log_of(inputs, "close"), 1)
        return np.maximum(log_of(inputs, "high"), before) - np.minimum(log_of(inputs, "low"), before)

    moved = moving_sum(inputs.shared("log_true_range", make), window)
    relative = ratio(moved, _range(inputs, window), float(window))
    return np.log(np.maximum(relative, 1.0)) / np.log(window)


@family(20, 60, more=(LONGER - 1) * 60)
def compression(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Log range of the window over that of one LONGER times as long, in [0, 1]; 1 where there is no range."""
    return ratio(_range(inputs, window), _range(inputs, LONGER * window), 1.0)


@family(20, 60, more=LONGEST_STAY + 1)
def stay_in_range(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Bars since a close last left the range of the `window` bars before it, over LONGEST_STAY, in [0, 1]."""
    bars = inputs.bars
    above = bars.close > shifted(ta.MAX(bars.high, window), 1)
    below = bars.close < shifted(ta.MIN(bars.low, window), 1)
    rows = np.arange(len(bars))
    last = np.maximum.accumulate(np.where(above | below, rows, -LONGEST_STAY))
    return np.minimum(rows - last, LONGEST_STAY) / LONGEST_STAY


def _range(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Highest high less lowest low of the window in log price (T,)."""
    highest, lowest = extremes(inputs, window)
    return inputs.shared(("log_window_range", window), lambda: highest - lowest)
