"""What stands beside the bars of one instrument: other instruments, external series, order book, trades."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from regimegym.features.bars import Bars
from regimegym.features.external import ExternalSeries
from regimegym.features.feature import FeatureInputs
from regimegym.features.order_book import BookSnapshots, Trades
from regimegym.features.regimes import Regimes


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Context:
    """Data that features may join to the bars by time; empty by default.

    Attributes:
        others: bars of other instruments by name, in the order in which they were named.
        series: external series by name.
        book: snapshots of the instrument's order book, or None.
        trades: its trades, or None.
    """

    others: Mapping[str, Bars] = field(default_factory=_nothing)
    series: Mapping[str, ExternalSeries] = field(default_factory=_nothing)
    book: BookSnapshots | None = None
    trades: Trades | None = None


EMPTY = Context()


def feature_inputs(bars: Bars, regimes: Regimes, context: Context = EMPTY) -> FeatureInputs:
    """Everything that a feature of `bars` may look at."""
    return FeatureInputs(bars, regimes, context.others, context.series, context.book, context.trades)
