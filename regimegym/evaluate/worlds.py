"""How much of hindsight a causal policy can have in the worlds, and how well labels recognise them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from regimegym.common.regimes import REGIMES, Regime
from regimegym.common.seeding import generator
from regimegym.envs.backtest import backtest
from regimegym.envs.hindsight import hindsight_optimal
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings
from regimegym.features.regimes import RegimeSettings, classify_regimes
from regimegym.features.synthetic import optimal
from regimegym.features.synthetic.catalogue import draw_world
from regimegym.features.synthetic.learning import OUSettings, RegimeSwitchSettings, SineSettings
from regimegym.features.synthetic.steady import DowntrendSettings, FlatSettings, OscillationSettings, UptrendSettings
from regimegym.features.synthetic.world import World, WorldSettings

COST = 0.001  # share of the notional, one side
Values = Callable[[World], np.ndarray]
# World, what is known besides the closes, and U of one who knows it.
CEILINGS: tuple[tuple[str, str, Values], ...] = (
    ("sine", "law and phase", lambda world: optimal.sine_values(world, SineSettings(), COST)),
    ("regime", "law", lambda world: optimal.filtered_regime_values(world, RegimeSwitchSettings(), COST)),
    ("regime", "law, state and centre", lambda world: optimal.told_regime_values(world, RegimeSwitchSettings(), COST)),
    ("ou", "law", lambda world: optimal.ou_values(world, OUSettings(), COST)),
    ("gbm", "law", lambda world: optimal.scheduled_values(world.truth, COST)),
)
# Name to show, registered name, settings.
JUDGED: tuple[tuple[str, str, WorldSettings | None], ...] = (
    ("uptrend", "uptrend", None),
    ("downtrend", "downtrend", None),
    ("flat", "flat", None),
    ("oscillation", "oscillation", None),
    ("uptrend, noisy", "uptrend", UptrendSettings(noise=0.004)),
    ("downtrend, noisy", "downtrend", DowntrendSettings(noise=0.004)),
    ("flat, noisy", "flat", FlatSettings(noise=0.0015)),
    ("oscillation, noisy", "oscillation", OscillationSettings(noise=0.004)),
    ("regime", "regime", None),
    ("regime_switches", "regime_switches", None),
    ("plateau", "plateau", None),
    ("whipsaw", "whipsaw", None),
    ("slow_bleed", "slow_bleed", None),
    ("melt_up", "melt_up", None),
)


class Ceiling(NamedTuple):
    """Share of the hindsight-optimal log growth that the best policy with some knowledge gets.

    Attributes:
        world, knowledge: which, and what the policy knows besides the closes.
        shares: (n_draws,) one share per draw of the world.
        growth: (n_draws,) the policy's log growth. hindsight: (n_draws,) the hindsight-optimal one.
        changes: (n_draws,) changes of its weight.
    """

    world: str
    knowledge: str
    shares: np.ndarray
    growth: np.ndarray
    hindsight: np.ndarray
    changes: np.ndarray

    @property
    def standard_error(self) -> float:
        """Of the mean share."""
        return float(self.shares.std(ddof=1) / np.sqrt(len(self.shares)))


class Recognition(NamedTuple):
    """How bars of each true regime are labelled: `confusion` (4, 4) counts, rows the truth, in the order of Regime."""

    world: str
    confusion: np.ndarray

    @property
    def accuracy(self) -> float:
        """Share of the bars labelled as what they are."""
        return float(np.trace(self.confusion) / self.confusion.sum())


def world_settings(cost: float = COST) -> EnvSettings:
    """The account of the worlds: weights −1, 0 and 1, re-set at every bar for `cost` of what is traded."""
    account = AccountSettings(fee_rate=cost, half_spread=0.0, slippage=0.0, rebalance="always", margin_check="none")
    return EnvSettings(account=account, action=ActionSettings(mode="target", ladder=(-1.0, 0.0, 1.0)))


def measure_ceilings(
    n_draws: int, n_bars: int, random_seed: int = 0, on_progress: Callable[[str], None] = lambda text: None
) -> list[Ceiling]:
    """The ceilings of CEILINGS over `n_draws` ≥ 2 fresh draws of `n_bars` each, on the account of `world_settings`."""
    settings = world_settings()
    found = []
    drawn: dict[str, list[tuple[World, float]]] = {}
    for name, knowledge, values in CEILINGS:
        if name not in drawn:
            on_progress(f"{name}: {n_draws} draws and their hindsight")
            worlds = [draw_world(name, n_bars, generator(random_seed, f"ceiling-{name}-{i}")) for i in range(n_draws)]
            drawn[name] = [(world, hindsight_optimal(world.bars, settings).log_return) for world in worlds]
        on_progress(f"{name}: best policy that knows {knowledge}")
        rows = [_growth(world, optimal.follow(values(world), COST), settings) for world, _ in drawn[name]]
        growth, changes = np.array(rows).T
        hindsight = np.array([best for _, best in drawn[name]])
        found.append(Ceiling(name, knowledge, growth / hindsight, growth, hindsight, changes))
    return found


def _growth(world: World, targets: np.ndarray, settings: EnvSettings) -> tuple[float, int]:
    """(log growth, changes of the weight) of an account that follows `targets`."""
    equity = backtest(world.bars, targets, settings).equity
    return float(np.log(equity[-1] / settings.account.initial_cash)), int((np.diff(targets) != 0).sum())


def measure_recognition(n_bars: int, random_seed: int = 0, settings: RegimeSettings | None = None) -> list[Recognition]:
    """Labels against truth in the worlds of JUDGED, bars of the warm-up left out."""
    found = []
    for shown, name, world_settings in JUDGED:
        bars, truth = draw_world(name, n_bars, generator(random_seed, f"recognition-{shown}"), world_settings)
        assert truth.regimes is not None
        labels = classify_regimes(bars.close, settings).labels
        known = labels != Regime.UNKNOWN
        confusion = np.zeros((len(REGIMES), len(REGIMES)), dtype=np.int64)
        np.add.at(confusion, (truth.regimes[known], labels[known]), 1)
        found.append(Recognition(shown, confusion))
    return found
