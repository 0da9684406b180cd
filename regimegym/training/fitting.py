"""Predictors alone: fitted on training rows, scored on rows they had not learned, compared with the floors.

Every fold learns from the purged rows before it, as in a training with `predictors`; the last model of all
training rows answers validation. Test is neither asked nor labelled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
from omegaconf import DictConfig

from regimegym.common.checks import check_at_least
from regimegym.common.errors import ConfigError
from regimegym.common.seeding import generator
from regimegym.evaluate.ab_test import holm
from regimegym.features.market import Market
from regimegym.features.splits import RowRange, Split
from regimegym.supervised.base import CLASSIFICATION, Predictor
from regimegym.supervised.comparison import CrossValidation, Interval, IntervalSettings, paired_difference, scored
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.predictor_set import ALWAYS, OnFit, stream_name
from regimegym.supervised.registry import get_predictor, list_predictors
from regimegym.supervised.signals import (
    CrossFit,
    MakePredictor,
    OutOfFold,
    Serving,
    column_names,
    cross_fit,
    signal_columns,
)
from regimegym.supervised.targets import Target
from regimegym.training.experiment import cut_market, load_data
from regimegym.training.predictions import predictor_makers, training_lesson
from regimegym.training.wiring import build

FLOORS = ("majority", "last_value")
OUT_OF_FOLD, VALIDATION = "out of fold", "validation"


@dataclass(frozen=True, eq=False)
class FitData:
    """What predictors learn from and are asked about.

    Attributes:
        market, split: as a training of the same settings has them.
        lesson: the training rows.
        later: training and validation rows; only those of validation, from `first` on, have labels.
        first: the first validation row of `later`.
    """

    market: Market
    split: Split
    lesson: Lesson
    later: Lesson
    first: int


@dataclass(frozen=True, eq=False)
class Fit:
    """One predictor and what it said of rows it had not learned.

    Attributes:
        found: its out-of-fold columns of the training rows, and its models.
        validation: columns of the rows of `FitData.later`; NaN where nobody was asked.
        scores: by part, OUT_OF_FOLD and VALIDATION; empty where it learns without labels.
    """

    name: str
    found: OutOfFold
    validation: OutOfFold
    scores: Mapping[str, CrossValidation]

    @property
    def last(self) -> Predictor:
        """The model of all training rows."""
        return self.found.fitted.last


class Pair(NamedTuple):
    """Score of `a` less that of `b` on the same rows; `p_holm` counts all pairs of the part."""

    part: str
    a: str
    b: str
    score: str
    difference: Interval
    p: float
    p_holm: float


def fit_data(config: DictConfig) -> FitData:
    """Bars, features, parts and labels of a composed conf/fit.yaml.

    Raises:
        DataError, ConfigError: every mistake in the user's input.
    """
    market, split, _ = cut_market(config, *load_data(config))
    lesson = training_lesson(config, market, split.train)
    later = training_lesson(config, market, RowRange(split.train.start, split.validation.stop))
    first = int(np.searchsorted(later.timestamps, market.table.timestamps[split.validation.start]))
    labels = np.where(np.arange(len(later)) < first, np.nan, later.labels)
    return FitData(market, split, lesson, replace(later, labels=labels), first)


def makers_of(config: DictConfig) -> dict[str, MakePredictor]:
    """What makes each predictor that was asked for, then the floors.

    Raises:
        ConfigError: `no-predictor`; `wrong-task`, it answers with a number where the target has classes, or the
            other way round; settings that are none.
    """
    makers = predictor_makers(config)
    if not makers:
        raise ConfigError(
            "no-predictor",
            "there is nothing to fit: no predictor was named",
            needed=f"one of {', '.join(list_predictors())}",
            help=("regime-gym fit predictor=xgboost", "regime-gym fit 'predictors=[logistic,xgboost]'"),
        )
    target: Target = build(config.target)
    task = CLASSIFICATION if target.classes else "regression"
    for name, make in makers.items():
        _check_task(name, make(), task)
    floors = {name: partial(get_predictor, name, {"task": task}) for name in FLOORS if name not in makers}
    return {**makers, **floors}


def _check_task(name: str, predictor: Predictor, task: str) -> None:
    if predictor.needs_labels and predictor.task != task:
        can_both = hasattr(predictor.settings, "task")
        raise ConfigError(
            "wrong-task",
            f"'{name}' is a {predictor.task}, and the target needs a {task}",
            help=(f"predictors.{name}.task={task}",) if can_both else ("choose another predictor, or another target",),
        )


def fit_all(config: DictConfig, data: FitData, on_fit: OnFit) -> list[Fit]:
    """Every predictor of `makers_of`, cross-fitted and scored.

    Raises:
        ConfigError: as `makers_of`. DataError: too few training rows for the folds.
    """
    check_at_least("random_seed", config.random_seed, 0)
    intervals: IntervalSettings = build(config.intervals)
    makers, plan, seed = makers_of(config), build(config.folds), int(config.random_seed)
    fits = []
    for k, (name, make) in enumerate(makers.items()):
        on_fit(name, k, len(makers))
        # The same streams as in a training: its models are these.
        found = cross_fit(make, data.lesson, plan, lambda fold, name=name: generator(seed, stream_name(name, fold)))  # type: ignore[misc]
        later = asked_later(found.fitted.last, data)
        scores = {}
        if found.fitted.last.needs_labels:
            scores[OUT_OF_FOLD] = scored(name, found, data.lesson, seed, intervals)
            scores[VALIDATION] = scored(name, later, data.later, seed, intervals)
        fits.append(Fit(name, found, later, scores))
    return fits


def asked_later(predictor: Predictor, data: FitData) -> OutOfFold:
    """What a fitted predictor says of the validation rows, with as much history before them as it remembers."""
    later = data.later
    start = 0 if predictor.memory is None else max(0, data.first - predictor.memory)
    names = column_names(predictor)
    columns = np.full((len(later), len(names)), np.nan)
    columns[start:] = signal_columns(predictor, later.features[start:], later.names)
    fold = np.zeros(len(later), np.int64)
    return OutOfFold(columns, names, fold, CrossFit((), (Serving(ALWAYS, ALWAYS, predictor),)))


def paired_tests(fits: Sequence[Fit], data: FitData, random_seed: int, settings: IntervalSettings) -> list[Pair]:
    """Every predictor against the floors and against each other, on both parts; adjusted after Holm within each.

    The score is the log loss, or the mean squared error of a number: below 0, the first of a pair is better.
    """
    found = []
    for part in (OUT_OF_FOLD, VALIDATION):
        known = [fit.scores[part] for fit in fits if fit.scores]
        score = "log_loss" if data.lesson.classes else "mse"
        pairs = [(a, b) for a, b in combinations(known, 2) if a.name not in FLOORS]
        tests = [paired_difference(a, b, score, data.lesson.horizon, random_seed, settings) for a, b in pairs]
        adjusted = holm(np.array([p for _, p in tests]))
        found += [
            Pair(part, a.name, b.name, score, difference, p, float(p_holm))
            for (a, b), (difference, p), p_holm in zip(pairs, tests, adjusted, strict=True)
        ]
    return found
