"""Adaptive thresholds: how probable an action must be before it is taken (DEFINITIONS §11)."""

import numpy as np

from regimegym.common.errors import ModelError
from regimegym.common.regimes import N_REGIMES

SIMPLEX_TOLERANCE = 1e-4  # float32 softmax


def adaptive_thresholds(
    base: np.ndarray, modifiers: np.ndarray, p: np.ndarray, lowest: float = 0.05, highest: float = 0.95
) -> np.ndarray:
    """θ_a = clip(base_a + Σ_r p_r·m_{r,a}, lowest, highest), (N, A); `base` is not changed.

    Args:
        base: (A,). modifiers: (4, A) in the order of Regime.
        p: (N, 4) regime probabilities.

    Raises:
        ModelError: a row of p is no probability vector; it is named.
    """
    p = np.asarray(p, np.float64)
    if p.ndim != 2 or p.shape[1] != N_REGIMES:
        raise ModelError("regime-shape", f"regime probabilities have shape (N, {N_REGIMES}), got {p.shape}")
    wrong = ~(np.isclose(p.sum(axis=1), 1.0, atol=SIMPLEX_TOLERANCE) & (p >= -SIMPLEX_TOLERANCE).all(axis=1))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ModelError(
            "not-probabilities",
            f"the regime probabilities of row {row} are {np.round(p[row], 4).tolist()}",
            needed="four numbers ≥ 0 that sum to 1",
        )
    return np.clip(base + p @ modifiers, lowest, highest)


def above_threshold(probabilities: np.ndarray, thresholds: np.ndarray, hold: int | None) -> np.ndarray:
    """The action (N,) int64 with the largest π′_a − θ_a among those with π′_a ≥ θ_a; −1 where there is none.

    HOLD never competes: it is what is left. All arguments are (N, A).
    """
    margin = probabilities - thresholds
    if hold is not None:
        margin[:, hold] = -np.inf
    best = margin.argmax(axis=1)
    return np.where(margin[np.arange(len(best)), best] >= 0, best, -1)
