"""Split-conformal intervals and sets: how far off the out-of-fold answers were is how far off the next may be."""

import numpy as np


def conformal_quantile(scores: np.ndarray, level: float) -> float:
    """The ⌈(n + 1)·level⌉-th smallest of n scores (NaN left out); ∞ where there are too few for the level.

    Covers a new, exchangeable score with probability ≥ `level`; rows in time are exchangeable only as
    far as the market stays what it was. Source: Vovk et al. 2005; Lei et al. 2018.
    """
    known = np.sort(scores[np.isfinite(scores)])
    rank = int(np.ceil((len(known) + 1) * level))
    return float(known[rank - 1]) if 0 < rank <= len(known) else float("inf")


def interval_around(values: np.ndarray, radius: float) -> np.ndarray:
    """(N, 2) values ± radius."""
    return np.column_stack([values - radius, values + radius])


def prediction_sets(probabilities: np.ndarray, quantile: float) -> np.ndarray:
    """(N, C) bool: the classes with 1 − p ≤ `quantile`, which is that of 1 − p(what came)."""
    return 1.0 - probabilities <= quantile
