"""Nested targets, such as rises of 1, 2 and 5 %: a model for each, and never a likelier large move than a small one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from regimegym.common.checks import check_mapping
from regimegym.common.errors import ConfigError
from regimegym.supervised.base import CLASSIFICATION, Predictor, State
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.model_folder import nested
from regimegym.supervised.registry import get_predictor, register, restored

DEFAULT_MODEL = "random_forest"


@dataclass(frozen=True)
class MultiTargetSettings:
    """Which model learns each of the nested targets.

    Attributes:
        model_type: registered predictor, a classification.
        settings: of every model, by name; its defaults otherwise.
        per_target: further settings by class, such as {5_percent: {max_depth: 4}}.
    """

    model_type: str = DEFAULT_MODEL
    settings: Mapping[str, Any] = field(default_factory=dict)
    per_target: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_mapping("predictor.settings", self.settings)
        check_mapping("predictor.per_target", self.per_target)
        if self.model_type == "multi_target":
            raise ConfigError("nested-in-itself", "'predictor.model_type' cannot be multi_target itself")
        models = [self.model_of(name) for name in ("", *self.per_target)]
        if models[0].task != CLASSIFICATION or not models[0].row_wise or not models[0].needs_labels:
            raise ConfigError(
                "wrong-model", f"'predictor.model_type' must classify row by row from labels, got '{self.model_type}'"
            )

    def model_of(self, target: str) -> Predictor:
        """A new model for the class `target`. Raises ConfigError for unknown names or settings."""
        return get_predictor(self.model_type, {**self.settings, **self.per_target.get(target, {})})


@register("multi_target")
class MultiTarget(Predictor):
    """One yes-or-no model per class after the first: whether the class is at least this one.

    The classes of the lesson are ordered (supervised.targets.Moves). The models' probabilities are
    made to fall along them, P(class ≥ k) ← min over j ≤ k, and their differences are those of the classes.
    """

    settings_type = MultiTargetSettings

    @property
    def accepts_nan(self) -> bool:  # type: ignore[override]  # as its models do
        """Whether the models accept NaN."""
        return self.settings.model_of("").accepts_nan

    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        unknown = [name for name in self.settings.per_target if name not in lesson.classes[1:]]
        if unknown:
            raise ConfigError(
                "unknown-target",
                f"'predictor.per_target' names '{unknown[0]}', which is no target of the lesson",
                needed=f"one of {', '.join(lesson.classes[1:])}",
            )
        self.models = []
        for k, name in enumerate(lesson.classes[1:], start=1):
            reached = np.where(lesson.is_known, lesson.labels >= k, np.nan)
            part = replace(lesson, labels=reached, classes=(f"below_{name}", name))
            self.models.append(self.settings.model_of(name).fit(part, generator))

    def nested_probabilities(self, features: np.ndarray) -> np.ndarray:
        """(N, C − 1) P(class ≥ k) for every target, never rising along a row."""
        found = np.column_stack([model.predict_proba(features)[:, 1] for model in self.models])
        return np.minimum.accumulate(found, axis=1)

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        at_least = self.nested_probabilities(features)
        edges = np.column_stack([np.ones(len(features)), at_least, np.zeros(len(features))])
        return edges[:, :-1] - edges[:, 1:]

    def _importance(self) -> np.ndarray:
        return np.mean([list(model.feature_importance().values()) for model in self.models], axis=0)

    def _state(self) -> State:
        files: dict[str, bytes] = {}
        for model, name in zip(self.models, self.classes[1:], strict=True):
            files |= {f"{name}/{path}": content for path, content in model.packed().items()}
        return State({"model_type": self.settings.model_type}, files)

    def _restore(self, state: State) -> None:
        # Folders from before there was a choice say nothing of it.
        expected = state.values.get("model_type", DEFAULT_MODEL)
        self.models = [restored(*nested(state.files, name)) for name in self.classes[1:]]
        for model in self.models:
            if model.name != expected:
                raise ValueError(f"a model is a '{model.name}' and should be a '{expected}'")
