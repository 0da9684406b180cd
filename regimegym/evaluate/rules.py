"""Rules without learning that look at the market alone: what is held after every close, by a formula.

A rule knows its target weight at every row from the closes (or labels) up to and including that row.
It acts through the agent's own action mode, so weights are those that the mode can reach.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from regimegym.common.actions import Action
from regimegym.common.checks import check_at_least, check_positive
from regimegym.common.errors import ConfigError
from regimegym.common.policy import Decision, Observations
from regimegym.common.regimes import Regime
from regimegym.envs.settings import EnvSettings
from regimegym.features.bars import NS_PER_DAY
from regimegym.features.tape import MarketTape

HOLD, SELL, BUY = (int(action) for action in Action)  # plain numbers, for speed
INTRADAY_CROSS = (36, 168)  # bars; a day and a half and a week of hourly bars
DAILY_CROSS = (20, 100)  # bars; a month and five months of trading days
MEAN_ROUND_OFF = 1e-12  # relative; means of equal prices over unequal lengths differ by less
WEIGHT_STEP = 0.1  # of a volatility target: smaller changes are not worth an order
HALF = 0.5  # weight from which on a mode that knows only 0 and 1 holds


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


class Rule(ABC):
    """A policy that knows its weights from the tape alone; works on a tape only."""

    settings: EnvSettings

    @abstractmethod
    def weights(self, tape: MarketTape, start: int, stop: int) -> np.ndarray:
        """Target weights (stop − start,) float64 by what is known at the close of each row."""

    def actions(self, tape: MarketTape, start: int, stop: int) -> np.ndarray:
        """The actions at those rows: the weights in the mode's own terms, kept while they do not change."""
        return BoundRule(self.settings, start, self.weights(tape, start, stop)).actions()

    def on_tape(self, tape: MarketTape, start: int, stop: int) -> "BoundRule":
        """The policy over the rows [start, stop), with every weight computed."""
        return BoundRule(self.settings, start, self.weights(tape, start, stop))

    def act(self, observations: Observations, state: Any, episode_starts: np.ndarray) -> tuple[Decision, Any]:
        """Raises ValueError: it must be bound to a tape first."""
        raise ValueError(f"a {type(self).__name__} acts on a tape: call on_tape first")


class BoundRule:
    """Weights (n,) at the rows from `start` on, as a Policy whose observations hold `row`."""

    def __init__(self, settings: EnvSettings, start: int, weights: np.ndarray) -> None:
        self.settings = settings
        self.start = start
        self.weights = weights

    def actions(self) -> np.ndarray:
        """What it does at each of its rows, from the first on."""
        keep = self.weights == np.concatenate([self.weights[:1], self.weights[:-1]])
        keep[0] = False
        return encode_weights(self.weights, keep, self.settings)

    def act(self, observations: Observations, state: Any, episode_starts: np.ndarray) -> tuple[Decision, Any]:
        """The weight of the row; kept while it does not change."""
        columns = observations["row"] - self.start
        weights, before = self.weights[columns], self.weights[np.maximum(columns - 1, 0)]
        return Decision(encode_weights(weights, (weights == before) & ~episode_starts, self.settings)), None


@dataclass(frozen=True)
class Flat(Rule):
    """Never trades."""

    settings: EnvSettings

    def weights(self, tape: MarketTape, start: int, stop: int) -> np.ndarray:
        """0."""
        return np.zeros(stop - start)

    def on_tape(self, tape: MarketTape, start: int, stop: int) -> BoundRule:
        """Itself, without an order even at the first row."""
        return _Idle(self.settings, start, self.weights(tape, start, stop))

    def actions(self, tape: MarketTape, start: int, stop: int) -> np.ndarray:
        """HOLD where there is one, else the weight 0."""
        return self.on_tape(tape, start, stop).actions()


class _Idle(BoundRule):
    """Keeps what it has from the first row on."""

    def actions(self) -> np.ndarray:
        """What it does at each of its rows."""
        return encode_weights(self.weights, np.ones(len(self.weights), bool), self.settings)

    def act(self, observations: Observations, state: Any, episode_starts: np.ndarray) -> tuple[Decision, Any]:
        """Weight 0 for every account."""
        n = len(episode_starts)
        return Decision(encode_weights(np.zeros(n), np.ones(n, bool), self.settings)), None


@dataclass(frozen=True)
class BuyAndHold(Rule):
    """Buys at the first fill and never trades again."""

    settings: EnvSettings

    def weights(self, tape: MarketTape, start: int, stop: int) -> np.ndarray:
        """1."""
        return np.ones(stop - start)


@dataclass(frozen=True)
class SellAndHold(Rule):
    """Goes short at the first fill and never trades again; flat where the mode cannot go short."""

    settings: EnvSettings

    def weights(self, tape: MarketTape, start: int, stop: int) -> np.ndarray:
        """−1."""
        return np.full(stop - start, -1.0)


