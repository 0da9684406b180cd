"""How much: Kelly's fraction under a doubtful mean, confidence tiers, doubt of an ensemble.

DEFINITIONS §11 (tiers) and §13 (Kelly).
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

TIER_EDGES = (0.60, 0.65, 0.80)
TIER_SIZES = (0.0, 0.25, 0.5, 1.0)
THRESHOLD_BOUNDS = (0.5, 0.95)


def kelly_fraction(
    mean: np.ndarray, mean_variance: np.ndarray, variance: float, cost: float, share: float = 0.5, most: float = 1.0
) -> np.ndarray:
    """f = clip(λ·max(0, |m| − c)/(σ² + s²), 0, f_max), with the sign of m; (N,).

    Args:
        mean: m (N,), expected return of one unit of exposure. mean_variance: s² (N,), doubt about m.
        variance: σ² of the return. cost: c per unit. share: λ. most: f_max.
    """
    size = np.clip(share * np.maximum(0.0, np.abs(mean) - cost) / (variance + mean_variance), 0.0, most)
    return np.sign(mean) * size


def binary_kelly(p: np.ndarray, gain: float, n_bets: float = np.inf, level: float = 0.95) -> np.ndarray:
    """f = p − (1 − p)/b of a bet that wins `gain` = b per unit staked, at least 0; p at its lower bound.

    Args:
        p: (N,) share of bets that were won. gain: b > 0.
        n_bets: how many bets p was counted on; a probability that is known has infinitely many.
        level: one-sided confidence of the bound (`lower_share`).
    """
    p = lower_share(p, n_bets, level)
    return np.maximum(0.0, p - (1.0 - p) / gain)


def lower_share(share: np.ndarray, n: float, level: float) -> np.ndarray:
    """Lower end of Wilson's score interval of a share (N,) counted on n ≥ 1; one-sided `level`. Source: Wilson 1927."""
    z = ndtri(level) / np.sqrt(n)
    centre = share + z**2 / 2
    return (centre - z * np.sqrt(share * (1.0 - share) + z**2 / 4)) / (1.0 + z**2)


def tier_sizes(confidence: np.ndarray, multiplier: float = 1.0, edges: Sequence[float] = TIER_EDGES) -> np.ndarray:
    """Share {0, ¼, ½, 1} of the largest position for a calibrated probability c (N,).

    The symbol's multiplier scales every edge, which is then clipped to [.5, .95] and kept from
    falling; c below the first edge is no trade. A confidence on an edge belongs to the tier above.
    """
    return np.asarray(TIER_SIZES)[np.searchsorted(tier_edges(multiplier, edges), confidence, side="right")]


def tier_edges(multiplier: float = 1.0, edges: Sequence[float] = TIER_EDGES) -> np.ndarray:
    """The edges as they hold: scaled by the symbol's multiplier, clipped to [.5, .95], never falling."""
    return np.maximum.accumulate(np.clip(np.asarray(edges) * multiplier, *THRESHOLD_BOUNDS))


def doubt_size(uncertainty: np.ndarray, half_at: float) -> np.ndarray:
    """Share 1/(1 + u/u₀) of the position: all of it where members agree, half at u = u₀; (N,)."""
    return 1.0 / (1.0 + uncertainty / half_at)
