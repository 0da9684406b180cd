"""Importance-shift detection: does a feature tell as much as it did?

What a feature adds on each row, by a model that had learned none of them, is a series. Where its mean changes at some
row, the sum of its deviations wanders further than it does by chance; chance is that of blocks of the same series.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import false_discovery_control

from regimegym.common.checks import check_at_least
from regimegym.common.errors import DataError
from regimegym.features.synthetic.bootstrap import block_rows

LEAST_ROWS = 200
EDGE = 0.1  # share of the rows at either end in which no change is looked for
N_RESAMPLES = 499


class ImportanceShift(NamedTuple):
    """Where the worth of one feature changed most, and how sure that is.

    Attributes:
        row: first row behind the change.
        before, after: mean worth up to it and from it on.
        p, p_adjusted: of no change anywhere, alone, and after Benjamini and Hochberg over all features.
    """

    name: str
    row: int
    before: float
    after: float
    p: float
    p_adjusted: float


def importance_shifts(
    worth: np.ndarray, names: Sequence[str], block: int, generator: np.random.Generator, n_resamples: int = N_RESAMPLES
) -> list[ImportanceShift]:
    """The largest change of each of F series of worth, (N, F) float64 in the order of time.

    The statistic is max_k |Σ_{t<k} (d_t − d̄)|/√N (Page 1955). Its law without a change comes from the series itself,
    resampled in blocks of about `block` rows, which have no order left (Politis & Romano 1994). Taking a change out
    of it first would flag three times as many series that have none.

    Raises:
        DataError: `too-few-values`, fewer than 200 rows.
    """
    check_at_least("block", block, 1)
    if len(worth) < LEAST_ROWS:
        raise DataError(
            "too-few-values",
            f"{len(worth):,} rows are too few to tell whether the worth of a feature has changed",
            needed=f"{LEAST_ROWS} rows",
        )
    found, rows = _largest(worth)
    is_before = np.arange(len(worth))[:, None] < rows
    n_before = is_before.sum(axis=0)
    before = np.where(is_before, worth, 0.0).sum(axis=0) / n_before
    after = np.where(is_before, 0.0, worth).sum(axis=0) / (len(worth) - n_before)
    resampled = (block_rows(len(worth), len(worth), block, generator)[0] for _ in range(n_resamples))
    chance = np.array([_largest(worth[chosen])[0] for chosen in resampled])
    p = (1.0 + (chance >= found).sum(axis=0)) / (n_resamples + 1.0)
    parts = (rows.tolist(), before.tolist(), after.tolist(), p.tolist(), false_discovery_control(p).tolist())
    return [ImportanceShift(name, *values) for name, *values in zip(names, *parts, strict=True)]


def _largest(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F,) the largest |sum of deviations|/√N of (N, F) series, and (F,) the row behind it."""
    n_rows = len(series)
    first = max(1, int(EDGE * n_rows))
    sums = np.abs(np.cumsum(series - series.mean(axis=0), axis=0))[first - 1 : n_rows - first]
    best = sums.argmax(axis=0)
    return sums[best, np.arange(series.shape[1])] / np.sqrt(n_rows), first + best
