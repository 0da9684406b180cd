"""A market whose rare regime is well paid and asks for the opposite of the common one.

The price swings about a centre, where buying what fell is right, and in 2 % of the bars it falls in a
steady downtrend, where buying what fell is ruinous.
"""

from dataclasses import dataclass

import numpy as np

from regimegym.common.regimes import Regime
from regimegym.common.seeding import generator
from regimegym.envs.settings import EnvSettings
from regimegym.features.market import build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.scaling import fit_scaler
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.learning import RegimeSwitchSettings
from regimegym.features.synthetic.world import World
from regimegym.features.tape import MarketTape
from regimegym.training.benchmarks.world_problem import FEATURES, world_settings

FALL = 40  # bars of a downtrend
REST = 1960  # bars between two of them on average; from half to one and a half times as many
MARKET = RegimeSwitchSettings(drift=0.008, trend_sd=0.004)  # a fall loses a quarter


@dataclass(frozen=True)
class RareSizes:
    """Bars to learn from, fresh bars of another random seed, and decisions of an episode."""

    n_train: int = 16_000
    n_test: int = 20_000
    episode: int = 512


@dataclass(frozen=True, eq=False)
class RareProblem:
    """What a learner meets, and what is true of it.

    Attributes:
        tape, train: the tape to learn from, and its rows.
        test_tape, test: fresh bars.
        settings: exposure ladder −1, 0, +1 re-set at every bar, 0.1 % a side, log return.
        is_rare: (test.count − 1,) bool, the decisions whose next bar falls.
        paid: (test.count − 1,) float64 log growth of a short through each of those bars, without
            costs; 0 elsewhere.
        labelled: share of the training rows that the causal rule calls a downtrend.
        label_precision: share of those that are one.
    """

    tape: MarketTape
    train: RowRange
    test_tape: MarketTape
    test: RowRange
    settings: EnvSettings
    is_rare: np.ndarray
    paid: np.ndarray
    labelled: float
    label_precision: float


def rare_world(n_bars: int, rng: np.random.Generator) -> World:
    """Bars of the market, and their truth."""
    states = np.full(n_bars, Regime.OSCILLATING, np.int8)
    begin = int(rng.integers(REST // 2, REST))
    while begin < n_bars:
        states[begin : begin + FALL] = Regime.DOWNTREND
        begin += FALL + int(rng.integers(REST // 2, REST + REST // 2))
    return MARKET.with_states(states, rng)


def rare_problem(random_seed: int, window: int, sizes: RareSizes | None = None) -> RareProblem:
    """The problem drawn by `random_seed`, seen through windows of `window` bars of the set `trend`."""
    sizes = RareSizes() if sizes is None else sizes
    chosen = FeatureSettings(FEATURES["trend"])
    lead = window + prepare_market(rare_world(2000, generator(0, "rare-probe")).bars, None, chosen).table.warm_up
    learned = rare_world(lead + sizes.n_train, generator(random_seed, "rare-train"))
    fresh = rare_world(lead + sizes.n_test, generator(random_seed, "rare-test"))
    market = prepare_market(learned.bars, None, chosen)
    train, test = RowRange(lead, lead + sizes.n_train), RowRange(lead, lead + sizes.n_test)
    scaler = fit_scaler(market.table, train)
    tape, test_tape = (build_tape(one, scaler) for one in (market, prepare_market(fresh.bars, None, chosen)))
    called = tape.regimes[lead:] == Regime.DOWNTREND
    growth = np.diff(np.log(test_tape.close))[test.start :]
    is_rare = _falls(fresh)[test.start + 1 :]
    return RareProblem(
        tape,
        train,
        test_tape,
        test,
        world_settings(window, sizes.episode),
        is_rare,
        np.where(is_rare, np.log(2.0 - np.exp(growth)), 0.0),
        float(called.mean()),
        float(_falls(learned)[lead:][called].mean()),
    )


def _falls(world: World) -> np.ndarray:
    assert world.truth.regimes is not None
    return world.truth.regimes == Regime.DOWNTREND
