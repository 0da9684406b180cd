"""ReferenceReplayBuffer: a transition is two tape rows and two account blocks, about 80 bytes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer

from regimegym.features.tape import MarketTape
from regimegym.replay.n_step import NStepReturns
from regimegym.replay.samples import ReplayBatch, Transitions


class ReferenceReplayBuffer(ReplayBuffer):
    """Uniform replay of n-step transitions whose windows are gathered from the tape when sampled.

    Args:
        buffer_size: transitions held in all; the oldest make room.
        observation_space: Dict of `market` (W, F) and `account` (K,).
        action_space: Discrete.
        device: where batches are put.
        n_envs: accounts that step together.
        optimize_memory_usage: part of SB3's interface; frames are never stored, so it means nothing.
        tape: the market all rows refer to.
        n_steps, gamma: the n-step return.
        rng: generator of the draws.
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
        rng: np.random.Generator,
        n_steps: int = 1,
        gamma: float = 0.97,
    ) -> None:
        # ReplayBuffer would allocate both windows of every transition.
        super(ReplayBuffer, self).__init__(buffer_size, observation_space, action_space, device, n_envs)
        self.optimize_memory_usage = optimize_memory_usage
        self.tape = tape
        self.rng = rng
        window, account = observation_space["market"].shape, observation_space["account"].shape
        assert window is not None
        assert account is not None
        self.window = window[0]
        self.pending = NStepReturns(n_envs, account[0], n_steps, gamma)
        self.stored = Transitions(
            row=np.zeros(buffer_size, dtype=np.int64),
            account=np.zeros((buffer_size, account[0]), dtype=np.float32),
            action=np.zeros(buffer_size, dtype=np.int64),
            reward_n=np.zeros(buffer_size, dtype=np.float32),
            next_row=np.zeros(buffer_size, dtype=np.int64),
            next_account=np.zeros((buffer_size, account[0]), dtype=np.float32),
            discount=np.zeros(buffer_size, dtype=np.float32),
            terminated=np.zeros(buffer_size, dtype=bool),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all slots; the tape is not counted, it belongs to everyone."""
        return sum(array.nbytes for array in self.stored)

    def add(  # type: ignore[override]
        self,
        obs: dict[str, np.ndarray],
        next_obs: dict[str, np.ndarray],
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Store one step of all accounts; `next_obs` holds terminal observations where one ended.

        `infos` give the decision's tape `row` and, at an episode's end, `TimeLimit.truncated`.
        """
        truncated = np.array([info.get("TimeLimit.truncated", False) for info in infos], dtype=bool)
        finished = self.pending.push(
            row=np.array([info["row"] for info in infos], dtype=np.int64),
            account=obs["account"],
            action=np.asarray(action).reshape(-1),
            reward=np.asarray(reward, dtype=np.float64),
            next_account=next_obs["account"],
            terminated=np.asarray(done, dtype=bool) & ~truncated,
            truncated=np.asarray(done, dtype=bool) & truncated,
        )
        self._insert(finished)

    def _insert(self, finished: Transitions) -> None:
        count = len(finished.row)
        slots = (self.pos + np.arange(count)) % self.buffer_size
        for held, new in zip(self.stored, finished, strict=True):
            held[slots] = new
        self.full = self.full or self.pos + count >= self.buffer_size
        self.pos = (self.pos + count) % self.buffer_size

    def state(self) -> dict[str, Any]:
        """Everything in it, as plain arrays and numbers."""
        return {
            "stored": self.stored._asdict(),
            "pending": self.pending.state(),
            "generator": self.rng.bit_generator.state,
            "pos": self.pos,
            "full": self.full,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        for name, held in self.stored._asdict().items():
            held[:] = state["stored"][name]
        self.pending.load_state(state["pending"])
        self.rng.bit_generator.state = state["generator"]
        self.pos, self.full = state["pos"], state["full"]

    def sample(self, batch_size: int, env: Any = None) -> ReplayBatch:  # type: ignore[override]
        """Draw B transitions uniformly, with replacement.

        Raises:
            ValueError: the buffer is empty.
        """
        if self.size() == 0:
            raise ValueError("cannot sample from an empty replay buffer")
        return self.gather(self.rng.integers(self.size(), size=batch_size))

    def gather(self, slots: np.ndarray) -> ReplayBatch:
        """The transitions in `slots` (B,), their windows read from the tape."""
        s = Transitions(*(array[slots] for array in self.stored))
        return ReplayBatch(
            market=self._tensor(self.tape.windows(s.row, self.window)),
            account=self._tensor(s.account),
            action=self._tensor(s.action),
            reward_n=self._tensor(s.reward_n),
            next_market=self._tensor(self.tape.windows(s.next_row, self.window)),
            next_account=self._tensor(s.next_account),
            discount=self._tensor(s.discount),
            terminated=self._tensor(s.terminated.astype(np.float32)),
            regime=self._tensor(self.tape.regimes[s.row].astype(np.int64)),
            weights=torch.ones(len(slots), device=self.device),
            slots=slots,
        )

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)
