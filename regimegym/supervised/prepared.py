"""A predictor behind its data preparation: features chosen and rows added inside every fit, the same at inference."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from regimegym.common.checks import check_mapping
from regimegym.common.errors import ConfigError
from regimegym.supervised.augmentation import AugmentationSettings, augmented
from regimegym.supervised.base import Predictor, State
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.model_folder import nested
from regimegym.supervised.registry import get_predictor, register, restored
from regimegym.supervised.selection import SelectionSettings, select, with_features


@dataclass(frozen=True)
class PreparedSettings:
    """Which predictor, and what is done to its lessons first.

    Attributes:
        predictor: registered name.
        predictor_settings: its values.
        selection: of features.
        augmentation: of rows.
    """

    predictor: str = "xgboost"
    predictor_settings: dict[str, Any] = field(default_factory=dict)
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)

    def __post_init__(self) -> None:
        check_mapping("predictor.predictor_settings", self.predictor_settings)
        for name, kind in (("selection", SelectionSettings), ("augmentation", AugmentationSettings)):
            value = getattr(self, name)
            if isinstance(value, Mapping):
                object.__setattr__(self, name, kind(**value))
        if self.predictor == "prepared":
            raise ConfigError("bad-members", "'predictor.predictor' is prepared itself")


@register("prepared")
class Prepared(Predictor):
    """Another predictor, whose `fit` first chooses features and adds rows: both within the lesson, so within a fold."""

    settings_type = PreparedSettings
    settings: PreparedSettings

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self.inner = self._new()
        if not self.inner.needs_labels:
            raise ConfigError("no-labels", f"'{self.inner.name}' learns without labels, by which nothing can be chosen")
        self.task, self.warm_up = self.inner.task, self.inner.warm_up
        self.accepts_nan, self.row_wise = self.inner.accepts_nan, self.inner.row_wise
        self.version = 0
        self.worth: dict[str, float] = {}

    @property
    def memory(self) -> int | None:
        """As far back as the inner one remembers."""
        return self.inner.memory

    @property
    def chosen(self) -> tuple[str, ...]:
        """The features it learned from."""
        return self.inner.names

    def _new(self) -> Predictor:
        return get_predictor(self.settings.predictor, self.settings.predictor_settings)

    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        if self.settings.augmentation.method != "none" and not self.inner.row_wise:
            raise ConfigError(
                "windows-of-nothing",
                f"'{self.inner.name}' reads windows, and synthetic rows have no bars before them",
                needed="augmentation.method=none, or a predictor of single rows",
            )
        found = select(self._new, lesson, self.settings.selection, generator)
        if self.chosen != found.names:
            self.version += 1
        self.worth = found.worth
        learned = augmented(with_features(lesson, found.names), self.settings.augmentation, generator)
        self.inner = self._new().fit(learned, generator)

    def _columns(self, features: np.ndarray) -> np.ndarray:
        return features[:, [self.names.index(name) for name in self.chosen]]

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        return self.inner.predict_proba(self._columns(features))

    def _values(self, features: np.ndarray) -> np.ndarray:
        return self.inner.predict(self._columns(features))

    def _importance(self) -> np.ndarray:
        found = self.inner.feature_importance()
        return np.array([found.get(name, 0.0) for name in self.names])

    def _state(self) -> State:
        files = {f"inner/{name}": data for name, data in self.inner.packed().items()}
        return State({"chosen": list(self.chosen), "worth": self.worth, "version": self.version}, files)

    def _restore(self, state: State) -> None:
        self.inner = restored(*nested(state.files, "inner"))
        self.worth, self.version = dict(state.values["worth"]), int(state.values["version"])
