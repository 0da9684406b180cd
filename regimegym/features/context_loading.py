"""What stands beside the bars, from files: the target of the config group `context`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from regimegym.common.checks import check_choice
from regimegym.common.errors import DataError, nearest_name
from regimegym.features.bars import Bars
from regimegym.features.columns import plain
from regimegym.features.context import Context
from regimegym.features.external import ExternalSeries
from regimegym.features.feature import SERIES as KNOWN_SERIES
from regimegym.features.loading import load_bars
from regimegym.features.order_book import BookSnapshots, Trades
from regimegym.features.price_table import PriceTable, Recognise, read_table
from regimegym.features.text_table import Header, ragged_lines
from regimegym.features.timestamps import NAT
from regimegym.features.validation import Broken, broken_rules_error

TIMES = ("datetime", "date", "timestamp", "time", "ts ns", "ts", "local timestamp")
# Usual names of our columns, in the form that `plain` gives them.
SERIES = {
    "timestamp": ("published", "published at", "publication time", *TIMES),
    "value": ("value", "score", "sentiment", "impact", "mentions", "count"),
}
TRADES = {"timestamp": TIMES, "price": ("price", "px"), "size": ("size", "qty", "quantity", "amount", "volume")}
SIDES = ("bid", "ask", "bid_size", "ask_size")


def load_context(
    others: Sequence[str] = (),
    series: Mapping[str, str] | None = None,
    book: str | None = None,
    trades: str | None = None,
    timezone: str = "UTC",
) -> Context:
    """Everything beside the bars that files hold.

    Args:
        others: files of other instruments' bars, as `load_bars` reads them; the first is the reference.
        series: `sentiment`, `news` or `mentions` → its file of `published, value`.
        book: file of order book snapshots, see `load_book`.
        trades: file of trades, see `load_trades`.
        timezone: zone of times that do not say theirs.

    Raises:
        DataError: as the loaders do; `repeated-symbol` when two of `others` have one name.
        ConfigError: a series that no feature knows.
    """
    for name in series or {}:
        check_choice("context.series", name, KNOWN_SERIES)
    bars: dict[str, Bars] = {}
    for path in [others] if isinstance(others, str) else others:
        other = load_bars(path, timezone=timezone)
        if other.symbol in bars:
            raise DataError("repeated-symbol", f"'context.others' holds {other.symbol} twice", found=str(path))
        bars[other.symbol] = other
    return Context(
        bars,
        {name: load_series(path, name, timezone) for name, path in (series or {}).items()},
        None if book is None else load_book(book, timezone),
        None if trades is None else load_trades(trades, timezone),
    )


def load_series(path: str | Path, name: str, timezone: str = "UTC") -> ExternalSeries:
    """One external series: a column of publication times, never falling, and one of finite values.

    A time is the moment at which the world could read the value, not the one that it speaks of.

    Raises DataError as `load_bars` does.
    """
    table = _read(path, lambda names, header: _recognise(SERIES, names, header, Path(path).name), timezone)
    broken = [*table.broken, *_time_rules(table), _finite("value", table)]
    _refuse(broken, table, "publication times in order, finite values")
    return ExternalSeries(name, table.columns["timestamp"], table.columns["value"])


def load_trades(path: str | Path, timezone: str = "UTC") -> Trades:
    """Trades: times in order, price > 0, size > 0. Raises DataError as `load_bars` does."""
    table = _read(path, lambda names, header: _recognise(TRADES, names, header, Path(path).name), timezone)
    broken = [*table.broken, *_time_rules(table)]
    broken += [rule for name in ("price", "size") for rule in (_finite(name, table), _above_zero(name, table))]
    _refuse(broken, table, "times in order, price > 0, size > 0")
    return Trades(table.columns["timestamp"], table.columns["price"], table.columns["size"], str(path))


def load_book(path: str | Path, timezone: str = "UTC") -> BookSnapshots:
    """Snapshots: a time and, for level 1 (the best), 2, …: bid_1, bid_size_1, ask_1, ask_size_1, …

    Times in order, prices > 0, sizes ≥ 0, bids that fall and asks that rise with the level, and
    the best bid not above the best ask. Raises DataError as `load_bars` does.
    """
    file = Path(path).name
    table = _read(path, lambda names, header: _recognise(_book_columns(names), names, header, file), timezone)
    n_levels = (len(table.columns) - 1) // len(SIDES)
    sides = [np.column_stack([table.columns[f"{side}_{k}"] for k in range(1, n_levels + 1)]) for side in SIDES]
    _refuse([*table.broken, *_time_rules(table), *_book_rules(table, sides)], table, "an uncrossed book in price order")
    bid, ask, bid_size, ask_size = sides
    return BookSnapshots(table.columns["timestamp"], bid, ask, bid_size, ask_size, str(path))


def _read(path: str | Path, recognise: Recognise, timezone: str) -> PriceTable:
    table = read_table(Path(path), recognise, timezone)
    if table.ragged:
        raise ragged_lines(table.ragged, table.n_cells, Path(path).name)
    return table


def _recognise(
    wanted: Mapping[str, Sequence[str]], found: Sequence[str], header: Header | None, file: str
) -> dict[str, int]:
    names, positions = [plain(name) for name in found], {}
    for ours, usual in wanted.items():
        hits = [names.index(name) for name in usual if name in names]
        if not hits:
            raise DataError(
                "missing-column",
                f"{file} has no column '{ours}' (looked for: {', '.join(usual)})",
                place=() if header is None else (f"{file}, line {header.line}", header.text),
                needed=", ".join(wanted),
                found=", ".join(found),
                nearest=nearest_name(ours, found),
            )
        positions[ours] = hits[0]
    return positions


def _book_columns(found: Sequence[str]) -> dict[str, Sequence[str]]:
    """Wanted columns of as many levels as the file has, one at least."""
    names = {plain(name) for name in found}
    n_levels = 1
    while f"bid {n_levels + 1}" in names:
        n_levels += 1
    columns: dict[str, Sequence[str]] = {"timestamp": TIMES}
    for level in range(1, n_levels + 1):
        columns |= {f"{side}_{level}": (plain(f"{side}_{level}"),) for side in SIDES}
    return columns


def _time_rules(table: PriceTable) -> list[Broken]:
    times = table.columns["timestamp"]
    known = (times[1:] != NAT) & (times[:-1] != NAT)
    return [
        Broken("unreadable-date", np.flatnonzero(times == NAT), lambda i: "holds no time"),
        Broken("unsorted", np.flatnonzero(known & (np.diff(times) < 0)) + 1, lambda i: "lies before the row above it"),
    ]


def _finite(name: str, table: PriceTable) -> Broken:
    values = table.columns[name]
    return Broken("not-finite", np.flatnonzero(~np.isfinite(values)), lambda i: f"column '{name}' holds {values[i]}")


def _above_zero(name: str, table: PriceTable) -> Broken:
    values = table.columns[name]
    return Broken(
        "not-positive", np.flatnonzero(values <= 0), lambda i: f"column '{name}' must be positive, is {values[i]:.10g}"
    )


def _book_rules(table: PriceTable, sides: Sequence[np.ndarray]) -> list[Broken]:
    bid, ask, bid_size, ask_size = sides
    misplaced = (np.diff(bid, axis=1) >= 0) | (np.diff(ask, axis=1) <= 0)
    negative = (np.minimum(bid_size, ask_size) < 0).any(axis=1)
    rules = [_finite(name, table) for name in table.columns if name != "timestamp"]
    return [
        *rules,
        Broken("non-positive-price", np.flatnonzero((bid <= 0).any(axis=1)), lambda i: "a price is not positive"),
        Broken("negative-size", np.flatnonzero(negative), lambda i: "a size is below zero"),
        Broken(
            "crossed-book",
            np.flatnonzero(bid[:, 0] > ask[:, 0]),
            lambda i: f"bid {bid[i, 0]:.10g} is above ask {ask[i, 0]:.10g}",
        ),
        Broken("levels-out-of-order", np.flatnonzero(misplaced.any(axis=1)), lambda i: "levels are not in price order"),
    ]


def _refuse(broken: Sequence[Broken], table: PriceTable, needed: str) -> None:
    found = [rule for rule in broken if len(rule.rows)]
    if found:
        raise broken_rules_error(found, table.origin, needed)
