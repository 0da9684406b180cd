"""Rules without learning that every result is compared with: flat, buy and hold, random, MA cross.

They run on the same bars, costs and execution as the agent and act through the same action mode.
All of them answer from tape rows and see nothing behind the row on which they decide.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from regimegym.common.actions import Action
from regimegym.common.checks import check_at_least, check_between
from regimegym.common.errors import ConfigError
from regimegym.common.policy import Decision, Observations
from regimegym.common.seeding import generator
from regimegym.envs.settings import EnvSettings
from regimegym.evaluate.rollout import rollout
from regimegym.evaluate.trajectory import Trajectory
from regimegym.features.bars import NS_PER_DAY
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape

HOLD, SELL, BUY = (int(action) for action in Action)  # plain numbers, for speed
INTRADAY_CROSS = (36, 168)  # bars; a day and a half and a week of hourly bars
DAILY_CROSS = (20, 100)  # bars; a month and five months of trading days
MEAN_ROUND_OFF = 1e-12  # relative; means of equal prices over unequal lengths differ by less


def encode_weights(weights: np.ndarray, keep: np.ndarray, settings: EnvSettings) -> np.ndarray:
    """Target weights (N,) as actions of the mode; `keep` (N,) marks accounts that keep their target.

    `trade`: BUY above 0, SELL below 0, HOLD where kept; 0 is SELL, or HOLD where SELL goes short.
    `target`: index of the nearest weight of the ladder. `continuous`: the share of max_leverage, (N, 1).
    """
    action = settings.action
    if action.mode == "continuous":
        return (weights[:, None] / settings.account.max_leverage).astype(np.float32)
    if action.mode == "target":
        ladder = np.asarray(action.ladder)
        return np.abs(ladder[None, :] - weights[:, None]).argmin(axis=1)
    zero = HOLD if action.allow_short else SELL
    return np.where(keep, HOLD, np.where(weights > 0, BUY, np.where(weights < 0, SELL, zero)))


def reachable_weights(settings: EnvSettings) -> np.ndarray:
    """Weights between which a random trader moves, ascending."""
    action = settings.action
    if action.mode == "target":
        return np.asarray(action.ladder)
    if action.mode == "continuous":
        return np.array([-1.0, 0.0, 1.0] if action.allow_short else [0.0, 1.0])
    return np.array([-1.0, 1.0] if action.allow_short else [0.0, 1.0])


@dataclass(frozen=True)
class Flat:
    """Never trades."""

    settings: EnvSettings

    def on_tape(self, tape: MarketTape, start: int, stop: int) -> "Flat":
        """Itself: it looks at no market."""
        return self

    def act(self, observations: Observations, state: Any, episode_starts: np.ndarray) -> tuple[Decision, Any]:
        """Weight 0 for every account."""
        weights = np.zeros(len(episode_starts))
        return Decision(encode_weights(weights, np.ones(len(weights), dtype=bool), self.settings)), None


@dataclass(frozen=True)
class BuyAndHold:
    """Buys at the first fill of the episode and never trades again."""

    settings: EnvSettings

    def on_tape(self, tape: MarketTape, start: int, stop: int) -> "BuyAndHold":
        """Itself: it looks at no market."""
        return self

    def act(self, observations: Observations, state: Any, episode_starts: np.ndarray) -> tuple[Decision, Any]:
        """Weight 1 where an episode begins, then kept."""
        return Decision(encode_weights(np.ones(len(episode_starts)), ~episode_starts, self.settings)), None


class RandomState(NamedTuple):
    """Where the random traders stand, and every move they will make."""

    weights: np.ndarray  # (N,) target of each account
    moves: np.ndarray  # (N, bars) bool: the account changes its target at this bar
    picks: np.ndarray  # (N, bars) in [0, 1): which of the other weights it takes


@dataclass(frozen=True)
class RandomTrader:
    """Changes its target at random bars, exactly round(trades_per_bar · decisions) times.

    Every account draws from its own generator. Works on a tape only.

    Args:
        trades_per_bar: changes of the target per decision, in [0, 1].
        random_seed: seed of all generators.
    """

    settings: EnvSettings
    trades_per_bar: float
    random_seed: int
    start: int | None = None
    stop: int | None = None

    def __post_init__(self) -> None:
        check_between("trades_per_bar", self.trades_per_bar, 0.0, 1.0)

    def on_tape(self, tape: MarketTape, start: int, stop: int) -> "RandomTrader":
        """Bound to the rows [start, stop)."""
        return RandomTrader(self.settings, self.trades_per_bar, self.random_seed, start, stop)

    def act(
        self, observations: Observations, state: RandomState | None, episode_starts: np.ndarray
    ) -> tuple[Decision, RandomState]:
        """Moves every account whose turn it is to another weight."""
        state = self._draw(len(episode_starts)) if state is None else state
        column = int(observations["row"][0]) - (self.start or 0)
        moving = state.moves[:, column]
        weights = state.weights
        if moving.any():
            weights = np.where(moving, self._other(weights, state.picks[:, column]), weights)
        return Decision(encode_weights(weights, ~moving, self.settings)), state._replace(weights=weights)

    def _draw(self, n_accounts: int) -> RandomState:
        if self.start is None or self.stop is None:
            raise ValueError("a RandomTrader acts on a tape: call on_tape first")
        n_bars = self.stop - self.start
        n_moves = round(self.trades_per_bar * (n_bars - 1))
        moves = np.zeros((n_accounts, n_bars), dtype=bool)
        picks = np.empty((n_accounts, n_bars))
        for account in range(n_accounts):
            draws = generator(self.random_seed, f"random-trader-{account}")
            moves[account, draws.choice(n_bars - 1, size=n_moves, replace=False)] = True
            picks[account] = draws.random(n_bars)
        return RandomState(np.zeros(n_accounts), moves, picks)

    def _other(self, weights: np.ndarray, picks: np.ndarray) -> np.ndarray:
        """One of the reachable weights that differs from `weights`, chosen by `picks`."""
        levels = reachable_weights(self.settings)
        differs = levels[None, :] != weights[:, None]
        wanted = np.floor(picks * differs.sum(axis=1)).astype(np.int64)
        chosen = (np.cumsum(differs, axis=1) == (wanted + 1)[:, None]).argmax(axis=1)
        return levels[chosen]


@dataclass(frozen=True, eq=False)
class MovingAverageCross:
    """Long while the fast mean of the closes lies above the slow one, else flat (or short).

    Before `slow` bars of the segment exist it stays flat. Works on a tape only.

    Args:
        fast, slow: lengths of the means in bars, fast < slow. The defaults of `cross_lengths`
            are fixed beforehand, not fitted: 36/168 bars intraday, 20/100 for daily bars.
    """

    settings: EnvSettings
    fast: int
    slow: int
    start: int = 0
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_at_least("fast", self.fast, 1)
        if not self.fast < self.slow:
            raise ConfigError("out-of-range", f"'fast' must be below 'slow', got {self.fast} and {self.slow}")

    def on_tape(self, tape: MarketTape, start: int, stop: int) -> "MovingAverageCross":
        """Bound to the rows [start, stop), with every signal computed."""
        weights = self.signals(tape, start, stop)
        return MovingAverageCross(self.settings, self.fast, self.slow, start, weights)

    def signals(self, tape: MarketTape, start: int, stop: int) -> np.ndarray:
        """Target weights (stop − start,) by the closes up to and including each row."""
        rows = np.arange(start, stop)
        enough = rows - tape.segment_start[rows] + 1 >= self.slow
        fast = trailing_means(tape.close, start, stop, self.fast)
        slow = trailing_means(tape.close, start, stop, self.slow)
        above = fast > slow * (1.0 + MEAN_ROUND_OFF)
        below = -1.0 if self.settings.action.allow_short else 0.0
        return np.where(enough, np.where(above, 1.0, below), 0.0)

    def act(self, observations: Observations, state: Any, episode_starts: np.ndarray) -> tuple[Decision, Any]:
        """The signal of the row; kept while it does not change."""
        if self.weights is None:
            raise ValueError("a MovingAverageCross acts on a tape: call on_tape first")
        columns = observations["row"] - self.start
        weights = self.weights[columns]
        before = self.weights[np.maximum(columns - 1, 0)]
        keep = (weights == before) & ~episode_starts
        return Decision(encode_weights(weights, keep, self.settings)), None


def trailing_means(values: np.ndarray, start: int, stop: int, length: int) -> np.ndarray:
    """Means of the `length` values up to and including each of the rows [start, stop).

    Explicit windows, because running sums drift; NaN where fewer values exist.
    """
    begin = max(0, start - length + 1)
    means = np.full(stop - start, np.nan)
    if stop - begin >= length:
        found = np.lib.stride_tricks.sliding_window_view(values[begin:stop], length).mean(axis=1)
        means[len(means) - len(found) :] = found
    return means


def cross_lengths(timeframe_ns: int) -> tuple[int, int]:
    """Lengths (fast, slow) of the moving averages in bars: fixed defaults by the timeframe."""
    return DAILY_CROSS if timeframe_ns >= NS_PER_DAY else INTRADAY_CROSS


class BaselineRuns(NamedTuple):
    """What the baselines did on the agent's bars."""

    trajectories: dict[str, Trajectory]  # buy_and_hold, ma_cross, random (the median run), flat
    labels: dict[str, str]
    random_band: np.ndarray  # (2, n + 1) 5 % and 95 % quantile of the random traders' equity, money


