"""The features of the default set: returns, trend, momentum, bands, regimes, volume."""

from functools import partial

import numpy as np

from regimegym.common.regimes import REGIMES, Regime
from regimegym.features import indicators
from regimegym.features.feature import FeatureInputs, ewma_memory, feature, wilder_memory
from regimegym.features.moving import ratio
from regimegym.features.rolling import ewma
from regimegym.features.steps import log_of, log_returns, squared_returns

VOLATILITY_BARS = 60  # after one span the EWMA volatility rests on enough returns
VOLATILITY_MEMORY = ewma_memory(60)
HORIZONS = (2, 5, 10, 20, 40, 80)
AVERAGE_SPANS = (5, 20, 60)


def volatility(inputs: FeatureInputs) -> np.ndarray:
    """σ_t, the EWMA volatility per bar that changes are measured in, (T,)."""
    return inputs.shared("volatility", lambda: indicators.root_ewma(squared_returns(inputs), 60.0))


def in_volatility(inputs: FeatureInputs, change: np.ndarray, bars: float) -> np.ndarray:
    """A log change over `bars` bars in units of σ_t·√bars; 0 where the price has not moved."""
    return ratio(change, inputs.shared(("unit", bars), lambda: volatility(inputs) * np.sqrt(bars)), 0.0)


def _return(inputs: FeatureInputs, horizon: int) -> np.ndarray:
    return in_volatility(inputs, log_returns(inputs, horizon), horizon)


for _horizon in (1, *HORIZONS):
    feature(f"return_{_horizon}", max(VOLATILITY_BARS, _horizon), VOLATILITY_MEMORY)(partial(_return, horizon=_horizon))


@feature("trend_score", warm_up=0, memory=1)
def _trend_score(inputs: FeatureInputs) -> np.ndarray:
    return inputs.regimes.z


@feature("relative_volatility", warm_up=0, memory=1)
def _relative_volatility(inputs: FeatureInputs) -> np.ndarray:
    return inputs.regimes.v


def _average_gap(inputs: FeatureInputs, span: int) -> np.ndarray:
    logs = log_of(inputs, "close")
    return in_volatility(inputs, logs - ewma(logs, span), span)


for _span in AVERAGE_SPANS:
    feature(f"average_gap_{_span}", max(VOLATILITY_BARS, 2 * _span), VOLATILITY_MEMORY)(
        partial(_average_gap, span=_span)
    )


@feature("volatility_ratio", warm_up=120, memory=ewma_memory(120))
def _volatility_ratio(inputs: FeatureInputs) -> np.ndarray:
    fast, slow = (indicators.root_ewma(squared_returns(inputs), span) for span in (10.0, 120.0))
    return indicators.log_ratio(fast, slow)


@feature("adx", warm_up=150, memory=wilder_memory(14))
def _adx(inputs: FeatureInputs) -> np.ndarray:
    bars = inputs.bars
    return indicators.average_directional_index(bars.high, bars.low, bars.close)


@feature("slope", warm_up=VOLATILITY_BARS, memory=VOLATILITY_MEMORY)
def _slope(inputs: FeatureInputs) -> np.ndarray:
    return in_volatility(inputs, indicators.log_slope(inputs.bars.close), 1)


@feature("persistence", warm_up=20, memory=22)
def _persistence(inputs: FeatureInputs) -> np.ndarray:
    return indicators.trend_persistence(inputs.bars.close)


@feature("rsi", warm_up=100, memory=wilder_memory(14))
def _rsi(inputs: FeatureInputs) -> np.ndarray:
    return indicators.relative_strength_index(inputs.bars.close)


def _stochastic(inputs: FeatureInputs) -> tuple[np.ndarray, np.ndarray]:
    bars = inputs.bars
    return inputs.shared("stochastic", lambda: indicators.stochastic(bars.high, bars.low, bars.close))


@feature("stochastic_k", warm_up=17, memory=18)
def _stochastic_k(inputs: FeatureInputs) -> np.ndarray:
    return _stochastic(inputs)[0]


@feature("stochastic_d", warm_up=17, memory=18)
def _stochastic_d(inputs: FeatureInputs) -> np.ndarray:
    return _stochastic(inputs)[1]


def _bollinger(inputs: FeatureInputs) -> tuple[np.ndarray, np.ndarray]:
    return inputs.shared("bollinger", lambda: indicators.bollinger(inputs.bars.close))


@feature("bollinger_position", warm_up=19, memory=20)
def _bollinger_position(inputs: FeatureInputs) -> np.ndarray:
    return _bollinger(inputs)[0]


@feature("bollinger_width", warm_up=VOLATILITY_BARS, memory=VOLATILITY_MEMORY)
def _bollinger_width(inputs: FeatureInputs) -> np.ndarray:
    return in_volatility(inputs, _bollinger(inputs)[1], 1)


def _probability(inputs: FeatureInputs, regime: Regime) -> np.ndarray:
    return inputs.regimes.probabilities[:, regime]


for _regime in REGIMES:
    feature(f"probability_{_regime.name.lower()}", warm_up=0, memory=1)(partial(_probability, regime=_regime))


@feature("volume_z", warm_up=59, memory=60)  # 0 where there is no volume: it needs none
def _volume_z(inputs: FeatureInputs) -> np.ndarray:
    return indicators.rolling_z_score(inputs.bars.volume, 60)
