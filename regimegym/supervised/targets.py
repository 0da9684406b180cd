"""What is to be predicted, as settings: each makes labels of bars, with their ends and classes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from regimegym.common.checks import check_at_least, check_not_negative, check_number, check_positive
from regimegym.common.errors import ConfigError
from regimegym.common.regimes import REGIMES
from regimegym.features.bars import Bars
from regimegym.features.indicators import root_ewma
from regimegym.features.labels import Labels, price_jump_labels
from regimegym.features.regimes import RegimeSettings, classify_regimes
from regimegym.features.segments import Piece
from regimegym.supervised.labels import (
    check_thresholds,
    forward_return_labels,
    forward_volatility_labels,
    move_labels,
    shifted_labels,
    trend_scanning_labels,
    triple_barrier_labels,
)

VOLATILITY_SPAN = 60.0  # of the EWMA of squared returns that barriers are measured in
VOLATILITY_BARS = 60  # returns before it rests on enough of them


class Target(ABC):
    """Labels of bars; `classes` names them, and is empty where the target is a number."""

    classes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def of(self, bars: Bars) -> Labels:
        """Labels of one contiguous history; values are class indices, or numbers without classes."""

    def over(self, bars: Bars, pieces: Sequence[Piece]) -> Labels:
        """Labels of a history with gaps; none looks from one piece into the next."""
        parts = [self.of(bars.rows(piece.start, piece.stop)) for piece in pieces]
        ends = [np.where(part.ends < 0, -1, part.ends + piece.start) for part, piece in zip(parts, pieces, strict=True)]
        return Labels(np.concatenate([part.values for part in parts]), np.concatenate(ends))


@dataclass(frozen=True)
class Direction(Target):
    """Whether the close lies higher `horizon` bars on; a return within ±`threshold` has no label."""

    horizon: int = 10
    threshold: float = 0.0
    classes: ClassVar[tuple[str, ...]] = ("down", "up")

    def __post_init__(self) -> None:
        check_at_least("target.horizon", self.horizon, 1)
        check_not_negative("target.threshold", self.threshold)

    def of(self, bars: Bars) -> Labels:
        """Class 1 for a rise, 0 for a fall."""
        returns, ends = forward_return_labels(bars.close, self.horizon)
        clear = np.abs(returns) > self.threshold
        return Labels(np.where(clear, returns > 0, np.nan), np.where(clear, ends, -1))


@dataclass(frozen=True)
class ForwardReturn(Target):
    """The log return of the next `horizon` bars, a number."""

    horizon: int = 10

    def __post_init__(self) -> None:
        check_at_least("target.horizon", self.horizon, 1)

    def of(self, bars: Bars) -> Labels:
        """ln(C_{t+h}/C_t)."""
        return forward_return_labels(bars.close, self.horizon)


@dataclass(frozen=True)
class ForwardVolatility(Target):
    """How far the next `horizon` bars move, per bar: the root mean square of their log returns, a number."""

    horizon: int = 10

    def __post_init__(self) -> None:
        check_at_least("target.horizon", self.horizon, 1)

    def of(self, bars: Bars) -> Labels:
        """√(mean r²)."""
        return forward_volatility_labels(bars.close, self.horizon)


@dataclass(frozen=True)
class Moves(Target):
    """How large a rise comes within `horizon` bars: nested targets as one row of classes.

    The classes are the stretches between the thresholds; P(rise ≥ threshold k) is the sum of the
    classes from k on, so P(5 %) ≤ P(2 %) ≤ P(1 %) holds for every distribution over them.
    """

    horizon: int = 24
    thresholds: tuple[float, ...] = (0.01, 0.02, 0.05)

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", tuple(self.thresholds))
        check_at_least("target.horizon", self.horizon, 1)
        check_thresholds("target.thresholds", self.thresholds)

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # they follow the thresholds
        """`below_1_percent`, `1_percent`, `2_percent`, `5_percent`."""
        names = [f"{100 * value:g}_percent" for value in self.thresholds]
        return (f"below_{names[0]}", *names)

    def of(self, bars: Bars) -> Labels:
        """Thresholds reached, 0 … len(thresholds)."""
        return move_labels(bars.close, self.thresholds, self.horizon)


@dataclass(frozen=True)
class TripleBarrier(Target):
    """Which barrier is touched first: profit above, loss below, or the end of the time.

    Attributes:
        horizon: bars until the time is over.
        profit, loss: distance of the barriers in units of σ_t·√horizon, σ_t the EWMA volatility per bar.
    """

    horizon: int = 24
    profit: float = 1.0
    loss: float = 1.0
    classes: ClassVar[tuple[str, ...]] = ("loss", "time", "profit")

    def __post_init__(self) -> None:
        check_at_least("target.horizon", self.horizon, 1)
        check_positive("target.profit", self.profit)
        check_positive("target.loss", self.loss)

    def of(self, bars: Bars) -> Labels:
        """Class 2 for profit, 1 for the end of the time, 0 for loss."""
        returns = np.diff(np.log(bars.close), prepend=np.log(bars.close[0]))
        width = root_ewma(returns**2, VOLATILITY_SPAN) * np.sqrt(self.horizon)
        width[:VOLATILITY_BARS] = np.nan
        above, below = self.profit * width, self.loss * width
        values, ends = triple_barrier_labels(bars.high, bars.low, bars.close, above, below, self.horizon)
        return Labels(values + 1.0, ends)


@dataclass(frozen=True)
class Jumps(Target):
    """Which way the close first moves by `threshold` within `horizon` bars, if at all."""

    horizon: int = 24
    threshold: float = 0.02
    classes: ClassVar[tuple[str, ...]] = ("down", "none", "up")

    def __post_init__(self) -> None:
        check_at_least("target.horizon", self.horizon, 1)
        check_positive("target.threshold", self.threshold)

    def of(self, bars: Bars) -> Labels:
        """Class 2 for a jump, 0 for a fall, 1 for neither."""
        values, ends = price_jump_labels(bars.close, self.threshold, self.horizon)
        return Labels(values + 1.0, ends)


@dataclass(frozen=True)
class RegimeAhead(Target):
    """The regime `horizon` bars on, by the causal rule of features.regimes."""

    horizon: int = 10
    regimes: RegimeSettings = field(default_factory=RegimeSettings)
    classes: ClassVar[tuple[str, ...]] = tuple(regime.name.lower() for regime in REGIMES)

    def __post_init__(self) -> None:
        check_at_least("target.horizon", self.horizon, 0)

    def of(self, bars: Bars) -> Labels:
        """Classes in the order of Regime."""
        return shifted_labels(classify_regimes(bars.close, self.regimes).labels, self.horizon)


@dataclass(frozen=True)
class TrendScanning(Target):
    """The direction of the clearest straight line from a bar on; a line with |t| < `least_t` is none.

    Attributes:
        least, most: bars that a line spans.
        least_t: t value from which a line is a trend.
    """

    least: int = 5
    most: int = 20
    least_t: float = 2.0
    classes: ClassVar[tuple[str, ...]] = ("down", "none", "up")

    def __post_init__(self) -> None:
        check_at_least("target.least", self.least, 2)
        check_not_negative("target.least_t", self.least_t)
        check_number("target.most", self.most, f"≥ target.least ({self.least})", lambda value: value >= self.least)

    def of(self, bars: Bars) -> Labels:
        """Class 2 for up, 0 for down, 1 for none."""
        values, ends = trend_scanning_labels(bars.close, self.least, self.most)
        sign = np.sign(values) * (np.abs(values) >= self.least_t)
        return Labels(sign + 1.0, ends)


def nested_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """(N, C − 1) P(class ≥ k), k = 1 … C − 1, of (N, C) ordered classes: non-increasing along each row.

    Raises:
        ConfigError: fewer than two classes.
    """
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ConfigError("too-few-classes", f"nested targets need two classes, got shape {probabilities.shape}")
    return np.minimum(probabilities[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:], 1.0)
