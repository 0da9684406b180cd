"""XGBoost: boosted trees with early stopping on later rows, class weights of the lesson, focal loss, updates."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit

from regimegym.common.checks import check_at_least
from regimegym.common.errors import ModelError
from regimegym.supervised.base import Predictor, State
from regimegym.supervised.boosting_settings import (
    XGBoostSettings,
    device_of,
    focal_share,
    parameters_of,
    refused_by_xgboost,
)
from regimegym.supervised.focal import LEAST_HESSIAN, focal_gradient, focal_hessian, focal_loss
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.registry import register
from regimegym.supervised.weights import balanced_weights

TREES = "trees.ubj"
FEW = 1_000  # rows that one thread has answered before several have met


@register("xgboost")
class XGBoost(Predictor):
    """Trees that each mend what those before them got wrong."""

    settings_type = XGBoostSettings
    accepts_nan = True

    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        fitted, tail = lesson, None
        if self.settings.early_stopping_rounds:
            fitted, tail = lesson.split_tail(self.settings.validation_share)
        seed = int(generator.integers(2**31))
        self.parameters = parameters_of(self.settings, fitted, seed)
        self.alpha = focal_share(self.settings, fitted.labels[fitted.is_known])
        self.booster = self._boost(fitted, tail, self.settings.n_estimators, None)

    def _boost(self, fitted: Lesson, tail: Lesson | None, rounds: int, start: Any) -> Any:
        import xgboost

        more: dict[str, Any] = {}
        if self.settings.loss == "focal":
            more = {"obj": partial(_focal_objective, gamma=self.settings.focal_gamma, alpha=self.alpha)}
        if tail is not None:
            more |= {"evals": [(self._matrix(tail, is_tail=True), "tail")], "verbose_eval": False}
            more["early_stopping_rounds"] = self.settings.early_stopping_rounds
            if self.settings.loss == "focal":
                more["custom_metric"] = partial(_focal_metric, gamma=self.settings.focal_gamma, alpha=self.alpha)
        with refused_by_xgboost():
            parameters = self.parameters | {"device": device_of(self.settings.device)}  # of this machine
            booster = xgboost.train(parameters, self._matrix(fitted), rounds, xgb_model=start, **more)
        if tail is not None:
            booster = booster[: booster.best_iteration + 1]
        booster.set_param({"device": "cpu"})  # rows come from the CPU one by one
        return booster

    def _matrix(self, lesson: Lesson, is_tail: bool = False) -> Any:
        import xgboost

        labels = lesson.labels[lesson.is_known]
        weights = self._weights(labels, len(lesson.classes), is_tail)
        return xgboost.DMatrix(lesson.features[lesson.is_known], labels, weight=weights)

    def _weights(self, labels: np.ndarray, n_classes: int, is_tail: bool) -> np.ndarray | None:
        """Weights of the rows (N,): the tail is scored by the weights that the fitted rows have."""
        if n_classes == 2:
            # Of the fitted rows XGBoost weighs class 1 itself; its scores do not.
            return np.where(labels == 1, self.parameters["scale_pos_weight"], 1.0) if is_tail else None
        is_weighted = n_classes > 2 and self.settings.scale_pos_weight == "auto"
        return balanced_weights(labels, n_classes) if is_weighted else None

    def update(self, lesson: Lesson, num_boost_round: int = 10) -> None:
        """Grow `num_boost_round` more trees on another lesson of the same features; parameters are kept.

        Raises:
            ModelError: before `fit`, other names or classes, or after a lesson of one class only.
        """
        self._require_fitted()
        check_at_least("num_boost_round", num_boost_round, 1)
        if self.only_class is not None or (lesson.names, lesson.classes) != (self.names, self.classes):
            raise ModelError(
                "other-lesson",
                "trees can only be added for the features and classes that the first ones were grown for",
                needed=f"{len(self.names)} features, classes {', '.join(self.classes) or 'none'}",
                found=f"{len(lesson.names)} features, classes {', '.join(lesson.classes) or 'none'}",
            )
        self.booster = self._boost(lesson, None, num_boost_round, self.booster)

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        found = self._asked(features)
        if found.ndim == 2:
            return found / found.sum(axis=1, keepdims=True)  # softmax in float32 is off by its rounding
        positive = expit(found) if self.settings.loss == "focal" else found
        return np.column_stack([1.0 - positive, positive])

    def _values(self, features: np.ndarray) -> np.ndarray:
        return self._asked(features)

    def _asked(self, features: np.ndarray) -> np.ndarray:
        self.booster.set_param({"nthread": 1 if len(features) < FEW else self.settings.n_threads})
        return self.booster.inplace_predict(np.ascontiguousarray(features)).astype(np.float64)

    def _importance(self) -> np.ndarray:
        return gains(self.booster, self.names)

    def explain_prediction(self, features: np.ndarray, row: int) -> dict[str, float]:
        """Shapley values of the row's answer, by name: they and the mean answer sum to it.

        In log odds of class 1, of the predicted class where there are more, or in units of the label.
        """
        import xgboost

        asked = self._aligned(features[row : row + 1], None)
        if self.only_class is not None:
            return dict.fromkeys(self.names, 0.0)
        added = self.booster.predict(xgboost.DMatrix(asked), pred_contribs=True)[0]
        if added.ndim == 2:
            added = added[int(self.predict(asked)[0])]
        return dict(zip(self.names, added[:-1].tolist(), strict=True))

    def _state(self) -> State:
        values = {"parameters": self.parameters, "alpha": self.alpha}
        return State(values, {TREES: bytes(self.booster.save_raw("ubj"))})

    def _restore(self, state: State) -> None:
        import xgboost

        self.parameters, self.alpha = dict(state.values["parameters"]), state.values["alpha"]
        self.booster = xgboost.Booster()
        with refused_by_xgboost():
            self.booster.load_model(bytearray(state.files[TREES]))
        self.booster.set_param({"device": "cpu", "nthread": self.settings.n_threads})


def gains(booster: Any, names: Sequence[str]) -> np.ndarray:
    """(F,) total gain of every feature, 0 for one that no tree uses; of a booster with or without names."""
    columns = {name: i for i, name in enumerate(booster.feature_names or [f"f{i}" for i in range(len(names))])}
    found = np.zeros(len(names))
    for name, gain in booster.get_score(importance_type="total_gain").items():
        found[columns[name]] = gain
    return found


def _focal_objective(margin: np.ndarray, rows: Any, gamma: float, alpha: float | None) -> tuple[np.ndarray, np.ndarray]:
    y = rows.get_label()
    z = margin.astype(np.float64)
    return focal_gradient(z, y, gamma, alpha), np.maximum(focal_hessian(z, y, gamma, alpha), LEAST_HESSIAN)


def _focal_metric(margin: np.ndarray, rows: Any, gamma: float, alpha: float | None) -> tuple[str, float]:
    return "focal", float(focal_loss(margin.astype(np.float64), rows.get_label(), gamma, alpha).mean())
