"""Feature selection inside a lesson: by importance, recursively, or by permutation on later rows.

Whoever selects inside `fit` selects inside a fold; nothing here ever sees a test row.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from regimegym.common.checks import check_at_least, check_between, check_choice, check_not_negative, check_number
from regimegym.common.errors import DataError
from regimegym.supervised.base import Predictor
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.scores import classification_scores, regression_scores

LOG = logging.getLogger(__name__)
METHODS = ("none", "importance", "rfe", "permutation")
MakePredictor = Callable[[], Predictor]


@dataclass(frozen=True)
class SelectionSettings:
    """Which features a predictor may learn from.

    Attributes:
        method: `none`; `importance` of a fitted model; `rfe`: fitted again and again without the least
            important; `permutation`: loss of score on later, purged rows when a feature is shuffled.
        n_features: how many are kept, at most.
        threshold: least importance that is kept, as a share of all; None: no bound.
        step: share of the features that leave in a round of `rfe`.
        n_repeats: shuffles of `permutation`.
        group_correlation: |correlation| from which features stand and fall together; 1: each alone.
        validation_share: latest part of the lesson that `permutation` is judged on.
    """

    method: str = "none"
    n_features: int = 20
    threshold: float | None = None
    step: float = 0.2
    n_repeats: int = 10
    group_correlation: float = 0.95
    validation_share: float = 0.2

    def __post_init__(self) -> None:
        check_choice("selection.method", self.method, METHODS)
        for name in ("n_features", "n_repeats"):
            check_at_least(f"selection.{name}", getattr(self, name), 1)
        if self.threshold is not None:
            check_not_negative("selection.threshold", self.threshold)
        for name in ("step", "validation_share"):
            check_number(f"selection.{name}", getattr(self, name), "between 0 and 1", lambda v: 0 < v < 1)
        check_between("selection.group_correlation", self.group_correlation, 0.0, 1.0)


@dataclass(frozen=True)
class Selection:
    """Chosen features in the lesson's order, and what each of all was worth by the method."""

    names: tuple[str, ...]
    worth: dict[str, float]


def select(
    make: MakePredictor, lesson: Lesson, settings: SelectionSettings, generator: np.random.Generator
) -> Selection:
    """Choose features for a predictor from a lesson alone.

    Args:
        make: gives a new predictor, by which features are judged.
        lesson: all that may be looked at.
        settings: how.
        generator: of the fits and shuffles.

    Raises:
        DataError: `too-few-features`, the lesson has fewer than are to be kept.
    """
    if settings.method == "none":
        return Selection(lesson.names, dict.fromkeys(lesson.names, 1.0 / len(lesson.names)))
    if settings.n_features > len(lesson.names):
        raise DataError(
            "too-few-features",
            f"{settings.n_features} features are to be kept of {len(lesson.names)}",
            needed=f"selection.n_features of {len(lesson.names)} at most",
            help=("or selection.method=none",),
        )
    groups = correlated_groups(lesson.features, settings.group_correlation)
    if settings.method == "rfe":
        return _recursive(make, lesson, groups, settings, generator)
    if settings.method == "importance":
        worth = np.array(list(make().fit(lesson, generator).feature_importance().values()))
    else:
        earlier, later = lesson.split_tail(settings.validation_share)
        fitted = make().fit(earlier, generator)
        worth = permutation_importance(fitted, later, groups, settings.n_repeats, generator)
    return _chosen(lesson.names, worth, groups, settings)


def correlated_groups(features: np.ndarray, least: float) -> list[np.ndarray]:
    """Columns of (N, F) in groups: two whose |correlation| is `least` or more are in one, directly or by way of others.

    NaN counts as the column's mean; a constant column is alone.
    """
    from scipy.sparse.csgraph import connected_components

    centred = features - np.nanmean(features, axis=0)
    centred = np.nan_to_num(centred)
    size = np.sqrt((centred**2).sum(axis=0))
    unit = centred / np.where(size > 0, size, 1.0)
    near = np.abs(unit.T @ unit) >= min(least, 1.0) - 1e-12 if least < 1 else np.eye(features.shape[1], dtype=bool)
    n_groups, group = connected_components(near, directed=False)
    return [np.flatnonzero(group == k) for k in range(n_groups)]


def permutation_importance(
    predictor: Predictor,
    later: Lesson,
    groups: Sequence[np.ndarray],
    n_repeats: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """(F,) mean loss of score on `later` rows when a group of columns is shuffled together; each of a group has it all.

    The score is log likelihood per row, or −(mean squared error) of a regression; a group that only
    helps the rows learned from gains nothing here.
    """
    whole = _merit(predictor, later)
    worth = np.zeros(later.features.shape[1])
    for group in groups:
        losses = []
        for _ in range(n_repeats):
            shuffled = later.features.copy()
            shuffled[:, group] = later.features[generator.permutation(len(later))][:, group]
            losses.append(whole - _merit(predictor, replace(later, features=shuffled)))
        worth[group] = np.mean(losses)
    return worth


def _merit(predictor: Predictor, lesson: Lesson) -> float:
    known = lesson.is_known
    if predictor.classes:
        found = predictor.predict_proba(lesson.features, lesson.names)[known]
        return -classification_scores(lesson.labels[known], found, predictor.classes)["log_loss"]
    return -regression_scores(lesson.labels[known], predictor.predict(lesson.features, lesson.names)[known])["mse"]


def with_features(lesson: Lesson, names: Sequence[str]) -> Lesson:
    """The lesson with these of its features, in this order."""
    columns = [lesson.names.index(name) for name in names]
    return replace(lesson, features=lesson.features[:, columns], names=tuple(names))


def _recursive(
    make: MakePredictor,
    lesson: Lesson,
    groups: Sequence[np.ndarray],
    settings: SelectionSettings,
    generator: np.random.Generator,
) -> Selection:
    """Fit, let the least important groups go, and again, until few enough are left."""
    worth, left = np.zeros(len(lesson.names)), list(groups)
    while True:
        columns = np.sort(np.concatenate(left))
        fitted = make().fit(with_features(lesson, [lesson.names[i] for i in columns]), generator)
        worth[:] = 0.0
        worth[columns] = list(fitted.feature_importance().values())
        if len(columns) <= settings.n_features or len(left) == 1:
            return _chosen(lesson.names, worth, left, settings)
        left.sort(key=lambda group: float(worth[group].sum()), reverse=True)
        n_left = len(columns)
        wanted = max(settings.n_features, n_left - max(1, int(settings.step * n_left)))
        while n_left > wanted and len(left) > 1:
            n_left -= len(left.pop())


def _chosen(
    names: Sequence[str], worth: np.ndarray, groups: Sequence[np.ndarray], settings: SelectionSettings
) -> Selection:
    """The most worthy columns: group by group in the order of the groups' worth, within one by their own."""
    total = np.maximum(worth, 0.0).sum()
    share = np.maximum(worth, 0.0) / total if total > 0 else np.zeros(len(worth))
    order = [
        column
        for group in sorted(groups, key=lambda group: float(worth[group].max()), reverse=True)
        for column in sorted(group.tolist(), key=lambda column: float(worth[column]), reverse=True)
    ]
    least = -np.inf if settings.threshold is None else settings.threshold
    kept = [column for column in order[: settings.n_features] if share[column] >= least]
    if not kept:
        LOG.warning("no feature reaches selection.threshold=%s; the best one is kept", settings.threshold)
        kept = order[:1]
    return Selection(tuple(names[i] for i in sorted(kept)), dict(zip(names, worth.tolist(), strict=True)))
