"""A world as a problem for a learner: bars to learn from, to select on, and fresh ones to be judged on."""

from dataclasses import dataclass

from regimegym.common.seeding import generator
from regimegym.envs.hindsight import hindsight_optimal
from regimegym.envs.reward_settings import RewardSettings
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings, EpisodeSettings
from regimegym.features.market import build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.scaling import fit_scaler
from regimegym.features.sets import RECIPE_SET, TREND_SET
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.learning import learning_world
from regimegym.features.synthetic.world import World
from regimegym.features.tape import MarketTape
from regimegym.training.benchmarks.world_signals import SIGNALS

FEATURES = {"trend": TREND_SET, "recipe": RECIPE_SET}
COST = 0.001  # of the traded money, a side
LADDER = (-1.0, 0.0, 1.0)


@dataclass(frozen=True)
class WorldSizes:
    """How many bars each part has; the defaults are those of docs/learning.md.

    Attributes:
        n_train: bars to learn from and to select on, after the warm-up.
        n_test: fresh bars of another random seed.
        validation_share: last share of `n_train`, which is never learned from.
        episode: decisions of an episode.
    """

    n_train: int = 16_000
    n_test: int = 10_000
    validation_share: float = 0.2
    episode: int = 512


@dataclass(frozen=True, eq=False)
class WorldProblem:
    """What a learner meets: two tapes scaled alike, and what hindsight earns on the second.

    Attributes:
        tape, train, validation: the tape to learn from, and its parts.
        test_tape, test: fresh bars.
        settings: exposure ladder −1, 0, +1 re-set at every bar, 0.1 % a side, log return.
        hindsight: log growth on the test rows of the best path in hindsight, log.
    """

    tape: MarketTape
    train: RowRange
    validation: RowRange
    test_tape: MarketTape
    test: RowRange
    settings: EnvSettings
    hindsight: float


def world_settings(window: int, episode: int) -> EnvSettings:
    """The rules of the worlds of docs/learning.md."""
    return EnvSettings(
        AccountSettings(fee_rate=COST, half_spread=0.0, slippage=0.0, rebalance="always", margin_check="none"),
        RewardSettings(kind="log_return"),
        action=ActionSettings(mode="target", ladder=LADDER),
        episode=EpisodeSettings(window=window, length=episode),
    )


def world_problem(
    name: str,
    random_seed: int,
    window: int,
    features: str = "trend",
    sizes: WorldSizes | None = None,
    signals: str = "none",
) -> WorldProblem:
    """The problem of world `name` drawn by `random_seed`; windows of `window` bars of a set of features.

    `signals`: what stands beside the features, of world_signals.SIGNALS. Training begins where it is known.
    """
    sizes = WorldSizes() if sizes is None else sizes
    chosen = FeatureSettings(FEATURES[features])
    warm_up = _warm_up(chosen)
    lead = warm_up + window
    world = _world(name, lead + sizes.n_train, random_seed, "train")
    market = prepare_market(world.bars, None, chosen)
    n_validation = round(sizes.validation_share * sizes.n_train)
    train = RowRange(lead, lead + sizes.n_train - n_validation)
    validation = RowRange(train.stop, lead + sizes.n_train)
    join, join_later = SIGNALS[signals](market, world, train, random_seed)
    market = join(market, world)
    train = RowRange(max(train.start, market.table.warm_up + window), train.stop)
    scaler = fit_scaler(market.table, train)
    settings = world_settings(window, sizes.episode)
    fresh = _world(name, lead + sizes.n_test, random_seed, "test")
    test_tape = build_tape(join_later(prepare_market(fresh.bars, None, chosen), fresh), scaler)
    test = RowRange(lead, lead + sizes.n_test)
    columns = {"timestamp": "timestamps", "open": "open", "high": "high", "low": "low", "close": "close"}
    prices = {name: getattr(test_tape, part)[test.start :] for name, part in columns.items()}
    best = hindsight_optimal(prices, settings).log_return
    return WorldProblem(build_tape(market, scaler), train, validation, test_tape, test, settings, best)


def _world(name: str, n_bars: int, random_seed: int, part: str) -> World:
    return learning_world(name, n_bars, generator(random_seed, f"world-{name}-{part}"))


def _warm_up(features: FeatureSettings) -> int:
    """Rows without features, told by a short world of the same features."""
    return prepare_market(_world("gbm", 1000, 0, "probe").bars, None, features).table.warm_up
