"""Random traders with a given number of trades: what luck alone does on the same bars."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from regimegym.common.checks import check_between
from regimegym.common.policy import Decision, Observations
from regimegym.common.seeding import generator
from regimegym.envs.settings import EnvSettings
from regimegym.evaluate.rules import encode_weights, reachable_weights
from regimegym.features.tape import MarketTape


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

    def __post_init__(self) -> None:
        check_between("trades_per_bar", self.trades_per_bar, 0.0, 1.0)

    def on_tape(self, tape: MarketTape, start: int, stop: int) -> "BoundRandomTrader":
        """Bound to the rows [start, stop)."""
        return BoundRandomTrader(self, start, stop)

    def act(self, observations: Observations, state: Any, episode_starts: np.ndarray) -> tuple[Decision, Any]:
        """Raises ValueError: it must be bound to a tape first."""
        raise ValueError("a RandomTrader acts on a tape: call on_tape first")

    def actions(self, n_bars: int, account: int) -> np.ndarray:
        """What the account of that number does at the n_bars − 1 decisions of a stretch of n_bars."""
        weights, keep = self._path(n_bars, account)
        return encode_weights(weights[:-1], keep[:-1], self.settings)

    def _path(self, n_bars: int, account: int) -> tuple[np.ndarray, np.ndarray]:
        """Target weights (n_bars,) of an account, and where it keeps them."""
        draws = generator(self.random_seed, f"random-trader-{account}")
        n_moves = round(self.trades_per_bar * (n_bars - 1))
        moves = np.sort(draws.choice(n_bars - 1, size=n_moves, replace=False))
        picks = draws.random(n_bars)[moves].tolist()
        levels = reachable_weights(self.settings).tolist()
        weights, keep = np.zeros(n_bars), np.ones(n_bars, bool)
        keep[moves] = False
        held, ends = 0.0, [*moves.tolist()[1:], n_bars]
        for move, end, pick in zip(moves.tolist(), ends, picks, strict=False):
            others = [level for level in levels if level != held]
            held = others[int(pick * len(others))]
            weights[move:end] = held
        return weights, keep


class BoundRandomTrader:
    """Random traders over the rows [start, stop), as a Policy; all accounts stand on one row."""

    def __init__(self, trader: RandomTrader, start: int, stop: int) -> None:
        self.trader = trader
        self.start = start
        self.stop = stop

    def act(
        self, observations: Observations, state: tuple[np.ndarray, np.ndarray] | None, episode_starts: np.ndarray
    ) -> tuple[Decision, tuple[np.ndarray, np.ndarray]]:
        """Moves every account whose turn it is to another weight; `state` holds all of their moves."""
        if state is None:
            paths = [self.trader._path(self.stop - self.start, i) for i in range(len(episode_starts))]
            state = np.stack([weights for weights, _ in paths]), np.stack([keep for _, keep in paths])
        column = int(observations["row"][0]) - self.start
        weights, keep = state
        return Decision(encode_weights(weights[:, column], keep[:, column], self.trader.settings)), state
