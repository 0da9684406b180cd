"""The most recent bars of a stream, as Bars, without copying them at every bar."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from regimegym.common.errors import DataError
from regimegym.features.bars import Bars

OPTIONAL = ("spread_open", "spread_close", "funding_rate", "bid_size", "ask_size")


class Bar(NamedTuple):
    """One bar: the fields of Bars at one row; `timestamp` is its start in UTC nanoseconds."""

    timestamp: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    spread_open: float | None = None
    spread_close: float | None = None
    funding_rate: float | None = None
    bid_size: float | None = None
    ask_size: float | None = None


def bar_at(bars: Bars, row: int) -> Bar:
    """Row `row` of `bars`."""
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, *(getattr(bars, name) for name in OPTIONAL))
    values: list[Any] = [None if column is None else float(column[row]) for column in columns]
    return Bar(int(bars.timestamps[row]), *values)


def check_bar(bar: Bar, last: int | None, symbol: str) -> None:
    """The data contract of a single bar after the one that starts at `last`.

    Raises:
        DataError: a time that does not come after the last one, a price that is no positive finite
            number, a high or low that misses open or close, a volume below 0.
    """
    place = f"{symbol}, bar {np.datetime64(bar.timestamp, 'ns').astype('datetime64[s]')}"
    if last is not None and bar.timestamp <= last:
        raise DataError("unsorted", f"{place}: it does not come after the bar before it")
    if not all(np.isfinite(price) and price > 0 for price in bar[1:5]):
        raise DataError("non-positive-price", f"{place}: prices must be positive and finite", found=str(bar[1:5]))
    if bar.high < max(bar.open, bar.close, bar.low) or bar.low > min(bar.open, bar.close):
        raise DataError("outside-bar", f"{place}: open and close must lie between low and high", found=str(bar[1:5]))
    if not (np.isfinite(bar.volume) and bar.volume >= 0):
        raise DataError("negative-volume", f"{place}: volume must be zero or more, is {bar.volume}")


class Rows:
    """The last rows of a table that grows at its end; at least `kept` of them, or all.

    Args:
        kept: rows that must stay; None keeps all.
        dtypes: type of each column.
    """

    def __init__(self, kept: int | None, dtypes: Sequence[Any]) -> None:
        self._kept = kept
        size = 2 * max(kept or 512, 512)
        self._columns = [np.empty(size, dtype) for dtype in dtypes]
        self._stop = 0
        self.seen = 0

    def __len__(self) -> int:
        return self._stop

    def append(self, values: Sequence[Any]) -> None:
        """One row more."""
        if self._stop == len(self._columns[0]):
            self._make_room()
        for column, value in zip(self._columns, values, strict=True):
            column[self._stop] = value
        self._stop += 1
        self.seen += 1

    def last(self, n_rows: int | None) -> list[np.ndarray]:
        """The columns' last `n_rows` rows, or all that there are; views."""
        start = 0 if n_rows is None else max(0, self._stop - n_rows)
        return [column[start : self._stop] for column in self._columns]

    def _make_room(self) -> None:
        """Move the rows that must stay to the front, or double the table where all must stay."""
        if self._kept is None:
            self._columns = [np.concatenate([column, np.empty_like(column)]) for column in self._columns]
            return
        for i, column in enumerate(self._columns):
            fresh = np.empty_like(column)  # views handed out before stay as they were
            fresh[: self._kept] = column[self._stop - self._kept : self._stop]
            self._columns[i] = fresh
        self._stop = self._kept


class BarTail:
    """The last bars of a stream; the first bar decides which of the optional columns there are.

    Args:
        symbol, timeframe_ns, periods_per_year: as in Bars.
        kept: bars that must stay, None for all.
    """

    def __init__(self, symbol: str, timeframe_ns: int, periods_per_year: float, kept: int | None) -> None:
        self._about = (symbol, timeframe_ns, periods_per_year)
        self._kept = kept
        self._names: list[str] = []
        self._rows: Rows | None = None

    @property
    def seen(self) -> int:
        """How many bars there have been."""
        return 0 if self._rows is None else self._rows.seen

    @property
    def last_timestamp(self) -> int | None:
        """Start of the newest bar, None before the first."""
        return None if self._rows is None else int(self._rows.last(1)[0][0])

    def append(self, bar: Bar) -> None:
        """One bar more. Raises DataError when it has other columns than the first one."""
        names = [name for name in OPTIONAL if getattr(bar, name) is not None]
        if self._rows is None:
            self._names = names
            self._rows = Rows(self._kept, (np.int64, *[np.float64] * (5 + len(names))))
        if names != self._names:
            raise DataError(
                "other-columns",
                f"a bar of {self._about[0]} has other columns than the bars before it",
                needed=", ".join(self._names) or "prices and volume only",
                found=", ".join(names) or "prices and volume only",
            )
        self._rows.append([*bar[:6], *(getattr(bar, name) for name in names)])

    def bars(self, n_bars: int | None = None) -> Bars:
        """The last `n_bars`, or as many as there are; None gives all that are kept."""
        assert self._rows is not None
        times, start, high, low, close, volume, *more = self._rows.last(n_bars)
        optional: dict[str, Any] = dict(zip(self._names, more, strict=True))
        return Bars(times, start, high, low, close, volume, *self._about, **optional)
