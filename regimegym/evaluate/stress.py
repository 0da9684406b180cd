"""Scenarios that change one thing about the judged part: costs, delay, spread, features, prices."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from regimegym.common.checks import check_at_least, check_between, check_not_negative, check_positive
from regimegym.common.errors import ConfigError
from regimegym.evaluate.cost_curve import scaled_costs, scaled_spreads
from regimegym.evaluate.scenarios import Ground, Plan, Scenario
from regimegym.features.bars import Bars
from regimegym.features.price_noise import noisy_bars
from regimegym.features.synthetic.tilt import (
    LEAST_SCORE,
    OSCILLATION_MEMORY,
    PLATEAU_MEMORY,
    bend,
)
from regimegym.features.tape import MarketTape

PLATEAU_SCALE = 0.2  # share of a bar's own noise that a made plateau keeps


@dataclass(frozen=True)
class AsMeasured:
    """The judged part as it is: what every other scenario of the suite is compared with."""

    group: str = "as measured"

    def plans(self, ground: Ground) -> list[Plan]:
        """One."""
        name = f"{ground.part} part"
        words = "the judged part, under the run's own costs"
        return [Plan(name, self.group, lambda: ground.scenario(name, self.group, words))]


@dataclass(frozen=True)
class Costs:
    """Every cost of a fill, quoted spreads among them, times each of `multiples`."""

    multiples: Sequence[float] = (0.0, 1.0, 2.0, 4.0, 5.0)
    group: str = "costs"

    def __post_init__(self) -> None:
        for i, multiple in enumerate(self.multiples):
            check_not_negative(f"multiples[{i}]", multiple)

    def plans(self, ground: Ground) -> list[Plan]:
        """One for each multiple that leaves something to trade with."""
        return [plan for multiple in self.multiples if (plan := self._plan(ground, float(multiple))) is not None]

    def _plan(self, ground: Ground, multiple: float) -> Plan | None:
        try:
            settings = scaled_costs(ground.settings, multiple)
        except ConfigError:
            return None
        name, words = f"costs × {multiple:g}", f"fees, spreads, slippage and impact × {multiple:g}"
        return Plan(
            name,
            self.group,
            lambda: ground.scenario(
                name,
                self.group,
                words,
                settings=settings,
                tape=scaled_spreads(ground.tape, multiple),
                multiple=multiple,
            ),
        )


@dataclass(frozen=True)
class Delays:
    """Every order is given so many bars late."""

    bars: Sequence[int] = (1,)
    group: str = "delay"

    def __post_init__(self) -> None:
        for i, late in enumerate(self.bars):
            check_at_least(f"bars[{i}]", late, 1)

    def plans(self, ground: Ground) -> list[Plan]:
        """One for each delay."""
        return [self._plan(ground, int(late)) for late in self.bars]

    def _plan(self, ground: Ground, late: int) -> Plan:
        name = f"{late} bar{'s' if late > 1 else ''} late"
        words = f"every order is given {name}"
        return Plan(name, self.group, lambda: ground.scenario(name, self.group, words, delay=late))


@dataclass(frozen=True)
class WiderSpreads:
    """The half-spread, assumed and quoted, times each of `multiples`; other costs stay."""

    multiples: Sequence[float] = (3.0, 10.0)
    group: str = "spread"

    def __post_init__(self) -> None:
        for i, multiple in enumerate(self.multiples):
            check_positive(f"multiples[{i}]", multiple)

    def plans(self, ground: Ground) -> list[Plan]:
        """One for each multiple that the account settings allow."""
        return [plan for multiple in self.multiples if (plan := self._plan(ground, float(multiple))) is not None]

    def _plan(self, ground: Ground, multiple: float) -> Plan | None:
        account = ground.settings.account
        try:
            wide = replace(account, half_spread=multiple * account.half_spread)
        except ConfigError:
            return None
        name, words = f"spread × {multiple:g}", f"half-spread × {multiple:g}"
        settings = replace(ground.settings, account=wide)
        return Plan(
            name,
            self.group,
            lambda: ground.scenario(
                name, self.group, words, settings=settings, tape=scaled_spreads(ground.tape, multiple)
            ),
        )


@dataclass(frozen=True)
class FeatureDropOut:
    """A share of the feature values is missing: they read 0, the mean of the training rows.

    Attributes:
        shares: of the values, drawn anew in every bar and column.
        blind: also a model that sees no feature at all.
    """

    shares: Sequence[float] = (0.1, 0.3)
    blind: bool = True
    group: str = "features missing"

    def __post_init__(self) -> None:
        for i, share in enumerate(self.shares):
            check_between(f"shares[{i}]", share, 0.0, 1.0)

    def plans(self, ground: Ground) -> list[Plan]:
        """One for each share."""
        shares = [*map(float, self.shares), *([1.0] if self.blind else [])]
        return [self._plan(ground, share) for share in shares]

    def _plan(self, ground: Ground, share: float) -> Plan:
        name = f"{100 * share:g} % of features missing"
        words = (
            "no feature is seen at all" if share == 1 else f"{100 * share:g} % of the feature values read their mean"
        )

        def build() -> Scenario:
            """The same market, seen less well."""
            return ground.scenario(name, self.group, words, tape=self._dropped(ground, share, name))

        return Plan(name, self.group, build)

    @staticmethod
    def _dropped(ground: Ground, share: float, name: str) -> MarketTape:
        features = ground.tape.features.copy()
        first = max(0, ground.rows.start - ground.settings.episode.window)
        part = features[first : ground.rows.stop]
        part[ground.generator(name).random(part.shape) < share] = 0.0
        return replace(ground.tape, features=features)


@dataclass(frozen=True)
class Noise:
    """Prices with noise on top, in tenths of a bar's own volatility; features see it (features.price_noise)."""

    levels: Sequence[float] = (0.02, 0.05)
    group: str = "noise"

    def __post_init__(self) -> None:
        for i, level in enumerate(self.levels):
            check_not_negative(f"levels[{i}]", level)

    def plans(self, ground: Ground) -> list[Plan]:
        """One for each level."""
        return [self._plan(ground, float(level)) for level in self.levels]

    def _plan(self, ground: Ground, level: float) -> Plan:
        name = f"noise {level:g}"
        words = f"every price off by {1000 * level:.0f} % of a bar's volatility"

        def change(bars: Bars, first: int) -> Bars:
            return noisy_bars(bars, level, ground.generator(name))

        return Plan(name, self.group, lambda: ground.changed(name, self.group, words, change))


