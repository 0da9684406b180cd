"""Predictors alone: fitted on training rows, scored on rows they had not learned, compared with the floors.

Every fold learns from the purged rows before it, as in a training with `predictors`; the last model of all
training rows answers validation. Test is neither asked nor labelled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, count
from typing import NamedTuple

import numpy as np
from omegaconf import DictConfig

from regimegym.common.checks import check_at_least
from regimegym.common.errors import ConfigError
from regimegym.common.seeding import generator
from regimegym.evaluate.ab_test import holm
from regimegym.features.market import Market
from regimegym.features.splits import RowRange, Split
from regimegym.supervised.base import CLASSIFICATION, REGRESSION, Predictor
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
from regimegym.training.predictions import checked_makers, target_name, target_of, training_lesson
from regimegym.training.wiring import build

FLOORS = ("majority", "last_value")
OUT_OF_FOLD, VALIDATION = "out of fold", "validation"


@dataclass(frozen=True, eq=False)
class FitData:
    """What predictors of one target learn from and are asked about.

    Attributes:
        target: its name, such as `triple_barrier`.
        market, split: as a training of the same settings has them.
        lesson: the training rows.
        later: training and validation rows; only those of validation, from `first` on, have labels.
        first: the first validation row of `later`.
    """

    target: str
    market: Market
    split: Split
    lesson: Lesson
    later: Lesson
    first: int


@dataclass(frozen=True, eq=False)
class Fit:
    """One predictor and what it said of rows it had not learned.

    Attributes:
        make: gives a new one.
        data: what it learned from and was asked about.
        found: its out-of-fold columns of the training rows, and its models.
        validation: columns of the rows of `FitData.later`; NaN where nobody was asked.
        scores: by part, OUT_OF_FOLD and VALIDATION; empty where it learns without labels.
    """

    name: str
    make: MakePredictor
    data: FitData
    found: OutOfFold
    validation: OutOfFold
    scores: Mapping[str, CrossValidation]

    @property
    def last(self) -> Predictor:
        """The model of all training rows."""
        return self.found.fitted.last

    @property
    def is_floor(self) -> bool:
        """Whether it is what every other predictor of its target must beat."""
        return self.last.name in FLOORS


class Pair(NamedTuple):
    """Score of `a` less that of `b` on the same rows; `p_holm` counts all pairs of the part."""

    part: str
    a: str
    b: str
    score: str
    difference: Interval
    p: float
    p_holm: float


def fit_data(config: DictConfig, predictor: str = "") -> FitData:
    """Bars, features, parts and labels of a composed conf/fit.yaml; the labels are those of `predictor`.

    Raises:
        DataError, ConfigError: every mistake in the user's input.
    """
    market, split, _ = cut_market(config, *load_data(config))
    return labelled(config, market, split, predictor)


def labelled(config: DictConfig, market: Market, split: Split, predictor: str = "") -> FitData:
    """The training rows and those of validation with the labels of the target that `predictor` learns."""
    lesson = training_lesson(config, market, split.train, predictor)
    later = training_lesson(config, market, RowRange(split.train.start, split.validation.stop), predictor)
    first = int(np.searchsorted(later.timestamps, market.table.timestamps[split.validation.start]))
    labels = np.where(np.arange(len(later)) < first, np.nan, later.labels)
    name = target_name(target_of(config, predictor))
    return FitData(name, market, split, lesson, replace(later, labels=labels), first)


class Group(NamedTuple):
    """The predictors that learn one target, and the floors of it.

    `target` names it, the second of several of one kind with a number behind; `makers` are by predictor.
    """

    target: str
    makers: Mapping[str, MakePredictor]


def groups_of(config: DictConfig) -> list[Group]:
    """Every predictor that was asked for beside the floors of its target, in the order of the first of each target.

    Raises:
        ConfigError: `no-predictor`; as `predictions.checked_makers`.
    """
    makers = checked_makers(config)
    if not makers:
        raise ConfigError(
            "no-predictor",
            "there is nothing to fit: no predictor was named",
            needed=f"one of {', '.join(list_predictors())}",
            help=("regime-gym fit predictor=xgboost", "regime-gym fit 'predictors=[logistic,xgboost]'"),
        )
    members: list[tuple[Target, list[str]]] = []
    for name in makers:
        target = target_of(config, name)
        same = next((names for other, names in members if other == target), None)
        if same is None:
            members.append((target, [name]))
        else:
            same.append(name)
    groups: list[Group] = []
    for target, names in members:
        label = _new_name(target_name(target), [group.target for group in groups])
        taken = [*makers, *(name for group in groups for name in group.makers)]
        groups.append(Group(label, {**{name: makers[name] for name in names}, **_floors(target, label, names, taken)}))
    return groups


def _floors(target: Target, label: str, chosen: Sequence[str], taken: Sequence[str]) -> dict[str, MakePredictor]:
    """What makes the floors of a target that nobody chose; where their name is taken, the target's stands behind it."""
    task = CLASSIFICATION if target.classes else REGRESSION
    names = {floor: floor if floor not in taken else _new_name(f"{floor}_{label}", taken) for floor in FLOORS}
    return {name: partial(get_predictor, floor, {"task": task}) for floor, name in names.items() if floor not in chosen}


