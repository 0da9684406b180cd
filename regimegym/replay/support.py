"""What a replay buffer cannot draw: regimes that hold nothing, or that weigh nothing."""

import logging

import numpy as np

from regimegym.common.errors import RegimeGymError
from regimegym.common.regimes import REGIMES

LOG = logging.getLogger(__name__)


def nothing_to_draw(counts: np.ndarray) -> RegimeGymError:
    """Why nothing can be drawn, from the transitions held (4,) by regime."""
    if counts.sum() == 0:
        return RegimeGymError("empty-replay", "cannot sample from an empty replay buffer")
    return RegimeGymError(
        "no-support",
        "replay holds only regimes whose weight is zero",
        needed="a weight above zero in replay.regime_weights for a regime that occurs",
        found=", ".join(f"{r.name.lower()} {n}" for r, n in zip(REGIMES, counts, strict=True)),
    )


def warn_of_cut_support(weights: np.ndarray, counts: np.ndarray, warned: set[int]) -> None:
    """Say of each regime once that it is held (counts (4,)) and never drawn; `warned` remembers of which."""
    for g in np.flatnonzero((weights == 0) & (counts > 0)).tolist():
        if g not in warned:
            warned.add(g)
            LOG.warning(
                "replay holds transitions of regime %s and never draws them: its weight is 0;"
                " importance weights restore the mean over the other regimes only",
                REGIMES[g].name,
            )
