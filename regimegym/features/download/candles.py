"""What a source of candles is to the download: pages of rows, and failures that pass."""

from typing import NamedTuple, Protocol

import numpy as np

COLUMNS = ("open", "high", "low", "close", "volume")


class Candles(NamedTuple):
    """Rows of a source: `times` (N,) int64 UTC nanoseconds, starts of bars; `values` (N, 5) float64 as COLUMNS."""

    times: np.ndarray
    values: np.ndarray


NO_CANDLES = Candles(np.empty(0, dtype=np.int64), np.empty((0, len(COLUMNS))))


class Fetcher(Protocol):
    """One market of one source.

    Attributes:
        name: what is fetched, for people and for the file: `binance BTC/USDT 1h`.
        timeframe_ns: length of a bar.
        page_size: bars that one request can bring.
        seconds_between: least time between two requests that the source asks for.
    """

    @property
    def name(self) -> str: ...
    @property
    def timeframe_ns(self) -> int: ...
    @property
    def page_size(self) -> int: ...
    @property
    def seconds_between(self) -> float: ...

    def fetch(self, since_ns: int, stop_ns: int) -> Candles:
        """The first bars that start in [since, stop), oldest first; none where there are none.

        Raises:
            TransientError: the network or the source's own limits; the same request may work later.
            DataError: the source will never answer this.
        """
        ...


class TransientError(Exception):
    """A request that may work later; `wait` is how many seconds the source asked for, if it did."""

    def __init__(self, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.wait = wait


def candles(rows: list[list[float]], unit_ns: int) -> Candles:
    """Candles from rows of time, open, high, low, close, volume; times in units of `unit_ns`."""
    if not rows:
        return NO_CANDLES
    times = np.array([int(row[0]) * unit_ns for row in rows], dtype=np.int64)
    values = [[np.nan if cell is None else float(cell) for cell in row[1:6]] for row in rows]
    return Candles(times, np.array(values, dtype=np.float64))
