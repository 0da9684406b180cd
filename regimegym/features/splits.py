"""The splitter: everything in this project that is cut in time is cut here.

SplitSettings and DateSplitSettings cut one history into train, validation and test; WalkForward
and Combinatorial make folds of labelled rows of any number of symbols, on time stamps, purged by the
interval that each label uses.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, count, pairwise
from typing import NamedTuple

import numpy as np

from regimegym.common.checks import check_at_least, check_flag, check_number
from regimegym.common.errors import ConfigError, DataError
from regimegym.features.spans import Clock, day, parse_date, parse_span
from regimegym.features.tape import Segment


class RowRange(NamedTuple):
    """Tape rows [start, stop)."""

    start: int
    stop: int

    @property
    def count(self) -> int:  # type: ignore[override]  # no one counts values in a range
        """Number of rows."""
        return self.stop - self.start


class Split(NamedTuple):
    """Three ranges in time order, with purged rows between them."""

    train: RowRange
    validation: RowRange
    test: RowRange


@dataclass(frozen=True)
class SplitSettings:
    """Shares of the rows after warm-up; what is left of them, less the purged rows, is for training."""

    validation_share: float = 0.2
    test_share: float = 0.2

    def __post_init__(self) -> None:
        for name in ("validation_share", "test_share"):
            value = getattr(self, name)
            check_number(f"split.{name}", value, "between 0 and 1", lambda v: 0 < v < 1)
        if self.validation_share + self.test_share >= 1:
            raise ConfigError(
                "out-of-range",
                f"'split.validation_share' + 'split.test_share' must be below 1, "
                f"got {self.validation_share} + {self.test_share}",
            )

    def cut(self, timestamps: np.ndarray, first_row: int, purge: int, least: int) -> Split:
        """The split of rows with these `timestamps` (T,); see `chronological_split`."""
        return chronological_split(len(timestamps), first_row, self, purge, least)


@dataclass(frozen=True)
class DateSplitSettings:
    """Dates, UTC, at which validation and test begin; where the data go on, at which test ends and training begins.

    The rows purged before a part are taken from the part before it.
    """

    validation_from: str | None = None
    test_from: str | None = None
    test_until: str | None = None
    train_from: str | None = None

    def __post_init__(self) -> None:
        named = {name: getattr(self, name) for name in ("train_from", "validation_from", "test_from", "test_until")}
        optional = ("train_from", "test_until")
        dates = [parse_date(f"split.{n}", date) for n, date in named.items() if date is not None or n not in optional]
        if any(later <= earlier for earlier, later in pairwise(dates)):
            raise ConfigError(
                "out-of-order",
                "'split.train_from', 'validation_from', 'test_from' and 'test_until' must follow each other",
                found=", ".join(day(date) for date in dates),
            )

    def cut(self, timestamps: np.ndarray, first_row: int, purge: int, least: int) -> Split:
        """The split of rows with these ascending `timestamps` (T,), int64 UTC nanoseconds.

        Args:
            first_row, purge, least: as for `chronological_split`.

        Raises:
            DataError: `too-few-bars` where a part holds fewer than `least` rows.
        """
        dates = [parse_date("date", date) for date in (self.validation_from, self.test_from)]
        validation, test = (int(row) for row in np.searchsorted(timestamps, dates))
        stop = len(timestamps)
        if self.test_until is not None:
            stop = int(np.searchsorted(timestamps, parse_date("date", self.test_until)))
        if self.train_from is not None:
            first_row = max(first_row, int(np.searchsorted(timestamps, parse_date("date", self.train_from))))
        split = Split(RowRange(first_row, validation - purge), RowRange(validation, test - purge), RowRange(test, stop))
        if min(part.count for part in split) < least:
            sizes = ", ".join(f"{max(0, rows.count):,} of {part}" for part, rows in split._asdict().items())
            raise DataError(
                "too-few-bars",
                f"train, validation and test need {least:,} bars each",
                needed=f"dates within {day(timestamps[first_row])} … {day(timestamps[-1])}, the bars after the "
                f"warm-up, and {purge:,} bars between the parts",
                found=sizes,
            )
        return split


def chronological_split(n_rows: int, first_row: int, settings: SplitSettings, purge: int, least: int) -> Split:
    """Split the rows first_row … n_rows − 1 in the order of time.

    Args:
        n_rows: number of tape rows, the bars of warm-up among them.
        first_row: first row after warm-up.
        settings: shares of validation and test.
        purge: rows left out before validation and before test; the window length, so that no
            window of a later part holds a row on which the earlier part decided.
        least: rows that each part needs at least.

    Raises:
        DataError: `too-few-bars`, which says how many bars are needed in total.
    """
    split = _cut(n_rows, first_row, settings, purge)
    if min(part.count for part in split) < least:
        needed = _bars_needed(first_row, settings, purge, least)
        raise DataError(
            "too-few-bars",
            f"{n_rows:,} bars are too few for train, validation and test of at least {least:,} bars each",
            needed=f"{needed:,} bars in total ({first_row:,} of warm-up, twice {purge:,} between the parts)",
            found=f"{n_rows:,} bars",
            help=("use more bars, or a shorter env.episode.length",),
        )
    return split


def _cut(n_rows: int, first_row: int, settings: SplitSettings, purge: int) -> Split:
    usable = max(0, n_rows - first_row)
    test = RowRange(n_rows - round(usable * settings.test_share), n_rows)
    stop = test.start - purge
    validation = RowRange(stop - round(usable * settings.validation_share), stop)
    return Split(RowRange(first_row, validation.start - purge), validation, test)


def _bars_needed(first_row: int, settings: SplitSettings, purge: int, least: int) -> int:
    """Fewest bars that give every part `least` rows."""
    train_share = 1 - settings.validation_share - settings.test_share
    smallest = max(least / settings.validation_share, least / settings.test_share, (least + 2 * purge) / train_share)
    n_rows = first_row + max(0, int(smallest) - 5)  # rounding moves the bound by a few rows
    while min(part.count for part in _cut(n_rows, first_row, settings, purge)) < least:
        n_rows += 1
    return n_rows


class LabelIntervals(NamedTuple):
    """What each row's label uses: the rows a predictor may be trained or tested on, of any number of symbols.

    Attributes:
        rows: (N,) int64 tape rows.
        start: (N,) int64 UTC nanoseconds, the row's own time stamp.
        end: (N,) int64 UTC nanoseconds ≥ start, the time stamp of the last bar the label looks at.
    """

    rows: np.ndarray
    start: np.ndarray
    end: np.ndarray


def label_intervals(timestamps: np.ndarray, segments: Sequence[Segment], horizon: int) -> LabelIntervals:
    """Intervals [t, t + horizon] of all rows that have a label.

    Rows of the warm-up and the last `horizon` rows of each segment have none.

    Args:
        timestamps: (T,) int64 UTC nanoseconds of the tape rows.
        segments: histories of the tape; a label never crosses from one into the next.
        horizon: bars ≥ 0 that a label looks ahead.
    """
    check_at_least("horizon", horizon, 0)
    rows = np.concatenate([np.arange(s.first_row, max(s.first_row, s.stop - horizon)) for s in segments])
    return LabelIntervals(rows, timestamps[rows], timestamps[rows + horizon])


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows to train on and rows to test on.

    Attributes:
        name: "fold 3", or the test groups of a combination.
        train, test: int64 tape rows in the order of the intervals they were chosen from.
        train_span, test_span: first and last time stamp of each, UTC nanoseconds.
        purged: training rows left out because their label met a test interval.
        embargoed: training rows left out because they follow a test interval too closely.
        weight: share of this fold's test rows among those of all folds; scores are averaged with it.
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    train_span: tuple[int, int]
    test_span: tuple[int, int]
    purged: int
    embargoed: int
    weight: float = math.nan


@dataclass(frozen=True)
class WalkForward:
    """Training intervals followed by test intervals, moved on by a step; later rows never train.

    A span is a number of bars (distinct time stamps), or a calendar length: "4 months", "10 days",
    "1 year". What is left at the end is tested only if it holds `min_test` rows.

    Attributes:
        train: span of the training interval, of the first one where `anchored`.
        test: span of the test interval.
        step: span between two starts; equal to `test` the test intervals follow each other.
        anchored: the training interval always begins with the first row and grows.
        min_train: least training rows of a fold, after purging.
        min_test: least test rows of a fold; None takes whole test intervals only.
    """

    train: int | str = "4 months"
    test: int | str = "2 months"
    step: int | str = "2 months"
    anchored: bool = False
    min_train: int = 1
    min_test: int | None = None

    def __post_init__(self) -> None:
        for name in ("train", "test", "step"):
            parse_span(name, getattr(self, name))
        check_flag("anchored", self.anchored)
        check_at_least("min_train", self.min_train, 1)
        if self.min_test is not None:
            check_at_least("min_test", self.min_test, 1)

    def folds(self, labels: LabelIntervals) -> list[Fold]:
        """The folds in the order of time. Raises DataError when one is too small or none fits."""
        clock = Clock(np.unique(labels.start))
        found = []
        for k in count():
            start = clock.after(clock.first, self.step, k)
            train_stop = clock.after(start, self.train)
            test_stop = clock.after(train_stop, self.test)
            if self.test == self.step:  # months differ in length, and tests must meet
                train_stop, test_stop = (clock.after_both(clock.first, self.train, self.step, i) for i in (k, k + 1))
            is_whole = test_stop <= clock.stop
            test = (labels.start >= train_stop) & (labels.start < test_stop)
            if not is_whole and (self.min_test is None or test.sum() < self.min_test):
                break
            candidates = (labels.start < train_stop) & (self.anchored | (labels.start >= start))
            found.append(_fold(f"fold {k + 1}", labels, [test], candidates, 0, self.min_train, self.min_test or 1))
            if not is_whole:
                break
        return _weighted(found, f"{self.train} of training and {self.test} of test", clock)


@dataclass(frozen=True)
class Combinatorial:
    """Combinatorial purged cross-validation: every choice of test groups out of equal stretches of time.

    Training rows lie on both sides of the test groups, purged on both sides; one test group is
    purged K-fold. Source: López de Prado, Advances in Financial Machine Learning, ch. 7 and 12.

    Attributes:
        n_groups: stretches with equally many distinct time stamps.
        n_test_groups: how many of them are tested together.
        embargo: bars (distinct time stamps) left out behind the label interval of each test stretch.
        min_train, min_test: least rows of a fold, after purging and embargo.
    """

    n_groups: int = 6
    n_test_groups: int = 2
    embargo: int = 0
    min_train: int = 1
    min_test: int = 1

    def __post_init__(self) -> None:
        check_at_least("n_groups", self.n_groups, 2)
        check_at_least("n_test_groups", self.n_test_groups, 1)
        check_at_least("embargo", self.embargo, 0)
        check_at_least("min_train", self.min_train, 1)
        check_at_least("min_test", self.min_test, 1)
        if self.n_test_groups >= self.n_groups:
            raise ConfigError(
                "out-of-range", f"'n_test_groups' must be below 'n_groups' ({self.n_groups}), got {self.n_test_groups}"
            )

    def folds(self, labels: LabelIntervals) -> list[Fold]:
        """C(n_groups, n_test_groups) folds. Raises DataError when one is too small."""
        clock = Clock(np.unique(labels.start))
        edges = np.linspace(0, len(clock.stamps), self.n_groups + 1).round().astype(np.int64)
        group = np.searchsorted(edges[1:], np.searchsorted(clock.stamps, labels.start), side="right")
        everyone = np.ones(len(labels.rows), dtype=bool)
        found = []
        for chosen in combinations(range(self.n_groups), self.n_test_groups):
            name = "test " + "+".join(str(g + 1) for g in chosen)
            tests = [group == g for g in chosen]
            found.append(_fold(name, labels, tests, everyone, self.embargo, self.min_train, self.min_test))
        return _weighted(found, f"{self.n_groups} groups", clock)

    def paths(self) -> np.ndarray:
        """Backtest paths (n_paths, n_groups) int64: the fold that tests each group on each path.

        Every fold's test of every group lies on exactly one of the n_test_groups/n_groups·C paths.
        """
        chosen = list(combinations(range(self.n_groups), self.n_test_groups))
        tested_by = [[fold for fold, groups in enumerate(chosen) if g in groups] for g in range(self.n_groups)]
        return np.array(tested_by, dtype=np.int64).T


def _fold(
    name: str,
    labels: LabelIntervals,
    tests: Sequence[np.ndarray],
    candidates: np.ndarray,
    embargo: int,
    min_train: int,
    min_test: int,
) -> Fold:
    """One fold; the only place where anything is purged.

    A training row goes when its interval meets [first test stamp, last test label] of a stretch
    in `tests`, or when it follows one of them by up to `embargo` bars.
    """
    test = np.logical_or.reduce(tests)
    train = candidates & ~test
    meets, follows = np.zeros_like(train), np.zeros_like(train)
    for stretch in tests:
        if stretch.any():
            met, followed = _near(labels, stretch, embargo)
            meets |= met
            follows |= followed
    purged, embargoed = train & meets, train & follows & ~meets
    kept = train & ~purged & ~embargoed
    for rows, least, what in ((kept, min_train, "training"), (test, min_test, "test")):
        if rows.sum() < least:
            raise DataError(
                "fold-too-small",
                f"{name} has {rows.sum():,} {what} rows",
                needed=f"at least {least:,}",
                found=f"{train.sum():,} training rows, {purged.sum():,} of them purged and "
                f"{embargoed.sum():,} embargoed, and {test.sum():,} test rows",
                help=("use more bars, a shorter horizon, or fewer folds",),
            )
    spans = _span(labels.start[kept]), _span(labels.start[test])
    return Fold(name, labels.rows[kept], labels.rows[test], *spans, int(purged.sum()), int(embargoed.sum()))


def _near(labels: LabelIntervals, stretch: np.ndarray, embargo: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose interval meets that of a test stretch, and rows within `embargo` bars behind it; (N,) bool each."""
    first, last = labels.start[stretch].min(), labels.end[stretch].max()
    later = np.unique(labels.start[labels.start > last])[:embargo]
    return (labels.start <= last) & (labels.end >= first), np.isin(labels.start, later)


