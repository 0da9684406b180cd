"""What the vector environments of stable-baselines3 have in common: N accounts that are one object."""

import time
from collections.abc import Iterable
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils.seeding import np_random
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from regimegym.envs.batch import EpisodeEnd

Indices = None | int | Iterable[int]


class AccountsVecEnv(VecEnv):
    """Seeds, attributes and methods of N accounts that share them.

    Attributes:
        batch: the accounts (`AccountBatch`, `PortfolioBatch`), set by the class built on this one.
        shared: methods that act on all accounts at once.
        each: methods that return an array with a row per account.
    """

    batch: Any
    shared: ClassVar[tuple[str, ...]] = ("set_stage",)
    each: ClassVar[tuple[str, ...]] = ()

    def __init__(self, n_envs: int, space: spaces.Space, action_space: spaces.Space, random_seed: int) -> None:
        super().__init__(n_envs, space, action_space)
        self._began = time.perf_counter()
        self._generators: list[np.random.Generator] = []
        self._actions: np.ndarray | None = None
        self._seeds = [random_seed + i for i in range(n_envs)]

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for step_wait."""
        self._actions = actions

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """The attribute, shared by all accounts, once per index."""
        value = getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Set an attribute for all accounts; they share one object."""
        setattr(self, attr_name, value)

    def has_attr(self, attr_name: str) -> bool:
        """Whether get_attr or env_method know the name."""
        return hasattr(self, attr_name)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call one of `each` for the accounts, or one of `shared` once for all of them.

        Raises:
            AttributeError: no other method belongs to the accounts.
        """
        which = list(self._get_indices(indices))
        if method_name not in (*self.shared, *self.each):
            raise AttributeError(f"{type(self).__name__} has no method '{method_name}' of single accounts")
        found = getattr(self, method_name)(*method_args, **method_kwargs)
        return [found[i] if method_name in self.each else found for i in which]

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: Indices = None) -> list[bool]:
        """True for Monitor, whose episode statistics this class writes itself."""
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]

    def _use_seeds(self) -> None:
        """Seeds and options that were set before a reset apply once."""
        if self._seeds[0] is not None:
            self._generators = [np_random(seed)[0] for seed in self._seeds]
            self.batch.episodes[:] = 0
        self._reset_seeds()
        self._reset_options()

    def _end_info(self, end: EpisodeEnd, reward_sum: float, last_observation: dict[str, np.ndarray]) -> dict[str, Any]:
        """What the info of a finished episode says beside that of its last step."""
        seconds = time.perf_counter() - self._began
        return {
            **end._asdict(),
            "episode": {"r": round(reward_sum, 6), "l": end.episode_length, "t": round(seconds, 6)},
            "terminal_observation": last_observation,
        }
