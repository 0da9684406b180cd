"""Where a replay buffer's transitions come from: what is kept of an observation, and how it comes back."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces

from regimegym.common.errors import ConfigError
from regimegym.features.tape import MarketTape

Observation = np.ndarray | dict[str, np.ndarray]


class Step(NamedTuple):
    """One step of N accounts."""

    reference: np.ndarray  # (N,) int64 where they decided, tape · T + row
    account: np.ndarray  # (N, S) float32, packed, as they decided; C-contiguous, as all of these are
    next_account: np.ndarray  # (N, S) float32, packed, at the mark of the next row


class StepSource(Protocol):
    """Environments on tapes; envs.recorded_source.RecordedSource is the one of ours."""

    size: int  # S, numbers of a packed account

    @property
    def tapes(self) -> Sequence[MarketTape]:
        """The tapes that references lead to, all of T rows; more may come, none goes."""
        ...

    def last_step(self, obs: Any, next_obs: Any, infos: Any) -> Any:
        """The Step that was just taken, seen as `obs`, `next_obs` and `infos`."""
        ...

    def write_blocks(self, packed: np.ndarray, out: np.ndarray) -> None:
        """The account blocks that were observed of accounts packed (N, S) into `out` (N, K) float32."""
        ...


class ObservedSource:
    """An environment of somebody else's on one tape: infos hold `row`, and account blocks are kept as seen."""

    def __init__(self, tape: MarketTape, observation_space: spaces.Space) -> None:
        assert isinstance(observation_space, spaces.Dict)
        self.tapes = [tape]
        (self.size,) = observation_space["account"].shape or (0,)

    def last_step(self, obs: Any, next_obs: Any, infos: Any) -> Step:
        """The step, as observed."""
        rows = np.array([info["row"] for info in infos], np.int64)
        accounts = (np.ascontiguousarray(seen["account"], np.float32) for seen in (obs, next_obs))
        return Step(rows, *accounts)

    def write_blocks(self, packed: np.ndarray, out: np.ndarray) -> None:
        """They are what was kept."""
        out[:] = packed


class WindowSource:
    """An environment without a tape: whole observations are kept, as the bytes they are."""

    def __init__(self, observation_space: spaces.Space) -> None:
        self.tapes: list[MarketTape] = []
        is_dict = isinstance(observation_space, spaces.Dict)
        parts = dict(observation_space.spaces) if is_dict else {"": observation_space}  # type: ignore[attr-defined]
        self._is_dict = is_dict
        self._parts = {key: (_shape_of(key, part), np.dtype(part.dtype)) for key, part in parts.items()}
        n_bytes = [int(np.prod(shape)) * dtype.itemsize for shape, dtype in self._parts.values()]
        self._bounds = np.cumsum([0, *n_bytes])
        self.size = -(-int(self._bounds[-1]) // 4)  # float32 words
        self._n_steps = 0

    def last_step(self, obs: Observation, next_obs: Observation, infos: Any) -> Step:
        """The step; its references count steps."""
        packed, next_packed = self._pack(obs), self._pack(next_obs)
        self._n_steps += 1
        return Step(np.full(len(packed), self._n_steps), packed, next_packed)

    def observations(self, packed: np.ndarray) -> Observation:
        """The observations that were packed (N, S)."""
        held = np.ascontiguousarray(packed).view(np.uint8)
        found = {}
        for (key, (shape, dtype)), start, stop in zip(
            self._parts.items(), self._bounds[:-1], self._bounds[1:], strict=True
        ):
            found[key] = np.ascontiguousarray(held[:, start:stop]).view(dtype).reshape(-1, *shape)
        return found if self._is_dict else found[""]

    def write_blocks(self, packed: np.ndarray, out: np.ndarray) -> None:
        """There are none apart from the observations."""
        raise NotImplementedError

    def _pack(self, obs: Observation) -> np.ndarray:
        given = obs if isinstance(obs, dict) else {"": obs}
        n = len(next(iter(given.values())))
        packed = np.zeros((n, self.size), np.float32)
        held = packed.view(np.uint8)
        for (key, (_, dtype)), start, stop in zip(
            self._parts.items(), self._bounds[:-1], self._bounds[1:], strict=True
        ):
            held[:, start:stop] = np.ascontiguousarray(given[key], dtype).reshape(n, -1).view(np.uint8)
        return packed


def _shape_of(key: str, space: spaces.Space) -> tuple[int, ...]:
    if space.shape is None or space.dtype is None:
        raise ConfigError("odd-observation", f"the observation '{key}' is a {type(space).__name__}", needed="arrays")
    return space.shape
