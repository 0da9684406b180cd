"""What notes are taken from: the rows that keep the data contract, oldest first."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from regimegym.features.calendars import infer_timeframe
from regimegym.features.price_table import PriceTable
from regimegym.features.quality.sessions import Sessions, infer_sessions
from regimegym.features.validation import Broken, Origin


class Note(NamedTuple):
    """Something odd that the contract allows.

    Attributes:
        name: slug of the rule.
        sentence: what it means for the file as a whole.
        rows: rows of the subject it was found at; empty where the whole file is meant.
        text: what to say about one of `rows`.
    """

    name: str
    sentence: str
    rows: np.ndarray
    text: Callable[[int], str] = lambda row: ""


@dataclass(frozen=True)
class Subject:
    """(T,) arrays of the rows without a violation, in order of time, and what they are bars of.

    `columns` holds our names of float64 columns, `zoned` whether the file's times say their zone.
    """

    times: np.ndarray
    columns: dict[str, np.ndarray]
    origin: Origin
    timeframe_ns: int
    sessions: Sessions | None
    zoned: bool

    def __len__(self) -> int:
        return len(self.times)

    def time(self, row: int) -> str:
        """`2024-01-31 13:00` of a row, with seconds where there are any."""
        text = str(np.datetime64(int(self.times[row]), "ns").astype("datetime64[s]")).replace("T", " ")
        return text.removesuffix(":00") if self.timeframe_ns % 60_000_000_000 == 0 else text


def subject_of(table: PriceTable, broken: list[Broken]) -> Subject | None:
    """The good rows of `table`; None where fewer than three are left."""
    good = np.ones(len(table), dtype=bool)
    for rule in broken:
        good[rule.rows] = False
    rows = np.flatnonzero(good)
    rows = rows[np.argsort(table.columns["timestamp"][rows], kind="stable")]
    times = table.columns["timestamp"][rows]
    kept = np.concatenate([[True], np.diff(times) > 0]) if len(times) else np.empty(0, dtype=bool)
    rows, times = rows[kept], times[kept]
    if len(rows) < 3:
        return None
    columns = {name: values[rows] for name, values in table.columns.items() if name != "timestamp"}
    lines = table.origin.lines
    origin = Origin(table.origin.file, rows, "row") if lines is None else Origin(table.origin.file, lines[rows])
    timeframe = infer_timeframe(times)
    return Subject(times, columns, origin, timeframe, infer_sessions(times, timeframe), table.zoned)


def counted(n: int, noun: str) -> str:
    """`1 bar`, `1,200 bars`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
