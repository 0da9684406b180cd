"""What every predictor must beat: the most frequent class (or the mean), and what happened last."""

from dataclasses import dataclass

import numpy as np

from regimegym.common.checks import check_choice
from regimegym.common.errors import DataError, nearest_name
from regimegym.supervised.base import CLASSIFICATION, TASKS, Predictor, State
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.registry import register


@dataclass(frozen=True)
class MajoritySettings:
    """What is answered.

    Attributes:
        task: classification or regression.
    """

    task: str = CLASSIFICATION

    def __post_init__(self) -> None:
        check_choice("predictor.task", self.task, TASKS)


@register("majority")
class Majority(Predictor):
    """Always the shares of the classes in the lesson, and so the most frequent class; of numbers always the mean."""

    settings_type = MajoritySettings
    accepts_nan = True

    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        self.shares = _answers(lesson.labels[lesson.is_known], len(lesson.classes))

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        return np.tile(self.shares, (len(features), 1))

    def _values(self, features: np.ndarray) -> np.ndarray:
        return np.full(len(features), self.shares[0])

    def _state(self) -> State:
        return State({"shares": self.shares.tolist()})

    def _restore(self, state: State) -> None:
        self.shares = np.array(state.values["shares"], dtype=np.float64)


@dataclass(frozen=True)
class LastValueSettings:
    """Which feature shows what happened last.

    Attributes:
        feature: its name; the first column of the lesson where None.
        task: classification or regression.
    """

    feature: str | None = None
    task: str = CLASSIFICATION

    def __post_init__(self) -> None:
        check_choice("predictor.task", self.task, TASKS)


@register("last_value")
class LastValue(Predictor):
    """What followed in the lesson after moves of this row's sign: shares of the classes, or the mean."""

    settings_type = LastValueSettings

    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        self.column = column_of(lesson, self.settings.feature)
        known = lesson.is_known
        labels = lesson.labels[known]
        signs = _sign_index(lesson.features[known, self.column])
        if not lesson.classes:  # a sign that never came says what all rows say
            of_sign = [labels[signs == k] if (signs == k).any() else labels for k in range(3)]
            self.shares = np.array([_answers(values, 0) for values in of_sign])
            return
        counts = np.ones((3, len(lesson.classes)))  # a sign that never came says nothing
        np.add.at(counts, (signs, labels.astype(np.int64)), 1.0)
        self.shares = counts / counts.sum(axis=1, keepdims=True)

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        return self.shares[_sign_index(features[:, self.column])]

    def _values(self, features: np.ndarray) -> np.ndarray:
        return self.shares[_sign_index(features[:, self.column]), 0]

    def _importance(self) -> np.ndarray:
        return np.eye(len(self.names))[self.column]

    def _state(self) -> State:
        return State({"column": self.column, "shares": self.shares.tolist()})

    def _restore(self, state: State) -> None:
        self.column = int(state.values["column"])
        self.shares = np.array(state.values["shares"], dtype=np.float64)


def _answers(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """(C,) shares of the classes, or (1,) the mean of numbers."""
    if not n_classes:
        return np.array([labels.mean()])
    return np.bincount(labels.astype(np.int64), minlength=n_classes) / len(labels)


def _sign_index(values: np.ndarray) -> np.ndarray:
    """0 for falls, 1 for stillness, 2 for rises."""
    return np.sign(values).astype(np.int64) + 1


def column_of(lesson: Lesson, name: str | None) -> int:
    """Column of the feature `name`, 0 where None. Raises DataError that knows the nearest name."""
    if name is None:
        return 0
    if name not in lesson.names:
        raise DataError(
            "no-such-feature",
            f"the lesson has no feature '{name}'",
            needed="one of its features",
            nearest=nearest_name(name, lesson.names),
        )
    return lesson.names.index(name)
