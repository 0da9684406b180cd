"""Worlds of a single regime, noiseless unless told otherwise: what a label must recognise."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from regimegym.common.checks import check_at_least, check_not_negative, check_number
from regimegym.common.regimes import Regime
from regimegym.features.synthetic.bars import bars_from_log_prices, log_before
from regimegym.features.synthetic.world import WORLDS, Truth, World

LEAST_BARS = 2


@WORLDS.register("uptrend")
@dataclass(frozen=True)
class UptrendSettings:
    """A log price that rises by `drift` per bar, with returns of deviation `noise` about it."""

    drift: float = 0.001
    noise: float = 0.0

    regime: ClassVar[Regime] = Regime.UPTREND
    direction: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        check_not_negative("drift", self.drift)
        check_not_negative("noise", self.noise)

    def draw(self, n_bars: int, rng: np.random.Generator) -> World:
        """The world; the same regime in every bar."""
        check_at_least("n_bars", n_bars, LEAST_BARS)
        drift = np.full(n_bars, self.direction * self.drift)
        volatility = np.full(n_bars, self.noise)
        log_close = np.cumsum(drift + volatility * rng.standard_normal(n_bars))
        bars = bars_from_log_prices(log_close, volatility, rng, source=f"{self}.draw({n_bars})")
        return World(bars, Truth(_all(self.regime, n_bars), drift, volatility, is_scheduled=True))


@WORLDS.register("downtrend")
@dataclass(frozen=True)
class DowntrendSettings(UptrendSettings):
    """A log price that falls by `drift` per bar."""

    regime: ClassVar[Regime] = Regime.DOWNTREND
    direction: ClassVar[float] = -1.0


@WORLDS.register("flat")
@dataclass(frozen=True)
class FlatSettings(UptrendSettings):
    """A log price that does not move but for its noise."""

    drift: float = 0.0
    regime: ClassVar[Regime] = Regime.PLATEAU


@WORLDS.register("oscillation")
@dataclass(frozen=True)
class OscillationSettings:
    """A short wave amplitude·sin(2πt/period) in log price, with noise about it; `period` in bars."""

    period: float = 10.0
    amplitude: float = 0.02
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_number("period", self.period, "> 2", lambda v: v > 2)
        check_not_negative("amplitude", self.amplitude)
        check_not_negative("noise", self.noise)

    def draw(self, n_bars: int, rng: np.random.Generator) -> World:
        """The world; its centre is the wave."""
        check_at_least("n_bars", n_bars, LEAST_BARS)
        wave = self.amplitude * np.sin(2.0 * np.pi * np.arange(n_bars) / self.period)
        volatility = np.full(n_bars, self.noise)
        log_close = wave + volatility * rng.standard_normal(n_bars)
        bars = bars_from_log_prices(log_close, volatility, rng, source=f"{self}.draw({n_bars})")
        return World(bars, Truth(_all(Regime.OSCILLATING, n_bars), wave - log_before(log_close), volatility, wave))


def _all(regime: Regime, n_bars: int) -> np.ndarray:
    return np.full(n_bars, regime, dtype=np.int8)