def _weighted(folds: Sequence[Fold], asked: str, clock: "Clock") -> list[Fold]:
    if not folds:
        raise DataError(
            "no-fold",
            f"{len(clock.stamps):,} bars do not hold {asked}",
            found=f"{day(clock.stamps[0])} … {day(clock.stamps[-1])}" if len(clock.stamps) else "no rows",
            help=("use more bars, or shorter spans",),
        )
    total = sum(len(fold.test) for fold in folds)
    return [replace(fold, weight=len(fold.test) / total) for fold in folds]


def folds_table(folds: Sequence[Fold]) -> list[str]:
    """Lines of a table: one per fold under a heading."""
    width = max(4, *(len(fold.name) for fold in folds)) if folds else 4
    titles = ("fold", "train", "first … last", "test", "first … last", "purged", "embargoed", "weight")
    form = f"{{:<{width}}}  {{:>9}}  {{:^23}}  {{:>9}}  {{:^23}}  {{:>7}}  {{:>9}}  {{:>6}}"
    lines = [form.format(*titles)]
    for fold in folds:
        spans = [f"{day(first)} … {day(last)}" for first, last in (fold.train_span, fold.test_span)]
        n_train, n_test = f"{len(fold.train):,}", f"{len(fold.test):,}"
        purged, embargoed = f"{fold.purged:,}", f"{fold.embargoed:,}"
        weight = f"{fold.weight:.3f}"
        lines.append(form.format(fold.name, n_train, spans[0], n_test, spans[1], purged, embargoed, weight))
    return lines


def row_ranges(rows: np.ndarray) -> list[RowRange]:
    """The contiguous stretches of ascending tape `rows` (N,)."""
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    return [RowRange(int(part[0]), int(part[-1]) + 1) for part in np.split(rows, cuts) if len(part)]


def _span(stamps: np.ndarray) -> tuple[int, int]:
    return int(stamps.min()), int(stamps.max())
