"""Which decision layers stand between scores and orders, and how; `conf/decision/` writes them out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from regimegym.agents.decision.sizing import TIER_EDGES
from regimegym.common.checks import (
    check_at_least,
    check_between,
    check_flag,
    check_not_negative,
    check_number,
    check_positive,
)
from regimegym.common.errors import ConfigError
from regimegym.common.regimes import Regime


@dataclass(frozen=True)
class CalibrationSettings:
    """Scores become probabilities (DEFINITIONS §11).

    Attributes:
        temperature: τ of the softmax; None fits it on validation.
        base, boost: the uptrend boost starts at p_up = base and reaches `boost` at p_up = 1.
        isotonic: fit, on validation, how often decisions of a confidence paid.
    """

    temperature: float | None = None
    base: float = 0.5
    boost: float = 0.2
    isotonic: bool = True

    def __post_init__(self) -> None:
        if self.temperature is not None:
            check_positive("decision.calibration.temperature", self.temperature)
        check_number("decision.calibration.base", self.base, "in [0, 1)", lambda v: 0 <= v < 1)
        check_not_negative("decision.calibration.boost", self.boost)
        check_flag("decision.calibration.isotonic", self.isotonic)


@dataclass(frozen=True)
class ThresholdSettings:
    """An action is taken when it is probable enough for the regime.

    Attributes:
        base: least probability of any action but HOLD; None takes the one of `grid` that earned
            most on validation.
        modifiers: by regime, what is added to it for BUY and for SELL, e.g. {uptrend: [-0.05, 0.05]}.
        lowest, highest: bounds of a threshold.
        grid: thresholds tried when `base` is None.
    """

    base: float | None = None
    modifiers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    lowest: float = 0.05
    highest: float = 0.95
    grid: tuple[float, ...] = (0.05, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", tuple(self.grid))
        object.__setattr__(self, "modifiers", {name: tuple(pair) for name, pair in dict(self.modifiers).items()})
        for name in ("lowest", "highest", *(() if self.base is None else ("base",))):
            check_between(f"decision.thresholds.{name}", getattr(self, name), 0, 1)
        if self.lowest > self.highest:
            raise ConfigError("out-of-range", "'decision.thresholds.lowest' must be ≤ 'decision.thresholds.highest'")
        if not self.grid:
            raise ConfigError("no-grid", "'decision.thresholds.grid' is empty", needed="one threshold or more")
        for value in self.grid:
            check_between("decision.thresholds.grid", value, 0, 1)
        known = [regime.name.lower() for regime in Regime if regime >= 0]
        for name, pair in self.modifiers.items():
            if name not in known or len(pair) != 2:
                raise ConfigError(
                    "bad-modifier",
                    f"'decision.thresholds.modifiers' holds {name}: {list(pair)}",
                    needed=f"one of {', '.join(known)}, with two numbers, for BUY and for SELL",
                )


@dataclass(frozen=True)
class TierSettings:
    """The calibrated probability decides the size: nothing, a quarter, half or all (needs calibration)."""

    edges: tuple[float, float, float] = TIER_EDGES
    multipliers: Mapping[str, float] = field(default_factory=dict)  # by symbol; 1 where none is named

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", tuple(self.edges))
        object.__setattr__(self, "multipliers", dict(self.multipliers))
        if len(self.edges) != 3 or list(self.edges) != sorted(self.edges):
            raise ConfigError("bad-edges", f"'decision.tiers.edges' must be three rising numbers, got {self.edges}")
        for value in self.edges:
            check_between("decision.tiers.edges", value, 0, 1)
        for symbol, value in self.multipliers.items():
            check_positive(f"decision.tiers.multipliers.{symbol}", value)

    def multiplier_of(self, symbol: str) -> float:
        """What scales the edges for `symbol`."""
        return self.multipliers.get(symbol, 1.0)


@dataclass(frozen=True)
class KellySettings:
    """Half of Kelly's fraction of what the edge was worth on validation, less for a doubtful mean."""

    share: float = 0.5  # λ
    most: float = 1.0  # f_max

    def __post_init__(self) -> None:
        check_positive("decision.kelly.share", self.share)
        check_positive("decision.kelly.most", self.most)


@dataclass(frozen=True)
class DoubtSettings:
    """Smaller positions where the members of an ensemble disagree."""

    half_at: float | None = None  # disagreement at which half is left; None: its median on validation

    def __post_init__(self) -> None:
        if self.half_at is not None:
            check_positive("decision.doubt.half_at", self.half_at)


@dataclass(frozen=True)
class NoTradeSettings:
    """A change of position must be worth its costs."""

    multiple: float = 1.0  # of the one-way cost that the expected gain must exceed
    band: float = 0.05  # changes of weight up to it are left alone

    def __post_init__(self) -> None:
        check_not_negative("decision.no_trade.multiple", self.multiple)
        check_not_negative("decision.no_trade.band", self.band)


@dataclass(frozen=True)
class DecisionSettings:
    """The layers in the order in which they act; None leaves one out.

    Attributes:
        horizon: bars over which "it paid" and the worth of an edge are judged when layers are fitted.
    """

    calibration: CalibrationSettings | None = None
    thresholds: ThresholdSettings | None = None
    tiers: TierSettings | None = None
    kelly: KellySettings | None = None
    doubt: DoubtSettings | None = None
    no_trade: NoTradeSettings | None = None
    horizon: int = 20

    def __post_init__(self) -> None:
        check_at_least("decision.horizon", self.horizon, 1)
        for name in ("thresholds", "tiers"):
            if getattr(self, name) is not None and self.calibration is None:
                raise ConfigError(
                    "needs-calibration",
                    f"'decision.{name}' works on probabilities, and 'decision.calibration' is null",
                    help=("decision=calibrated switches calibration on",),
                )

    @property
    def is_empty(self) -> bool:
        """Whether there is no layer at all."""
        layers = (self.calibration, self.thresholds, self.tiers, self.kelly, self.doubt, self.no_trade)
        return all(layer is None for layer in layers)
