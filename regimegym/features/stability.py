"""Whether features stay what they were: drift of their distribution, and what they foretold fold by fold."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from regimegym.common.checks import check_at_least
from regimegym.common.errors import DataError
from regimegym.features.pipeline import FeatureTable
from regimegym.features.splits import RowRange, WalkForward, label_intervals
from regimegym.features.tape import Segment

BINS = 10
LEAST_SHARE = 1e-4  # of an empty bin, whose logarithm would be infinite


class DriftTable(NamedTuple):
    """PSI of F features in W windows that follow the reference rows one after the other.

    `starts` (W,) int64 first row of each window; `values` (W, F) float64 ≥ 0.
    """

    names: tuple[str, ...]
    starts: np.ndarray
    values: np.ndarray


class FoldCoefficients(NamedTuple):
    """Information coefficients (F,) of the features on the training and the test rows of one fold.

    `n_test` counts the test rows; neighbouring labels overlap, so fewer of them are independent.
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    n_test: int


def population_stability_index(reference: np.ndarray, current: np.ndarray, n_bins: int = BINS) -> float:
    """Σ (q − p)·ln(q/p) over bins that hold equal shares p of `reference`; q is the share of `current`.

    Both (n,) float64, finite. 0 for equal distributions; a common reading takes 0.1 as noticeable and
    0.25 as large. By chance alone it is about (bins − 1)·(1/n + 1/m). Values that repeat share a bin.

    Raises:
        DataError: `too-few-values`, fewer values than bins on one of the sides.
    """
    check_at_least("n_bins", n_bins, 2)
    if min(len(reference), len(current)) < n_bins:
        raise DataError(
            "too-few-values",
            f"{len(reference)} and {len(current)} values are too few for {n_bins} bins",
            needed=f"{n_bins} on each side",
        )
    edges = np.unique(np.quantile(reference, np.arange(1, n_bins) / n_bins))
    shares = [
        np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1) / len(values)
        for values in (reference, current)
    ]
    p, q = (np.maximum(share, LEAST_SHARE) for share in shares)
    return float(((q - p) * np.log(q / p)).sum())


def drift_table(table: FeatureTable, reference: RowRange, window: int) -> DriftTable:
    """PSI of every feature in whole windows of `window` rows from the end of the `reference` rows on.

    Raises:
        DataError: `too-few-values` when the reference or a window is shorter than the bins.
    """
    check_at_least("window", window, 1)
    first = max(reference.start, table.warm_up)
    starts = np.arange(reference.stop, len(table) - window + 1, window)
    values = [
        [
            population_stability_index(column[first : reference.stop], column[start : start + window])
            for column in table.values.T
        ]
        for start in starts
    ]
    return DriftTable(table.names, starts, np.array(values).reshape(len(starts), len(table.names)))


def information_coefficient(feature: np.ndarray, outcome: np.ndarray) -> float:
    """Spearman's rank correlation of a feature with what came after it, both (n,); 0 where either is constant."""
    x, y = rankdata(feature), rankdata(outcome)
    x, y = x - x.mean(), y - y.mean()
    size = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / size) if size > 0.0 else 0.0


def walk_forward_coefficients(
    table: FeatureTable, close: np.ndarray, horizon: int, folds: WalkForward
) -> list[FoldCoefficients]:
    """Information coefficient of every feature with ln C_{t+horizon} − ln C_t, fold by fold.

    Training rows whose outcome reaches into the test interval are purged. A feature that sums past
    returns correlates negatively with what follows within any short window, on a random walk too:
    compare with one of the same length. Raises as `WalkForward.folds`.
    """
    check_at_least("horizon", horizon, 1)
    labels = label_intervals(table.timestamps, [Segment("", 0, len(table), table.warm_up)], horizon)
    outcome = np.full(len(close), np.nan)
    outcome[:-horizon] = np.log(close[horizon:] / close[:-horizon])
    return [
        FoldCoefficients(
            fold.name,
            _coefficients(table, outcome, fold.train),
            _coefficients(table, outcome, fold.test),
            len(fold.test),
        )
        for fold in folds.folds(labels)
    ]


def chosen_by_training(found: Sequence[FoldCoefficients], names: Sequence[str]) -> list[tuple[str, str, float, float]]:
    """Of each fold: its name, the feature that was strongest in training, its coefficient there and in the test."""
    best = [int(np.argmax(np.abs(fold.train))) for fold in found]
    return [
        (fold.name, names[k], float(fold.train[k]), float(fold.test[k])) for fold, k in zip(found, best, strict=True)
    ]


def _coefficients(table: FeatureTable, outcome: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.array([information_coefficient(column[rows], outcome[rows]) for column in table.values.T])
