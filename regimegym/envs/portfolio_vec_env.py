"""PortfolioVecEnv: N portfolios as one stable-baselines3 vector environment."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from regimegym.common.checks import check_at_least
from regimegym.envs.accounts_vec_env import AccountsVecEnv
from regimegym.envs.default_market import default_portfolio_tape
from regimegym.envs.portfolio_batch import PortfolioBatch, PortfolioStage
from regimegym.envs.portfolio_env import account_infos, portfolio_options, standing, stepped
from regimegym.envs.portfolio_settings import PortfolioSettings
from regimegym.envs.portfolio_state import REWARD_SUM
from regimegym.envs.reset_options import ResetOptions
from regimegym.features.portfolio_tape import PortfolioTape
from regimegym.features.splits import RowRange


class PortfolioVecEnv(AccountsVecEnv):
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
        super().__init__(n_envs, self.batch.space, self.batch.action_space, random_seed)
        self.metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}

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
        self._use_seeds()
        self._begin(range(self.num_envs), options)
        return self.batch.observe()

    def step_wait(self) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """One decision of every account; those whose episode ends stand in a new one afterwards."""
        batch = self.batch
        rows = batch.tape_rows
        batch.step(self._actions)
        rewards = batch.result.reward[: batch.n].astype(np.float32)
        dones = batch.terminated | batch.truncated
        infos = account_infos(stepped(batch, rows) | {"TimeLimit.truncated": batch.truncated.copy()})
        observation = batch.observe()
        ended = np.flatnonzero(dones)
        if len(ended):
            for i in ended.tolist():
                last = {name: value[i].copy() for name, value in observation.items()}
                infos[i] |= self._end_info(batch.episode_end(i), float(batch.accounts.values[REWARD_SUM, i]), last)
            self._begin(ended)
            observation = batch.observe()
        return observation, rewards, dones, infos

    def _begin(self, which: Sequence[int] | np.ndarray, options: list[ResetOptions] | None = None) -> None:
        self.batch.reset(which, self._generators, options)
        begun = account_infos(standing(self.batch))
        for i in which:
            self.reset_infos[i] = begun[i]
