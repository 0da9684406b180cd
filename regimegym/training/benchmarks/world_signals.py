"""What a learner is told about hidden states besides its features: nothing, what a filter infers, or the truth."""

from collections.abc import Callable
from functools import partial

import numpy as np

from regimegym.common.regimes import N_REGIMES
from regimegym.features.market import Market
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.world import World
from regimegym.supervised.cross_validation import ForwardFolds
from regimegym.supervised.hidden_markov import HiddenMarkov, HMMSettings
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.predictor_set import fit_predictors
from regimegym.supervised.signals import joined

Join = Callable[[Market, World], Market]

HMM = HMMSettings(features=("return_20", "log_volatility_30_500"), n_states=N_REGIMES, n_restarts=3)
FOLDS = ForwardFolds()


def tell_nothing(market: Market, world: World, train: RowRange, random_seed: int) -> tuple[Join, Join]:
    """As it is."""

    def same(market: Market, world: World) -> Market:
        return market

    return same, same


def tell_filtered(market: Market, world: World, train: RowRange, random_seed: int) -> tuple[Join, Join]:
    """Filtered probabilities of a hidden Markov model: out of fold on the training rows, the last model behind them."""
    table = market.table
    rows = np.arange(table.warm_up, train.stop)
    nothing = np.full(len(rows), np.nan)
    lesson = Lesson(table.values[rows], nothing, np.arange(len(rows)), table.names, table.timestamps[rows])
    found = fit_predictors({"hmm": partial(HiddenMarkov, HMM)}, lesson, FOLDS, random_seed)
    return (lambda market, world: found.join(market)), (lambda market, world: found.only_last.join(market))


def tell_truth(market: Market, world: World, train: RowRange, random_seed: int) -> tuple[Join, Join]:
    """The state that made each bar's move, which nobody can know."""

    def with_truth(market: Market, world: World) -> Market:
        assert world.truth.regimes is not None
        columns = np.eye(N_REGIMES)[world.truth.regimes]
        return joined(market, columns, [f"true_state_{k}" for k in range(N_REGIMES)])

    return with_truth, with_truth


SIGNALS = {"none": tell_nothing, "hmm": tell_filtered, "truth": tell_truth}
