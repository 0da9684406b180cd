"""What all trials of a sweep together say of choosing the best one of them."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from regimegym.evaluate.intervals import IntervalSettings
from regimegym.evaluate.overfitting import backtest_overfitting, superior_predictive_ability

NAN = float("nan")
N_BLOCKS = 12  # of the validation bars: 924 ways to choose on one half and judge on the other
RANDOM_SEED = 0  # of the bootstrap: the same trials give the same p-value


class Choosing(NamedTuple):
    """Evidence on the bars that all trials were scored on.

    Attributes:
        n_trials: those that share the bars of the best.
        overfitting: probability of backtest overfitting (CSCV): how often the best trial of one half of the
            bars lies in the worse half of the trials on the other. About ½ where luck chooses; NaN with
            fewer than two trials or too few bars.
        superiority: p-value of Hansen's SPA test that no trial earns more than buy and hold; NaN without
            the package arch (extra `stats`), or where no trial differs from it.
    """

    n_trials: int = 0
    overfitting: float = NAN
    superiority: float = NAN


def judge_choice(trials: Sequence[np.ndarray], held: np.ndarray) -> Choosing:
    """Evidence of the returns of trials, the chosen one first.

    Args:
        trials: (n,) simple net returns per bar each; of other bars, or without any, they are left out.
        held: (n,) those of buy and hold on the bars of the first; others are no benchmark.
    """
    common = [returns for returns in trials if len(returns) == len(trials[0]) > 0]
    if not common:
        return Choosing()
    table, n = np.stack(common), len(common[0])
    overfitting = NAN
    if len(table) > 1 and n >= 2 * N_BLOCKS:
        overfitting = backtest_overfitting(table, N_BLOCKS).probability
    superiority = NAN
    if len(held) == n and find_spec("arch") is not None:
        block = IntervalSettings().block_length(n, n)
        superiority = superior_predictive_ability(table, held, block, RANDOM_SEED)
    return Choosing(len(table), overfitting, superiority)
