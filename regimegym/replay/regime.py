"""RegimeReplayBuffer: replay of n-step transitions by reference, uniform, prioritised, or by regime first."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from regimegym.common.errors import ConfigError, DataError, RegimeGymError
from regimegym.common.regimes import N_REGIMES, Regime
from regimegym.features.tape import MarketTape
from regimegym.replay import drawing, insertion, layout, priorities
from regimegym.replay.layout import CAPACITY, COUNT, Pending
from regimegym.replay.rooms import BatchRoom, Rooms, batch_room, placing
from regimegym.replay.samples import RegimeUse, ReplayBatch, Transitions
from regimegym.replay.settings import ReplaySettings
from regimegym.replay.sources import StepSource, WindowSource
from regimegym.replay.store import (
    check_shape,
    check_store,
    mean_priorities,
    new_memory,
    new_pending,
    pack_store,
    probabilities,
    split_capacity,
    transitions,
    unpack_store,
)
from regimegym.replay.support import nothing_to_draw, warn_of_cut_support
from regimegym.replay.windows import windows_of


class RegimeReplayBuffer(ReplayBuffer):
    """A stable-baselines3 replay buffer whose transitions are two references and two packed accounts.

    Windows are gathered from the tapes when a batch is drawn. `draw` and `update_priorities` are
    for learners that know importance weights; `sample` is stable-baselines3's: to its own DQN,
    QR-DQN or SAC (`replay_buffer_class=RegimeReplayBuffer`) the buffer gives transitions drawn as
    `settings` say, whose importance weights those algorithms ignore, and whose priorities stay
    what they were at insertion. Transitions of regime UNKNOWN are never stored.

    Args:
        buffer_size: transitions held in all; the oldest (of a regime) make room.
        observation_space: Dict of `account` (K,) and `market` (W, F) or `row` with a `source`;
            any arrays without one.
        action_space: Discrete or Box.
        device: where batches are put.
        n_envs: accounts that step together.
        optimize_memory_usage: part of SB3's interface; frames are never stored twice.
        rng: generator of the draws.
        settings: what is drawn and how it is weighed.
        source: where the steps come from (envs.recorded_source.record_steps); None keeps whole
            observations as they come.
        n_steps, gamma: the n-step return.

    Raises:
        ConfigError: too few slots for the regimes, other actions, or regimes that nobody tells.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        *,
        rng: np.random.Generator,
        settings: ReplaySettings | None = None,
        source: StepSource | None = None,
        n_steps: int = 1,
        gamma: float = 0.97,
    ) -> None:
        # ReplayBuffer would allocate both observations of every transition.
        super(ReplayBuffer, self).__init__(buffer_size, observation_space, action_space, device, n_envs)
        self.optimize_memory_usage = optimize_memory_usage
        self.settings = ReplaySettings() if settings is None else settings
        self.source: Any = WindowSource(observation_space) if source is None else source
        self.rng = rng
        self.n_steps, self.gamma = n_steps, gamma
        self.beta = self.settings.beta
        self._is_balanced = self.settings.is_target == "balanced"
        self._is_discrete = isinstance(action_space, spaces.Discrete)
        self._word = np.int32 if self._is_discrete else np.float32  # of an action
        self._keeps_unknown = not self.source.tapes and self.settings.kind != "regime"
        if not (self._is_discrete or isinstance(action_space, spaces.Box)):
            raise ConfigError("odd-actions", f"replay holds discrete or continuous actions, not {action_space}")
        capacities = [buffer_size] if self.settings.kind != "regime" else split_capacity(buffer_size, N_REGIMES)
        self._weights = np.array(self.settings.regime_weights if len(capacities) > 1 else (1.0,))
        self._hold(new_memory(capacities, self._n_words, self.settings.kind != "uniform"))
        self._pending = new_pending(n_envs, n_steps, self._n_words, gamma)
        s = self.settings
        self._terms = float(s.alpha), float(s.epsilon), float(s.max_td_error), float(s.priority_decay)
        self._can_cut = bool((self._weights == 0).any())
        self._warned: set[int] = set()
        self._rooms = Rooms(self._new_room)
        self._place = placing(self.device)
        self._n_fields = 0  # K; observations that are kept whole have no account block apart
        if self.source.tapes:
            self._n_fields = observation_space["account"].shape[0]  # type: ignore[index]
        self._gather: Callable[[Sequence[MarketTape], np.ndarray, int], tuple[Tensor, Tensor]] | None = None
        if isinstance(observation_space, spaces.Dict) and "market" in observation_space.spaces and self.source.tapes:
            window = (observation_space["market"].shape or (0,))[0]
            self._gather = windows_of(self.settings.tape_device, window, self.device).pair

    @property
    def _n_words(self) -> int:
        return layout.ACTION + self.action_dim + 2 * self.source.size

    @property
    def nbytes(self) -> int:
        """Bytes of all slots without the priority trees; the tape is not counted, it belongs to everyone."""
        return self._store.words.nbytes

    @property
    def tree_nbytes(self) -> int:
        """Bytes of the priority trees."""
        store = self._store
        return store.leaves.nbytes + store.sums.nbytes + store.bounds.nbytes + store.minima.nbytes

    @property
    def counts(self) -> np.ndarray:
        """(4,) int64 transitions held, by regime."""
        return self._store.held[1:].copy()

    def size(self) -> int:
        """Transitions held."""
        return int(self._store.groups[:, COUNT].sum())

    def reset(self) -> None:
        """Forget everything that was stored, and what waits."""
        super().reset()
        capacities = self._store.groups[:, CAPACITY].tolist()
        self._hold(new_memory(capacities, self._n_words, self.settings.kind != "uniform"))
        self.forget_pending()

    def forget_pending(self) -> None:
        """Drop the decisions that wait for rewards; the accounts were reset from outside."""
        self._pending.waiting[:] = 0

    def anneal(self, done: float) -> None:
        """Set β for the share `done` of the training, a function of its global step alone."""
        self.beta = self.settings.beta_at(done)

    # --- in --------------------------------------------------------------------------------------

    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Store one step of all accounts; `next_obs` holds terminal observations where one ended.

        Raises:
            ConfigError: the steps of an environment without a tape name no `regime`, and `settings`
                asks for one.
        """
        step = self.source.last_step(obs, next_obs, infos)
        ended = np.asarray(done, bool)
        terminated = ended
        if np.count_nonzero(ended):
            terminated = ended & ~np.array([info.get("TimeLimit.truncated", False) for info in infos], bool)
        insertion.add_step(
            *self._memory,
            *self._pending,
            step.reference,
            self._regimes(step.reference, infos),
            np.ascontiguousarray(action, self._word).reshape(self.n_envs, self.action_dim).view(np.int32),
            step.account,
            step.next_account,
            np.asarray(reward, np.float64),
            terminated,
            ended,
            self._terms[0],
            self._keeps_unknown,
        )

    def _regimes(self, references: np.ndarray, infos: list[dict[str, Any]]) -> np.ndarray:
        """(N,) int8 labels of a step."""
        tapes = self.source.tapes
        if len(tapes) == 1:
            return tapes[0].regimes[references]
        if tapes:
            indices, rows = np.divmod(references, len(tapes[0]))
            return np.array([tapes[k].regimes[row] for k, row in zip(indices, rows, strict=True)], np.int8)
        if self.settings.kind == "regime" and "regime" not in infos[0]:
            raise ConfigError(
                "no-regime",
                "replay=regime needs the regime of every step, and this environment's infos name none",
                needed="infos with 'regime' (a code of common.regimes.Regime), or replay=prioritized",
            )
        return np.array([info.get("regime", Regime.UNKNOWN) for info in infos], np.int8)

    # --- out -------------------------------------------------------------------------------------

    def draw(self, batch_size: int) -> ReplayBatch:
        """Draw B transitions, with replacement, and weigh them; for environments on a tape.

        Both windows of a transition may be views of one block: do not write to them.

        Raises:
            RegimeGymError: the buffer is empty, or holds only regimes of weight zero.
        """
        drawn, ahead = self._draw(batch_size)
        market, next_market = self._windows(drawn, ahead)
        place = self._place
        return ReplayBatch(
            market,
            place(drawn.account),
            place(drawn.action),
            place(drawn.reward_n),
            next_market,
            place(drawn.next_account),
            place(drawn.discount),
            place(drawn.terminated),
            place(drawn.regime),
            place(drawn.weights),
            drawn.slots,
            drawn.born,
            drawn.references,
            drawn.packed,
        )

    def sample(  # type: ignore[override]
        self, batch_size: int, env: VecNormalize | None = None
    ) -> DictReplayBufferSamples | ReplayBufferSamples:
        """Stable-baselines3's form of `draw`: discounts γⁿ instead of γ, no importance weights."""
        drawn, ahead = self._draw(batch_size)
        action = self._place(drawn.action)
        reward_n, discount, terminated = (
            self._place(column)[:, None] for column in (drawn.reward_n, drawn.discount, drawn.terminated)
        )
        now, later = self._observations(drawn, ahead, env)
        if env is not None:
            reward_n = self._tensor(self._normalize_reward(reward_n.cpu().numpy(), env))
        actions = action[:, None] if self._is_discrete else action
        kind = DictReplayBufferSamples if isinstance(now, dict) else ReplayBufferSamples
        return kind(now, actions, later, terminated, reward_n, discount)

    def update_priorities(self, slots: np.ndarray, born: np.ndarray, td_errors: Any) -> None:
        """Let the transitions of a batch be drawn by their |TD errors| from now on.

        Those that were overwritten since they were drawn are left out; of one that was drawn
        twice the larger error counts.

        Args:
            slots, born: (B,) of the batch.
            td_errors: (B,) or (B, 1), of any sign; an array or a tensor, also one with a gradient.

        Raises:
            RegimeGymError: an error is NaN or infinite, another number of them, or a slot outside
                the buffer; nothing has changed then.
        """
        if isinstance(td_errors, Tensor):
            td_errors = td_errors.detach().to("cpu", torch.float64).numpy()
        errors = np.ascontiguousarray(td_errors, np.float64).reshape(-1)
        slots, born = np.ascontiguousarray(slots, np.int64), np.ascontiguousarray(born, np.int64)
        if not errors.shape == slots.shape == born.shape:
            raise RegimeGymError(
                "odd-priorities", f"{len(errors)} TD errors for {slots.shape} slots and {born.shape} generations"
            )
        s = self.settings
        wrong = priorities.update(
            *self._memory, slots, born, errors, s.alpha, s.epsilon, s.max_td_error, s.priority_decay
        )
        if wrong >= 0 and np.isfinite(errors[wrong]):
            raise RegimeGymError("no-slot", f"slots must lie in [0, {len(self._store.words)}), got {slots[wrong]}")
        if wrong >= 0:
            raise RegimeGymError("bad-td-error", f"TD error {wrong} is {errors[wrong]}", needed="finite numbers")

    def probabilities(self) -> np.ndarray:
        """(capacity,) float64 P(i) of every slot now; zeros where nothing is held. Σ = 1."""
        return probabilities(self._store, self._weights)

    def regime_use(self) -> RegimeUse:
        """How the regimes were held, drawn and learned from since the last call."""
        store, sums = self._store, self._store.statistics[1:].copy()
        store.statistics[:] = 0.0
        with np.errstate(invalid="ignore", divide="ignore"):
            held, drawn = store.held[1:] / store.held[1:].sum(), sums[:, layout.DRAWN]
            return RegimeUse(
                fill=held,
                sampled=drawn / drawn.sum(),
                priority=mean_priorities(store, self.settings.alpha),
                td_error=sums[:, layout.ERROR] / sums[:, layout.UPDATED],
                age=sums[:, layout.AGE] / drawn,
            )

    @property
    def stored(self) -> Transitions:
        """Everything held, in the order of the slots."""
        return transitions(self._store, self.action_dim, self.source.size)

    def check_valid(self) -> None:
        """Raise AssertionError unless counts, slots and priority trees agree with one another."""
        check_store(self._store)

    # --- to disk and back ------------------------------------------------------------------------

    def state(self) -> dict[str, np.ndarray]:
        """Everything that decides what the buffer does next, as plain arrays; no slot that is empty."""
        generator = json.dumps(self.rng.bit_generator.state).encode()
        return pack_store(self._store) | {
            "pending_words": self._pending.words,
            "pending_sums": self._pending.sums,
            "pending_waiting": self._pending.waiting,
            "pending_expected": self._pending.expected,
            "beta": np.array([self.beta]),
            "generator": np.frombuffer(generator, np.uint8),
        }

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue as the buffer whose `state` it was.

        Raises:
            ModelError: the state of a buffer of another size or kind; nothing has changed then.
        """
        pending = {name: state.get(f"pending_{name}", np.empty(0)) for name in Pending._fields[:-1]}
        for name, array in pending.items():
            check_shape(f"pending_{name}", getattr(self._pending, name).shape, array.shape)
        self._hold(unpack_store(self._store, state))
        for name, array in pending.items():
            getattr(self._pending, name)[:] = array
        self.beta = float(state["beta"][0])
        self.rng.bit_generator.state = json.loads(state["generator"].tobytes())

    def _hold(self, memory: layout.Memory) -> None:
        self._memory, self._store = memory, layout.opened(*memory)

    def _draw(self, batch_size: int) -> tuple[BatchRoom, int]:
        """What was drawn, and how many bars lie between decision and bootstrap, 0 where that differs."""
        room = self._rooms.take(batch_size)
        self.rng.random(out=room.uniforms)
        ahead = drawing.sample(
            *self._memory,
            self._weights,
            room.uniforms,
            self.beta,
            self._is_balanced,
            self._pending.powers,
            room.numbers,
            room.floats,
            room.packed,
            room.words,
        )
        if ahead == layout.UNSUPPORTED:
            raise nothing_to_draw(self.counts)
        if self._can_cut:
            warn_of_cut_support(self._weights, self._store.groups[:, COUNT], self._warned)
        if self._n_fields:
            self.source.write_blocks(room.all_packed, room.blocks)
        return room, ahead

    def _new_room(self, batch_size: int) -> BatchRoom:
        return batch_room(batch_size, self._n_fields, self.source.size, self.action_dim, self._is_discrete)

    def _windows(self, drawn: BatchRoom, ahead: int) -> Sequence[Tensor]:
        if self._gather is None:
            raise DataError("no-windows", "windows can be drawn only of environments on a tape that observe them")
        return self._gather(self.source.tapes, drawn.references, ahead)

    def _observations(self, drawn: BatchRoom, ahead: int, env: VecNormalize | None) -> list[Any]:
        """Both observations of a batch as tensors."""
        if self.source.tapes:
            parts: dict[str, Sequence[Tensor]] = {
                "account": [self._place(drawn.account), self._place(drawn.next_account)]
            }
            if self._gather is not None:
                parts["market"] = self._windows(drawn, ahead)
            else:
                parts["row"] = self._tensor(drawn.references[:, :, None]).unbind(0)
            found: list[Any] = [{key: both[k] for key, both in parts.items()} for k in range(2)]
            if env is None:
                return found
            found = [{key: tensor.cpu().numpy() for key, tensor in one.items()} for one in found]
        else:
            found = [self.source.observations(drawn.packed[k]) for k in range(2)]
        found = [self._normalize_obs(one, env) for one in found]
        return [
            {key: self._tensor(value) for key, value in one.items()} if isinstance(one, dict) else self._tensor(one)
            for one in found
        ]

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(array)).to(self.device)
