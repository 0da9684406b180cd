"""A copy of a file that keeps the data contract, and a list of every change."""

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from regimegym.common.errors import ConfigError, DataError
from regimegym.common.files import write_whole
from regimegym.features.columns import PRICES
from regimegym.features.loading import load_bars, runs_newest_first
from regimegym.features.price_table import PARQUET, TEXT, PriceTable, read_prices
from regimegym.features.quality.checker import broken_rules
from regimegym.features.quality.runs import last_true, run_lengths
from regimegym.features.timestamps import NAT

MOST_FILLED = 5  # bars in a row; more is a gap, and a gap is honest
CARRIED = ("spread_open", "spread_close", "bid", "ask")  # states of the market; what is not a state becomes 0
IMPOSSIBLE = ("high-below-low", "open-outside-bar", "close-outside-bar")


class Change(NamedTuple):
    """One change: where it stood in the file, its time, the column, the value before and after, and why."""

    place: str
    time: str
    column: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class Repair:
    """What repairing has done: the rows left, every change, and the file that lists them."""

    n_rows: int
    changes: tuple[Change, ...]
    listing: Path


def repair_file(
    path: Path,
    out: Path,
    columns: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    dialect: str | None = None,
    symbol: str | None = None,
    force: bool = False,
) -> Repair:
    """Write a repaired copy of `path` to `out` (.csv or .parquet) and the changes beside it.

    Rows are put in order of time; of rows with one time the first is kept. A bar whose prices are
    missing or impossible becomes a flat bar at the last close before it with volume 0, at most five in
    a row; a spread takes the last one before it; a volume, size or funding that is missing or
    impossible becomes 0. No value after a gap fills it. What is left is dropped: rows without a time,
    ragged lines, longer runs, bars before the first good one.

    Raises:
        ConfigError: `out` is the file itself, exists (without `force`), or has another extension.
        DataError: the file cannot be read, or too little is left of it.
        OSError: the disk refuses.
    """
    listing = out.with_name(f"{out.name}.changes.csv")
    _check_out(path, out, listing, force)
    table = read_prices(path, columns, timezone, dialect, symbol)
    arrays, changes = repair_table(table)
    if len(arrays["timestamp"]) < 2:
        raise DataError(
            "nothing-left", f"{path.name} has {len(arrays['timestamp'])} bar(s) left after the repair", needed="2"
        )
    write_whole(listing, _listing(changes))
    write_bars(out, arrays)
    load_bars(out)  # what was written keeps the contract, or this is a bug of ours
    return Repair(len(arrays["timestamp"]), tuple(changes), listing)


def _check_out(path: Path, out: Path, listing: Path, force: bool) -> None:
    if out.suffix.lower() not in TEXT + PARQUET:
        raise ConfigError("unknown-extension", f"'--fix {out}' is no CSV or Parquet file", needed=".csv or .parquet")
    if out.exists() and path.exists() and os.path.samefile(path, out):
        raise ConfigError("same-file", f"'--fix {out}' is the file itself", kept="the file is as it was")
    standing = [str(file) for file in (out, listing) if file.exists()]
    if standing and not force:
        raise ConfigError(
            "file-exists",
            f"{', '.join(standing)} is there already",
            help=("name another file, or add --force",),
            kept="nothing was written",
        )


def repair_table(table: PriceTable) -> tuple[dict[str, np.ndarray], list[Change]]:
    """Columns that keep the contract, in order of time, and every change that made them so."""
    work = _Work(table)
    work.drop_lines()
    work.order()
    work.fill_prices()
    work.fill_others()
    return work.finished(), work.changes


