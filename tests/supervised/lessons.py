"""Lessons with something planted in them, or nothing."""

import numpy as np

from regimegym.supervised.checks import BAR
from regimegym.supervised.lesson import Lesson


def lesson_with(features: np.ndarray, labels: np.ndarray, horizon: int = 1, classes: tuple[str, ...] = ("down", "up")):
    """Rows an hour apart whose labels are known `horizon` rows later."""
    n_rows, n_features = features.shape
    labels = np.asarray(labels, dtype=float).copy()
    if horizon:
        labels[-horizon:] = np.nan
    ends = np.minimum(np.arange(n_rows) + horizon, n_rows - 1)
    names = tuple(f"x{i}" for i in range(n_features))
    return Lesson(features, labels, ends, names, BAR * np.arange(n_rows), None, classes)


def nonlinear_lesson(n_rows: int, random_seed: int, flipped: float = 0.1) -> Lesson:
    """Up where the first two of six features have the same sign, but for `flipped` of the labels: no line sees it."""
    rng = np.random.default_rng(random_seed)
    features = rng.normal(size=(n_rows, 6))
    up = (features[:, 0] * features[:, 1] > 0) ^ (rng.random(n_rows) < flipped)
    return lesson_with(features, up)


def noise_lesson(n_rows: int, random_seed: int) -> Lesson:
    """Labels that have nothing to do with the features."""
    rng = np.random.default_rng(random_seed)
    return lesson_with(rng.normal(size=(n_rows, 6)), rng.integers(0, 2, n_rows))


def accuracy_interval(accuracy: float, n_rows: int) -> tuple[float, float]:
    """Normal 95 % interval of a share."""
    half = 1.96 * (accuracy * (1 - accuracy) / n_rows) ** 0.5
    return accuracy - half, accuracy + half
