"""Probabilities that mean what they say: corrected on later rows than the model was fitted on (DEFINITIONS §11)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit, softmax

from regimegym.common.checks import check_choice, check_mapping, check_number
from regimegym.common.errors import ConfigError, DataError
from regimegym.supervised.base import CLASSIFICATION, Predictor, State
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.model_folder import nested
from regimegym.supervised.registry import get_predictor, register, restored
from regimegym.supervised.scores import TINY, classification_scores

METHODS = ("temperature", "platt", "isotonic")
COLDEST, HOTTEST = 0.02, 50.0
MEMBER = "model"


class Reliability(NamedTuple):
    """What was predicted and what came, in bins of equal width.

    Attributes:
        predicted, observed: (B,) mean probability, and share of rows in which it came true; NaN if empty.
        counts: (B,) rows.
        ece: mean |predicted − observed|, weighted by rows: the expected calibration error; NaN without rows.
    """

    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray
    ece: float


def reliability(labels: np.ndarray, probabilities: np.ndarray, n_bins: int = 10) -> Reliability:
    """The reliability diagram of (N, C) probabilities: of class 1 of two, of the predicted class of more.

    Rows without an answer are left out.
    """
    answered = ~np.isnan(probabilities).any(axis=1)
    y, p = labels[answered].astype(np.int64), probabilities[answered]
    is_binary = probabilities.shape[1] == 2
    said = p[:, 1] if is_binary else p.max(axis=1)
    came = y == 1 if is_binary else y == p.argmax(axis=1)
    bins = np.minimum((said * n_bins).astype(np.int64), n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    with np.errstate(invalid="ignore"):
        predicted = np.bincount(bins, said, n_bins) / counts
        observed = np.bincount(bins, came.astype(np.float64), n_bins) / counts
    gaps = np.abs(predicted - observed)[counts > 0]
    ece = float((gaps * counts[counts > 0]).sum() / len(y)) if len(y) else float("nan")
    return Reliability(predicted, observed, counts, ece)


@dataclass(frozen=True)
class Calibrator:
    """A fitted correction of probabilities, plain numbers throughout.

    Attributes:
        method: temperature: softmax(ln p / T), which changes no ranking inside a row. platt:
            σ(a·logit p + b) for each class. isotonic: a rising step line for each class. The last two
            are normalised over the classes.
        parameters: T; or (C, 2) a and b; or for each class the corners (x, y) of its line.
    """

    method: str
    parameters: Any

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Corrected (N, C) probabilities; NaN rows stay NaN."""
        p = np.clip(probabilities, TINY, 1.0)
        if self.method == "temperature":
            return softmax(np.log(p) / self.parameters, axis=1)
        if p.shape[1] == 2:  # one line is enough, and the other class is the rest
            positive = self._line(1, p[:, 1])
            return np.column_stack([1.0 - positive, positive])
        each = np.column_stack([self._line(k, p[:, k]) for k in range(p.shape[1])]) + TINY
        return each / each.sum(axis=1, keepdims=True)

    def _line(self, k: int, p: np.ndarray) -> np.ndarray:
        if self.method == "platt":
            slope, offset = self.parameters[k]
            return expit(slope * logit(np.clip(p, TINY, 1.0 - TINY)) + offset)
        x, y = self.parameters[k]
        return np.interp(p, x, y)


def fit_calibrator(labels: np.ndarray, probabilities: np.ndarray, method: str) -> Calibrator:
    """The correction that fits these rows (N,), (N, C) best; rows without an answer are left out.

    Args:
        labels, probabilities: of rows later than those the model was fitted on.
        method: one of METHODS.

    Raises:
        DataError: `no-labels`, no row has both.
    """
    check_choice("method", method, METHODS)
    answered = ~np.isnan(probabilities).any(axis=1) & ~np.isnan(labels)
    if not answered.any():
        raise DataError("no-labels", "no later row has a label and an answer to calibrate on")
    y, p = labels[answered].astype(np.int64), np.clip(probabilities[answered], TINY, 1.0)
    if method == "temperature":
        return Calibrator(method, _temperature(y, np.log(p)))
    line = _platt if method == "platt" else _isotonic
    return Calibrator(method, [line((y == k).astype(np.float64), p[:, k]) for k in range(p.shape[1])])


