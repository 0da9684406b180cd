"""Predictors side by side: forward cross-validation on the same folds, every score with its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from regimegym.common.checks import check_at_least, check_between
from regimegym.common.errors import ConfigError
from regimegym.common.seeding import generator
from regimegym.features.splits import Fold
from regimegym.supervised.cross_validation import ForwardFolds
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.resampling import block_rows
from regimegym.supervised.scores import TINY, classification_scores, regression_scores
from regimegym.supervised.signals import MakePredictor, OutOfFold, cross_fit

LEAST_BLOCK = 20  # rows of a bootstrap block, at least
BLOCK_HORIZONS = 2  # horizons a block spans at least: labels of neighbours share their bars
HIGHER_IS_BETTER = {"accuracy": True, "auc": True, "log_loss": False, "brier": False, "mse": False, "r2": True}


class Interval(NamedTuple):
    """A score with its two-sided bootstrap interval; NaN where it is undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class IntervalSettings:
    """Paired block bootstrap of out-of-fold rows.

    Attributes:
        level: coverage of an interval.
        n_resamples: bootstrap samples.
    """

    level: float = 0.95
    n_resamples: int = 500

    def __post_init__(self) -> None:
        check_between("intervals.level", self.level, 0.5, 0.999)
        check_at_least("intervals.n_resamples", self.n_resamples, 100)


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """How one predictor did on rows it had not learned.

    Attributes:
        name: of the predictor.
        found: its out-of-fold columns, models and folds.
        rows: (n,) rows of the lesson with a label and an answer.
        labels: (n,) of these.
        answers: (n, C) of these.
        scores: over all of them.
        fold_scores: of each fold.
        intervals: of the scores in HIGHER_IS_BETTER that the task has.
    """

    name: str
    found: OutOfFold
    rows: np.ndarray
    labels: np.ndarray
    answers: np.ndarray
    scores: Mapping[str, float]
    fold_scores: Sequence[Mapping[str, float]]
    intervals: Mapping[str, Interval]

    @property
    def folds(self) -> tuple[Fold, ...]:
        """The folds, in the order of time."""
        return self.found.fitted.folds

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty for a regression."""
        return self.found.fitted.last.classes


def cross_validate(
    name: str,
    make: MakePredictor,
    lesson: Lesson,
    plan: ForwardFolds,
    random_seed: int,
    intervals: IntervalSettings | None = None,
) -> CrossValidation:
    """Fit a predictor on the forward folds of a lesson and score what it says of rows it had not learned.

    Args:
        name: what it is called; its generators are named so.
        make, lesson, plan: as of `signals.cross_fit`; anything chosen inside `fit` is chosen inside a fold.
        random_seed: of the fits and of the bootstrap.
        intervals: how certain scores are said to be; the defaults where None.

    Raises:
        ConfigError: a predictor without labels to be scored by.
        DataError: too few rows for the plan.
    """
    if not make().needs_labels:
        raise ConfigError("no-labels", f"'{name}' learns without labels; it has no score to be compared by")
    found = cross_fit(make, lesson, plan, lambda k: generator(random_seed, f"fold/{name}/{k}"))
    return scored(name, found, lesson, random_seed, intervals)


def scored(
    name: str, found: OutOfFold, lesson: Lesson, random_seed: int, intervals: IntervalSettings | None = None
) -> CrossValidation:
    """Scores of columns that were made out of sample, on the rows of the lesson with a label and an answer.

    Arguments as of `cross_validate`.
    """
    rows = np.flatnonzero(lesson.is_known & np.isfinite(found.answers).all(axis=1))
    labels, answers = lesson.labels[rows], found.answers[rows]
    classes = found.fitted.last.classes
    per_fold = [found.fold[rows] == k for k in range(len(found.fitted.folds))]
    return CrossValidation(
        name,
        found,
        rows,
        labels,
        answers,
        _scores(labels, answers, classes),
        [_scores(labels[of_fold], answers[of_fold], classes) for of_fold in per_fold],
        score_intervals(labels, answers, classes, lesson.horizon, random_seed, intervals or IntervalSettings()),
    )


def score_intervals(
    labels: np.ndarray,
    answers: np.ndarray,
    classes: Sequence[str],
    horizon: int,
    random_seed: int,
    settings: IntervalSettings,
) -> dict[str, Interval]:
    """Percentile intervals of the scores of (n,) labels and (n, C) answers; rows are drawn in blocks."""
    names = [name for name in HIGHER_IS_BETTER if name in _scores(labels, answers, classes)]
    draws = [
        [_scores(labels[rows], answers[rows], classes)[name] for name in names]
        for rows in _resamples(len(labels), horizon, random_seed, settings)
    ]
    whole = _scores(labels, answers, classes)
    return {name: _interval(whole[name], np.array(draws)[:, i], settings.level) for i, name in enumerate(names)}


def paired_difference(
    a: CrossValidation, b: CrossValidation, score: str, horizon: int, random_seed: int, settings: IntervalSettings
) -> tuple[Interval, float]:
    """Score of `a` less that of `b` on the rows both answered, its interval, and a two-sided p-value of no difference.

    The p-value is twice the share of bootstrap samples on the other side of 0, at least 2/(samples + 1).
    """
    rows, at_a, at_b = np.intersect1d(a.rows, b.rows, assume_unique=True, return_indices=True)
    labels = a.labels[at_a]
    losses = [row_losses(labels, one.answers[at], score) for one, at in ((a, at_a), (b, at_b))]

    def difference(chosen: np.ndarray) -> float:
        if losses[0] is not None and losses[1] is not None:  # a mean over rows: no score has to be made again
            return float((losses[0][chosen] - losses[1][chosen]).mean())
        ours = _scores(labels[chosen], a.answers[at_a][chosen], a.classes)[score]
        return ours - _scores(labels[chosen], b.answers[at_b][chosen], b.classes)[score]

    whole = difference(np.arange(len(rows)))
    draws = np.array([difference(chosen) for chosen in _resamples(len(rows), horizon, random_seed, settings)])
    tail = min((draws <= 0).sum(), (draws >= 0).sum()) + 1
    return _interval(whole, draws, settings.level), float(min(1.0, 2 * tail / (len(draws) + 1)))


def row_losses(labels: np.ndarray, answers: np.ndarray, score: str) -> np.ndarray | None:
    """(n,) what each row adds to a score that is a mean over rows: `log_loss` and `mse`; None for any other."""
    if score == "mse":
        return (answers[:, 0] - labels) ** 2
    if score != "log_loss":
        return None
    return -np.log(np.maximum(answers[np.arange(len(labels)), labels.astype(np.int64)], TINY))


def comparison_table(found: Sequence[CrossValidation]) -> list[str]:
    """Lines: one per predictor under a heading; precision stands beside its coverage, never alone."""
    width = max(9, *(len(one.name) for one in found))
    if found[0].classes:
        titles = f"{'AUC':^20}  {'accuracy':^20}  {'log loss':>8}  precision (coverage)"
        parts = [_class_words(one) for one in found]
    else:
        titles = f"{'R²':^22}  {'mean squared error':^26}  right sign"
        parts = [_number_words(one) for one in found]
    lines = [f"{'predictor':<{width}}  {'rows':>7}  {titles}"]
    return lines + [
        f"{one.name:<{width}}  {len(one.rows):>7,}  {words}" for one, words in zip(found, parts, strict=True)
    ]


def _class_words(found: CrossValidation) -> str:
    shown = "  ".join(f"{_shown(found.intervals[name]):^20}" for name in ("auc", "accuracy"))
    return f"{shown}  {found.scores['log_loss']:>z8.4f}  {precision_words(found)}"


def _number_words(found: CrossValidation) -> str:
    mse = found.intervals["mse"]
    squares = f"{mse.value:.3g} ({mse.low:.3g}–{mse.high:.3g})"
    return f"{_shown(found.intervals['r2']):^22}  {squares:^26}  {found.scores['direction']:.1%}"


def precision_words(found: CrossValidation) -> str:
    """Precision with the share of rows it speaks of, of class 1 of two or of every class; none where never called."""
    names = [""] if len(found.classes) == 2 else [f"_{name}" for name in found.classes]
    words = []
    for name in names:
        precision, coverage = found.scores[f"precision{name}"], found.scores[f"coverage{name}"]
        said = "none" if np.isnan(precision) else f"{precision:.1%}"
        words.append(f"{name[1:]} {said} ({coverage:.1%})".strip())
    return " · ".join(words)


def _scores(labels: np.ndarray, answers: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    if classes:
        return classification_scores(labels, answers, classes)
    return regression_scores(labels, answers[:, 0])


def _resamples(n_rows: int, horizon: int, random_seed: int, settings: IntervalSettings) -> list[np.ndarray]:
    rng = generator(random_seed, "score-intervals")
    block = max(LEAST_BLOCK, BLOCK_HORIZONS * horizon)
    return [block_rows(n_rows, n_rows, block, rng) for _ in range(settings.n_resamples)]


def _interval(value: float, draws: np.ndarray, level: float) -> Interval:
    known = draws[np.isfinite(draws)]
    if not len(known) or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _shown(found: Interval) -> str:
    if not np.isfinite(found.value):
        return "–"
    return f"{found.value:.3f} ({found.low:.3f}–{found.high:.3f})"
