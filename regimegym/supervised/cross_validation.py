"""Forward folds: how predictors are cross-fitted, compared and selected; cut and purged by features.splits."""

from dataclasses import dataclass

import numpy as np

from regimegym.common.checks import check_at_least, check_flag
from regimegym.common.errors import ConfigError, DataError
from regimegym.features.splits import Fold, LabelIntervals, WalkForward
from regimegym.supervised.base import Predictor
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.scores import classification_scores, regression_scores


@dataclass(frozen=True)
class ForwardFolds:
    """Test intervals of equal length up to the last row, each predicted by a model of the rows before it.

    A training row goes where its label, and `embargo_size` bars more, reach into the test interval.

    Attributes:
        n_splits: number of test intervals; None where `step_size` is given.
        initial_train_size: bars before the first test interval, at least; None: as many as it holds.
        step_size: bars of a test interval; None: what is left, in `n_splits` parts.
        embargo_size: bars that a label must have been known before the test begins.
        anchored: every model learns from the first bar on; else from `initial_train_size` bars only.
    """

    n_splits: int | None = 5
    initial_train_size: int | None = None
    step_size: int | None = None
    embargo_size: int = 0
    anchored: bool = True

    def __post_init__(self) -> None:
        if (self.n_splits is None) == (self.step_size is None):
            raise ConfigError(
                "one-of-two",
                "'folds.n_splits' and 'folds.step_size' say the same in two ways",
                needed="one of them, and null for the other",
                found=f"n_splits={self.n_splits}, step_size={self.step_size}",
            )
        for name in ("n_splits", "initial_train_size", "step_size"):
            if getattr(self, name) is not None:
                check_at_least(f"folds.{name}", getattr(self, name), 1)
        check_at_least("folds.embargo_size", self.embargo_size, 0)
        check_flag("folds.anchored", self.anchored)

    def sizes(self, n_bars: int) -> tuple[int, int]:
        """Bars before the first test interval, and bars of each test interval, of `n_bars` in all.

        What does not fill a whole test interval is learned from first.

        Raises:
            DataError: `too-few-bars` for one bar of each.
        """
        if self.step_size is not None:
            step = self.step_size
            n_splits = (n_bars - (self.initial_train_size or step)) // step
        else:
            assert self.n_splits is not None
            n_splits = self.n_splits
            least = self.initial_train_size
            step = n_bars // (n_splits + 1) if least is None else (n_bars - least) // n_splits
        initial = n_bars - n_splits * step
        if min(n_splits, step, initial) < 1:
            raise DataError(
                "too-few-bars",
                f"{n_bars:,} bars do not hold the forward folds",
                needed=f"bars to learn from and {self.n_splits or 'whole'} test intervals"
                + (f" of {self.step_size:,} bars" if self.step_size else ""),
                help=("use more bars, or fewer folds: folds.n_splits, folds.initial_train_size",),
            )
        return initial, step

    def folds(self, labels: LabelIntervals) -> list[Fold]:
        """The folds in the order of time; the last test interval ends with the last row.

        Raises:
            DataError: too few rows, or a fold of which the purge leaves nothing to learn from.
        """
        stamps = np.unique(labels.start)
        initial, step = self.sizes(len(stamps))
        last_bar = np.searchsorted(stamps, labels.end, side="right") - 1 + self.embargo_size
        reached = np.maximum(labels.end, stamps[np.minimum(last_bar, len(stamps) - 1)])
        plan = WalkForward(initial, step, step, self.anchored)
        return plan.folds(LabelIntervals(labels.rows, labels.start, reached))


def scores_on(predictor: Predictor, lesson: Lesson, rows: np.ndarray) -> dict[str, float]:
    """Scores of a fitted predictor on consecutive test `rows` of the lesson, asked with the history before them.

    Empty where it learns without labels.
    """
    if not predictor.needs_labels:
        return {}
    start = 0 if predictor.memory is None else max(0, int(rows[0]) - predictor.memory)
    known = rows[lesson.is_known[rows]]
    labels, features = lesson.labels[known], lesson.features[start : int(rows[-1]) + 1]
    if not predictor.classes:
        return regression_scores(labels, predictor.predict(features, lesson.names)[known - start])
    found = predictor.predict_proba(features, lesson.names)[known - start]
    return classification_scores(labels, found, predictor.classes)
