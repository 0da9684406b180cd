"""Features of traded volume; they need volume and do not depend on its unit."""

from collections.abc import Callable
from functools import partial

import numpy as np

from regimegym.features import indicators
from regimegym.features.families import Family
from regimegym.features.feature import FeatureInputs, feature
from regimegym.features.moving import moving_correlation, moving_mean_sd, moving_sum, ratio, shifted
from regimegym.features.ranges import close_location
from regimegym.features.steps import absolute_returns, in_deviations, log_of, log_returns


def volume_family(*windows: int, more: int = 0, windowed: bool = True) -> Callable[[Family], Family]:
    """As `family`, for features that need volume."""

    def register(compute: Family) -> Family:
        for window in windows:
            name = f"{compute.__name__}_{window}"
            register_window = feature(name, window + more - 1, window + more, ("volume",), windowed=windowed)
            register_window(partial(compute, window=window))
        return compute

    return register


def _mean_volume(inputs: FeatureInputs, window: int) -> np.ndarray:
    return inputs.shared(("mean_volume", window), lambda: moving_sum(inputs.bars.volume, window) / window)


def _volume_mean_sd(inputs: FeatureInputs, window: int) -> tuple[np.ndarray, np.ndarray]:
    return inputs.shared(("volume_mean_sd", window), lambda: moving_mean_sd(inputs.bars.volume, window))


@volume_family(10, 20, 60)
def volume_surge(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Volume of the bar over the window's mean, in [0, window]; 1 where nothing was traded."""
    return ratio(inputs.bars.volume, _mean_volume(inputs, window), 1.0)


@volume_family(20, 120)
def volume_score(inputs: FeatureInputs, window: int) -> np.ndarray:
    """z-score of the volume in its window; 0 where all are equal."""
    mean, sd = _volume_mean_sd(inputs, window)
    return ratio(inputs.bars.volume - mean, np.where(sd > indicators.ROUND_OFF * mean, sd, 0.0 * sd), 0.0)


@volume_family(20)
def volume_dispersion(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Deviation over mean of the volume; 0 where nothing was traded."""
    mean, sd = _volume_mean_sd(inputs, window)
    return ratio(sd, mean, 0.0)


@volume_family(60)
def volume_trend(inputs: FeatureInputs, window: int) -> np.ndarray:
    """ln of the mean volume of a sixth of the window over that of all of it, within ±5; 0 without volume."""
    recent = ratio(_mean_volume(inputs, window // 6), _mean_volume(inputs, window), 1.0)
    return np.log(np.maximum(recent, np.exp(-5.0)))


@volume_family(10, 30, more=1)
def signed_volume(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Share of volume on rising less that on falling closes, in [−1, 1] (on-balance volume)."""
    signed = inputs.shared("signed_volume", lambda: np.sign(log_returns(inputs)) * inputs.bars.volume)
    return ratio(moving_sum(signed, window), window * _mean_volume(inputs, window), 0.0)


@volume_family(20)
def money_flow(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Σ close location · volume over Σ volume, in [−1, 1] (Chaikin)."""
    flow = close_location(inputs) * inputs.bars.volume
    return ratio(moving_sum(flow, window), window * _mean_volume(inputs, window), 0.0)


@volume_family(14, more=1)
def money_flow_index(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Share of the money (typical price · volume) that came with a rising typical price; ½ without any."""
    typical = inputs.bars.high + inputs.bars.low + inputs.bars.close
    money = np.where(np.isnan(shifted(typical, 1)), np.nan, typical * inputs.bars.volume)
    rising = np.where(typical > shifted(typical, 1), money, 0.0 * money)
    moved = np.where(typical == shifted(typical, 1), 0.0 * money, money)
    return ratio(moving_sum(rising, window), moving_sum(moved, window), 0.5)


@volume_family(20, more=41, windowed=False)  # the first close of all is its origin
def average_price_gap(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Log close less its volume-weighted mean, in deviations of 60 returns · √window."""
    logs = log_of(inputs, "close")
    base = logs[0]
    mean = ratio(moving_sum((logs - base) * inputs.bars.volume, window), window * _mean_volume(inputs, window), np.nan)
    gap = np.where(_mean_volume(inputs, window) == 0.0, 0.0, logs - base - mean)
    return in_deviations(inputs, gap, 60, window)


@volume_family(30, more=1)
def volume_impact(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Correlation of |r| and volume over the window, in [−1, 1]; 0 where either does not vary."""
    return moving_correlation(absolute_returns(inputs), inputs.bars.volume, window)


@feature("volume_change", warm_up=20, memory=21, needs=("volume",), windowed=True)
def _volume_change(inputs: FeatureInputs) -> np.ndarray:
    """Change of the volume to the bar before over the mean of 20 bars, in [−20, 20]; 0 without volume."""
    volume = inputs.bars.volume
    return ratio(volume - shifted(volume, 1), _mean_volume(inputs, 20), 0.0)
