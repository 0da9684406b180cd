"""How hard an episode is: what of its movement nobody can earn, however much he knows."""

import math

import numpy as np


def difficulty(close: np.ndarray, cost_rate: float) -> float:
    """Share of the price movement that is lost to costs even with hindsight, in [0, 1].

    Movement is Σ|Δ ln C|. Hindsight is the best path over the exposures −1, 0 and +1 at `cost_rate` a
    trade, beginning flat. 0: every move can be had; 1: no move pays for its trades.

    Args:
        close: (n,) > 0, n ≥ 2.
        cost_rate: share of the traded value, in [0, 1).

    Returns:
        NaN where nothing moves.
    """
    moves = np.diff(np.log(close)).tolist()
    movement = math.fsum(map(abs, moves))
    if movement == 0.0:
        return math.nan
    cost = -math.log1p(-cost_rate)
    short, flat, long = -math.inf, 0.0, -math.inf  # best log growth so far, by the exposure held
    for move in moves:
        short, flat, long = (
            max(short, flat - cost, long - 2.0 * cost) - move,
            max(flat, short - cost, long - cost),
            max(long, flat - cost, short - 2.0 * cost) + move,
        )
    return 1.0 - max(short, flat, long) / movement
