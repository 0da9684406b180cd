"""PortfolioEnv and PortfolioVectorEnv: several instruments in one account, as gymnasium environments."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from regimegym.common.checks import check_at_least
from regimegym.common.errors import ConfigError, RegimeGymError
from regimegym.envs.batch import EpisodeEnd
from regimegym.envs.default_market import default_portfolio_tape
from regimegym.envs.portfolio_batch import PortfolioBatch, PortfolioStage
from regimegym.envs.portfolio_settings import PortfolioSettings
from regimegym.envs.portfolio_state import CASH
from regimegym.envs.reset_options import ResetOptions, reset_options
from regimegym.features.portfolio_tape import PortfolioTape
from regimegym.features.splits import RowRange


class PortfolioEnv(gymnasium.Env):
    """Hold M instruments along a tape (DEFINITIONS §5, portfolio_sizing).

    An action is M numbers in [−1, 1]; times max_leverage they are the target weights (without
    `allow_short` negative ones are 0), scaled down together where Σ|w| > max_leverage. The
    observation on row t holds bars up to and including t. `step` fills the order (by default at
    the next open) and carries the account to close t+1. The reward is κ·ℓ, the unshaped log return
    ℓ lies in `info`. `terminated` is a liquidation of the whole account, `truncated` the end of
    the episode's length.

    Args:
        tape: the market; three small built-in synthetic ones where None.
        settings: PortfolioSettings; the defaults where None.
        rows: rows of the tape episodes may use; all after the warm-up where None.
        render_mode: `ansi` or None.

    Raises:
        DataError: too few rows for one episode.
        ConfigError: an unknown render mode, or costs so high that no trade reaches its target.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        tape: PortfolioTape | None = None,
        settings: PortfolioSettings | None = None,
        rows: RowRange | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ConfigError("unknown-render-mode", f"'render_mode' must be ansi or None, got '{render_mode}'")
        tape = default_portfolio_tape() if tape is None else tape
        self.batch = PortfolioBatch(1, tape, settings or PortfolioSettings(), rows)
        self.tape, self.rows = self.batch.tape, self.batch.limits
        self.render_mode = render_mode
        self.observation_space = self.batch.space
        self.action_space = self.batch.action_space
        self._running = False

    @property
    def settings(self) -> PortfolioSettings:
        """Those of the newest stage."""
        return self.batch.settings

    def set_stage(self, stage: PortfolioStage) -> None:
        """The next reset begins an episode as `stage` says. Raises as PortfolioStage says."""
        self.batch.set_stage(stage)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin an episode; `seed` decides its start row.

        Args:
            seed: of the starts from now on; None goes on drawing.
            options: `start`, a tape row counted from 0, or a time as ISO text (UTC), which stands
                for the first bar that begins at it or later.

        Raises:
            ConfigError, DataError: an option that is unknown, or names no possible start.
        """
        where = portfolio_options(options)
        super().reset(seed=seed)
        if seed is not None:
            self.batch.episodes[:] = 0
        self.batch.reset([0], [self.np_random], [where])
        self._running = True
        return self._observation(), account_infos(standing(self.batch))[0]

    def step(self, action: Any) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Decide on the current row and live through the next bar.

        Raises:
            RegimeGymError: the action is NaN or outside the space, or the episode is over.
        """
        if not self._running:
            raise RegimeGymError("no-episode", "step was called without an episode: call reset first")
        batch = self.batch
        rows = batch.tape_rows
        batch.step(action)
        terminated, truncated = bool(batch.terminated[0]), bool(batch.truncated[0])
        info = account_infos(stepped(batch, rows))[0]
        if terminated or truncated:
            self._running = False
            info |= batch.episode_end(0)._asdict()
        return self._observation(), float(batch.result.reward[0]), terminated, truncated, info

    def render(self) -> str | None:
        """One line: row, cash, equity, exposure by instrument; None without a render mode."""
        if self.render_mode is None:
            return None
        accounts = self.batch.accounts
        exposures = "  ".join(f"{s} {x:+.3f}" for s, x in zip(self.tape.symbols, accounts.exposure[0], strict=True))
        return (
            f"row {self.batch.tape_rows[0]}  cash {accounts.values[CASH, 0]:.2f}"
            f"  equity {accounts.equity[0]:.2f}  exposure {exposures}"
        )

    def _observation(self) -> dict[str, np.ndarray]:
        return {name: value[0] for name, value in self.batch.observe().items()}


