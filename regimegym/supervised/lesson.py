"""What a predictor learns from: features, labels, and the row at which each label was known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from regimegym.common.checks import check_number
from regimegym.common.errors import DataError
from regimegym.features.labels import Labels
from regimegym.features.pipeline import FeatureTable
from regimegym.features.splits import Fold, LabelIntervals, RowRange, WalkForward


@dataclass(frozen=True, eq=False)
class Lesson:
    """N rows in the order of time and nothing after them; every array is read-only.

    Attributes:
        features: (N, F) float64, unscaled; NaN only where a predictor accepts it.
        labels: (N,) float64, class index or value; NaN where there is none.
        ends: (N,) int64, the row of this lesson at which the label is known, ≥ its own row; a
            splitter purges by it. Anything where there is no label.
        names: F feature names.
        timestamps: (N,) int64 UTC nanoseconds, not descending (symbols may share a stamp).
        closes: (N,) prices, where somebody wants them.
        classes: names of the classes 0 … C − 1; empty for a regression.
    """

    features: np.ndarray
    labels: np.ndarray
    ends: np.ndarray
    names: tuple[str, ...]
    timestamps: np.ndarray
    closes: np.ndarray | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, kind in (("features", float), ("labels", float), ("ends", np.int64), ("timestamps", np.int64)):
            self._freeze(name, kind)
        if self.closes is not None:
            self._freeze("closes", float)
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "classes", tuple(self.classes))
        self._check_shapes()
        self._check_labels()

    def _freeze(self, name: str, kind: type) -> None:
        frozen: np.ndarray = np.asarray(getattr(self, name), dtype=kind).view()
        frozen.flags.writeable = False
        object.__setattr__(self, name, frozen)

    def _check_shapes(self) -> None:
        n_rows = len(self.labels)
        if self.features.shape != (n_rows, len(self.names)):
            raise DataError(
                "bad-lesson",
                "the features of a lesson do not fit its labels and names",
                needed=f"features of {n_rows:,} rows × {len(self.names)} names",
                found=f"{self.features.shape}",
            )
        for name in ("ends", "timestamps", "closes"):
            array = getattr(self, name)
            if array is not None and array.shape != (n_rows,):
                raise DataError("bad-lesson", f"'{name}' of a lesson must have {n_rows:,} rows, got {array.shape}")
        if (np.diff(self.timestamps) < 0).any():
            row = int(np.argmax(np.diff(self.timestamps) < 0)) + 1
            raise DataError("bad-lesson", f"row {row} of a lesson is earlier than the row before it")

    def _check_labels(self) -> None:
        rows = np.flatnonzero(self.is_known)
        labels, ends = self.labels[rows], self.ends[rows]
        bad = (ends < rows) | (ends >= len(self))
        if bad.any():
            row = int(rows[np.argmax(bad)])
            raise DataError(
                "bad-lesson",
                f"the label of row {row} is known at row {self.ends[row]}",
                needed=f"a row from {row} to {len(self) - 1}: a lesson knows nothing that came after it",
            )
        wrong = ~np.isfinite(labels)
        if self.classes:
            wrong |= (labels != np.floor(labels)) | (labels < 0) | (labels >= len(self.classes))
        if wrong.any():
            row = int(rows[np.argmax(wrong)])
            needed = f"a class from 0 to {len(self.classes) - 1}" if self.classes else "a finite number"
            raise DataError("bad-lesson", f"the label of row {row} is {self.labels[row]}", needed=needed)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def is_known(self) -> np.ndarray:
        """(N,) whether a row has a label."""
        return ~np.isnan(self.labels)

    @property
    def horizon(self) -> int:
        """Most rows between a row and the one at which its label is known; 0 without labels."""
        known = self.is_known
        return int((self.ends[known] - np.flatnonzero(known)).max()) if known.any() else 0

    def take(self, rows: np.ndarray) -> "Lesson":
        """The lesson of ascending `rows`; a label that is known only after the last of them is left out."""
        rows = np.asarray(rows, dtype=np.int64)
        ends = np.searchsorted(rows, self.ends[rows])
        labels = np.where(ends < len(rows), self.labels[rows], np.nan)
        closes = None if self.closes is None else self.closes[rows]
        return replace(
            self,
            features=self.features[rows],
            labels=labels,
            ends=np.minimum(ends, len(rows) - 1),
            timestamps=self.timestamps[rows],
            closes=closes,
        )

    def until(self, row: int) -> "Lesson":
        """What was known at `row`: the rows before it, and those labels that had come by then."""
        return self.take(np.arange(row))

    def intervals(self) -> LabelIntervals:
        """The labelled rows and what each label uses, for any splitter of features.splits."""
        rows = np.flatnonzero(self.is_known)
        return LabelIntervals(rows, self.timestamps[rows], self.timestamps[self.ends[rows]])

    def tail_fold(self, share: float) -> Fold:
        """Labelled rows before and in the last `share` of the time stamps, purged by the splitter.

        Raises:
            DataError: `fold-too-small` or `no-fold` when one side would have no row.
        """
        check_number("share", share, "between 0 and 1", lambda value: 0 < value < 1)
        labels = self.intervals()
        n_stamps = len(np.unique(labels.start))
        test = max(1, round(share * n_stamps))
        return WalkForward(max(1, n_stamps - test), test, test, anchored=True).folds(labels)[0]

    def split_tail(self, share: float) -> tuple["Lesson", "Lesson"]:
        """An earlier lesson, purged, and the later one that holds the last `share` of the time stamps.

        Both are whole stretches of rows, so that windows can be cut from them: the purged rows keep
        their features and lose their labels. Raises as `tail_fold`.
        """
        fold = self.tail_fold(share)
        cut = int(fold.test[0])
        earlier = self.until(cut)
        labels = np.full(cut, np.nan)
        labels[fold.train] = earlier.labels[fold.train]
        return replace(earlier, labels=labels), self.take(np.arange(cut, len(self)))


def lesson_of(
    table: FeatureTable,
    labels: Labels,
    classes: Sequence[str] = (),
    rows: RowRange | None = None,
    closes: np.ndarray | None = None,
) -> Lesson:
    """The lesson of a feature table, without its warm-ups.

    Args:
        table: T rows of features.
        labels: of the same T rows.
        classes: names of the classes, empty for a regression.
        rows: rows to learn from, all where None; labels that look beyond them are left out.
        closes: (T,) prices.

    Raises:
        DataError: `bad-lesson` where the parts do not fit, or no row is left.
    """
    start, stop = rows or (0, len(table))
    chosen = start + np.flatnonzero(table.is_known[start:stop])
    if not len(chosen):
        raise DataError("bad-lesson", f"the rows {start} to {stop} hold no row after the warm-up", needed="one row")
    whole = Lesson(table.values, labels.values, labels.ends, table.names, table.timestamps, closes, tuple(classes))
    return whole.take(chosen)
