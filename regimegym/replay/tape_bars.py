"""TapeBars: a replay buffer that stores nothing, because the market itself is what is learned from."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from torch import Tensor

from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape
from regimegym.replay.windows import HostWindows


class BarBatch(NamedTuple):
    """B sampled bars on the learner's device."""

    market: Tensor  # (B, W, F) float32 windows that end at the bars
    next_market: Tensor  # (B, W, F) float32 windows one bar later
    ratio: Tensor  # (B,) float32 price at the next decision's fill over this one's, less 1
    regime: Tensor  # (B,) int64 causal label of the bar, −1 unknown
    next_reference: np.ndarray  # (B,) int64 rows one bar later


class TapeBars(ReplayBuffer):
    """Bars of the training rows, each as likely as the next; what accounts live through is not stored.

    `teach` narrows them to those of a stage, on its own tapes.

    Args:
        buffer_size, n_envs, optimize_memory_usage: part of SB3's interface; nothing is stored.
        observation_space: Dict with `market` (W, F).
        action_space: Discrete.
        device: where batches are put.
        tape: the market.
        limits: rows that may be learned from, those of the next fill included.
        ratios: (T,) float64 fill-to-fill price changes of the decisions; NaN where there is none.
        rng: generator of the draws.

    Raises:
        ValueError: no row within the limits has a ratio.
    """

    observation_space: spaces.Dict

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        device: torch.device | str = "cpu",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        *,
        tape: MarketTape,
        limits: RowRange,
        ratios: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        # ReplayBuffer would allocate both windows of every transition.
        super(ReplayBuffer, self).__init__(buffer_size, observation_space, action_space, device, n_envs)
        self.optimize_memory_usage = optimize_memory_usage
        self.tapes: Sequence[MarketTape] = [tape]
        self.limits = limits
        self.rng = rng
        window = observation_space["market"].shape
        assert window is not None
        self._windows = HostWindows(window[0], self.device)
        self.ratios = ratios
        self.rows = _teaching_rows(tape, limits, ratios)
        if len(self.rows) == 0:
            raise ValueError(f"no row within {limits} is followed by two more fills")

    def teach(self, tapes: Sequence[MarketTape], references: np.ndarray, ratios: np.ndarray) -> None:
        """Draw from other bars from now on.

        Args:
            tapes: all of T rows.
            references: (n,) int64 tape · T + row of the bars wanted; those without a fill, or too near
                to the limits, are left out.
            ratios: (len(tapes) · T,) float64, as of the constructor.

        Raises:
            ValueError: none of them is followed by two more fills.
        """
        n_rows = len(tapes[0])
        can = [_teaching_rows(t, self.limits, ratios[k * n_rows :]) + k * n_rows for k, t in enumerate(tapes)]
        rows = np.intersect1d(np.concatenate(can), references)
        if len(rows) == 0:
            raise ValueError("no bar of the stage is followed by two more fills")
        self.tapes, self.ratios, self.rows = tapes, ratios, rows

    def size(self) -> int:
        """Number of bars that can be drawn."""
        return len(self.rows)

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Store nothing."""

    def state(self) -> dict[str, Any]:
        """Where its generator stands; there is nothing else that changes."""
        return {"generator": self.rng.bit_generator.state}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        self.rng.bit_generator.state = state["generator"]

    def anneal(self, done: float) -> None:
        """Nothing is weighed."""

    def forget_pending(self) -> None:
        """Nothing waits."""

    def draw(self, batch_size: int) -> BarBatch:
        """Draw B bars uniformly, with replacement."""
        rows = self.rows[self.rng.integers(len(self.rows), size=batch_size)]
        return BarBatch(
            market=self._windows.gather(self.tapes, rows),
            next_market=self._windows.gather(self.tapes, rows + 1),
            ratio=self._tensor(self.ratios[rows].astype(np.float32)),
            regime=self._tensor(self._regimes(rows)),
            next_reference=rows + 1,
        )

    def _regimes(self, references: np.ndarray) -> np.ndarray:
        tapes, rows = np.divmod(references, len(self.tapes[0]))
        found = np.empty(len(references), np.int64)
        for k in np.unique(tapes):
            found[tapes == k] = self.tapes[k].regimes[rows[tapes == k]]
        return found

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def _teaching_rows(tape: MarketTape, limits: RowRange, ratios: np.ndarray) -> np.ndarray:
    """Rows after warm-up whose next fill but one still lies within the limits and the segment."""
    rows = [
        np.arange(max(segment.first_row, limits.start), min(segment.stop, limits.stop) - 2) for segment in tape.segments
    ]
    everywhere = np.concatenate(rows)
    return everywhere[~np.isnan(ratios[everywhere])]
