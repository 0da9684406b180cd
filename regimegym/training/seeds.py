"""Several runs of one configuration as one result: the median is shown, the band holds all of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from regimegym.evaluate.rollout import rollout
from regimegym.training.subject import Subject


class SeedRuns(NamedTuple):
    """What several runs did on the same rows.

    Attributes:
        median: place of the run with the median log return (the lower of two).
        band: (2, n + 1) lowest and highest equity of all runs, multiples of the start.
        log_returns: of every run, in the order given.
    """

    median: int
    band: np.ndarray
    log_returns: list[float]


def seed_runs(subjects: Sequence[Subject]) -> SeedRuns | None:
    """The runs side by side; None for a single one, or where they trade other bars."""
    rows = [subject.tape.timestamps[slice(*subject.rows)] for subject in subjects]
    if len(subjects) < 2 or any(not np.array_equal(rows[0], other) for other in rows[1:]):
        return None
    trajectories = [
        rollout(one.trader.policy(one.market.bars.symbol), one.tape, one.settings, one.rows)[0] for one in subjects
    ]
    equity = np.stack([trajectory.equity / trajectory.equity[0] for trajectory in trajectories])
    log_returns = [float(trajectory.log_returns.sum()) for trajectory in trajectories]
    median = int(np.argsort(log_returns, kind="stable")[(len(subjects) - 1) // 2])
    return SeedRuns(median, np.stack([equity.min(axis=0), equity.max(axis=0)]), log_returns)
