"""A line that goes on learning: stochastic gradient descent, a few rows at a time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from regimegym.common.checks import check_at_least, check_choice, check_positive
from regimegym.common.errors import ModelError
from regimegym.features.scaling import Scaler, scaler_of
from regimegym.supervised.base import CLASSIFICATION, TASKS, Predictor, State
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.model_folder import tensors_from_bytes, tensors_to_bytes
from regimegym.supervised.registry import register

ARRAYS = "coefficients.safetensors"


@dataclass(frozen=True)
class SGDSettings:
    """scikit-learn's SGDClassifier or SGDRegressor on standardised features.

    Attributes:
        task: classification (log loss) or regression (squared error).
        alpha: strength of the squared penalty.
        eta0: step size; `learning_rate` adaptive keeps it between updates.
        epochs: passes over the lesson in `fit`; an update takes one.
    """

    task: str = CLASSIFICATION
    alpha: float = 1e-4
    learning_rate: str = "adaptive"
    eta0: float = 0.01
    epochs: int = 5

    def __post_init__(self) -> None:
        check_choice("predictor.task", self.task, TASKS)
        check_positive("predictor.alpha", self.alpha)
        check_choice("predictor.learning_rate", self.learning_rate, ("adaptive", "constant", "invscaling", "optimal"))
        check_positive("predictor.eta0", self.eta0)
        check_at_least("predictor.epochs", self.epochs, 1)


@register("sgd")
class SGD(Predictor):
    """σ(w x + b) for each class, normalised; or w x + b for a regression. x is standardised by the lesson."""

    settings_type = SGDSettings

    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        known = lesson.is_known
        self.scaler = scaler_of(lesson.features[known], lesson.names)
        self.random_seed = int(generator.integers(2**31))
        self.model = _learner(self.settings, self.random_seed)
        for _ in range(self.settings.epochs):
            self._learn(lesson.features[known], lesson.labels[known], len(lesson.classes))

    def partial_fit(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Go on learning from rows whose labels are known by now; the scaler stays as it was.

        Args:
            features: (N, F), unscaled, in the lesson's columns.
            labels: (N,) class indices or values.

        Raises:
            ModelError: before `fit`, or after a lesson of one class only.
        """
        self._require_fitted()
        if self.only_class is not None:
            raise ModelError("one-class", "the lesson had one class only, so there is no line to go on with")
        self._learn(features, labels, len(self.classes))

    def _learn(self, features: np.ndarray, labels: np.ndarray, n_classes: int) -> None:
        scaled = self.scaler.transform(features).astype(np.float64)
        # Every class is named on the first call: later ones may hold any of them.
        more = {"classes": np.arange(float(n_classes))} if self.task == CLASSIFICATION else {}
        self.model.partial_fit(scaled, labels, **more)

    def _scores(self, features: np.ndarray) -> np.ndarray:
        return self.scaler.transform(features) @ np.atleast_2d(self.model.coef_).T + self.model.intercept_

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        scores = self._scores(features)
        if scores.shape[1] == 1:
            return np.hstack([expit(-scores), expit(scores)])
        positive = expit(scores) + np.finfo(np.float64).tiny  # so that a row of zeros has a sum
        return positive / positive.sum(axis=1, keepdims=True)

    def _values(self, features: np.ndarray) -> np.ndarray:
        return self._scores(features)[:, 0]

    def _importance(self) -> np.ndarray:
        return np.abs(np.atleast_2d(self.model.coef_)).sum(axis=0)

    def _state(self) -> State:
        arrays = {"coef": self.model.coef_, "intercept": np.atleast_1d(self.model.intercept_)}
        values = {"scaler": self.scaler.to_dict(), "random_seed": self.random_seed, "t": float(self.model.t_)}
        return State(values, {ARRAYS: tensors_to_bytes(arrays)})

    def _restore(self, state: State) -> None:
        arrays = tensors_from_bytes(state.files[ARRAYS])
        self.scaler = Scaler.from_dict(state.values["scaler"])
        self.random_seed = int(state.values["random_seed"])
        self.model = _learner(self.settings, self.random_seed)
        self.model.coef_, self.model.intercept_ = arrays["coef"], arrays["intercept"]
        self.model.t_, self.model.n_features_in_ = float(state.values["t"]), len(self.names)
        if self.task == CLASSIFICATION:
            self.model.classes_ = np.arange(float(len(self.classes)))


def _learner(settings: SGDSettings, random_seed: int) -> Any:
    from sklearn.linear_model import SGDClassifier, SGDRegressor

    kind, loss = (SGDClassifier, "log_loss") if settings.task == CLASSIFICATION else (SGDRegressor, "squared_error")
    return kind(
        loss=loss,
        penalty="l2",
        alpha=settings.alpha,
        learning_rate=settings.learning_rate,
        eta0=settings.eta0,
        warm_start=True,
        random_state=random_seed,
    )