@dataclass(frozen=True)
class Inverted:
    """Prices turned upside down: every rise is a fall of the same log size. A bet on drift shows here."""

    group: str = "inverted"

    def plans(self, ground: Ground) -> list[Plan]:
        """One."""
        name, words = "prices inverted", "every rise is a fall: prices are 1 / price"
        return [Plan(name, self.group, lambda: ground.changed(name, self.group, words, inverted_bars))]


@dataclass(frozen=True)
class Tilted:
    """The judged part bent into a trend, a plateau or an oscillation, with its own noise and bar shapes.

    Attributes:
        strengthening: factor on the trend, as in features.synthetic.tilt.
    """

    strengthening: float = 1.1
    group: str = "tilted"

    def __post_init__(self) -> None:
        check_positive("strengthening", self.strengthening)

    def plans(self, ground: Ground) -> list[Plan]:
        """Up, down, plateau, oscillation."""
        ways = {
            "tilted up": ("bent into an uptrend", lambda bars, first: self._trend(bars, first, 1.0)),
            "tilted down": ("bent into a downtrend", lambda bars, first: self._trend(bars, first, -1.0)),
            "made a plateau": (
                "drawn back to its first level, with a fifth of its noise",
                lambda bars, first: bend(bars, first, scale=PLATEAU_SCALE, memory=PLATEAU_MEMORY),
            ),
            "made to oscillate": (
                "drawn back to its first level, with all of its noise",
                lambda bars, first: bend(bars, first, memory=OSCILLATION_MEMORY),
            ),
        }
        return [
            Plan(name, self.group, lambda name=name, words=words, way=way: ground.changed(name, self.group, words, way))  # type: ignore[misc]
            for name, (words, way) in ways.items()
        ]

    def _trend(self, bars: Bars, first: int, direction: float) -> Bars:
        returns = np.diff(np.log(bars.close))[first - 1 :]
        least = LEAST_SCORE * float(returns.std()) * math.sqrt(len(returns))
        wanted = direction * self.strengthening * max(abs(float(returns.sum())), least)
        return bend(bars, first, drift=(wanted - float(returns.sum())) / len(returns))


def inverted_bars(bars: Bars, first: int = 0) -> Bars:
    """Prices P → c²/P with c the close of row `first`: log returns change sign, low and high change places.

    Quoted spreads keep their share of the price, and the volume its value in money.
    """
    square = bars.close[first] ** 2
    new = {
        "open": square / bars.open,
        "close": square / bars.close,
        "high": square / bars.low,
        "low": square / bars.high,
    }
    new["volume"] = bars.volume * bars.close / new["close"]
    for name, price in (("spread_open", "open"), ("spread_close", "close")):
        spread = getattr(bars, name)
        if spread is not None:
            new[name] = spread / getattr(bars, price) * new[price]
    return replace(bars, **new)
