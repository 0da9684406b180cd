"""Predictor: what every supervised model promises, and the books that are kept for all of them.

A class of one's own fills the holes `_fit`, `_probabilities` or `_values`, `_importance`, `_state` and
`_restore`; `regimegym.supervised.checks.check_predictor` tells whether it keeps the house rules.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from regimegym.common.errors import ConfigError, DataError, ModelError, nearest_name
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.model_folder import Card, folder_files, write_folder
from regimegym.supervised.registry import load_predictor
from regimegym.supervised.scores import classification_scores, regression_scores
from regimegym.supervised.stream import RowStream, Stream

LOG = logging.getLogger(__name__)
CLASSIFICATION, REGRESSION = "classification", "regression"
TASKS = (CLASSIFICATION, REGRESSION)


@dataclass(frozen=True)
class State:
    """What a fitted predictor keeps: plain JSON `values`, and the content of `files` by relative path."""

    values: dict[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


class Predictor(ABC):
    """A model of labels from features, which may be asked about a row once that row's bar has closed.

    Every prediction has as many rows as the features it was asked about, in their order. Row t depends
    on rows ≤ t alone. A row without an answer is NaN: the first `warm_up` rows, and rows with a NaN
    feature where the predictor does not accept that.

    Attributes:
        name: registered name.
        settings_type: its settings, a frozen dataclass.
        accepts_nan: whether features may be NaN.
        row_wise: whether row t depends on row t alone.
        needs_labels: whether it learns from labels; otherwise it makes its own classes.
        task: classification or regression; a setting `task` decides where the class can do both.
        settings: as given.
        names: features in the order of the columns, empty before fitting.
        classes: names of the classes, empty for a regression.
        horizon: bars after which a label of the lesson was known.
        warm_up: leading rows of every prediction that are NaN.
        only_class: the class of all labels where the lesson had only one; then it is always predicted.
    """

    name: ClassVar[str] = "unregistered"
    settings_type: ClassVar[type]
    accepts_nan: bool = False
    row_wise: bool = True
    needs_labels: bool = True
    task: str = CLASSIFICATION
    warm_up: int = 0

    def __init__(self, settings: Any = None) -> None:
        self.settings = self.settings_type() if settings is None else settings
        if not isinstance(self.settings, self.settings_type):
            raise ConfigError(
                "wrong-settings",
                f"the predictor '{self.name}' takes {self.settings_type.__name__}, got {type(settings).__name__}",
            )
        self.task = getattr(self.settings, "task", self.task)
        self.names: tuple[str, ...] = ()
        self.classes: tuple[str, ...] = ()
        self.horizon = 0
        self.only_class: int | None = None
        self.typical = np.empty(0)

    @property
    def memory(self) -> int | None:
        """How many rows before t the answer at t depends on; None: all of them."""
        return 0 if self.row_wise else None

    # What a class of one's own fills in.

    @abstractmethod
    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        """Learn from the lesson, of which at least two rows are labelled, in at least two classes."""

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        """(N, C) of features (N, F) in the lesson's columns; only rows without NaN where row-wise."""
        raise NotImplementedError(f"{type(self).__name__} classifies and has no _probabilities")

    def _values(self, features: np.ndarray) -> np.ndarray:
        """(N,) of features (N, F), for a regression; as _probabilities."""
        raise NotImplementedError(f"{type(self).__name__} has no _values")

    def _importance(self) -> np.ndarray:
        """(F,) ≥ 0, how much each feature counts; 0 for one that is not used."""
        return np.zeros(len(self.names))

    @abstractmethod
    def _state(self) -> State:
        """What `_restore` needs."""

    @abstractmethod
    def _restore(self, state: State) -> None:
        """Become the predictor whose `_state` this was; names, classes and task are set already."""

    def _classes_of(self, lesson: Lesson) -> tuple[str, ...]:
        """The classes after `_fit`."""
        return lesson.classes

    @property
    def further_signals(self) -> tuple[str, ...]:
        """Names of the columns that an agent may see beside the answers; none unless the predictor has some."""
        return ()

    def _further_columns(self, features: np.ndarray) -> np.ndarray:
        """(N, K) of `further_signals`, from features (N, F) in the lesson's columns; row t from rows ≤ t alone."""
        return np.empty((len(features), 0))

    # What everybody uses.

    def fit(self, lesson: Lesson, generator: np.random.Generator) -> Self:
        """Learn from the labelled rows; everything random comes from `generator`.

        Raises:
            DataError: `no-labels`; `not-finite` features; `wrong-labels` for the task.
        """
        self._check_lesson(lesson)
        only_class = self._only_class(lesson)
        if only_class is None:
            self._fit(lesson, generator)
        else:
            LOG.warning("'%s' learned from '%s' alone, and always says so", self.name, lesson.classes[only_class])
        self.only_class = only_class
        self.names, self.horizon = lesson.names, lesson.horizon if self.needs_labels else 0
        self.classes = lesson.classes if only_class is not None else self._classes_of(lesson)
        self.typical = _medians(lesson.features)
        return self

    def predict(self, features: np.ndarray, names: Sequence[str] | None = None) -> np.ndarray:
        """(N,) float64: the most probable class, or the value; NaN where there is no answer.

        Args:
            features: (N, F), unscaled.
            names: of its columns. The lesson's names in another order are realigned and logged.

        Raises:
            ModelError: `not-fitted`, or `feature-mismatch` that lists what is missing and extra.
            DataError: `not-finite`, an infinite feature.
        """
        if self.task == CLASSIFICATION:
            return most_probable(self.predict_proba(features, names))
        return self._answered(self._aligned(features, names), ())

    def predict_proba(self, features: np.ndarray, names: Sequence[str] | None = None) -> np.ndarray:
        """(N, C) float64, rows sum to 1; NaN rows where there is no answer. Arguments and errors as predict."""
        if self.task != CLASSIFICATION:
            raise ModelError("no-probabilities", f"'{self.name}' was made for a regression and has no classes")
        aligned = self._aligned(features, names)
        if self.only_class is None:
            return self._answered(aligned, (len(self.classes),))
        out = np.zeros((len(aligned), len(self.classes)))
        out[:, self.only_class] = 1.0
        out[: self.warm_up] = np.nan
        if not self.accepts_nan:
            out[np.isnan(aligned).any(axis=1)] = np.nan
        return out

    def stream(self) -> Stream:
        """Rows one by one, answered as all at once. Raises ModelError `endless-memory` where it remembers all."""
        self._require_fitted()
        return RowStream(self)

    def further_columns(self, features: np.ndarray, names: Sequence[str] | None = None) -> np.ndarray:
        """(N, K) float64 columns of `further_signals`. Arguments and errors as predict."""
        return self._further_columns(self._aligned(features, names))

    def feature_importance(self) -> dict[str, float]:
        """How much each feature counts, by name; sums to 1, or is 0 throughout."""
        self._require_fitted()
        raw = np.zeros(len(self.names)) if self.only_class is not None else self._importance()
        total = raw.sum()
        return dict(zip(self.names, (raw / total if total > 0 else raw).tolist(), strict=True))

    def hyperparameters(self) -> dict[str, Any]:
        """The settings by name."""
        return asdict(self.settings)

    def validate(self, lesson: Lesson) -> dict[str, float]:
        """Scores on the labelled rows of a later lesson (regimegym.supervised.scores); NaN where undefined."""
        known = lesson.is_known
        if self.task == CLASSIFICATION:
            found = self.predict_proba(lesson.features, lesson.names)
            return classification_scores(lesson.labels[known], found[known], self.classes)
        return regression_scores(lesson.labels[known], self.predict(lesson.features, lesson.names)[known])

    def explain_prediction(self, features: np.ndarray, row: int) -> dict[str, float]:
        """What each feature adds to the answer on `row`, by name.

        Unless the predictor knows better: by how much the value, or the probability of the predicted
        class, falls when the feature is at its median of the lesson on all rows up to this one.
        """
        self._require_fitted()
        past = np.array(features[: row + 1], dtype=np.float64)
        answer = self._answer_last(past)
        added = {}
        for i, name in enumerate(self.names):
            other = past.copy()
            other[:, i] = self.typical[i]
            added[name] = float(answer - self._answer_last(other, like=past))
        return added

    def save(self, folder: Path) -> None:
        """Write the predictor as data. Raises ModelError before fitting, MachineError when the disk refuses."""
        write_folder(folder, self.packed())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The predictor that `save` wrote. Raises as registry.load_predictor; ModelError for another class."""
        found = load_predictor(folder)
        if not isinstance(found, cls):
            raise ModelError("other-predictor", f"{folder} holds a '{found.name}'", needed=f"a '{cls.name}'")
        return found

    def packed(self) -> dict[str, bytes]:
        """Content of all files of its folder by relative path; a member of an ensemble is kept in one this way."""
        self._require_fitted()
        state = State() if self.only_class is not None else self._state()
        card = Card(
            self.name,
            self.hyperparameters(),
            self.task,
            self.names,
            self.classes,
            self.horizon,
            self.warm_up,
            self.only_class,
            tuple(None if np.isnan(value) else value for value in self.typical.tolist()),
            self.feature_importance(),
            state.values,
        )
        return folder_files(card, state.files)

    def restore(self, card: Card, files: Mapping[str, bytes]) -> None:
        """Become the fitted predictor of this card. Raises ModelError, KeyError or TypeError when it is damaged."""
        self.task, self.names, self.classes = card.task, card.names, card.classes
        self.horizon, self.warm_up, self.only_class = card.horizon, card.warm_up, card.only_class
        self.typical = np.array([np.nan if value is None else value for value in card.typical], dtype=np.float64)
        if self.only_class is None:
            self._restore(State(card.values, files))

    # The same under the other names of the field.

    def train(self, lesson: Lesson, generator: np.random.Generator) -> Self:
        """The same as `fit`."""
        return self.fit(lesson, generator)

    def get_metrics(self, lesson: Lesson) -> dict[str, float]:
        """The same as `validate`."""
        return self.validate(lesson)

    def get_feature_importance(self) -> dict[str, float]:
        """The same as `feature_importance`."""
        return self.feature_importance()

    def get_hyperparameters(self) -> dict[str, Any]:
        """The same as `hyperparameters`."""
        return self.hyperparameters()

    def save_checkpoint(self, folder: Path) -> None:
        """The same as `save`."""
        self.save(folder)

    @classmethod
    def load_checkpoint(cls, folder: Path) -> Self:
        """The same as `load`."""
        return cls.load(folder)

    # The books.

    def _require_fitted(self) -> None:
        if not self.names:
            raise ModelError("not-fitted", f"'{self.name}' has not been fitted", help=("call fit first, or load",))

    def _aligned(self, features: np.ndarray, names: Sequence[str] | None) -> np.ndarray:
        """The features in the lesson's columns, float64, without ±∞."""
        self._require_fitted()
        array = np.asarray(features, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != len(self.names if names is None else names):
            raise ModelError(
                "feature-mismatch",
                f"'{self.name}' was asked about an array of shape {array.shape}",
                needed=f"(rows, {len(self.names)}): {', '.join(self.names[:4])}{', …' if len(self.names) > 4 else ''}",
            )
        if names is not None and tuple(names) != self.names:
            array = array[:, column_order(self.names, names)]
        _check_not_infinite(array, self.names)
        return array

    def _answered(self, features: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        hole = self._probabilities if shape else self._values
        if not self.row_wise:
            return hole(features)
        usable = slice(None) if self.accepts_nan else ~np.isnan(features).any(axis=1)
        out = np.full((len(features), *shape), np.nan)
        chosen = features[usable]
        if len(chosen):
            out[usable] = hole(chosen)
        return out

    def _answer_last(self, features: np.ndarray, like: np.ndarray | None = None) -> float:
        """The last row's value, or its probability of the class that is predicted from `like`."""
        if self.row_wise:
            features, like = features[-1:], None if like is None else like[-1:]
        if self.task != CLASSIFICATION:
            return float(self.predict(features)[-1])
        chosen = self.predict(features if like is None else like)[-1]
        return float("nan") if np.isnan(chosen) else float(self.predict_proba(features)[-1, int(chosen)])

    def _check_lesson(self, lesson: Lesson) -> None:
        _check_not_infinite(lesson.features, lesson.names)
        missing = np.isnan(lesson.features)
        if missing.any() and not self.accepts_nan:
            row, column = np.argwhere(missing)[0]
            raise DataError(
                "not-finite",
                f"'{self.name}' does not accept NaN, and feature '{lesson.names[column]}' is NaN on row {row}",
                found=f"{int(missing.any(axis=1).sum()):,} of {len(lesson):,} rows with NaN",
                help=("leave out the warm-up, or use a predictor that accepts NaN",),
            )
        if not self.needs_labels:
            return
        if not lesson.is_known.any():
            raise DataError("no-labels", f"'{self.name}' has nothing to learn from: no row has a label")
        if bool(lesson.classes) != (self.task == CLASSIFICATION):
            raise DataError(
                "wrong-labels",
                f"'{self.name}' is a {self.task}",
                needed="labels with classes" if self.task == CLASSIFICATION else "labels without classes",
                found=f"classes {', '.join(lesson.classes)}" if lesson.classes else "no classes",
            )

    def _only_class(self, lesson: Lesson) -> int | None:
        if not self.needs_labels or self.task != CLASSIFICATION:
            return None
        found = np.unique(lesson.labels[lesson.is_known])
        return int(found[0]) if len(found) == 1 else None


def most_probable(probabilities: np.ndarray) -> np.ndarray:
    """(N,) float64 class index of (N, C); the first of equals, NaN on NaN rows."""
    known = ~np.isnan(probabilities).any(axis=1)
    out = np.full(len(probabilities), np.nan)
    if known.any():
        out[known] = probabilities[known].argmax(axis=1)
    return out


def column_order(expected: Sequence[str], found: Sequence[str]) -> list[int]:
    """Where the expected names stand among those found; logged, as nothing is ever filled in.

    Raises ModelError `feature-mismatch` that lists every missing, extra and repeated name.
    """
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    twice = sorted({name for name in found if list(found).count(name) > 1})
    if missing or extra or twice:
        parts = (("missing", missing), ("extra", extra), ("twice", twice))
        listed = "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)
        raise ModelError(
            "feature-mismatch",
            f"the data's features are not the predictor's ({listed})",
            needed=f"the {len(expected)} features of the lesson",
            found=f"{len(found)} features",
            nearest=nearest_name(missing[0], extra) if missing else None,
        )
    LOG.info("features were realigned by name to the order of the predictor")
    return [list(found).index(name) for name in expected]


def _check_not_infinite(features: np.ndarray, names: Sequence[str]) -> None:
    infinite = np.isinf(features)
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise DataError("not-finite", f"feature '{names[column]}' is {features[row, column]} on row {row}")


def _medians(features: np.ndarray) -> np.ndarray:
    """(F,) medians over what is there, NaN for a column without a value."""
    out = np.full(features.shape[1], np.nan)
    for i, column in enumerate(features.T):
        there = column[~np.isnan(column)]
        if len(there):
            out[i] = np.median(there)
    return out
