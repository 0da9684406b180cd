"""Bars: the validated price history of one symbol."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import Any

import numpy as np

NS_PER_SECOND = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_SECOND
SECONDS_PER_YEAR = 31_557_600  # 365.25 days


@dataclass(frozen=True, eq=False)
class Bars:
    """Price history of one symbol, oldest bar first; every array is read-only and has length T.

    Attributes:
        timestamps: int64, UTC nanoseconds since 1970, start of the bar, strictly increasing.
        open, high, low, close: float64 mid prices > 0 with low ≤ open, close ≤ high.
        volume: float64 ≥ 0, zeros where the source has none.
        symbol: name of the instrument, for people.
        timeframe_ns: length of a bar in nanoseconds.
        periods_per_year: bars per year of this data set's own calendar (8760 for hourly crypto,
            252 for daily equities); the P of every annualised metric.
        spread_open, spread_close: float64 quoted spread (ask − bid) in price units, or None.
        funding_rate: float64 funding of a perpetual, a fraction of the position's value (of either
            sign) that longs pay to shorts at the start of the bar for what they carried into it;
            None where the instrument has none.
        source: file or generator the bars come from, for people.
    """

    timestamps: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    symbol: str
    timeframe_ns: int
    periods_per_year: float
    spread_open: np.ndarray | None = None
    spread_close: np.ndarray | None = None
    source: str = ""
    funding_rate: np.ndarray | None = None
    bid_size: np.ndarray | None = None
    ask_size: np.ndarray | None = None

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def __len__(self) -> int:
        return len(self.timestamps)

    def rows(self, start: int, stop: int) -> "Bars":
        """The bars [start, stop), as views; not checked or copied again."""
        part = object.__new__(Bars)
        for name, value in self.__dict__.items():
            part.__dict__[name] = value[start:stop] if isinstance(value, np.ndarray) else value
        return part

    def at(self, rows: np.ndarray) -> "Bars":
        """The bars of `rows` (n,), in rising order."""
        return replace(
            self, **{name: value[rows] for name, value in self.__dict__.items() if isinstance(value, np.ndarray)}
        )

    @property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over timestamps, prices, volume, spreads, and funding and sizes if any."""
        digest = sha256()
        for array in (self.timestamps, self.open, self.high, self.low, self.close, self.volume):
            digest.update(array.tobytes())
        for spread in (self.spread_open, self.spread_close):
            digest.update(b"-" if spread is None else spread.tobytes())
        for name in ("funding_rate", "bid_size", "ask_size"):
            array = getattr(self, name)
            if array is not None:
                digest.update(b"" if name == "funding_rate" else name.encode())
                digest.update(array.tobytes())
        return digest.hexdigest()[:16]


def last_bars(bars: Bars, count: int) -> Bars:
    """The last `count` of `bars`, or all where there are fewer."""
    arrays: dict[str, Any] = {
        field.name: value[-count:]
        for field in fields(bars)
        if isinstance(value := getattr(bars, field.name), np.ndarray)
    }
    return replace(bars, **arrays)


def arrays_fingerprint(record: Any) -> str:
    """16 hex digits of SHA-256 over every array of a dataclass, in the order of its fields."""
    digest = sha256()
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            digest.update(value.tobytes())
    return digest.hexdigest()[:16]


def freeze_arrays(record: Any, names: Iterable[str] | None = None) -> None:
    """Make the arrays of a frozen dataclass (the fields `names`, all where None) contiguous and read-only.

    To be called during its construction.
    """
    for name in [field.name for field in fields(record)] if names is None else names:
        value = getattr(record, name)
        if isinstance(value, np.ndarray):
            frozen = np.ascontiguousarray(value).view()
            frozen.flags.writeable = False
            object.__setattr__(record, name, frozen)
