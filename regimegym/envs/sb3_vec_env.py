"""TradingVecEnv: N accounts as one stable-baselines3 vector environment."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.seeding import np_random
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from regimegym.common.checks import check_at_least
from regimegym.envs.batch import AccountBatch
from regimegym.envs.default_market import default_tape
from regimegym.envs.results import LOG_RETURN, REWARD, TRADED
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import EQUITY, EXPOSURE, REWARD_SUM
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape

Indices = None | int | Iterable[int]


class TradingVecEnv(VecEnv):
    """N accounts on one tape, number by number what N TradingEnv in a DummyVecEnv would be.

    Account i draws its starts from a generator of its own, seeded `random_seed + i`, or by
    `seed(s)` with `s + i` from the next reset on. Infos of finished episodes hold what Monitor
    would write: `episode` {r, l, t}; and `terminal_observation`, `TimeLimit.truncated`.

    Args:
        n_envs: N ≥ 1.
        tape, settings, rows, observation: as for TradingEnv.
        random_seed: seed of the first account's starts.
    """

    def __init__(
        self,
        n_envs: int = 1,
        tape: MarketTape | None = None,
        settings: EnvSettings | None = None,
        rows: RowRange | None = None,
        random_seed: int = 0,
        observation: str = "window",
    ) -> None:
        check_at_least("n_envs", n_envs, 1)
        tape = default_tape() if tape is None else tape
        self.batch = AccountBatch(n_envs, tape, settings or EnvSettings(), rows, observation)
        self.tape, self.settings, self.rows = self.batch.tape, self.batch.settings, self.batch.limits
        self.render_mode = None
        super().__init__(n_envs, self.batch.space, self.batch.actions.space)
        self._began = time.perf_counter()
        self._generators: list[np.random.Generator] = []
        self._actions: np.ndarray | None = None
        self._seeds = [random_seed + i for i in range(n_envs)]

    def reset(self) -> dict[str, np.ndarray]:
        """Begin N episodes; seeds set before apply once."""
        if self._seeds[0] is not None:
            self._generators = [np_random(seed)[0] for seed in self._seeds]
            self.batch.episodes[:] = 0
        self._reset_seeds()
        self._reset_options()
        self._begin(range(self.num_envs))
        return self.batch.observe()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for step_wait."""
        self._actions = actions

    def step_wait(self) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """One decision of every account; those whose episode ends stand in a new one afterwards."""
        batch, n = self.batch, self.num_envs
        rows = batch.rows.copy()
        batch.step(self._actions)
        rewards = batch.result.values[REWARD, :n].astype(np.float32)
        dones = batch.terminated | batch.truncated
        infos = self._infos(rows)
        observation = batch.observe()
        ended = np.flatnonzero(dones)
        if len(ended):
            for i in ended:
                infos[i] |= self._ended(int(i), {name: value[i].copy() for name, value in observation.items()})
            self._begin(ended)
            observation = batch.observe()
        return observation, rewards, dones, infos

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """The attribute, shared by all accounts, once per index."""
        value = getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Set an attribute for all accounts; they share one object."""
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call `action_masks`; no other method belongs to a single account."""
        if method_name != "action_masks":
            raise AttributeError(f"TradingVecEnv has no method '{method_name}' of single accounts")
        masks = self.batch.actions.masks(self.num_envs)
        return [masks[i] for i in self._get_indices(indices)]

    def has_attr(self, attr_name: str) -> bool:
        """Whether get_attr or env_method know the name."""
        return attr_name == "action_masks" or hasattr(self, attr_name)

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: Indices = None) -> list[bool]:
        """True for Monitor, whose episode statistics this class writes itself."""
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]

    def _begin(self, which: Sequence[int] | np.ndarray) -> None:
        self.batch.reset(which, self._generators)
        for i in which:
            row = int(self.batch.rows[i])
            self.reset_infos[i] = {
                "row": row,
                "regime": int(self.tape.regimes[row]),
                "equity": float(self.batch.accounts.equity[i]),
                "exposure": 0.0,
            }

    def _infos(self, rows: np.ndarray) -> list[dict[str, Any]]:
        n, accounts, result = self.num_envs, self.batch.accounts.values, self.batch.result.values
        columns = (
            rows.tolist(),
            self.tape.regimes[rows].tolist(),
            result[LOG_RETURN, :n].tolist(),
            accounts[EQUITY, :n].tolist(),
            accounts[EXPOSURE, :n].tolist(),
            (result[TRADED, :n] > 0).tolist(),
            self.batch.truncated.tolist(),
        )
        return [
            {
                "row": row,
                "regime": regime,
                "log_return": log_return,
                "equity": equity,
                "exposure": exposure,
                "traded": traded,
                "TimeLimit.truncated": truncated,
            }
            for row, regime, log_return, equity, exposure, traded, truncated in zip(*columns, strict=True)
        ]

    def _ended(self, i: int, last_observation: dict[str, np.ndarray]) -> dict[str, Any]:
        end = self.batch.episode_end(i)
        reward_sum = float(self.batch.accounts.values[REWARD_SUM, i])
        seconds = time.perf_counter() - self._began
        return {
            **end._asdict(),
            "episode": {"r": round(reward_sum, 6), "l": end.episode_length, "t": round(seconds, 6)},
            "terminal_observation": last_observation,
        }
