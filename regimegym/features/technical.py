"""Indicators of TA-Lib and exponential averages, in units that do not depend on the price."""

from functools import partial

import numpy as np

from regimegym.features import indicators, ta
from regimegym.features.feature import FeatureInputs, ewma_memory, feature, wilder_memory
from regimegym.features.moving import change, moving_sum, ratio, shifted
from regimegym.features.rolling import ewma
from regimegym.features.steps import deviation, in_deviations, log_of, log_returns, regression, unit_prices

SCALE_BARS = 60  # returns whose deviation is the unit of the averages' gaps
MACD = (12, 26, 9)


def _rsi(inputs: FeatureInputs, window: int) -> np.ndarray:
    return indicators.relative_strength_index(unit_prices(inputs)[3], window)


for _window in (7, 21):
    feature(f"rsi_{_window}", 8 * _window, wilder_memory(_window))(partial(_rsi, window=_window))


@feature("adx_7", warm_up=75, memory=wilder_memory(7))
def _adx(inputs: FeatureInputs) -> np.ndarray:
    return indicators.average_directional_index(*unit_prices(inputs)[1:], window=7)


@feature("plus_di", warm_up=100, memory=wilder_memory(14))
def _plus_di(inputs: FeatureInputs) -> np.ndarray:
    return ta.PLUS_DI(*unit_prices(inputs)[1:], timeperiod=14)


@feature("minus_di", warm_up=100, memory=wilder_memory(14))
def _minus_di(inputs: FeatureInputs) -> np.ndarray:
    return ta.MINUS_DI(*unit_prices(inputs)[1:], timeperiod=14)


def _commodity_channel(inputs: FeatureInputs, window: int) -> np.ndarray:
    return ta.CCI(*unit_prices(inputs)[1:], timeperiod=window)


for _window in (14, 40):
    feature(f"commodity_channel_{_window}", _window - 1, _window)(partial(_commodity_channel, window=_window))


@feature("ultimate_oscillator", warm_up=28, memory=29)
def _ultimate_oscillator(inputs: FeatureInputs) -> np.ndarray:
    """TA-Lib ULTOSC (7, 14, 28) in [0, 100]; 50 where a window has no range at all."""
    ranges = inputs.shared("true_range", lambda: ta.TRANGE(*unit_prices(inputs)[1:]))
    still = moving_sum(ranges, 7) <= 1e-14
    return np.where(still, 50.0, ta.ULTOSC(*unit_prices(inputs)[1:]))


def _macd(inputs: FeatureInputs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return inputs.shared("macd", lambda: ta.MACD(log_of(inputs, "close"), *MACD))


for _i, _name in enumerate(("macd", "macd_signal", "macd_histogram")):

    @feature(_name, warm_up=150, memory=2 * ewma_memory(26))
    def _part_of_macd(inputs: FeatureInputs, part: int = _i) -> np.ndarray:
        return in_deviations(inputs, _macd(inputs)[part], SCALE_BARS, MACD[1])


@feature("trix", warm_up=120, memory=2 * ewma_memory(15))
def _trix(inputs: FeatureInputs) -> np.ndarray:
    """Change per bar of the triple exponential average of log close, in deviations."""
    smooth = log_of(inputs, "close")
    for _ in range(3):
        smooth = ewma(smooth, 15)
    return in_deviations(inputs, change(smooth, 1), SCALE_BARS)


def _average(inputs: FeatureInputs, span: int) -> np.ndarray:
    return inputs.whole(("ewma", span), lambda inputs: ewma(log_of(inputs, "close"), span))


def _double(inputs: FeatureInputs) -> np.ndarray:
    """DEMA: 2·EMA − EMA of the EMA."""
    once = _average(inputs, 20)
    return 2.0 * once - ewma(once, 20)


def _gap_to(inputs: FeatureInputs, average: np.ndarray, span: int) -> np.ndarray:
    return in_deviations(inputs, log_of(inputs, "close") - average, SCALE_BARS, span)


for _span in (10, 40):

    @feature(f"average_gap_{_span}", max(SCALE_BARS, 2 * _span), ewma_memory(_span), windowed=True)
    def _average_gap(inputs: FeatureInputs, span: int = _span) -> np.ndarray:
        return _gap_to(inputs, _average(inputs, span), span)


@feature("double_average_gap", warm_up=SCALE_BARS, memory=2 * ewma_memory(20))
def _double_average_gap(inputs: FeatureInputs) -> np.ndarray:
    return _gap_to(inputs, _double(inputs), 20)


@feature("weighted_average_gap", warm_up=SCALE_BARS, memory=SCALE_BARS + 1)
def _weighted_average_gap(inputs: FeatureInputs) -> np.ndarray:
    return _gap_to(inputs, ta.WMA(log_of(inputs, "close"), 20), 20)


for _fast, _slow in ((5, 20), (10, 40)):

    @feature(f"average_cross_{_fast}_{_slow}", max(SCALE_BARS, 2 * _slow), ewma_memory(_slow), windowed=True)
    def _average_cross(inputs: FeatureInputs, fast: int = _fast, slow: int = _slow) -> np.ndarray:
        return in_deviations(inputs, _average(inputs, fast) - _average(inputs, slow), SCALE_BARS, slow)


@feature("keltner_position", warm_up=SCALE_BARS, memory=ewma_memory(20), windowed=True)
def _keltner_position(inputs: FeatureInputs) -> np.ndarray:
    """Log close minus its exponential average of 20 bars, in mean log ranges of 20 bars."""
    ranges = inputs.shared("log_range", lambda: log_of(inputs, "high") - log_of(inputs, "low"))
    return ratio(log_of(inputs, "close") - _average(inputs, 20), moving_sum(ranges, 20) / 20.0, 0.0)


for _fast, _slow in ((5, 20), (20, 120)):

    @feature(f"volatility_ratio_{_fast}_{_slow}", warm_up=_slow, memory=_slow + 1, windowed=True)
    def _volatility_ratio(inputs: FeatureInputs, fast: int = _fast, slow: int = _slow) -> np.ndarray:
        """Deviation of few over deviation of many returns; 1 where nothing moved."""
        return ratio(deviation(inputs, fast), deviation(inputs, slow), 1.0)


for _lag in (1, 2, 3, 4, 5):

    @feature(f"return_1_lag_{_lag}", SCALE_BARS + _lag, SCALE_BARS + _lag + 1, windowed=True)
    def _lagged_return(inputs: FeatureInputs, lag: int = _lag) -> np.ndarray:
        """Log return of `lag` bars ago, in today's deviations."""
        return in_deviations(inputs, shifted(log_returns(inputs), lag), SCALE_BARS)


for _name, _warm_up, _memory in (
    ("rsi", 100, wilder_memory(14)),
    ("adx", 150, wilder_memory(14)),
    ("momentum_30", 30, 31),
    ("volatility_ratio_5_20", 20, 21),
):

    @feature(f"{_name}_change", warm_up=_warm_up + 5, memory=_memory + 5)
    def _change_over_five_bars(inputs: FeatureInputs, of: str = _name) -> np.ndarray:
        return change(inputs.column(of), 5)


@feature("trend_strength", warm_up=SCALE_BARS, memory=SCALE_BARS + 1, windowed=True)
def _trend_strength(inputs: FeatureInputs) -> np.ndarray:
    """|slope of log close over 14 bars|, in deviations per bar."""
    return np.abs(in_deviations(inputs, regression(inputs, 14)[0], SCALE_BARS))
