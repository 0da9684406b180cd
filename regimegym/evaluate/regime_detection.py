"""How well a detector finds regimes whose truth is known: names do not matter, delay does."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

from regimegym.common.errors import DataError


class Detection(NamedTuple):
    """Found labels against true ones, on the bars where both are known (≥ 0).

    Attributes:
        n_bars: how many.
        adjusted_rand: 1 for the same partition, about 0 by chance; blind to names.
        accuracy: share of the bars that are right under the best one-to-one naming (Hungarian).
        plain_accuracy: share that carries the very same label.
        matched: true label of each found one, −1 where the truth has fewer.
        confusion: counts (true, found).
        delays: (K,) bars from each true change to the first bar that is labelled as the new regime; NaN where
            it is never recognised before the next change.
        false_changes: changes of the found label per true change; 1 is as many as there are.
    """

    n_bars: int
    adjusted_rand: float
    accuracy: float
    plain_accuracy: float
    matched: np.ndarray
    confusion: np.ndarray
    delays: np.ndarray
    false_changes: float

    @property
    def median_delay(self) -> float:
        """Of the changes that were recognised, bars; NaN without any."""
        known = self.delays[np.isfinite(self.delays)]
        return float(np.median(known)) if len(known) else float("nan")

    @property
    def missed(self) -> float:
        """Share of the true changes that were never recognised; NaN without changes."""
        return float(np.mean(np.isnan(self.delays))) if len(self.delays) else float("nan")


def detection(found: np.ndarray, truth: np.ndarray) -> Detection:
    """Judge `found` (n,) integer labels against `truth` (n,); −1 is unknown and left out.

    Raises:
        DataError: different lengths, or no bar on which both are known.
    """
    if found.shape != truth.shape:
        raise DataError("other-length", f"{len(found):,} labels cannot be judged by {len(truth):,} true ones")
    known = (found >= 0) & (truth >= 0)
    if not known.any():
        raise DataError("nothing-known", "there is no bar on which both the label and the truth are known")
    found, truth = found[known].astype(np.int64), truth[known].astype(np.int64)
    confusion = np.zeros((truth.max() + 1, found.max() + 1), np.int64)
    np.add.at(confusion, (truth, found), 1)
    matched = np.full(confusion.shape[1], -1)
    names, labels = linear_sum_assignment(confusion, maximize=True)
    matched[labels] = names
    renamed = matched[found]
    changes = np.flatnonzero(np.diff(truth)) + 1
    n_changes = int((np.diff(found) != 0).sum())
    return Detection(
        len(truth),
        float(adjusted_rand_score(truth, found)),
        float(np.mean(renamed == truth)),
        float(np.mean(found == truth)),
        matched,
        confusion,
        _delays(renamed, truth, changes),
        n_changes / len(changes) if len(changes) else float("nan"),
    )


def _delays(renamed: np.ndarray, truth: np.ndarray, changes: np.ndarray) -> np.ndarray:
    ends = np.append(changes[1:], len(truth))
    delays = np.full(len(changes), np.nan)
    for k, (start, end) in enumerate(zip(changes.tolist(), ends.tolist(), strict=False)):
        right = np.flatnonzero(renamed[start:end] == truth[start])
        if len(right):
            delays[k] = right[0]
    return delays
