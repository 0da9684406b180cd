"""Why predictors answer as they do: SHAP of trees, permutation of everything else, attention by bar."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from regimegym.common.errors import MachineError
from regimegym.supervised.base import Predictor
from regimegym.supervised.gradient_boosting import XGBoost
from regimegym.supervised.importance_shift import Shift, can_tell, feature_shifts
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.random_forest import Forest, RandomForest
from regimegym.supervised.selection import correlated_groups, permutation_importance
from regimegym.supervised.sequence.predictors import SequenceModel
from regimegym.training.fitting import Fit

ROWS = 500  # of validation that are explained, at most; SHAP needs time for each
ALIKE = 0.95  # |correlation| from which columns are shuffled together
REPEATS = 3


@dataclass(frozen=True)
class Explanation:
    """What each feature adds to a predictor's answers on validation.

    Attributes:
        method: shap (mean of |SHAP value|: log odds of XGBoost, probabilities of a forest) or permutation
            (loss of log likelihood per row, or of −MSE, when the feature is shuffled).
        worth: by feature.
        attention: mean weight of each bar of the window, the newest last; None without attention.
        shifts: where each group of features that are alike changed its worth most over the training rows; None
            where that cannot be told: of windows and ensembles, and of too few rows.
    """

    method: str
    worth: Mapping[str, float]
    attention: np.ndarray | None = None
    shifts: tuple[Shift, ...] | None = None

    @property
    def unit(self) -> str:
        """What the worth of a feature is counted in."""
        return "mean |SHAP value|" if self.method == "shap" else "score lost on a row when it is shuffled"

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON, times in ISO 8601."""
        shifts = None if self.shifts is None else [_plain_shift(shift) for shift in self.shifts]
        return {"method": self.method, "worth": self.worth, "attention": self.attention, "shifts": shifts}


def _plain_shift(shift: Shift) -> dict[str, Any]:
    since = f"{np.datetime64(shift.since, 'ns')!s:.16}Z"
    return {**shift._asdict(), "since": since, "shifted": shift.is_sure}


def check_explainable(predictor: Predictor) -> None:
    """Raise MachineError `missing-extra` where the predictor needs shap and it is not there."""
    if isinstance(predictor, XGBoost | RandomForest):
        import_shap()


def import_shap() -> Any:
    """The module shap. Raises MachineError without the extra `explain`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # importing it uses what matplotlib will let go
            import shap
    except ImportError as error:
        raise MachineError(
            "missing-extra",
            "explanations of trees need shap, which is not installed",
            help=('pip install "regime-gym[explain]"', "or explain=false"),
            kept="nothing was written",
        ) from error
    return shap


def explanation_of(fit: Fit, generator: np.random.Generator) -> Explanation:
    """How the last model of `fit` answers the newest validation rows, and what its features were worth before.

    Raises:
        MachineError: without shap.
    """
    found = _explanation(fit, generator)
    if not can_tell(fit.last, fit.data.lesson):
        return found
    return replace(found, shifts=tuple(feature_shifts(fit.make, fit.data.lesson, generator)))


def _explanation(fit: Fit, generator: np.random.Generator) -> Explanation:
    model, data = fit.last, fit.data
    first = max(data.first, len(data.later) - ROWS)
    rows = data.later.features[first:]
    if model.only_class is not None:
        return Explanation("permutation", dict.fromkeys(model.names, 0.0))
    if isinstance(model, XGBoost):
        return Explanation("shap", _worth(model, _shap_of_booster(model, rows)))
    if isinstance(model, RandomForest):
        return Explanation("shap", _worth(model, _shap_of_forest(model, data.lesson, rows)))
    start = 0 if model.memory is None else max(0, first - model.memory)
    asked = data.later.take(np.arange(start, len(data.later)))
    groups = correlated_groups(asked.features, ALIKE)
    worth = permutation_importance(model, asked, groups, REPEATS, generator)
    attention = None
    if isinstance(model, SequenceModel) and model.has_attention:
        attention = np.nanmean(model.attention(asked.features), axis=0)
    return Explanation("permutation", dict(zip(model.names, worth.tolist(), strict=True)), attention)


def _worth(model: Predictor, values: np.ndarray) -> dict[str, float]:
    """Mean |SHAP value| by feature, over rows (N, F) and classes (N, F, C)."""
    mean = np.abs(values).mean(axis=0)
    return dict(zip(model.names, (mean if mean.ndim == 1 else mean.mean(axis=1)).tolist(), strict=True))


def _shap_of_booster(model: XGBoost, rows: np.ndarray) -> np.ndarray:
    return np.asarray(import_shap().TreeExplainer(model.booster).shap_values(rows))


def _shap_of_forest(model: RandomForest, lesson: Lesson, rows: np.ndarray) -> np.ndarray:
    shap = import_shap()
    explainer = shap.TreeExplainer({"trees": forest_trees(model.forest, lesson.features)})
    # Its own check compares with a model it knows; there is none behind the arrays.
    return np.asarray(explainer.shap_values(rows.astype(np.float32), check_additivity=False))


def forest_trees(forest: Forest, features: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Each tree as shap reads it; values are divided, so that the sum of the trees is the forest's answer.

    A node weighs as much as the share of `features` (N, F), the rows learned from, that comes by it.
    """
    weights = node_counts(forest, features.astype(np.float32))
    ends = [*forest.roots[1:].tolist(), len(forest.left)]
    trees = []
    for root, end in zip(forest.roots.tolist(), ends, strict=True):
        nodes = slice(root, end)
        left, right = (np.where(side[nodes] < 0, -1, side[nodes] - root) for side in (forest.left, forest.right))
        trees.append(
            {
                "children_left": left,
                "children_right": right,
                "children_default": left,
                "features": forest.feature[nodes],
                "thresholds": forest.threshold[nodes],
                "values": forest.value[nodes] / len(forest.roots),
                "node_sample_weight": weights[nodes],
            }
        )
    return trees


def node_counts(forest: Forest, features: np.ndarray) -> np.ndarray:
    """(nodes,) float64, how many of the float32 rows (N, F) come by each node."""
    counts = np.zeros(len(forest.left))
    for root in forest.roots:
        rows, nodes = np.arange(len(features)), np.full(len(features), root)
        while len(rows):
            np.add.at(counts, nodes, 1.0)
            inner = forest.left[nodes] >= 0
            rows, nodes = rows[inner], nodes[inner]
            goes_left = features[rows, forest.feature[nodes]] <= forest.threshold[nodes]
            nodes = np.where(goes_left, forest.left[nodes], forest.right[nodes])
    return counts
