"""Worlds of the stochastic processes of finance beyond the walk: GARCH and Merton's jump diffusion."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from regimegym.common.checks import check_at_least, check_between, check_not_negative, check_number
from regimegym.common.errors import ConfigError
from regimegym.features.synthetic.bars import bars_from_log_prices
from regimegym.features.synthetic.world import WORLDS, Truth, World

LEAST_BARS = 2


@WORLDS.register("garch")
@dataclass(frozen=True)
class GARCHSettings:
    """GARCH(1,1): r_t = σ_t·N(0, 1), σ²_t = ω + α·r²_{t−1} + β·σ²_{t−1}. Source: Bollerslev 1986.

    Attributes:
        sd: unconditional standard deviation per bar, log price; ω = sd²·(1 − α − β).
        alpha, beta: weights of the last squared return and of the last variance, α + β < 1.
    """

    sd: float = 0.01
    alpha: float = 0.08
    beta: float = 0.9

    def __post_init__(self) -> None:
        for name in ("sd", "alpha", "beta"):
            check_not_negative(name, getattr(self, name))
        if self.alpha + self.beta >= 1:
            raise ConfigError("out-of-range", f"'alpha' + 'beta' must be below 1, got {self.alpha} + {self.beta}")

    def draw(self, n_bars: int, rng: np.random.Generator) -> World:
        """The world; its truth is the conditional volatility of each bar."""
        check_at_least("n_bars", n_bars, LEAST_BARS)
        returns, volatility = garch_returns(rng.standard_normal(n_bars), self.sd, self.alpha, self.beta)
        bars = bars_from_log_prices(np.cumsum(returns), volatility, rng, source=f"{self}.draw({n_bars})")
        return World(bars, Truth(expected=np.zeros(n_bars), volatility=volatility))


@WORLDS.register("jump_diffusion")
@dataclass(frozen=True)
class JumpDiffusionSettings:
    """Merton's jump diffusion, log return drift + sd·N(0, 1) + Σ of Poisson(rate) jumps N(jump_mean, jump_sd).

    Source: Merton 1976. Rates and deviations are per bar.
    """

    drift: float = 0.0
    sd: float = 0.005
    rate: float = 0.01
    jump_mean: float = -0.01
    jump_sd: float = 0.03

    def __post_init__(self) -> None:
        for name in ("drift", "jump_mean"):
            check_number(name, getattr(self, name), "finite", lambda _: True)
        for name in ("sd", "jump_sd"):
            check_not_negative(name, getattr(self, name))
        check_between("rate", self.rate, 0.0, 100.0)

    def draw(self, n_bars: int, rng: np.random.Generator) -> World:
        """The world; its truth names the bars with jumps."""
        check_at_least("n_bars", n_bars, LEAST_BARS)
        jumps = rng.poisson(self.rate, n_bars)
        jumped = jumps * self.jump_mean + np.sqrt(jumps) * self.jump_sd * rng.standard_normal(n_bars)
        returns = self.drift + self.sd * rng.standard_normal(n_bars) + jumped
        bars = bars_from_log_prices(np.cumsum(returns), np.full(n_bars, self.sd), rng, source=f"{self}.draw({n_bars})")
        variance = self.sd**2 + self.rate * (self.jump_mean**2 + self.jump_sd**2)
        truth = Truth(
            expected=np.full(n_bars, self.drift + self.rate * self.jump_mean),
            volatility=np.full(n_bars, np.sqrt(variance)),
            events={"jump": np.flatnonzero(jumps)},
            is_scheduled=True,
        )
        return World(bars, truth)


@njit(cache=True)
def garch_returns(shocks: np.ndarray, sd: float, alpha: float, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns and conditional deviations (T,) driven by `shocks` (T,), begun at the unconditional variance."""
    returns, volatility = np.empty_like(shocks), np.empty_like(shocks)
    variance = sd**2
    for t in range(len(shocks)):
        volatility[t] = np.sqrt(variance)
        returns[t] = volatility[t] * shocks[t]
        variance = sd**2 * (1.0 - alpha - beta) + alpha * returns[t] ** 2 + beta * variance
    return returns, volatility
