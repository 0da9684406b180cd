"""PortfolioVecEnv: N portfolios as one stable-baselines3 vector environment."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from regimegym.common.checks import check_at_least
from regimegym.envs.default_market import default_portfolio_tape
from regimegym.envs.portfolio_batch import PortfolioBatch, PortfolioStage
from regimegym.envs.portfolio_env import account_infos, portfolio_options, standing, stepped
from regimegym.envs.portfolio_settings import PortfolioSettings
from regimegym.envs.portfolio_state import REWARD_SUM
from regimegym.envs.reset_options import ResetOptions
from regimegym.features.portfolio_tape import PortfolioTape
from regimegym.features.splits import RowRange

Indices = None | int | Iterable[int]


class PortfolioVecEnv(VecEnv):
    """N portfolios on one tape, number by number what N PortfolioEnv in a DummyVecEnv would be.

    Account i draws its starts from a generator of its own, seeded `random_seed + i`, or by
    `seed(s)` with `s + i` from the next reset on; `set_options` takes the reset options of
    PortfolioEnv. Infos of finished episodes also hold what Monitor would write: `episode`
    {r, l, t}; and `terminal_observation`, `TimeLimit.truncated`.

    Args:
        n_envs: N ≥ 1.
        tape, settings, rows: as for PortfolioEnv.
        random_seed: seed of the first account's starts.
    """

    def __init__(
        self,
        n_envs: int = 1,
        tape: PortfolioTape | None = None,
        settings: PortfolioSettings | None = None,
        rows: RowRange | None = None,
        random_seed: int = 0,
    ) -> None:
        check_at_least("n_envs", n_envs, 1)
        tape = default_portfolio_tape() if tape is None else tape
        self.batch = PortfolioBatch(n_envs, tape, settings or PortfolioSettings(), rows)
        self.tape, self.rows = tape, self.batch.limits
        self.render_mode = None
        super().__init__(n_envs, self.batch.space, self.batch.action_space)
        self.metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}
        self._began = time.perf_counter()
        self._generators: list[np.random.Generator] = []
        self._actions: np.ndarray | None = None
        self._seeds = [random_seed + i for i in range(n_envs)]

    @property
    def settings(self) -> PortfolioSettings:
        """Those of the newest stage."""
        return self.batch.settings

    def set_stage(self, stage: PortfolioStage) -> None:
        """Every account begins its next episode as `stage` says. Raises as PortfolioStage says."""
        self.batch.set_stage(stage)

    def reset(self) -> dict[str, np.ndarray]:
        """Begin N episodes; seeds and options set before apply once."""
        options = [portfolio_options(option) for option in self._options]
        if self._seeds[0] is not None:
            self._generators = [np_random(seed)[0] for seed in self._seeds]
            self.batch.episodes[:] = 0
        self._reset_seeds()
        self._reset_options()
        self._begin(range(self.num_envs), options)
        return self.batch.observe()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for step_wait."""
        self._actions = actions

    def step_wait(self) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """One decision of every account; those whose episode ends stand in a new one afterwards."""
        batch = self.batch
        rows = batch.rows.copy()
        batch.step(self._actions)
        rewards = batch.result.reward[: batch.n].astype(np.float32)
        dones = batch.terminated | batch.truncated
        infos = account_infos(stepped(batch, rows) | {"TimeLimit.truncated": batch.truncated.copy()})
        observation = batch.observe()
        ended = np.flatnonzero(dones)
        if len(ended):
            for i in ended.tolist():
                infos[i] |= self._ended(i, {name: value[i].copy() for name, value in observation.items()})
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
        """Call `set_stage` once for all accounts.

        Raises:
            AttributeError: no other method belongs to the accounts.
        """
        if method_name != "set_stage":
            raise AttributeError(f"PortfolioVecEnv has no method '{method_name}' of single accounts")
        self.set_stage(*method_args, **method_kwargs)
        return [None for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: Indices = None) -> list[bool]:
        """True for Monitor, whose episode statistics this class writes itself."""
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]

    def _begin(self, which: Sequence[int] | np.ndarray, options: list[ResetOptions] | None = None) -> None:
        self.batch.reset(which, self._generators, options)
        begun = account_infos(standing(self.batch))
        for i in which:
            self.reset_infos[i] = begun[i]

    def _ended(self, i: int, last_observation: dict[str, np.ndarray]) -> dict[str, Any]:
        end, reward_sum = self.batch.episode_end(i), float(self.batch.accounts.values[REWARD_SUM, i])
        seconds = time.perf_counter() - self._began
        return {
            **end._asdict(),
            "episode": {"r": round(reward_sum, 6), "l": end.episode_length, "t": round(seconds, 6)},
            "terminal_observation": last_observation,
        }