def _new_name(name: str, taken: Sequence[str]) -> str:
    """`name`, or `name_2`, … where it is taken."""
    tries = (name if k == 1 else f"{name}_{k}" for k in count(1))
    return next(one for one in tries if one not in taken)


def fit_all(config: DictConfig, data: FitData, on_fit: OnFit) -> list[Fit]:
    """Every predictor of `groups_of`, cross-fitted and scored on the market and parts of `data`.

    Raises:
        ConfigError: as `groups_of`. DataError: too few training rows for the folds.
    """
    check_at_least("random_seed", config.random_seed, 0)
    groups: list[Group] = groups_of(config)
    fits: list[Fit] = []
    intervals: IntervalSettings = build(config.intervals)
    total = sum(len(group.makers) for group in groups)
    for group in groups:
        own = replace(labelled(config, data.market, data.split, next(iter(group.makers))), target=group.target)
        for name, make in group.makers.items():
            on_fit(name, len(fits), total)
            fits.append(fit_one(config, name, make, own, intervals))
    return fits


def fit_one(config: DictConfig, name: str, make: MakePredictor, data: FitData, intervals: IntervalSettings) -> Fit:
    """One predictor, cross-fitted, asked about validation and scored on both parts."""
    seed = int(config.random_seed)
    # The same streams as in a training: its models are these.
    found = cross_fit(make, data.lesson, build(config.folds), lambda fold: generator(seed, stream_name(name, fold)))
    later = asked_later(found.fitted.last, data)
    scores = {}
    if found.fitted.last.needs_labels:
        scores[OUT_OF_FOLD] = scored(name, found, data.lesson, seed, intervals)
        scores[VALIDATION] = scored(name, later, data.later, seed, intervals)
    return Fit(name, make, data, found, later, scores)


def asked_later(predictor: Predictor, data: FitData) -> OutOfFold:
    """What a fitted predictor says of the validation rows, with as much history before them as it remembers."""
    later = data.later
    start = 0 if predictor.memory is None else max(0, data.first - predictor.memory)
    names = column_names(predictor)
    columns = np.full((len(later), len(names)), np.nan)
    columns[start:] = signal_columns(predictor, later.features[start:], later.names)
    fold = np.zeros(len(later), np.int64)
    return OutOfFold(columns, names, fold, CrossFit((), (Serving(ALWAYS, ALWAYS, predictor),)))


def paired_tests(fits: Sequence[Fit], random_seed: int, settings: IntervalSettings) -> list[Pair]:
    """Every predictor against the floors of its target and the others that learn it, on both parts.

    The score is the log loss, or the mean squared error of a number: below 0, the first of a pair is better.
    p-values are adjusted after Holm over all pairs of a part.
    """
    found = []
    for part in (OUT_OF_FOLD, VALIDATION):
        known = [fit for fit in fits if fit.scores]
        pairs = [(a, b) for a, b in combinations(known, 2) if a.data is b.data and not a.is_floor]
        tests = [_difference(a, b, part, random_seed, settings) for a, b in pairs]
        adjusted = holm(np.array([p for _, p in tests]))
        found += [
            Pair(part, a.name, b.name, _score(a.data), difference, p, float(p_holm))
            for (a, b), (difference, p), p_holm in zip(pairs, tests, adjusted, strict=True)
        ]
    return found


def _difference(a: Fit, b: Fit, part: str, random_seed: int, settings: IntervalSettings) -> tuple[Interval, float]:
    horizon = a.data.lesson.horizon
    return paired_difference(a.scores[part], b.scores[part], _score(a.data), horizon, random_seed, settings)


def _score(data: FitData) -> str:
    return "log_loss" if data.lesson.classes else "mse"
