"""Scores of predictions against labels (DEFINITIONS §15); what is undefined is NaN, never 0."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

TINY = 1e-12  # least probability whose logarithm is taken


def classification_scores(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Scores over the rows with an answer.

    Args:
        labels: (N,) class indices.
        probabilities: (N, C); NaN rows are counted in `answered` and nowhere else.
        classes: C names.

    Returns:
        `rows`, `answered` (share), `accuracy`, `log_loss`, `brier`, `auc` (of the scores; the mean over
        classes against the rest where there are more than two), and `precision`, `recall`, `f1` with
        their `coverage`, the share of rows predicted so. With two classes those are of class 1;
        otherwise of every class, with its name behind: `precision_up`.
    """
    answered = ~np.isnan(probabilities).any(axis=1)
    y, p = labels[answered].astype(np.int64), probabilities[answered]
    scores = {"rows": float(len(labels)), "answered": float(answered.mean()) if len(labels) else float("nan")}
    if not len(y):
        return scores | dict.fromkeys(("accuracy", "log_loss", "brier", "auc"), float("nan"))
    chosen, of_label = p.argmax(axis=1), p[np.arange(len(y)), y]
    scores["accuracy"] = float((chosen == y).mean())
    scores["log_loss"] = float(-np.log(np.maximum(of_label, TINY)).mean())
    scores["brier"] = float(((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1).mean())
    if len(classes) == 2:
        return scores | {"auc": auc(y == 1, p[:, 1])} | precision_and_recall(y == 1, chosen == 1)
    scores["auc"] = float(np.mean([auc(y == k, p[:, k]) for k in range(len(classes))]))
    for k, name in enumerate(classes):
        found = precision_and_recall(y == k, chosen == k)
        scores |= {f"{what}_{name}": value for what, value in found.items()}
    return scores


def precision_and_recall(is_positive: np.ndarray, is_called: np.ndarray) -> dict[str, float]:
    """Precision, recall, their harmonic mean, and the share of rows (N,) that were called positive."""
    hits = float((is_positive & is_called).sum())
    precision, recall = _share(hits, is_called.sum()), _share(hits, is_positive.sum())
    f1 = _share(2 * hits, is_called.sum() + is_positive.sum())
    return {"precision": precision, "recall": recall, "f1": f1, "coverage": float(is_called.mean())}


def auc(is_positive: np.ndarray, scores: np.ndarray) -> float:
    """Chance that a positive row has the higher score (N,), ties counting half; NaN with one class only."""
    n_positive = int(is_positive.sum())
    n_negative = len(is_positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    ranks = rankdata(scores)[is_positive].sum()
    return float((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def state_agreement(labels: np.ndarray, states: np.ndarray) -> dict[str, float]:
    """How well unnamed states (N,) match labels (N,), both whole numbers.

    `accuracy` under the best one-to-one matching (Hungarian), and `ari`, the adjusted Rand index.
    """
    y, x = (np.unique(values, return_inverse=True)[1] for values in (labels, states))
    table = np.zeros((y.max() + 1, x.max() + 1))
    np.add.at(table, (y, x), 1.0)
    matched = table[linear_sum_assignment(table, maximize=True)].sum()
    pairs, rows, columns = (float((n * (n - 1) / 2).sum()) for n in (table, table.sum(axis=1), table.sum(axis=0)))
    by_chance = rows * columns / max(1.0, len(y) * (len(y) - 1) / 2)
    return {"accuracy": float(matched / len(y)), "ari": _share(pairs - by_chance, (rows + columns) / 2 - by_chance)}


def regression_scores(labels: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """`rows`, `answered`, `mse`, `mae`, `r2`, `mape` over the labels (N,) that are not 0, and `direction`.

    `direction` is the share of right signs among the rows where label and value have one.
    """
    answered = ~np.isnan(values)
    y, error = labels[answered], (values - labels)[answered]
    nan = float("nan")
    scores = {"rows": float(len(labels)), "answered": float(answered.mean()) if len(labels) else nan}
    if not len(y):
        return scores | dict.fromkeys(("mse", "mae", "r2", "mape", "direction"), nan)
    spread = float(((y - y.mean()) ** 2).sum())
    moved, signed = y != 0, (y != 0) & (values[answered] != 0)
    return scores | {
        "mse": float((error**2).mean()),
        "mae": float(np.abs(error).mean()),
        "r2": 1.0 - float((error**2).sum()) / spread if spread > 0 else nan,
        "mape": float(np.abs(error[moved] / y[moved]).mean()) if moved.any() else nan,
        "direction": _share(float((y * values[answered] > 0).sum()), signed.sum()),
    }


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