class _Work:
    """A table under repair: `rows` are those left, in their order; `columns` hold all rows of the file."""

    def __init__(self, table: PriceTable) -> None:
        self.table = table
        self.columns = {name: values.copy() for name, values in table.columns.items()}
        self.rows = np.arange(len(table))
        self.changes: list[Change] = []
        self.faults: dict[int, str] = {}  # the first rule that each row breaks
        self.bad_cells = {name: np.zeros(len(table), dtype=bool) for name in self.columns}
        for rule in broken_rules(table):
            for row in rule.rows:
                self.faults.setdefault(int(row), rule.name)
            cells = PRICES if rule.name in IMPOSSIBLE else (rule.column,) if rule.column else ()
            for name in cells:
                self.bad_cells[name][rule.rows] = True

    def note(self, row: int, column: str, after: str, reason: str) -> None:
        """Remember a change of one cell or row (`column` empty); `reason` follows the rule that the row breaks."""
        before = f"{self.columns[column][row]:.17g}" if column else ""
        if before == after:
            return
        fault = self.faults.get(row)
        reason = f"{fault}: {reason}" if fault is not None else reason
        self.changes.append(Change(self.table.origin.place(row), self.time(row), column, before, after, reason))

    def time(self, row: int) -> str:
        """ISO time of a row, empty where it has none."""
        ns = int(self.columns["timestamp"][row])
        return "" if ns == NAT else f"{np.datetime64(ns, 'ns').astype('datetime64[ms]')}Z"

    def drop(self, gone: np.ndarray, reason: str) -> None:
        """Take the rows out at which `gone` (over `rows`) is true."""
        for row in self.rows[gone]:
            self.note(int(row), "", "dropped", reason)
        self.rows = self.rows[~gone]

    def drop_lines(self) -> None:
        """Lines that are no rows, and rows without a time."""
        for line, n_cells in self.table.ragged:
            reason = f"{n_cells} cells where the header has {self.table.n_cells}"
            self.changes.append(Change(f"line {line}", "", "", "", "dropped", reason))
        self.drop(self.columns["timestamp"][self.rows] == NAT, "no readable time")

    def order(self) -> None:
        """Rows in order of time; of several with one time the first in the file."""
        times = self.columns["timestamp"][self.rows]
        if runs_newest_first(times):  # loading takes that as it is
            self.rows = self.rows[::-1]
            return
        order = np.argsort(times, kind="stable")
        highest = np.maximum.accumulate(times) if len(times) else times
        for row in self.rows[times < highest]:
            self.note(int(row), "", "moved", "not in order of time")
        self.rows = self.rows[order]
        twice = np.concatenate([[False], np.diff(times[order]) == 0]) if len(times) else np.empty(0, dtype=bool)
        self.drop(twice, "the time stands there before")

    def fill_prices(self) -> None:
        """Flat bars for short runs of bars without usable prices; longer runs and leading ones go."""
        bad = np.logical_or.reduce([self.bad_cells[name][self.rows] for name in PRICES])
        last = last_true(~bad)
        self._fill_flat(bad, last)
        self.drop(bad & (last < 0), "no price before it to carry forward")
        bad = np.logical_or.reduce([self.bad_cells[name][self.rows] for name in PRICES])
        self.drop(bad & (run_lengths(bad) > MOST_FILLED), f"more than {MOST_FILLED} bars in a row without prices")

    def _fill_flat(self, bad: np.ndarray, last: np.ndarray) -> None:
        short = bad & (last >= 0) & (run_lengths(bad) <= MOST_FILLED)
        for i in np.flatnonzero(short):
            row, close = int(self.rows[i]), float(self.columns["close"][self.rows[last[i]]])
            for name in PRICES:
                self.note(row, name, f"{close:.17g}", "the last close carried forward")
                self.columns[name][row] = close
                self.bad_cells[name][row] = False
            if "volume" in self.columns and self.columns["volume"][row] != 0:
                self.note(row, "volume", "0", "a bar that was filled has no volume")
                self.columns["volume"][row] = 0.0
                self.bad_cells["volume"][row] = False

    def fill_others(self) -> None:
        """Spreads carried forward; volumes, sizes and funding 0; rows before the first spread go."""
        for name in self.columns:
            if name in (*PRICES, "timestamp", "bid", "ask"):
                continue
            bad = self.bad_cells[name][self.rows]
            last = last_true(~bad)
            carried = name in CARRIED
            if carried:
                self.drop(bad & (last < 0), f"no {name} before it to carry forward")
                bad = self.bad_cells[name][self.rows]
                last = last_true(~bad)
            for i in np.flatnonzero(bad):
                row = int(self.rows[i])
                value = float(self.columns[name][self.rows[last[i]]]) if carried else 0.0
                reason = "the last one carried forward" if carried else "unknown, so 0"
                self.note(row, name, f"{value:.17g}", reason)
                self.columns[name][row] = value

    def finished(self) -> dict[str, np.ndarray]:
        """The rows that are left; round-off at the edge of a bar is widened as loading does."""
        left = {name: values[self.rows] for name, values in self.columns.items() if name not in ("bid", "ask")}
        left["high"] = np.maximum.reduce([left[name] for name in PRICES])
        left["low"] = np.minimum.reduce([left[name] for name in PRICES])
        return left


def _listing(changes: list[Change]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Change._fields)
    writer.writerows(changes)
    return text.getvalue().encode()


def write_bars(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Write columns (`timestamp` UTC nanoseconds, the rest float64) as `date, open, …`, whole or not at all.

    Raises:
        OSError: the disk refuses.
    """
    unit = "ns" if (columns["timestamp"] % 1000).any() else "us"
    times = pa.array(columns["timestamp"]).cast(pa.timestamp("ns", "UTC")).cast(pa.timestamp(unit, "UTC"))
    table = pa.table({"date": times, **{name: v for name, v in columns.items() if name != "timestamp"}})
    sink = io.BytesIO()
    if path.suffix.lower() in PARQUET:
        pq.write_table(table, sink, compression="zstd")
    else:
        pa_csv.write_csv(table, sink)
    write_whole(path, sink.getvalue())
