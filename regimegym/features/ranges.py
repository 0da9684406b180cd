"""Features of a bar's shape and range: candles, true ranges, volatility from open, high, low and close."""

import numpy as np

from regimegym.features import ta
from regimegym.features.families import family
from regimegym.features.feature import FeatureInputs, feature
from regimegym.features.moving import moving_mean_sd, moving_sum, ratio, shifted
from regimegym.features.steps import deviation, in_deviations, log_of, unit_prices

LN_2 = float(np.log(2.0))


def _log_range(inputs: FeatureInputs) -> np.ndarray:
    return inputs.shared("log_range", lambda: log_of(inputs, "high") - log_of(inputs, "low"))


def _root_mean(variances: np.ndarray, window: int) -> np.ndarray:
    return np.sqrt(np.maximum(moving_sum(variances, window) / window, 0.0))


@family(20, 60, more=0)
def parkinson(inputs: FeatureInputs, window: int) -> np.ndarray:
    """√ mean (ln H/L)² / (4 ln 2): volatility per bar (Parkinson 1980)."""
    return inputs.shared(("parkinson", window), lambda: _root_mean(_log_range(inputs) ** 2 / (4.0 * LN_2), window))


@family(20, 60, more=0)
def garman_klass(inputs: FeatureInputs, window: int) -> np.ndarray:
    """√ mean [½ (ln H/L)² − (2 ln 2 − 1)(ln C/O)²]: volatility per bar (Garman and Klass 1980)."""

    def make() -> np.ndarray:
        return 0.5 * _log_range(inputs) ** 2 - (2.0 * LN_2 - 1.0) * _log_body(inputs) ** 2

    return _root_mean(inputs.shared("garman_klass", make), window)


def _gap(inputs: FeatureInputs) -> np.ndarray:
    """ln O_t − ln C_{t−1}, (T,)."""
    return inputs.shared("log_gap", lambda: log_of(inputs, "open") - shifted(log_of(inputs, "close"), 1))


def _log_body(inputs: FeatureInputs) -> np.ndarray:
    return inputs.shared("log_body", lambda: log_of(inputs, "close") - log_of(inputs, "open"))


def _rogers_satchell_variances(inputs: FeatureInputs) -> np.ndarray:
    def make() -> np.ndarray:
        high, low, close = (log_of(inputs, name) for name in ("high", "low", "close"))
        start = log_of(inputs, "open")
        return (high - close) * (high - start) + (low - close) * (low - start)

    return inputs.shared("rogers_satchell", make)


@family(20, 60, more=0)
def rogers_satchell(inputs: FeatureInputs, window: int) -> np.ndarray:
    """√ mean [ln H/C · ln H/O + ln L/C · ln L/O]: volatility per bar, free of drift (1991)."""
    return _root_mean(_rogers_satchell_variances(inputs), window)


@family(20, 60)
def yang_zhang(inputs: FeatureInputs, window: int) -> np.ndarray:
    """√ [σ²_open + k σ²_close + (1 − k) σ²_RS]: volatility per bar with gaps, free of drift (2000)."""
    k = 0.34 / (1.34 + (window + 1.0) / (window - 1.0))
    unbiased = window / (window - 1.0)
    of_gaps = unbiased * moving_mean_sd(_gap(inputs), window)[1] ** 2
    of_bodies = unbiased * moving_mean_sd(_log_body(inputs), window)[1] ** 2
    within = np.maximum(moving_sum(_rogers_satchell_variances(inputs), window) / window, 0.0)
    return np.sqrt(of_gaps + k * of_bodies + (1.0 - k) * within)


