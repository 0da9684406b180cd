"""Building blocks of synthetic markets: states, volatility, log prices, the path inside a bar."""

import numpy as np
from numba import njit
from scipy.signal import lfilter

from regimegym.common.regimes import N_REGIMES, Regime


def markov_states(n_bars: int, mean_stay: float, rng: np.random.Generator) -> np.ndarray:
    """Hidden states (n_bars,) int8, codes of Regime.

    A stay lasts a geometric number of bars of mean `mean_stay` ≥ 1; the next state is one of
    the other three, each as likely.
    """
    stays = np.empty(0, dtype=np.int64)
    while stays.sum() < n_bars:
        stays = np.concatenate([stays, rng.geometric(1.0 / mean_stay, size=16 + int(n_bars / mean_stay))])
    moves = rng.integers(1, N_REGIMES, size=len(stays))
    states = (rng.integers(N_REGIMES) + np.cumsum(moves)) % N_REGIMES
    return np.repeat(states, stays)[:n_bars].astype(np.int8)


def volatility_factor(n_bars: int, persistence: float, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Clustered volatility (n_bars,) > 0 of root mean square 1: exp of an AR(1) with that stationary sd."""
    shocks = rng.standard_normal(n_bars) * sd * np.sqrt(1.0 - persistence**2)
    shocks[0] = rng.standard_normal() * sd
    return np.exp(lfilter([1.0], [1.0, -persistence], shocks) - sd**2)


@njit(cache=True)
def regime_log_prices(
    states: np.ndarray,
    shocks: np.ndarray,
    drift: float,
    trend_sd: float,
    plateau_sd: float,
    oscillation_sd: float,
    oscillation_memory: float,
    pull: float,
) -> np.ndarray:
    """Log prices (T,) about 0 of a market whose bar t is governed by `states[t]`, driven by `shocks` (T,).

    Trends drift by ±drift; a plateau only trembles; an oscillation is an AR(1) about the price
    at which it began. `pull` draws the log price back to 0 by that share per bar.
    """
    log_price = np.empty(len(states))
    level, centre = 0.0, 0.0
    for t in range(len(states)):
        state = states[t]
        if t > 0 and state != states[t - 1]:
            centre = level
        if state == Regime.OSCILLATING.value:
            move = (oscillation_memory - 1.0) * (level - centre) + oscillation_sd * shocks[t]
        elif state == Regime.PLATEAU.value:
            move = plateau_sd * shocks[t]
        else:
            direction = 1.0 if state == Regime.UPTREND.value else -1.0
            move = direction * drift + trend_sd * shocks[t]
        level += move - pull * level
        log_price[t] = level
    return log_price


def bridge_extremes(
    start: np.ndarray, end: np.ndarray, sd: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Highest and lowest log price (T,) of a Brownian path from `start` to `end` (T,) of deviation `sd` (T,).

    Each has the exact distribution of its own; that both come from one path is neglected.
    highest = (a + b + √((a − b)² − 2σ² ln U))/2 (Karatzas & Shreve, Brownian bridge maximum).
    """
    middle, squared = (start + end) / 2.0, (end - start) ** 2
    up = np.sqrt(squared + 2.0 * sd**2 * rng.standard_exponential(len(start))) / 2.0
    down = np.sqrt(squared + 2.0 * sd**2 * rng.standard_exponential(len(start))) / 2.0
    return middle + up, middle - down