def run_baselines(
    tape: MarketTape,
    settings: EnvSettings,
    rows: RowRange,
    random_seed: int,
    agent_trades: int,
    random_accounts: int = 21,
    cross: tuple[int, int] | None = None,
) -> BaselineRuns:
    """All baselines over `rows`, under the agent's costs and execution.

    Args:
        random_seed: of the random traders.
        agent_trades: executed trades of the agent; each random trader makes as many.
        random_accounts: random traders side by side; the run with the median final equity is
            reported.
        cross: lengths (fast, slow) of the moving averages; None takes those of `cross_lengths`.
    """
    fast, slow = cross_lengths(tape.segment_of(rows.start).timeframe_ns) if cross is None else cross
    rate = min(1.0, agent_trades / max(1, rows.count - 1))
    trader = RandomTrader(settings, rate, random_seed)
    randoms = rollout(trader, tape, settings, rows, random_accounts)
    order = np.argsort([run.equity[-1] for run in randoms], kind="stable")
    band = np.quantile(np.stack([run.equity for run in randoms]), [0.05, 0.95], axis=0)
    trajectories = {
        "buy_and_hold": rollout(BuyAndHold(settings), tape, settings, rows)[0],
        "ma_cross": rollout(MovingAverageCross(settings, fast, slow), tape, settings, rows)[0],
        "random": randoms[order[len(order) // 2]],
        "flat": rollout(Flat(settings), tape, settings, rows)[0],
    }
    labels = {
        "buy_and_hold": "Buy and hold",
        "ma_cross": f"MA cross {fast}/{slow}",
        "random": "Random",
        "flat": "Flat",
    }
    return BaselineRuns(trajectories, labels, band)
