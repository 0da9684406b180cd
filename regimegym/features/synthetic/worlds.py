"""Synthetic markets: regime-switching with known truth, a sine, a driftless walk."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from regimegym.common.checks import check_at_least, check_between, check_not_negative, check_number
from regimegym.common.regimes import Regime
from regimegym.common.seeding import generator
from regimegym.features.bars import Bars
from regimegym.features.synthetic.bars import bars_from_log_prices
from regimegym.features.synthetic.processes import markov_states, regime_log_prices, volatility_factor

LEAST_BARS = 2


class SyntheticMarket(NamedTuple):
    """Bars and the hidden truth: `true_regimes` (T,) int8, the state that made each bar's move."""

    bars: Bars
    true_regimes: np.ndarray


@dataclass(frozen=True)
class RegimeMarketSettings:
    """The regime-switching market; rates and deviations are log price per bar.

    Attributes:
        mean_stay: mean length of a regime in bars (geometric).
        drift: rise or fall per bar in a trend.
        trend_sd, plateau_sd, oscillation_sd: deviation of a bar's shock in each regime.
        oscillation_memory: φ of the AR(1) about the price at which an oscillation began.
        volatility_persistence, volatility_sd: AR(1) of the log of the volatility factor that all
            regimes share (root mean square 1): 0.98 halves a burst in 34 bars.
        gap_share: deviation of the open from the close before it, as a share of the bar's sd.
        pull: share of the log price that is drawn back to the start per bar. Without it the sum
            of the trends strays to factors of hundreds within 50,000 bars; 1e-4 keeps the price
            within about 1/10 to 10 times its start and is far too slow to be traded.
    """

    mean_stay: float = 120.0
    drift: float = 0.001
    trend_sd: float = 0.004
    plateau_sd: float = 0.0015
    oscillation_sd: float = 0.006
    oscillation_memory: float = 0.85
    volatility_persistence: float = 0.98
    volatility_sd: float = 0.25
    gap_share: float = 0.02
    pull: float = 0.0001

    def __post_init__(self) -> None:
        check_number("mean_stay", self.mean_stay, "≥ 1", lambda v: v >= 1)
        for name in ("trend_sd", "plateau_sd", "oscillation_sd", "volatility_sd", "gap_share"):
            check_not_negative(name, getattr(self, name))
        check_number("drift", self.drift, "finite", lambda _: True)
        check_between("pull", self.pull, 0.0, 1.0)
        for name in ("oscillation_memory", "volatility_persistence"):
            value = getattr(self, name)
            check_number(name, value, "in [0, 1)", lambda v: 0 <= v < 1)


def regime_switching_market(
    n_bars: int, random_seed: int, settings: RegimeMarketSettings | None = None
) -> SyntheticMarket:
    """Four hidden Markov regimes with clustered volatility, `n_bars` ≥ 2 hourly bars."""
    check_at_least("n_bars", n_bars, LEAST_BARS)
    s = settings or RegimeMarketSettings()
    rng = generator(random_seed, "regime-switching-market")
    states = markov_states(n_bars, s.mean_stay, rng)
    factor = volatility_factor(n_bars, s.volatility_persistence, s.volatility_sd, rng)
    log_close = regime_log_prices(
        states,
        factor * rng.standard_normal(n_bars),
        s.drift,
        s.trend_sd,
        s.plateau_sd,
        s.oscillation_sd,
        s.oscillation_memory,
        s.pull,
    )
    sd_of = np.empty(len(Regime) - 1)
    sd_of[Regime.UPTREND] = sd_of[Regime.DOWNTREND] = s.trend_sd
    sd_of[Regime.PLATEAU], sd_of[Regime.OSCILLATING] = s.plateau_sd, s.oscillation_sd
    bars = bars_from_log_prices(
        log_close,
        sd_of[states] * factor,
        rng,
        gap_share=s.gap_share,
        source=f"regime_switching_market(n_bars={n_bars}, random_seed={random_seed})",
    )
    states.flags.writeable = False
    return SyntheticMarket(bars, states)


def sine_bars(
    n_bars: int, random_seed: int = 0, period: float = 40.0, amplitude: float = 0.05, noise: float = 0.0
) -> Bars:
    """Log price amplitude·sin(2πt/period + φ) + N(0, noise), φ drawn; hourly, O_{t+1} = C_t.

    `period` in bars, `amplitude` and `noise` in log price. Without noise high and low are open and close.
    """
    check_at_least("n_bars", n_bars, LEAST_BARS)
    check_number("period", period, "> 2", lambda v: v > 2)
    check_not_negative("amplitude", amplitude)
    check_not_negative("noise", noise)
    rng = generator(random_seed, "sine")
    phase = rng.uniform(0.0, 2.0 * np.pi)
    wave = amplitude * np.sin(2.0 * np.pi * np.arange(n_bars) / period + phase)
    log_close = wave - amplitude * np.sin(phase) + noise * rng.standard_normal(n_bars)
    return bars_from_log_prices(log_close, np.full(n_bars, noise), rng, source=f"sine_bars({n_bars=}, {random_seed=})")


def random_walk_bars(n_bars: int, random_seed: int, bar_volatility: float = 0.01) -> Bars:
    """A driftless walk: log returns N(−σ²/2, σ), so that the price itself is a martingale; O_{t+1} = C_t."""
    check_at_least("n_bars", n_bars, LEAST_BARS)
    check_not_negative("bar_volatility", bar_volatility)
    rng = generator(random_seed, "random-walk")
    returns = bar_volatility * rng.standard_normal(n_bars) - bar_volatility**2 / 2.0
    return bars_from_log_prices(
        np.cumsum(returns),
        np.full(n_bars, bar_volatility),
        rng,
        source=f"random_walk_bars({n_bars=}, {random_seed=})",
    )
