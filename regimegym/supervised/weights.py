"""Weights that let a rare class count as much as a frequent one; always from the rows that are fitted."""

import numpy as np

from regimegym.common.checks import check_positive
from regimegym.common.errors import ConfigError


def balanced_weights(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Weight of every row (N,), N/(classes present · rows of its class): each class weighs the same, mean 1."""
    counts = np.bincount(labels.astype(np.int64), minlength=n_classes)
    return (len(labels) / ((counts > 0).sum() * np.maximum(counts, 1)))[labels.astype(np.int64)]


def positive_weight(labels: np.ndarray, setting: float | str) -> float:
    """Weight of class 1 against class 0: the number itself, or n_neg/n_pos of these labels (N,) for `auto`.

    1 where a class has no row: there is nothing to balance.
    """
    if setting != "auto":
        return float(setting)
    n_positive = float((labels == 1).sum())
    n_negative = len(labels) - n_positive
    return n_negative / n_positive if n_positive and n_negative else 1.0


def check_positive_weight(name: str, value: float | str) -> None:
    """Raise ConfigError unless it is `auto` or a positive number."""
    if isinstance(value, str):
        if value != "auto":
            raise ConfigError("unknown-choice", f"'{name}' must be auto or a positive number, got '{value}'")
        return
    check_positive(name, value)
