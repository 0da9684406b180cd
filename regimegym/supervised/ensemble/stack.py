"""Stacking: a meta learner of out-of-fold answers, in up to three levels; no level ever sees a later row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from regimegym.common.errors import ConfigError
from regimegym.supervised.base import Predictor
from regimegym.supervised.cross_validation import ForwardFolds
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.signals import MakePredictor, all_answers, cross_fit, signal_columns


@dataclass(frozen=True, eq=False)
class Stack:
    """Models of the members' columns.

    Attributes:
        columns: names of the members' columns, in order.
        second: models of the second level by name; empty with two levels.
        meta: the last model.
    """

    columns: tuple[str, ...]
    second: Mapping[str, Predictor]
    meta: Predictor

    def answers(self, columns: np.ndarray) -> np.ndarray:
        """(N, C) probabilities, or (N, 1) values, of the members' columns (N, K); NaN where one is missing."""
        out = np.full((len(columns), max(1, len(self.meta.classes))), np.nan)
        known = np.isfinite(columns).all(axis=1)
        if known.any():
            level = columns[known]
            if self.second:
                level = np.hstack([signal_columns(model, level, self.columns) for model in self.second.values()])
            out[known] = all_answers(self.meta, level)
        return out


def fit_stack(
    columns: np.ndarray,
    names: Sequence[str],
    lesson: Lesson,
    second: Mapping[str, MakePredictor],
    meta: MakePredictor,
    plan: ForwardFolds,
    generator: np.random.Generator,
) -> tuple[Stack, np.ndarray]:
    """The stack of out-of-fold `columns`, and its own out-of-fold answers.

    Args:
        columns: (N, K) of the rows of the lesson, NaN where no fold answered: those rows are dropped.
        names: K names.
        lesson: labels and their ends.
        second, meta: what makes the models of the levels above.
        plan: forward folds of each level.
        generator: of everything random.

    Returns:
        The stack, and (N, C) what its last level said of rows it had not learned, NaN elsewhere.

    Raises:
        ConfigError: a model of windows above the first level.
        DataError: too few rows are left for a level.
    """
    rows = np.flatnonzero(np.isfinite(columns).all(axis=1))
    level = replace(lesson.take(rows), features=columns[rows], names=tuple(names))
    fitted = {}
    if second:
        found = {name: cross_fit(_row_wise(make), level, plan, Streams(generator)) for name, make in second.items()}
        fitted = {name: one.fitted.last for name, one in found.items()}
        above = np.hstack([one.columns for one in found.values()])
        above_names = [f"{name}_{column}" for name, one in found.items() for column in one.names]
        kept = np.flatnonzero(np.isfinite(above).all(axis=1))
        rows, level = rows[kept], replace(level.take(kept), features=above[kept], names=tuple(above_names))
    last = cross_fit(_row_wise(meta), level, plan, Streams(generator))
    out = np.full((len(lesson), max(1, len(lesson.classes))), np.nan)
    out[rows] = last.answers
    return Stack(tuple(names), fitted, last.fitted.last), out


def _row_wise(make: MakePredictor) -> MakePredictor:
    def made() -> Predictor:
        predictor = make()
        if not predictor.row_wise:
            raise ConfigError(
                "wrong-level",
                f"'{predictor.name}' reads more than one row, and the rows of a level above the first have holes",
                needed="a predictor of single rows, such as logistic, xgboost or random_forest",
            )
        return predictor

    return made


class Streams:
    """A generator for model 0, 1, … of a predictor, each independent of how many there are."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._seed = int(generator.integers(2**63))

    def __call__(self, k: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, k])
