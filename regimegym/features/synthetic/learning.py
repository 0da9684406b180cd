"""The four worlds in which learners are measured: sine, regime, ou, gbm.

Log prices; the open is the close before it. High and low leave open and close by a deviation
that is the same in every bar and independent of everything else, and so does the volume: they
tell nothing about hidden states that the closes do not tell, so a ceiling computed from closes
is the ceiling of every causal policy.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from regimegym.common.checks import check_at_least, check_choice, check_not_negative, check_number
from regimegym.common.regimes import N_REGIMES, Regime
from regimegym.features.synthetic.bars import bars_from_log_prices, log_before
from regimegym.features.synthetic.processes import markov_states, regime_log_prices
from regimegym.features.synthetic.world import WORLDS, Truth, World, WorldSettings, draw_world

LEAST_BARS = 2
LEARNING_WORLDS = ("sine", "regime", "ou", "gbm")


def learning_world(name: str, n_bars: int, rng: np.random.Generator, settings: WorldSettings | None = None) -> World:
    """One of LEARNING_WORLDS; arguments and errors as in `draw_world`."""
    check_choice("learning world", name, LEARNING_WORLDS)
    return draw_world(name, n_bars, rng, settings)


@WORLDS.register("sine")
@dataclass(frozen=True)
class SineSettings:
    """Log price amplitude·sin(2πt/period + φ) + N(0, noise), φ drawn; `period` in bars."""

    period: float = 40.0
    amplitude: float = 0.05
    noise: float = 0.002
    wick_sd: float = 0.002

    def __post_init__(self) -> None:
        check_number("period", self.period, "> 2", lambda v: v > 2)
        for name in ("amplitude", "noise", "wick_sd"):
            check_not_negative(name, getattr(self, name))

    def draw(self, n_bars: int, rng: np.random.Generator) -> World:
        """The world; its centre is the noiseless wave."""
        check_at_least("n_bars", n_bars, LEAST_BARS)
        phase = rng.uniform(0.0, 2.0 * np.pi)
        wave = self.amplitude * np.sin(2.0 * np.pi * np.arange(n_bars) / self.period + phase)
        log_close = wave + self.noise * rng.standard_normal(n_bars)
        truth = Truth(expected=wave - log_before(log_close), centre=wave, volatility=np.full(n_bars, self.noise))
        return _world(log_close, truth, self.wick_sd, rng, self)


@WORLDS.register("regime")
@dataclass(frozen=True)
class RegimeSwitchSettings:
    """Four hidden states, log return per bar.

    Attributes:
        mean_stay: mean length of a state in bars (geometric); the next is one of the other three.
        drift, trend_sd: rise or fall per bar in a trend, and the deviation about it.
        plateau_sd: deviation of a bar in a plateau.
        oscillation_memory, oscillation_sd: φ and the innovation's deviation of the AR(1) about the
            log price at which the oscillation began.
        wick_sd: deviation of high and low from open and close, the same in every state.
    """

    mean_stay: float = 120.0
    drift: float = 0.001
    trend_sd: float = 0.004
    plateau_sd: float = 0.0015
    oscillation_memory: float = 0.85
    oscillation_sd: float = 0.006
    wick_sd: float = 0.002

    def __post_init__(self) -> None:
        check_number("mean_stay", self.mean_stay, "≥ 1", lambda v: v >= 1)
        check_number("drift", self.drift, "finite", lambda _: True)
        check_number("oscillation_memory", self.oscillation_memory, "in [0, 1)", lambda v: 0 <= v < 1)
        for name in ("trend_sd", "plateau_sd", "oscillation_sd", "wick_sd"):
            check_not_negative(name, getattr(self, name))

    def draw(self, n_bars: int, rng: np.random.Generator) -> World:
        """The world; its centre is that of the oscillations."""
        check_at_least("n_bars", n_bars, LEAST_BARS)
        return self.with_states(markov_states(n_bars, self.mean_stay, rng), rng)

    def with_states(self, states: np.ndarray, rng: np.random.Generator) -> World:
        """The world whose hidden states (T,) int8, codes of Regime, are given."""
        log_close = regime_log_prices(
            states,
            rng.standard_normal(len(states)),
            self.drift,
            self.trend_sd,
            self.plateau_sd,
            self.oscillation_sd,
            self.oscillation_memory,
            0.0,
        )
        return _world(log_close, self._truth(states, log_close), self.wick_sd, rng, self)

    def _truth(self, states: np.ndarray, log_close: np.ndarray) -> Truth:
        before = log_before(log_close)
        begins = np.concatenate([[True], states[1:] != states[:-1]])
        since = np.maximum.accumulate(np.where(begins, np.arange(len(states)), 0))
        oscillates = states == Regime.OSCILLATING
        centre = np.where(oscillates, before[since], np.nan)
        drift_of = np.zeros(N_REGIMES)
        drift_of[Regime.UPTREND], drift_of[Regime.DOWNTREND] = self.drift, -self.drift
        pull = (1.0 - self.oscillation_memory) * (centre - before)
        sd_of = np.full(N_REGIMES, self.trend_sd)
        sd_of[Regime.PLATEAU], sd_of[Regime.OSCILLATING] = self.plateau_sd, self.oscillation_sd
        return Truth(states, np.where(oscillates, pull, drift_of[states]), sd_of[states], centre)


@WORLDS.register("ou")
@dataclass(frozen=True)
class OUSettings:
    """Log price AR(1) about 0: x_t = memory·x_{t−1} + N(0, sd), begun in its stationary law."""

    memory: float = 0.95
    sd: float = 0.01
    wick_sd: float = 0.002

    def __post_init__(self) -> None:
        check_number("memory", self.memory, "in [0, 1)", lambda v: 0 <= v < 1)
        check_not_negative("sd", self.sd)
        check_not_negative("wick_sd", self.wick_sd)

    def draw(self, n_bars: int, rng: np.random.Generator) -> World:
        """The world; its centre is 0 throughout."""
        check_at_least("n_bars", n_bars, LEAST_BARS)
        shocks = self.sd * rng.standard_normal(n_bars)
        shocks[0] /= np.sqrt(1.0 - self.memory**2)
        log_close = lfilter([1.0], [1.0, -self.memory], shocks)
        truth = Truth(
            expected=(self.memory - 1.0) * log_before(log_close),
            centre=np.zeros(n_bars),
            volatility=np.full(n_bars, self.sd),
        )
        return _world(log_close, truth, self.wick_sd, rng, self)


@WORLDS.register("gbm")
@dataclass(frozen=True)
class GBMSettings:
    """Log returns N(drift, sd); without drift staying flat is the best that can be."""

    drift: float = 0.0
    sd: float = 0.01
    wick_sd: float = 0.002

    def __post_init__(self) -> None:
        check_number("drift", self.drift, "finite", lambda _: True)
        check_not_negative("sd", self.sd)
        check_not_negative("wick_sd", self.wick_sd)

    def draw(self, n_bars: int, rng: np.random.Generator) -> World:
        """The world; nothing but its drift is ever expected of it."""
        check_at_least("n_bars", n_bars, LEAST_BARS)
        log_close = np.cumsum(self.drift + self.sd * rng.standard_normal(n_bars))
        truth = Truth(expected=np.full(n_bars, self.drift), volatility=np.full(n_bars, self.sd), is_scheduled=True)
        return _world(log_close, truth, self.wick_sd, rng, self)


def _world(
    log_close: np.ndarray, truth: Truth, wick_sd: float, rng: np.random.Generator, settings: WorldSettings
) -> World:
    wick = np.full(len(log_close), wick_sd)
    return World(bars_from_log_prices(log_close, wick, rng, source=f"{settings}.draw({len(log_close)})"), truth)
