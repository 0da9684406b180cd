"""What stands beside the bars of one instrument: other instruments, external series, order book, trades."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from regimegym.common.errors import DataError
from regimegym.features.alignment import close_times
from regimegym.features.bars import Bars, arrays_fingerprint
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

    @property
    def fingerprints(self) -> dict[str, str]:
        """16 hex digits of SHA-256 over each part, by the words for it; empty without parts."""
        parts = {f"the bars of {name}": other.fingerprint for name, other in self.others.items()}
        parts |= {f"the series '{name}'": arrays_fingerprint(series) for name, series in self.series.items()}
        parts |= {} if self.book is None else {"the order book": arrays_fingerprint(self.book)}
        parts |= {} if self.trades is None else {"the trades": arrays_fingerprint(self.trades)}
        return parts


EMPTY = Context()


def feature_inputs(bars: Bars, regimes: Regimes, context: Context = EMPTY) -> FeatureInputs:
    """Everything that a feature of `bars` may look at."""
    return FeatureInputs(bars, regimes, context.others, context.series, context.book, context.trades)


def check_overlap(bars: Bars, context: Context) -> None:
    """Raise DataError `no-overlap` when something beside the bars was never known while they ran."""
    first, last = int(bars.timestamps[0]), int(close_times(bars)[-1])
    spans = {f"the bars of {name}": close_times(other) for name, other in context.others.items()}
    spans |= {f"the series '{name}'": series.published for name, series in context.series.items()}
    spans |= {"the order book": context.book.times} if context.book is not None else {}
    spans |= {"the trades": context.trades.times} if context.trades is not None else {}
    for what, times in spans.items():
        if not len(times) or times[0] > last or times[-1] < first:
            raise DataError(
                "no-overlap",
                f"{what} and the bars of {bars.symbol} never meet in time",
                needed=f"something between {_day(first)} and {_day(last)}",
                found=f"{_day(times[0])} to {_day(times[-1])}" if len(times) else "nothing",
            )


def _day(ns: int) -> str:
    return str(np.datetime64(int(ns), "ns").astype("datetime64[m]")).replace("T", " ")
