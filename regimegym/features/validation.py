"""The data contract of bars: every violation named with its file, row and column."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from regimegym.common.checks import check_positive
from regimegym.common.errors import DataError
from regimegym.features.bars import Bars
from regimegym.features.calendars import infer_timeframe, observed_periods_per_year
from regimegym.features.columns import PRICES
from regimegym.features.timestamps import NAT

EDGE_TOLERANCE = 1e-6  # adjusted prices leave their bar by float round-off; relative
SHOWN = 3
CONTRACT = "strictly increasing times, finite prices > 0, low ≤ open, close ≤ high, volume ≥ 0"


@dataclass(frozen=True)
class Origin:
    """Where rows come from: the file and, for text files, the line of each row (1 = first line).

    Where rows were sorted, `lines` holds their numbers in the file and `unit` says what is counted.
    """

    file: str
    lines: np.ndarray | None = None
    unit: str = "line"

    def place(self, row: int) -> str:
        """`line 17` of a text file, else `row 15`, counted from 0."""
        return f"row {row}" if self.lines is None else f"{self.unit} {self.lines[row]}"


class Broken(NamedTuple):
    """One broken rule: its name, the rows (0 = first), what to say about a row, and the column it is about."""

    name: str
    rows: np.ndarray
    text: Callable[[int], str]
    column: str = ""


def bars_from_arrays(
    columns: dict[str, np.ndarray],
    symbol: str,
    *,
    origin: Origin | None = None,
    source: str = "",
    periods_per_year: float | None = None,
    unreadable: list[Broken] | None = None,
) -> Bars:
    """Bars from arrays of length T, checked against the data contract.

    Args:
        columns: `timestamp` int64 UTC nanoseconds, `open high low close` float64, optionally
            `volume`, `spread_open`, `spread_close`, `funding_rate`, `bid_size`, `ask_size` float64. NaN is
            refused. A high or low that misses open or close by at most a relative 1e-6 is round-off and is widened.
        symbol: name of the instrument.
        origin: where rows come from, for messages.
        source: where the bars come from, for people.
        periods_per_year: bars per year; None takes what the timestamps say.
        unreadable: what reading the file has found already.

    Raises:
        DataError: named after the first broken rule, with the first three places and the count.
        ConfigError: `periods_per_year` that is not positive.
    """
    origin = origin or Origin(symbol)
    n_rows = len(columns["timestamp"])
    if n_rows < 2:
        raise DataError(
            "too-few-bars", f"{origin.file} holds {n_rows} bar(s)", needed="at least 2 to tell the bar length"
        )
    if periods_per_year is not None:
        check_positive("data.periods_per_year", periods_per_year)
    columns = {"volume": np.zeros(n_rows), **columns}
    broken = find_broken_rules(columns, unreadable or [])
    if broken:
        raise broken_rules_error(broken, origin)
    edges = (columns["open"], columns["close"])
    times = columns["timestamp"]
    return Bars(
        timestamps=times,
        open=columns["open"],
        high=np.maximum(columns["high"], np.maximum(*edges)),
        low=np.minimum(columns["low"], np.minimum(*edges)),
        close=columns["close"],
        volume=columns["volume"],
        symbol=symbol,
        timeframe_ns=infer_timeframe(times),
        periods_per_year=periods_per_year or observed_periods_per_year(times),
        spread_open=columns.get("spread_open"),
        spread_close=columns.get("spread_close"),
        source=source,
        funding_rate=columns.get("funding_rate"),
        bid_size=columns.get("bid_size"),
        ask_size=columns.get("ask_size"),
    )


def find_broken_rules(columns: dict[str, np.ndarray], known: Sequence[Broken] = ()) -> list[Broken]:
    """Every broken rule of the data contract.

    Args:
        columns: as in `bars_from_arrays`.
        known: what reading the file has found; it comes first, and a cell that it names is not named again.
    """
    rules = [*_time_rules(columns["timestamp"]), *_bar_rules(columns)]
    for name, values in columns.items():
        if name != "timestamp":
            rules += _number_rules(name, values)
    for found in known:
        rules = [
            rule._replace(rows=np.setdiff1d(rule.rows, found.rows)) if rule.column == found.column else rule
            for rule in rules
        ]
    return [*known, *(rule for rule in rules if len(rule.rows))]


def _time_rules(times: np.ndarray) -> list[Broken]:
    known = (times[1:] != NAT) & (times[:-1] != NAT)
    return [
        Broken(
            "unreadable-date", np.flatnonzero(times == NAT), lambda i: "column 'timestamp' holds no date", "timestamp"
        ),
        Broken(
            "duplicate-timestamps",
            np.flatnonzero(known & (times[1:] == times[:-1])) + 1,
            lambda i: f"column 'timestamp': {_time(times[i])} stands there twice",
        ),
        Broken(
            "unsorted",
            np.flatnonzero(known & (times[1:] < times[:-1])) + 1,
            lambda i: f"column 'timestamp': {_time(times[i])} comes after {_time(times[i - 1])}",
        ),
    ]


def _number_rules(name: str, values: np.ndarray) -> list[Broken]:
    lowest = -np.inf if name == "funding_rate" else 0.0  # shorts pay where funding is negative
    bad = np.isfinite(values) & ((values <= 0) if name in PRICES else (values < lowest))
    rule = (
        "non-positive-price"
        if name in PRICES
        else f"negative-{'size' if name.endswith('_size') else name.split('_')[0]}"
    )
    sign = "positive" if name in PRICES else "zero or more"
    return [
        Broken(
            "missing-value",
            np.flatnonzero(np.isnan(values)),
            lambda i: f"column '{name}' holds no value (NaN)",
            name,
        ),
        Broken("not-finite", np.flatnonzero(np.isinf(values)), lambda i: f"column '{name}' holds {values[i]}", name),
        Broken(rule, np.flatnonzero(bad), lambda i: f"column '{name}' must be {sign}, is {values[i]:.10g}", name),
    ]


def _bar_rules(columns: dict[str, np.ndarray]) -> list[Broken]:
    high, low = columns["high"], columns["low"]
    swapped = low > high * (1 + EDGE_TOLERANCE)
    rules = [
        Broken(
            "high-below-low",
            np.flatnonzero(swapped),
            lambda i: f"column 'high': {high[i]:.10g} is below low {low[i]:.10g}",
        )
    ]
    for name in ("open", "close"):
        rules += _edge_rules(name, columns[name], high, low, ~swapped)
    return rules


def _edge_rules(name: str, price: np.ndarray, high: np.ndarray, low: np.ndarray, judged: np.ndarray) -> list[Broken]:
    above = judged & (price > high * (1 + EDGE_TOLERANCE))
    below = judged & (price < low * (1 - EDGE_TOLERANCE))
    return [
        Broken(
            f"{name}-outside-bar",
            np.flatnonzero(above),
            lambda i: f"column '{name}': {price[i]:.10g} is above high {high[i]:.10g}",
        ),
        Broken(
            f"{name}-outside-bar",
            np.flatnonzero(below),
            lambda i: f"column '{name}': {price[i]:.10g} is below low {low[i]:.10g}",
        ),
    ]


def _time(ns: np.int64) -> str:
    return str(np.datetime64(int(ns), "ns").astype("datetime64[s]")).replace("T", " ")


def broken_rules_error(broken: Sequence[Broken], origin: Origin, needed: str = CONTRACT) -> DataError:
    """One message for all broken rules, the earliest rows first."""
    first = sorted(((int(row), rule) for rule in broken for row in rule.rows[:SHOWN]), key=lambda found: found[0])
    sentences = [f"{origin.file}, {origin.place(row)}: {rule.text(row)}" for row, rule in first[:SHOWN]]
    count = sum(len(rule.rows) for rule in broken)
    more = [f"… and {count - SHOWN:,} more"] if count > SHOWN else []
    return DataError(
        first[0][1].name,
        sentences[0],
        place=[*sentences, *more],
        needed=needed,
        found=f"{count:,} violation{'s' if count > 1 else ''}",
    )
