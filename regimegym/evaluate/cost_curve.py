"""What is left of a result when trading costs more than was assumed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from regimegym.envs.settings import EnvSettings
from regimegym.features.tape import MarketTape

FILL_COSTS = ("fee_rate", "fixed_fee", "half_spread", "slippage", "impact")


@dataclass(frozen=True, eq=False)
class CostCurve:
    """Log returns of the same policy under scaled costs.

    Attributes:
        multiples: (M,) ascending multiples of the assumed costs.
        agent, buy_and_hold: (M,) Σℓ.
    """

    multiples: np.ndarray
    agent: np.ndarray
    buy_and_hold: np.ndarray

    @property
    def break_even_flat(self) -> float:
        """Multiple at which the agent's log return falls to 0; see `break_even`."""
        return break_even(self.multiples, self.agent)

    @property
    def break_even_buy_and_hold(self) -> float:
        """Multiple at which the agent falls to buy and hold under the same costs; see `break_even`."""
        return break_even(self.multiples, self.agent - self.buy_and_hold)


def scaled_costs(settings: EnvSettings, multiple: float) -> EnvSettings:
    """`settings` with every cost of a fill multiplied; carry is no cost of trading and stays.

    Raises:
        ConfigError: so multiplied, the costs leave nothing to trade with.
    """
    account = settings.account
    scaled = {name: multiple * getattr(account, name) for name in FILL_COSTS}
    return replace(settings, account=replace(account, **scaled))


def scaled_spreads(tape: MarketTape, multiple: float) -> MarketTape:
    """`tape` with its quoted spreads multiplied; everything else is shared with it."""
    if multiple == 1.0 or not (tape.half_spread_open.any() or tape.half_spread_close.any()):
        return tape
    return replace(
        tape, half_spread_open=multiple * tape.half_spread_open, half_spread_close=multiple * tape.half_spread_close
    )


def break_even(multiples: np.ndarray, gaps: np.ndarray) -> float:
    """The multiple at which `gaps` (M,) first falls to 0, interpolated linearly.

    ∞ when it stays above 0 at every multiple; NaN when it is not above 0 at the first.
    """
    if not gaps[0] > 0:
        return math.nan
    below = np.flatnonzero(gaps <= 0)
    if len(below) == 0:
        return math.inf
    i = int(below[0])
    share = gaps[i - 1] / (gaps[i - 1] - gaps[i])
    return float(multiples[i - 1] + share * (multiples[i] - multiples[i - 1]))


def break_even_words(value: float, multiples: Sequence[float], line: str) -> str:
    """`break_even` as a fragment of a sentence; `line` is what the agent is compared with."""
    if math.isnan(value):
        return f"not above {line} even at {multiples[0]:g} × the assumed costs"
    if math.isinf(value):
        return f"above {line} up to {multiples[-1]:g} × the assumed costs"
    return f"{value:.1f} × the assumed costs"