@family(20, 60)
def range_ratio(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Parkinson volatility over the deviation of the closes; 1 where nothing moved."""
    return ratio(parkinson(inputs, window), deviation(inputs, window), 1.0)


@family(10, 30, more=0)
def range_expansion(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Log range of the bar over the window's mean, in [0, window]; 1 where there is no range."""
    ranges = _log_range(inputs)
    return ratio(ranges, moving_sum(ranges, window) / window, 1.0)


def _edges(inputs: FeatureInputs) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """High and low of each bar, and of the bar before it."""
    high, low = inputs.bars.high, inputs.bars.low
    return (high, low), inputs.shared("edges_before", lambda: (shifted(high, 1), shifted(low, 1)))


def _height(inputs: FeatureInputs) -> np.ndarray:
    return inputs.shared("height", lambda: inputs.bars.high - inputs.bars.low)


@feature("body", warm_up=0, memory=1, windowed=True)
def body(inputs: FeatureInputs) -> np.ndarray:
    """(C − O)/(H − L), in [−1, 1]; 0 without a range."""
    return inputs.shared("body", lambda: ratio(inputs.bars.close - inputs.bars.open, _height(inputs), 0.0))


@feature("upper_shadow", warm_up=0, memory=1, windowed=True)
def upper_shadow(inputs: FeatureInputs) -> np.ndarray:
    """(H − max(O, C))/(H − L), in [0, 1]; 0 without a range."""
    bars = inputs.bars
    return inputs.shared(
        "upper_shadow", lambda: ratio(bars.high - np.maximum(bars.open, bars.close), _height(inputs), 0.0)
    )


@feature("lower_shadow", warm_up=0, memory=1, windowed=True)
def lower_shadow(inputs: FeatureInputs) -> np.ndarray:
    """(min(O, C) − L)/(H − L), in [0, 1]; 0 without a range."""
    bars = inputs.bars
    return inputs.shared(
        "lower_shadow", lambda: ratio(np.minimum(bars.open, bars.close) - bars.low, _height(inputs), 0.0)
    )


@feature("close_location", warm_up=0, memory=1, windowed=True)
def close_location(inputs: FeatureInputs) -> np.ndarray:
    """Where the close lies between low (−1) and high (1) of its bar; 0 without a range."""
    bars = inputs.bars
    return ratio(2.0 * bars.close - bars.high - bars.low, _height(inputs), 0.0)


@family(5, 20, more=0)
def body_mean(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Mean body of the window, in [−1, 1]."""
    return moving_sum(body(inputs), window) / window


@family(10, more=0)
def shadow_balance(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Mean of lower minus upper shadow, in [−1, 1]: who was turned back."""
    return moving_sum(lower_shadow(inputs) - upper_shadow(inputs), window) / window


@family(20)
def inside_share(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Share of bars that lie within the range of the bar before them."""
    (high, low), (before_high, before_low) = _edges(inputs)
    inside = np.where(np.isnan(before_high), np.nan, (high <= before_high) & (low >= before_low))
    return moving_sum(inside, window) / window


@family(20)
def outside_share(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Share of bars that reach beyond the bar before them on both sides."""
    (high, low), (before_high, before_low) = _edges(inputs)
    outside = np.where(np.isnan(before_high), np.nan, (high > before_high) & (low < before_low))
    return moving_sum(outside, window) / window


@feature("overlap", warm_up=1, memory=2, windowed=True)
def overlap(inputs: FeatureInputs) -> np.ndarray:
    """Common part of this bar's and the last bar's range over their union, in [−1, 1]; 1 without a range."""
    (high, low), (before_high, before_low) = _edges(inputs)
    common = np.minimum(high, before_high) - np.maximum(low, before_low)
    return ratio(common, np.maximum(high, before_high) - np.minimum(low, before_low), 1.0)


@feature("opening_gap", warm_up=60, memory=61, needs=("gaps",), windowed=True)
def opening_gap(inputs: FeatureInputs) -> np.ndarray:
    """ln O_t − ln C_{t−1} in deviations of 60 returns."""
    return in_deviations(inputs, _gap(inputs), 60)


@family(14, 50)
def true_range(inputs: FeatureInputs, window: int) -> np.ndarray:
    """Mean true range of the window over the close."""

    def make() -> np.ndarray:
        _, high, low, close = unit_prices(inputs)
        return ta.TRANGE(high, low, close)

    ranges = inputs.shared("true_range", make)
    return moving_sum(ranges, window) / window / unit_prices(inputs)[3]