@dataclass(frozen=True)
class MovingAverageCross(Rule):
    """Long while the fast mean of the closes lies above the slow one, else flat (or short).

    Before `slow` bars of the segment exist it stays flat.

    Args:
        fast, slow: lengths of the means in bars, fast < slow.
    """

    settings: EnvSettings
    fast: int
    slow: int

    def __post_init__(self) -> None:
        check_at_least("fast", self.fast, 1)
        if not self.fast < self.slow:
            raise ConfigError("out-of-range", f"'fast' must be below 'slow', got {self.fast} and {self.slow}")

    def weights(self, tape: MarketTape, start: int, stop: int) -> np.ndarray:
        """1 above, 0 or −1 below, 0 while too few bars are known."""
        fast = trailing_means(tape.close, start, stop, self.fast)
        slow = trailing_means(tape.close, start, stop, self.slow)
        above = fast > slow * (1.0 + MEAN_ROUND_OFF)
        return np.where(_known(tape, start, stop, self.slow), np.where(above, 1.0, _below(self.settings)), 0.0)


@dataclass(frozen=True)
class MeanReversion(Rule):
    """Buys far below the mean of the last closes, and leaves at the mean; short far above it where shorts are allowed.

    Args:
        length: closes behind mean and deviation, bars.
        entry: deviations from the mean at which it enters.
    """

    settings: EnvSettings
    length: int = 20
    entry: float = 1.5

    def __post_init__(self) -> None:
        check_at_least("length", self.length, 2)
        check_positive("entry", self.entry)

    def weights(self, tape: MarketTape, start: int, stop: int) -> np.ndarray:
        """1 from an entry below to the mean, −1 (or 0) from one above to it, else 0."""
        scores = self._scores(tape, start, stop).tolist()
        low, held, found = _below(self.settings), 0.0, []
        for score in scores:
            if (held > 0 and score >= 0) or (held < 0 and score <= 0):
                held = 0.0
            if score <= -self.entry:
                held = 1.0
            elif score >= self.entry:
                held = low
            found.append(held)
        return np.array(found)

    def _scores(self, tape: MarketTape, start: int, stop: int) -> np.ndarray:
        """Deviations of the log close from its mean; 0 where too little is known or nothing moves."""
        log_close = np.log(tape.close)
        mean = trailing_means(log_close, start, stop, self.length)
        variance = trailing_means(log_close**2, start, stop, self.length) - mean**2
        deviation = np.sqrt(np.maximum(variance, 0.0))
        defined = _known(tape, start, stop, self.length) & (deviation > 1e-7)
        return np.where(defined, (log_close[start:stop] - mean) / np.where(defined, deviation, 1.0), 0.0)


@dataclass(frozen=True)
class VolatilityTarget(Rule):
    """Holds target / realised volatility of the market, at most 1, in steps of 0.1.

    A mode that knows only 0 and 1 holds from a weight of 0.5 on: it stands aside while the market
    moves more than twice as much as the target.

    Args:
        target: volatility per bar, a standard deviation of log returns.
        length: returns behind the realised volatility, bars.
    """

    settings: EnvSettings
    target: float
    length: int = 100

    def __post_init__(self) -> None:
        check_positive("target", self.target)
        check_at_least("length", self.length, 2)

    def weights(self, tape: MarketTape, start: int, stop: int) -> np.ndarray:
        """The weight; 0 while too few bars are known, the most where nothing moves."""
        realised = realised_volatility(tape, start, stop, self.length)
        share = np.minimum(1.0, self.target / np.maximum(realised, 1e-12))
        held = np.where(np.isnan(realised), 0.0, np.round(share / WEIGHT_STEP) * WEIGHT_STEP)
        return (held >= HALF).astype(np.float64) if self.settings.action.mode == "trade" else held


@dataclass(frozen=True)
class RegimeTrader(Rule):
    """Long in an uptrend, short in a downtrend where that is allowed, else flat; by the labels known at the close."""

    settings: EnvSettings

    def weights(self, tape: MarketTape, start: int, stop: int) -> np.ndarray:
        """1, −1 (or 0) and 0."""
        labels = tape.regimes[start:stop]
        return np.select(
            [labels == Regime.UPTREND, labels == Regime.DOWNTREND], [1.0, _below(self.settings)], default=0.0
        )


def goes_short(settings: EnvSettings) -> bool:
    """Whether the mode can hold a negative weight."""
    action = settings.action
    return min(action.ladder) < 0 if action.mode == "target" else action.allow_short


def _below(settings: EnvSettings) -> float:
    """Weight for a falling market: −1 where the mode can go short, else 0."""
    return -1.0 if goes_short(settings) else 0.0


def _known(tape: MarketTape, start: int, stop: int, length: int) -> np.ndarray:
    """(n,) whether the segment holds `length` bars up to and including each row."""
    rows = np.arange(start, stop)
    return rows - tape.segment_start[rows] + 1 >= length


def realised_volatility(tape: MarketTape, start: int, stop: int, length: int) -> np.ndarray:
    """Root mean square of the last `length` log returns of the closes (n,), per bar; NaN while there are fewer."""
    begin = max(0, start - length)
    returns = np.concatenate([[0.0], np.diff(np.log(tape.close[begin:stop]))])
    mean = trailing_means(returns**2, start - begin, stop - begin, length)
    return np.where(_known(tape, start, stop, length + 1), np.sqrt(mean), np.nan)


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
