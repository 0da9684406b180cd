"""Logistic regression: the straight line that anything cleverer must beat."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from regimegym.common.checks import check_at_least, check_flag, check_positive
from regimegym.features.scaling import Scaler, scaler_of
from regimegym.supervised.base import Predictor, State
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.model_folder import tensors_from_bytes, tensors_to_bytes
from regimegym.supervised.registry import register

LOG = logging.getLogger(__name__)
ARRAYS = "coefficients.safetensors"


@dataclass(frozen=True)
class LogisticSettings:
    """scikit-learn's LogisticRegression on standardised features.

    Attributes:
        C: inverse strength of the squared penalty.
        balanced: whether rare classes weigh as much as frequent ones.
        max_iter: steps of L-BFGS.
    """

    C: float = 0.01
    balanced: bool = False
    max_iter: int = 200

    def __post_init__(self) -> None:
        check_positive("predictor.C", self.C)
        check_flag("predictor.balanced", self.balanced)
        check_at_least("predictor.max_iter", self.max_iter, 1)


@register("logistic")
class Logistic(Predictor):
    """softmax(W x + b) of standardised x, clipped at five deviations."""

    settings_type = LogisticSettings

    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        from sklearn.linear_model import LogisticRegression

        known = lesson.is_known
        self.scaler = scaler_of(lesson.features[known], lesson.names)
        weight = "balanced" if self.settings.balanced else None
        model = LogisticRegression(C=self.settings.C, class_weight=weight, max_iter=self.settings.max_iter)
        with convergence_is_logged(self.name):
            model.fit(self.scaler.transform(lesson.features[known]).astype(np.float64), lesson.labels[known])
        self.weights, self.offsets = softmax_form(model.coef_, model.intercept_, model.classes_, len(lesson.classes))

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        return softmax(self.scaler.transform(features) @ self.weights.T + self.offsets, axis=1)

    def _importance(self) -> np.ndarray:
        return np.ptp(self.weights, axis=0)

    def _state(self) -> State:
        arrays = {"weights": self.weights, "offsets": self.offsets}
        return State({"scaler": self.scaler.to_dict()}, {ARRAYS: tensors_to_bytes(arrays)})

    def _restore(self, state: State) -> None:
        arrays = tensors_from_bytes(state.files[ARRAYS])
        self.scaler = Scaler.from_dict(state.values["scaler"])
        self.weights, self.offsets = arrays["weights"], arrays["offsets"]


@contextmanager
def convergence_is_logged(name: str) -> Iterator[None]:
    """A model that stopped short of convergence is still a model: the warning goes to the log."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", ConvergenceWarning)
        yield
    for warning in found:
        if issubclass(warning.category, ConvergenceWarning):
            LOG.info("%s: %s", name, str(warning.message).splitlines()[0])
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def softmax_form(
    coefficients: np.ndarray, intercepts: np.ndarray, present: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (C, F) and offsets (C,) of a softmax over all classes; −∞ keeps an absent class at probability 0.

    Args:
        coefficients, intercepts: (K, F) and (K,) of the K classes `present`, or one row for two of them.
        present: (K,) class indices.
        n_classes: C.
    """
    if len(coefficients) == 1:
        coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([[0.0], intercepts])
    weights, offsets = np.zeros((n_classes, coefficients.shape[1])), np.full(n_classes, -np.inf)
    rows = present.astype(np.int64)
    weights[rows], offsets[rows] = coefficients, intercepts
    return weights, offsets