def _temperature(y: np.ndarray, logs: np.ndarray) -> float:
    """T with the least log loss."""

    def loss(log_t: float) -> float:
        return -float(np.log(np.maximum(softmax(logs / np.exp(log_t), axis=1)[np.arange(len(y)), y], TINY)).mean())

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def _platt(came: np.ndarray, p: np.ndarray) -> list[float]:
    """a and b, with Platt's targets, which leave no class at 0 or 1. Source: Platt 1999."""
    n_positive = came.sum()
    target = np.where(came == 1, (n_positive + 1) / (n_positive + 2), 1 / (len(came) - n_positive + 2))
    z = logit(np.clip(p, TINY, 1.0 - TINY))

    def loss(ab: np.ndarray) -> tuple[float, np.ndarray]:
        margin = ab[0] * z + ab[1]
        error = expit(margin) - target
        return float((np.logaddexp(0, margin) - target * margin).mean()), np.array([(error * z).mean(), error.mean()])

    return minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x.tolist()


def _isotonic(came: np.ndarray, p: np.ndarray) -> list[list[float]]:
    from sklearn.isotonic import IsotonicRegression

    line = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(p, came)
    return [line.X_thresholds_.tolist(), line.y_thresholds_.tolist()]


@dataclass(frozen=True)
class CalibratedSettings:
    """A predictor and the correction of its probabilities.

    Attributes:
        model: registered name of a classification. settings: its settings by name.
        method: temperature, platt or isotonic.
        share: of the lesson, the latest, purged, that the model does not learn and the correction does.
    """

    model: str = "xgboost"
    settings: Mapping[str, Any] = field(default_factory=dict)
    method: str = "temperature"
    share: float = 0.2

    def __post_init__(self) -> None:
        check_choice("predictor.method", self.method, METHODS)
        check_mapping("predictor.settings", self.settings)
        check_number("predictor.share", self.share, "between 0 and 1", lambda value: 0 < value < 1)
        if self.model == "calibrated":
            raise ConfigError("nested-in-itself", "'predictor.model' cannot be calibrated itself")
        inner = get_predictor(self.model, self.settings)
        if inner.task != CLASSIFICATION or not inner.needs_labels:
            raise ConfigError("wrong-model", f"'predictor.model' must classify from labels, got '{self.model}'")


@register("calibrated")
class Calibrated(Predictor):
    """Another predictor, fitted on the earlier part of the lesson and corrected on the later one."""

    settings_type = CalibratedSettings

    def __init__(self, settings: CalibratedSettings | None = None) -> None:
        super().__init__(settings)
        self._adopt(get_predictor(self.settings.model, self.settings.settings))

    def _adopt(self, inner: Predictor) -> None:
        self.inner = inner
        self.warm_up = inner.warm_up

    @property
    def accepts_nan(self) -> bool:  # type: ignore[override]  # as its model does
        """Whether the model accepts NaN."""
        return self.inner.accepts_nan

    @property
    def row_wise(self) -> bool:  # type: ignore[override]  # as its model is
        """Whether the model answers row by row."""
        return self.inner.row_wise

    @property
    def memory(self) -> int | None:
        """As far back as the model's."""
        return self.inner.memory

    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        earlier, later = lesson.split_tail(self.settings.share)
        inner = get_predictor(self.settings.model, self.settings.settings).fit(earlier, generator)
        answers = inner.predict_proba(lesson.features)[len(earlier) :]
        self.calibrator = fit_calibrator(later.labels, answers, self.settings.method)
        self._adopt(inner)

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        return self.calibrator.apply(self.inner.predict_proba(features))

    def _importance(self) -> np.ndarray:
        return np.array(list(self.inner.feature_importance().values()))

    def validate(self, lesson: Lesson) -> dict[str, float]:
        """As every predictor's, with `ece` of these rows, and `ece_before` of the model without the correction."""
        known = lesson.is_known
        answers = self.predict_proba(lesson.features, lesson.names)[known]
        labels = lesson.labels[known]
        scores = classification_scores(labels, answers, self.classes) | {"ece": reliability(labels, answers).ece}
        if self.only_class is None:
            before = self.inner.predict_proba(lesson.features, lesson.names)[known]
            scores["ece_before"] = reliability(labels, before).ece
        return scores

    def _state(self) -> State:
        files = {f"{MEMBER}/{path}": content for path, content in self.inner.packed().items()}
        return State({"method": self.calibrator.method, "parameters": self.calibrator.parameters}, files)

    def _restore(self, state: State) -> None:
        self._adopt(restored(*nested(state.files, MEMBER)))
        self.calibrator = Calibrator(state.values["method"], state.values["parameters"])
