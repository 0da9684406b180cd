"""Whether a predictor's features tell as much as they did: importance on rows that it had not learned, over time.

Two models are asked, each about rows it has not seen: that of the first third of a lesson about everything behind it,
where a feature's worth may fall, and that of the last third about everything before it, where it may have risen. A
model that is fitted once is the same model throughout, so that only the market can change what a feature is worth to
it; nothing here is ever a signal.
"""

from typing import NamedTuple

import numpy as np

from regimegym.common.errors import ConfigError
from regimegym.features.importance_shift import LEAST_ROWS, importance_shifts
from regimegym.supervised.base import Predictor
from regimegym.supervised.comparison import BLOCK_HORIZONS, LEAST_BLOCK, row_losses
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.selection import correlated_groups
from regimegym.supervised.signals import MakePredictor, all_answers

ROWS = 2_000  # that each model is asked about, at most, evenly spread
REPEATS = 2  # shuffles of a group of features
ALIKE = 0.95  # |correlation| from which columns are shuffled together
LARGEST_RATE = 0.05  # of false discoveries among what is called a shift


class Shift(NamedTuple):
    """One group of features that are alike, and the larger of its changes.

    Attributes:
        names: of the group.
        since: UTC nanoseconds of the first row behind the change.
        before, after: loss of log likelihood per row, or gain of squared error, when the group is shuffled.
        p: adjusted for both models and all groups.
    """

    names: tuple[str, ...]
    since: int
    before: float
    after: float
    p: float

    @property
    def is_sure(self) -> bool:
        """Whether it is called a shift."""
        return self.p <= LARGEST_RATE


def can_tell(predictor: Predictor, lesson: Lesson) -> bool:
    """Whether shifts of its features can be looked for: it answers row by row from labels, and there are enough."""
    is_asked = predictor.row_wise and predictor.needs_labels
    asked = (lesson.is_known[: 2 * len(lesson) // 3], lesson.is_known[len(lesson) // 3 :])
    return is_asked and min(int(part.sum()) for part in asked) >= LEAST_ROWS + 2 * lesson.horizon


def feature_shifts(make: MakePredictor, lesson: Lesson, generator: np.random.Generator) -> list[Shift]:
    """The change of every group of features, in the lesson's order.

    Args:
        make: gives a new predictor of single rows that learns from labels.
        lesson: rows in the order of time.
        generator: of the fits, shuffles and bootstrap.

    Raises:
        ConfigError: `not-row-wise`, a predictor of windows, whose rows cannot be shuffled one by one.
        DataError: too few rows.
    """
    if not make().row_wise or not make().needs_labels:
        raise ConfigError("not-row-wise", f"the features of '{make().name}' cannot be shuffled row by row")
    groups = correlated_groups(lesson.features, ALIKE)
    cuts = [len(lesson) // 3, len(lesson) - len(lesson) // 3]
    rows = np.arange(len(lesson))
    parts = [
        (lesson.until(cuts[0]), lesson.take(rows[cuts[0] :])),
        (lesson.take(rows[cuts[1] :]), lesson.until(cuts[1])),
    ]
    found = [_of_model(make().fit(learned, generator), asked, groups, generator) for learned, asked in parts]
    shifts = []
    for group, *both in zip(groups, *found, strict=True):
        least = min(both, key=lambda shift: shift.p)
        shifts.append(least._replace(names=tuple(lesson.names[i] for i in group), p=min(1.0, 2.0 * least.p)))
    return shifts


def _of_model(
    predictor: Predictor, later: Lesson, groups: list[np.ndarray], generator: np.random.Generator
) -> list[Shift]:
    """The largest change of each group, by one model on rows it has not learned."""
    known = np.flatnonzero(later.is_known)
    rows = known[:: max(1, -(-len(known) // ROWS))]
    worth = group_worth(predictor, later.features[rows], later.labels[rows], groups, generator)
    apart = max(1, int(np.median(np.diff(rows)))) if len(rows) > 1 else 1
    block = max(LEAST_BLOCK, -(-BLOCK_HORIZONS * later.horizon // apart))
    found = importance_shifts(worth, [str(k) for k in range(len(groups))], block, generator)
    return [
        Shift((), int(later.timestamps[rows[shift.row]]), shift.before, shift.after, shift.p_adjusted)
        for shift in found
    ]


def group_worth(
    predictor: Predictor,
    features: np.ndarray,
    labels: np.ndarray,
    groups: list[np.ndarray],
    generator: np.random.Generator,
) -> np.ndarray:
    """(N, G) how much worse each row (N, F) is answered when a group of its columns comes from another row."""
    score = "log_loss" if predictor.classes else "mse"
    worth = np.zeros((len(features), len(groups)))
    whole = row_losses(labels, all_answers(predictor, features), score)
    assert whole is not None
    for k, group in enumerate(groups):
        for _ in range(REPEATS):
            shuffled = features.copy()
            shuffled[:, group] = features[generator.permutation(len(features))][:, group]
            losses = row_losses(labels, all_answers(predictor, shuffled), score)
            assert losses is not None
            worth[:, k] += (losses - whole) / REPEATS
    return worth
