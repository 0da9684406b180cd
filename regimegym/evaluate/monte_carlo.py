"""Monte Carlo: other histories made of the market's own blocks, and the policy trades each of them anew.

Shuffling the returns of an account keeps its decisions; here the bars are drawn anew, features and regimes
are computed on them by the frozen pipeline, and the policy decides, pays and is stopped out on every path. What
spreads is what could have happened in a market with these moves in another order: dependence longer than a
block is lost, and a crash that never happened cannot be drawn.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from regimegym.common.checks import check_at_least, check_between, check_not_negative, check_number
from regimegym.common.errors import DataError
from regimegym.common.policy import Policy
from regimegym.envs.settings import EnvSettings
from regimegym.evaluate.baselines import BuyAndHold
from regimegym.evaluate.intervals import Interval, share_interval
from regimegym.evaluate.metrics import METRICS, all_metrics
from regimegym.evaluate.scenario_rollout import rollout_scenarios
from regimegym.evaluate.scenarios import Scenario
from regimegym.evaluate.statistics import quantile_bounds
from regimegym.evaluate.trajectory import Trajectory
from regimegym.features.bars import Bars
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.bootstrap import block_bootstrap
from regimegym.features.tape import MarketTape

TAIL_LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TAIL_METRICS = ("log_return", "total_return", "sharpe_ratio", "max_drawdown", "cvar_5")
AT_ONCE = 64  # paths held and traded together


@dataclass(frozen=True)
class MonteCarloSettings:
    """How many paths, made of what.

    Attributes:
        n_paths: resampled histories.
        block_length: mean length of their blocks in bars; 0 takes max(20, 2·n^(1/3)) of the n source bars.
        level: coverage of the intervals.
        ruin: largest drawdown, a fraction, that counts as ruin.
    """

    n_paths: int = 200
    block_length: float = 0.0
    level: float = 0.95
    ruin: float = 0.5

    def __post_init__(self) -> None:
        check_at_least("n_paths", self.n_paths, 20)
        check_not_negative("block_length", self.block_length)
        check_between("level", self.level, 0.5, 0.999)
        check_number("ruin", self.ruin, "in (0, 1]", lambda share: 0 < share <= 1)

    def block(self, n_source: int) -> float:
        """Mean block length for `n_source` bars, at least 1."""
        wanted = self.block_length or max(20.0, 2.0 * n_source ** (1.0 / 3.0))
        return max(1.0, min(wanted, n_source / 4.0))


class MonteCarlo(NamedTuple):
    """Results over P paths.

    Attributes:
        metrics: by name (P,), all of METRICS; undefined ones NaN.
        buy_and_hold: log return of buy and hold on the same paths (P,).
        intervals: by metric the median over the paths with its percentile interval; NaN where fewer than half
            of the paths define it.
        ruin: share of the paths whose largest drawdown reaches the limit, or that were liquidated, with Wilson's
            95 % interval.
        above_buy_and_hold: share of the paths on which the policy ends above buy and hold.
        tails: quantiles at TAIL_LEVELS of TAIL_METRICS.
        expected_shortfall: mean log return of the worst 5 % of the paths.
        equity_band: (7, n + 1) quantiles at TAIL_LEVELS of the equity, money.
    """

    metrics: dict[str, np.ndarray]
    buy_and_hold: np.ndarray
    intervals: dict[str, Interval]
    ruin: Interval
    above_buy_and_hold: float
    tails: dict[str, list[float]]
    expected_shortfall: float
    equity_band: np.ndarray


def monte_carlo(
    policy_for: Callable[[str], Policy],
    bars: Bars,
    rows: RowRange,
    as_tape: Callable[[Bars], MarketTape],
    settings: EnvSettings,
    generator: np.random.Generator,
    monte_carlo_settings: MonteCarloSettings | None = None,
    n_bars: int | None = None,
) -> MonteCarlo:
    """Let a policy trade resampled histories.

    Args:
        policy_for: symbol → policy (`Trader.policy`).
        bars: the history. rows: those whose moves are drawn, such as the test part.
        as_tape: other bars as the model sees them (`Trader.tape`).
        settings: account, costs, actions.
        generator: draws the blocks.
        n_bars: rows to trade on every path; None as many as `rows`.

    Raises:
        DataError: too few rows.
    """
    chosen = monte_carlo_settings or MonteCarloSettings()
    n_rows = rows.count if n_bars is None else n_bars
    check_at_least("n_bars", n_rows, 2)
    paths = _Paths(bars, rows, as_tape, settings, n_rows, chosen.block(rows.count), generator)
    agents: list[Trajectory] = []
    held: list[float] = []
    for first in range(0, chosen.n_paths, AT_ONCE):
        scenarios = paths.draw(first, min(AT_ONCE, chosen.n_paths - first))
        agents += rollout_scenarios(policy_for, scenarios)
        baseline = rollout_scenarios(lambda symbol: BuyAndHold(settings), scenarios)
        held += [float(trajectory.log_returns.sum()) for trajectory in baseline]
    return summarise(agents, np.array(held), chosen)


class _Paths:
    """Draws scenarios; bars before the traded ones let features warm up."""

    def __init__(
        self,
        bars: Bars,
        rows: RowRange,
        as_tape: Callable[[Bars], MarketTape],
        settings: EnvSettings,
        n_rows: int,
        block: float,
        generator: np.random.Generator,
    ) -> None:
        self.bars, self.rows, self.as_tape, self.settings = bars, rows, as_tape, settings
        self.n_rows, self.block, self.generator = n_rows, block, generator
        self.lead = settings.episode.window

    def draw(self, first: int, count: int) -> list[Scenario]:
        """`count` paths, numbered from `first`."""
        return [self._one(f"path {first + k}") for k in range(count)]

    def _one(self, name: str) -> Scenario:
        tape = self._tape()
        usable = len(tape) - tape.segments[-1].first_row
        if usable < self.n_rows:  # the warm-up is known once a tape is made
            self.lead += self.n_rows - usable
            tape = self._tape()
        if len(tape) - tape.segments[-1].first_row < self.n_rows:
            raise DataError("too-few-bars", f"a path of {self.n_rows:,} bars has too few behind its warm-up")
        rows = RowRange(len(tape) - self.n_rows, len(tape))
        return Scenario(name, "paths", "blocks of the history in another order", tape, rows, self.settings, "synthetic")

    def _tape(self) -> MarketTape:
        drawn = block_bootstrap(self.bars, self.rows, self.generator, self.lead + self.n_rows, self.block)
        return self.as_tape(drawn.bars)


def summarise(agents: list[Trajectory], buy_and_hold: np.ndarray, settings: MonteCarloSettings) -> MonteCarlo:
    """What trajectories of equal length on P paths say together."""
    found = [all_metrics(trajectory) for trajectory in agents]
    metrics = {name: np.array([values[name] for values in found]) for name in METRICS}
    ruined = np.array([trajectory.terminated for trajectory in agents])
    ruined |= metrics["max_drawdown"] >= settings.ruin
    own = metrics["log_return"]
    worst = np.sort(own)[: max(1, len(own) // 20)]
    equity = np.stack([trajectory.equity for trajectory in agents])
    return MonteCarlo(
        metrics,
        buy_and_hold,
        {name: _interval(values, settings.level) for name, values in metrics.items()},
        share_interval(int(ruined.sum()), len(ruined)),
        float(np.mean(own > buy_and_hold)),
        {name: _quantiles(metrics[name]) for name in TAIL_METRICS},
        float(worst.mean()),
        np.quantile(equity, TAIL_LEVELS, axis=0),
    )


def _interval(values: np.ndarray, level: float) -> Interval:
    defined = values[np.isfinite(values)]
    if 2 * len(defined) < len(values):
        return Interval(math.nan, math.nan, math.nan)
    return Interval(float(np.median(defined)), *quantile_bounds(defined, level))


def _quantiles(values: np.ndarray) -> list[float]:
    defined = values[np.isfinite(values)]
    return [math.nan] * len(TAIL_LEVELS) if len(defined) == 0 else np.quantile(defined, TAIL_LEVELS).tolist()