class PortfolioVectorEnv(VectorEnv):
    """N portfolios on one tape, number by number what N PortfolioEnv would be.

    Account i draws its starts from a generator of its own, seeded `seed + i`. An episode that ends
    begins anew in the same step (AutoresetMode.SAME_STEP): the observation returned is the new
    episode's first, the last one of the old lies in `infos["final_obs"]`, its info in
    `infos["final_info"]`.

    Args:
        num_envs: N ≥ 1.
        tape, settings, rows: as for PortfolioEnv.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        tape: PortfolioTape | None = None,
        settings: PortfolioSettings | None = None,
        rows: RowRange | None = None,
    ) -> None:
        check_at_least("num_envs", num_envs, 1)
        tape = default_portfolio_tape() if tape is None else tape
        self.num_envs = num_envs
        self.batch = PortfolioBatch(num_envs, tape, settings or PortfolioSettings(), rows)
        self.tape, self.rows = self.batch.tape, self.batch.limits
        self.single_observation_space = self.batch.space
        self.single_action_space = self.batch.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._generators: list[np.random.Generator] = []

    @property
    def settings(self) -> PortfolioSettings:
        """Those of the newest stage."""
        return self.batch.settings

    def set_stage(self, stage: PortfolioStage) -> None:
        """Every account begins its next episode as `stage` says. Raises as PortfolioStage says."""
        self.batch.set_stage(stage)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin N episodes; account i is seeded with `seed + i`, or `seed[i]`.

        `options` are those of PortfolioEnv, for all accounts.
        """
        where = portfolio_options(options)
        self._seed(seed)
        self.batch.reset(range(self.num_envs), self._generators, [where] * self.num_envs)
        return self.batch.observe(), _with_masks(standing(self.batch), np.ones(self.num_envs, bool))

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One decision of every account; those whose episode ends stand in a new one afterwards.

        Raises:
            RegimeGymError: an action is NaN or outside the space; names the account.
        """
        batch, n = self.batch, self.num_envs
        rows = batch.tape_rows
        batch.step(actions)
        observation, infos = batch.observe(), stepped(batch, rows)
        rewards = batch.result.reward[:n].copy()
        terminated, truncated = batch.terminated.copy(), batch.truncated.copy()
        ended = terminated | truncated
        if ended.any():
            observation, infos = self._begin_anew(ended, observation, infos)
        else:
            infos = _with_masks(infos, np.ones(n, bool))
        return observation, rewards, terminated, truncated, infos

    def _seed(self, seed: int | list[int | None] | None) -> None:
        if seed is None and self._generators:
            return
        n = self.num_envs
        seeds: Sequence[int | None]
        seeds = range(seed, seed + n) if isinstance(seed, int) else seed or [None] * n
        if len(seeds) != n:
            raise ConfigError("wrong-seeds", f"needed {n} seeds, one per account, got {len(seeds)}")
        self._generators = [np_random(one)[0] for one in seeds]
        self._np_random, self._np_random_seed = self._generators[0], seeds[0]
        self.batch.episodes[:] = 0

    def _begin_anew(
        self, ended: np.ndarray, last: dict[str, np.ndarray], infos: dict[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Reset the accounts `ended`; their last observation and info move to final_obs, final_info."""
        which = np.flatnonzero(ended)
        final_obs = np.full(self.num_envs, None, object)
        for i in which:
            final_obs[i] = {name: value[i].copy() for name, value in last.items()}
        final_info = {name: _choose(ended, value, np.zeros_like(value)) for name, value in infos.items()}
        ends = [self.batch.episode_end(int(i)) for i in which]
        for name in EpisodeEnd._fields:
            values = np.array([getattr(end, name) for end in ends])
            is_text = values.dtype.kind == "U"  # gymnasium has None where no account says anything
            final_info[name] = np.full(self.num_envs, None) if is_text else np.zeros(self.num_envs, values.dtype)
            final_info[name][which] = values
        self.batch.reset(which, self._generators)
        begun = standing(self.batch)
        merged: dict[str, Any] = {"final_obs": final_obs, "_final_obs": ended.copy()}
        merged |= {"final_info": _with_masks(final_info, ended), "_final_info": ended.copy()}
        for name, value in infos.items():
            if name in begun:
                merged |= _with_masks({name: _choose(ended, begun[name], value)}, np.ones_like(ended))
            elif not ended.all():  # gymnasium leaves out what no account has
                merged |= _with_masks({name: _choose(ended, np.zeros_like(value), value)}, ~ended)
        return self.batch.observe(), merged


def standing(batch: PortfolioBatch) -> dict[str, np.ndarray]:
    """What an info says of the row an account stands on, N of each."""
    n = batch.n
    return {
        "row": batch.tape_rows,
        "tape": batch.tape_indices,
        "equity": batch.accounts.equity[:n].copy(),
        "exposure": batch.accounts.exposure[:n].copy(),
    }


def stepped(batch: PortfolioBatch, rows: np.ndarray) -> dict[str, np.ndarray]:
    """What an info says of the decision taken on `rows`, N of each."""
    n = batch.n
    return standing(batch) | {
        "row": rows,
        "log_return": batch.result.log_return[:n].copy(),
        "traded": batch.result.traded[:n] > 0,
    }


def account_infos(infos: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """The info of each of N accounts: Python numbers, and an array (M,) of exposures."""
    columns = [list(value) if value.ndim > 1 else value.tolist() for value in infos.values()]
    return [dict(zip(infos, values, strict=True)) for values in zip(*columns, strict=True)]


def _choose(mask: np.ndarray, there: np.ndarray, elsewhere: np.ndarray) -> np.ndarray:
    """`there` for the accounts of `mask`, else `elsewhere`; (N,) or (N, M)."""
    return np.where(mask if there.ndim == 1 else mask[:, None], there, elsewhere)


def _with_masks(infos: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, np.ndarray]:
    """gymnasium's convention: beside every `name` stands `_name`, True where an account has it."""
    return infos | {f"_{name}": mask.copy() for name in infos}


def portfolio_options(options: dict[str, Any] | None) -> ResetOptions:
    """The checked options of a reset; a portfolio trades all its symbols, so only `start` can be chosen."""
    for name in options or {}:
        if name != "start":
            raise ConfigError("unknown-option", f"reset of a portfolio has no option '{name}'", needed="start")
    return reset_options(options)
