"""The registered features: each a named, causal, scale-free function of bars and regimes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from regimegym.common.regimes import REGIMES, Regime
from regimegym.common.registry import Registry
from regimegym.features import indicators
from regimegym.features.bars import Bars
from regimegym.features.regimes import Regimes

Compute = Callable[[Bars, Regimes], np.ndarray]

VOLATILITY_BARS = 60  # after one span the EWMA volatility rests on enough returns
HORIZONS = (2, 5, 10, 20, 40, 80)
AVERAGE_SPANS = (5, 20, 60)


@dataclass(frozen=True)
class Feature:
    """A column: `compute(bars, regimes)` gives (T,) float64; the first `warm_up` rows do not count.

    `warm_up` rows may hold anything, NaN too; every later value is finite and uses bars ≤ t only.
    """

    name: str
    compute: Compute
    warm_up: int


FEATURES: Registry[Feature] = Registry("feature")


def feature(name: str, warm_up: int) -> Callable[[Compute], Compute]:
    """Decorator that registers a function of (bars, regimes) as the feature `name`."""

    def register(compute: Compute) -> Compute:
        FEATURES.register(name)(Feature(name, compute, warm_up))
        return compute

    return register


def _return(bars: Bars, regimes: Regimes, horizon: int) -> np.ndarray:
    return indicators.in_volatility(indicators.log_returns(bars.close, horizon), bars.close, horizon)


for _horizon in (1, *HORIZONS):
    feature(f"return_{_horizon}", max(VOLATILITY_BARS, _horizon))(partial(_return, horizon=_horizon))


@feature("trend_score", warm_up=0)
def _trend_score(bars: Bars, regimes: Regimes) -> np.ndarray:
    return regimes.z


@feature("relative_volatility", warm_up=0)
def _relative_volatility(bars: Bars, regimes: Regimes) -> np.ndarray:
    return regimes.v


def _average_gap(bars: Bars, regimes: Regimes, span: int) -> np.ndarray:
    return indicators.average_gap(bars.close, span)


for _span in AVERAGE_SPANS:
    feature(f"average_gap_{_span}", max(VOLATILITY_BARS, 2 * _span))(partial(_average_gap, span=_span))


@feature("volatility_ratio", warm_up=120)
def _volatility_ratio(bars: Bars, regimes: Regimes) -> np.ndarray:
    return indicators.volatility_ratio(bars.close, fast=10, slow=120)


@feature("adx", warm_up=150)
def _adx(bars: Bars, regimes: Regimes) -> np.ndarray:
    return indicators.average_directional_index(bars.high, bars.low, bars.close)


@feature("slope", warm_up=VOLATILITY_BARS)
def _slope(bars: Bars, regimes: Regimes) -> np.ndarray:
    return indicators.in_volatility(indicators.log_slope(bars.close), bars.close, 1)


@feature("persistence", warm_up=20)
def _persistence(bars: Bars, regimes: Regimes) -> np.ndarray:
    return indicators.trend_persistence(bars.close)


@feature("rsi", warm_up=100)
def _rsi(bars: Bars, regimes: Regimes) -> np.ndarray:
    return indicators.relative_strength_index(bars.close)


@feature("stochastic_k", warm_up=17)
def _stochastic_k(bars: Bars, regimes: Regimes) -> np.ndarray:
    return indicators.stochastic(bars.high, bars.low, bars.close)[0]


@feature("stochastic_d", warm_up=17)
def _stochastic_d(bars: Bars, regimes: Regimes) -> np.ndarray:
    return indicators.stochastic(bars.high, bars.low, bars.close)[1]


@feature("bollinger_position", warm_up=19)
def _bollinger_position(bars: Bars, regimes: Regimes) -> np.ndarray:
    return indicators.bollinger(bars.close)[0]


@feature("bollinger_width", warm_up=VOLATILITY_BARS)
def _bollinger_width(bars: Bars, regimes: Regimes) -> np.ndarray:
    return indicators.in_volatility(indicators.bollinger(bars.close)[1], bars.close, 1)


def _probability(bars: Bars, regimes: Regimes, regime: Regime) -> np.ndarray:
    return regimes.probabilities[:, regime]


for _regime in REGIMES:
    feature(f"probability_{_regime.name.lower()}", warm_up=0)(partial(_probability, regime=_regime))


@feature("volume_z", warm_up=59)
def _volume_z(bars: Bars, regimes: Regimes) -> np.ndarray:
    return indicators.rolling_z_score(bars.volume, 60)


DEFAULT_SET = tuple(FEATURES)
