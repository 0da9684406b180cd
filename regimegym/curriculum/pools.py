"""Which episodes a stage draws from: contiguous ones, chosen by how clearly one regime rules them."""

import logging
import math
from typing import NamedTuple

import numpy as np

from regimegym.common.regimes import Regime
from regimegym.curriculum.settings import StageSettings
from regimegym.envs.episodes import dominant_regimes

LOG = logging.getLogger(__name__)


class Pool(NamedTuple):
    """Episodes of a stage.

    Attributes:
        starts: (n,) int64 tape rows on which they begin, ascending.
        dominant: (n,) int64 codes of their dominant regimes.
        shares: (n,) float64 shares of the decisions with that label.
    """

    starts: np.ndarray
    dominant: np.ndarray
    shares: np.ndarray


def stage_pool(
    regimes: np.ndarray, starts: np.ndarray, ends: np.ndarray, stage: StageSettings, pool_share: float
) -> Pool:
    """The episodes of `stage` among the possible ones.

    Within each allowed regime the episodes are ranked by the share of their dominant label, and the
    first `pool_share` of them are taken. An allowed regime that rules no episode is logged; where none
    of them rules one, episodes with the most allowed bars are taken instead.

    Args:
        regimes: (T,) int8 causal labels of the tape.
        starts, ends: (n,) first and last rows of the possible episodes.
        pool_share: in (0, 1].
    """
    dominant, shares = dominant_regimes(regimes, starts, ends)
    allowed = [Regime[name.upper()] for name in stage.regimes]
    chosen = []
    for regime in allowed:
        those = np.flatnonzero((dominant == regime) & (shares > 0))
        if len(those):
            chosen.append(_clearest(those, shares, pool_share))
        else:
            LOG.info("no possible episode is mostly %s; the stage does without", regime.name.lower())
    if not chosen:
        is_allowed = np.isin(regimes, allowed)
        before = np.concatenate([[0], np.cumsum(is_allowed)])
        LOG.warning("no possible episode is mostly %s; those with most of it are taken", " or ".join(stage.regimes))
        chosen = [_clearest(np.arange(len(starts)), (before[ends] - before[starts]) / (ends - starts), pool_share)]
    which = np.sort(np.concatenate(chosen))
    return Pool(starts[which], dominant[which], shares[which])


def _clearest(which: np.ndarray, shares: np.ndarray, pool_share: float) -> np.ndarray:
    """Those of `which` with the greatest shares, at least one; of equals the earlier."""
    order = np.argsort(-shares[which], kind="stable")
    return which[order[: math.ceil(pool_share * len(which))]]
