"""What the actions of an environment mean to the decision layers."""

from typing import NamedTuple

import numpy as np


class ActionRoles(NamedTuple):
    """Meaning of A discrete actions.

    Attributes:
        weights: (A,) float64 target weight of every action; NaN keeps the position (HOLD).
        buy: the action with the largest weight, None where no weight is positive.
        sell: the action with the smallest weight.
        hold: the action that keeps the position, None in a ladder, which has none.
    """

    weights: np.ndarray
    buy: int | None
    sell: int
    hold: int | None


def action_roles(weights: np.ndarray) -> ActionRoles:
    """Roles of the actions with target `weights` (A,), at least one of them a number."""
    keeps = np.flatnonzero(np.isnan(weights))
    buy, sell = int(np.nanargmax(weights)), int(np.nanargmin(weights))
    return ActionRoles(weights, buy if weights[buy] > 0 else None, sell, int(keeps[0]) if len(keeps) else None)
