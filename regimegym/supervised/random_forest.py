"""Random forest: grown by scikit-learn, kept as plain arrays, asked through a compiled walk over them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from regimegym.common.checks import check_at_least, check_choice, check_flag, check_number
from regimegym.supervised.base import CLASSIFICATION, TASKS, Predictor, State
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.model_folder import tensors_from_bytes, tensors_to_bytes
from regimegym.supervised.registry import register

ARRAYS = "forest.safetensors"


@dataclass(frozen=True)
class RandomForestSettings:
    """scikit-learn's random forest; the fields without a word here are its arguments of that name.

    Attributes:
        task: classification or regression.
        max_features: share of the features that each split may choose from.
        balanced: whether rare classes weigh as much as frequent ones.
        n_jobs: threads that grow trees, −1 for all; the forest is the same.
    """

    task: str = CLASSIFICATION
    n_estimators: int = 200
    max_depth: int = 10
    min_samples_leaf: int = 20
    max_features: float = 0.1
    balanced: bool = False
    n_jobs: int = 1

    def __post_init__(self) -> None:
        check_choice("predictor.task", self.task, TASKS)
        for name in ("n_estimators", "max_depth", "min_samples_leaf"):
            check_at_least(f"predictor.{name}", getattr(self, name), 1)
        check_number("predictor.max_features", self.max_features, "in (0, 1]", lambda value: 0 < value <= 1)
        check_flag("predictor.balanced", self.balanced)
        check_number("predictor.n_jobs", self.n_jobs, "−1 or ≥ 1", lambda value: value == -1 or value >= 1)


class Forest(NamedTuple):
    """All nodes of all trees, one tree behind the other.

    Attributes:
        roots: (trees,) int32, the first node of each.
        left, right: (nodes,) int32 children, −1 in a leaf.
        feature: (nodes,) int32 column that is looked at.
        threshold: (nodes,) float64; a row goes left where its float32 feature is not above.
        value: (nodes, K) float64: shares of the classes, or the mean.
    """

    roots: np.ndarray
    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray


@register("random_forest")
class RandomForest(Predictor):
    """The mean answer of trees that each saw other rows and other features."""

    settings_type = RandomForestSettings

    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        known = lesson.is_known
        model = _grower(self.settings, int(generator.integers(2**31)))
        model.fit(lesson.features[known], lesson.labels[known])
        present = getattr(model, "classes_", np.zeros(1)).astype(np.int64)
        self.forest = forest_of(model, present, len(lesson.classes) or 1)
        self.gains = np.array(model.feature_importances_)

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        return _walk(np.ascontiguousarray(features, dtype=np.float32), *self.forest)

    def _values(self, features: np.ndarray) -> np.ndarray:
        return _walk(np.ascontiguousarray(features, dtype=np.float32), *self.forest)[:, 0]

    def _importance(self) -> np.ndarray:
        return self.gains

    def _state(self) -> State:
        arrays = {**self.forest._asdict(), "gains": self.gains}
        return State(files={ARRAYS: tensors_to_bytes(arrays)})

    def _restore(self, state: State) -> None:
        arrays = tensors_from_bytes(state.files[ARRAYS])
        self.gains = arrays.pop("gains")
        self.forest = checked_forest(Forest(**arrays), len(self.names))


def _grower(settings: RandomForestSettings, random_seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    arguments = {
        "n_estimators": settings.n_estimators,
        "max_depth": settings.max_depth,
        "min_samples_leaf": settings.min_samples_leaf,
        "max_features": settings.max_features,
        "n_jobs": settings.n_jobs,
        "random_state": random_seed,
    }
    if settings.task != CLASSIFICATION:
        return RandomForestRegressor(**arguments)
    return RandomForestClassifier(class_weight="balanced" if settings.balanced else None, **arguments)


def forest_of(model: Any, present: np.ndarray, n_columns: int) -> Forest:
    """The arrays of a fitted scikit-learn forest.

    Args:
        model: RandomForestClassifier or RandomForestRegressor.
        present: (K,) columns of the answer that its values stand for.
        n_columns: of the answer; a class that no row had stays at 0.
    """
    trees = [estimator.tree_ for estimator in model.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])]).astype(np.int32)
    moved = {
        side: np.concatenate(
            [
                np.where(children < 0, -1, children + root)
                for tree, root in zip(trees, roots, strict=True)
                for children in (getattr(tree, f"children_{side}"),)
            ]
        ).astype(np.int32)
        for side in ("left", "right")
    }
    found = np.concatenate([tree.value[:, 0, :] for tree in trees])
    value = np.zeros((len(found), n_columns))
    value[:, present] = found
    feature = np.concatenate([tree.feature for tree in trees]).astype(np.int32)
    threshold = np.concatenate([tree.threshold for tree in trees])
    return Forest(roots, moved["left"], moved["right"], feature, threshold, value)


def checked_forest(forest: Forest, n_features: int) -> Forest:
    """The forest itself. Raises ValueError where a walk over it would leave its arrays or never end."""
    nodes = np.arange(len(forest.left))
    inner = forest.left >= 0
    for child in (forest.left[inner], forest.right[inner]):
        if (child <= nodes[inner]).any() or (child >= len(nodes)).any():
            raise ValueError("a node of the forest has no child behind it")
    if (forest.feature[inner] < 0).any() or (forest.feature[inner] >= n_features).any():
        raise ValueError("a node of the forest looks at a feature that is not there")
    if (forest.roots < 0).any() or (forest.roots >= len(nodes)).any() or len(forest.value) != len(nodes):
        raise ValueError("the arrays of the forest do not fit each other")
    return forest


@njit(cache=True)
def _walk(
    features: np.ndarray,
    roots: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    value: np.ndarray,
) -> np.ndarray:
    """(N, K) mean over the trees of the value in the leaf of each row."""
    out = np.zeros((len(features), value.shape[1]))
    for row in range(len(features)):
        for root in roots:
            node = root
            while left[node] >= 0:
                node = left[node] if features[row, feature[node]] <= threshold[node] else right[node]
            for k in range(value.shape[1]):
                out[row, k] += value[node, k]
    return out / len(roots)
