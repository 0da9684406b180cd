"""The check of a file or of columns in memory: everything at once, where loading stops at the first."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regimegym.common.checks import check_at_least, check_positive
from regimegym.common.errors import DataError
from regimegym.features.bars import Bars
from regimegym.features.frames import bars_from_frame
from regimegym.features.loading import QUOTES, runs_newest_first
from regimegym.features.price_table import PriceTable, read_prices
from regimegym.features.quality.notes_price import price_notes
from regimegym.features.quality.notes_quotes import quote_notes
from regimegym.features.quality.notes_time import clock_change, length, time_notes
from regimegym.features.quality.report import SHOWN, FileReport, Finding
from regimegym.features.quality.robust import causal_outliers
from regimegym.features.quality.runs import last_true, run_lengths
from regimegym.features.quality.stationarity import Stationarity, dickey_fuller
from regimegym.features.quality.subject import Note, Subject, subject_of
from regimegym.features.validation import Broken, find_broken_rules

IN_TIME = ("duplicate-timestamps", "unsorted")


@dataclass(frozen=True)
class DataQualityChecker:
    """Checks bars against the data contract and says what else is odd.

    Attributes:
        window: rows before each row that outliers are judged by.
        least: rows before the first row that is judged.
        limit: robust deviations beyond which a value is an outlier.
    """

    window: int = 500
    least: int = 50
    limit: float = 25.0

    def __post_init__(self) -> None:
        check_at_least("window", self.window, 2)
        check_at_least("least", self.least, 2)
        check_positive("limit", self.limit)

    def validate_schema(self, data: pd.DataFrame | Mapping[str, Any]) -> Bars:
        """Bars of columns in memory, as `bars_from_frame` takes them.

        Raises:
            DataError: a column is missing or of a wrong kind, or a rule of the contract is broken.
        """
        return bars_from_frame(data)

    def detect_outliers(self, values: np.ndarray) -> np.ndarray:
        """(T,) bool: values far from zero by the robust scale of the rows before; returns, not prices, go in."""
        return causal_outliers(values, self.window, self.least, self.limit)

    def check_stationarity(self, columns: Mapping[str, np.ndarray]) -> dict[str, Stationarity]:
        """The augmented Dickey-Fuller test of every column or feature; NaN warm-ups are left out."""
        return {name: dickey_fuller(np.asarray(values, np.float64)) for name, values in columns.items()}

    def impute_missing_values(self, values: np.ndarray, most: int | None = None) -> np.ndarray:
        """(T,) copy in which NaN takes the last value before it; a first NaN stays, and so do runs beyond `most`.

        No value after a gap is used to fill it.
        """
        known = np.isfinite(values)
        last = last_true(known)
        fill = ~known & (last >= 0)
        if most is not None:
            fill &= run_lengths(~known) <= most
        return np.where(fill, values[np.maximum(last, 0)], values)

    def check_file(
        self,
        path: Path,
        columns: Mapping[str, str] | None = None,
        timezone: str = "UTC",
        dialect: str | None = None,
        symbol: str | None = None,
    ) -> FileReport:
        """The report on a CSV or Parquet file; arguments as in `load_bars`.

        A file that cannot be read is a report with one violation, never an error.

        Raises:
            ConfigError: unknown time zone or dialect.
            MachineError: the file may not be read.
        """
        try:
            table = read_prices(path, columns, timezone, dialect, symbol)
        except DataError as error:
            said = {"needed": error.needed, "found": error.found, "nearest": error.nearest}
            places = (*error.place[:SHOWN], *(f"{label} {text}" for label, text in said.items() if text), *error.help)
            return FileReport(str(path), 0, 0, findings=(Finding(error.name, True, 1, error.sentence, places),))
        return self.check_table(str(path), table)

    def check_table(self, file: str, table: PriceTable) -> FileReport:
        """The report on what a file holds."""
        broken = broken_rules(table)
        subject = subject_of(table, broken)
        findings = [*_ragged(table), *_violations(table, broken), *_too_few(table)]
        bad = np.zeros(len(table), dtype=bool)
        for rule in broken:
            bad[rule.rows] = True
        n_bars, n_bad = len(table) + len(table.ragged), int(bad.sum()) + len(table.ragged)
        if subject is None:
            return FileReport(file, n_bars, n_bad, findings=tuple(findings), unused=table.unused)
        notes = [*time_notes(subject), *price_notes(subject), *quote_notes(subject), *_newest_first(table)]
        return FileReport(
            file,
            n_bars,
            n_bad,
            subject.time(0),
            subject.time(-1),
            length(subject.timeframe_ns),
            subject.sessions.name if subject.sessions is not None else "no regular hours",
            (*findings, *(_finding(subject, note) for note in notes)),
            tuple(self.check_stationarity(_tested(subject)).items()),
            table.unused,
        )


def broken_rules(table: PriceTable) -> list[Broken]:
    """Every broken rule of a file's table: those that loading refuses, all at once."""
    columns = {name: values for name, values in table.columns.items() if name not in QUOTES}
    broken = find_broken_rules(columns, table.broken)
    if runs_newest_first(table.columns["timestamp"]):  # loading turns it round
        broken = [rule for rule in broken if rule.name != "unsorted"]
    return broken


def _violations(table: PriceTable, broken: list[Broken]) -> list[Finding]:
    """One finding for each rule, whichever columns break it; the first rows first."""
    findings = []
    for name in dict.fromkeys(rule.name for rule in broken):
        rules = [rule for rule in broken if rule.name == name]
        first = sorted(((int(row), rule) for rule in rules for row in rule.rows[:SHOWN]), key=lambda found: found[0])
        places = tuple(f"{table.origin.place(row)}: {rule.text(row)}" for row, rule in first[:SHOWN])
        advice = ""
        if name in IN_TIME:
            advice = clock_change(table.columns["timestamp"], rules[0].rows, table.zoned)
        findings.append(Finding(name, True, sum(len(rule.rows) for rule in rules), advice, places))
    return findings


def _ragged(table: PriceTable) -> list[Finding]:
    if not table.ragged:
        return []
    places = tuple(f"line {line}: {n} cells where the header has {table.n_cells}" for line, n in table.ragged[:SHOWN])
    return [Finding("ragged-line", True, len(table.ragged), "", places)]


def _too_few(table: PriceTable) -> list[Finding]:
    if len(table) >= 2:
        return []
    return [Finding("too-few-bars", True, 1, f"{len(table)} bar(s); at least 2 tell the bar length", ())]


def _newest_first(table: PriceTable) -> list[Note]:
    if not runs_newest_first(table.columns["timestamp"]):
        return []
    return [Note("newest-first", "the file runs newest first; loading turns it round", np.empty(0, dtype=np.int64))]


def _finding(subject: Subject, note: Note) -> Finding:
    places = tuple(f"{subject.origin.place(int(row))}: {note.text(int(row))}" for row in note.rows[:SHOWN])
    return Finding(note.name, False, max(1, len(note.rows)), note.sentence, places)


def _tested(subject: Subject) -> dict[str, np.ndarray]:
    """Columns and the log return of the close: what a learner may be tempted to look at as it stands."""
    tested = {name: values for name, values in subject.columns.items() if name not in QUOTES}
    return {**tested, "log return": np.diff(np.log(subject.columns["close"]))}
