"""TradingVectorEnv: N accounts as one gymnasium vector environment."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from regimegym.common.checks import check_at_least
from regimegym.common.errors import ConfigError
from regimegym.envs.batch import AccountBatch, EpisodeEnd
from regimegym.envs.default_market import default_tape
from regimegym.envs.reset_options import ResetOptions, reset_options
from regimegym.envs.settings import EnvSettings
from regimegym.envs.stages import Stage
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape


class TradingVectorEnv(VectorEnv):
    """N accounts on one tape, number by number what N TradingEnv would be.

    Account i draws its starts from a generator of its own, seeded `seed + i`. An episode that ends
    begins anew in the same step (AutoresetMode.SAME_STEP): the observation returned is the new
    episode's first, the last one of the old lies in `infos["final_obs"]`, its info in
    `infos["final_info"]`, with `episode` {r, l, t} as RecordEpisodeStatistics would write it.
    The masks of infos that every account has are one read-only array.

    Args:
        num_envs: N ≥ 1.
        tape, settings, rows, observation: as for TradingEnv.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        tape: MarketTape | None = None,
        settings: EnvSettings | None = None,
        rows: RowRange | None = None,
        observation: str = "window",
    ) -> None:
        check_at_least("num_envs", num_envs, 1)
        tape = default_tape() if tape is None else tape
        self.num_envs = num_envs
        self.batch = AccountBatch(num_envs, tape, settings or EnvSettings(), rows, observation)
        self.rows = self.batch.limits
        self.single_observation_space = self.batch.space
        self.single_action_space = self.batch.actions.space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._generators: list[np.random.Generator] = []
        self._began = np.zeros(num_envs)  # seconds of perf_counter
        self._everyone = np.ones(num_envs, bool)
        self._everyone.flags.writeable = False

    @property
    def tape(self) -> MarketTape:
        """The market the environment was built on."""
        return self.batch.tapes[0]

    @property
    def tapes(self) -> tuple[MarketTape, ...]:
        """It and the tapes of all stages so far; `tape` in an info is an index into them."""
        return tuple(self.batch.tapes)

    @property
    def settings(self) -> EnvSettings:
        """Those of the newest stage."""
        return self.batch.settings

    def set_stage(self, stage: Stage) -> None:
        """Every account begins its next episode as `stage` says. Raises as Stage says."""
        self.batch.set_stage(stage)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin N episodes; account i is seeded with `seed + i`, or `seed[i]`.

        `options` are those of TradingEnv, for all accounts.
        """
        where = reset_options(options)
        self._seed(seed)
        self._reset(np.arange(self.num_envs), [where] * self.num_envs)
        everyone = np.ones(self.num_envs, bool)
        return self.batch.observe(), self._with_all(self._begun() | self._markets(everyone))

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One decision of every account; those whose episode ends stand in a new one afterwards.

        Raises:
            RegimeGymError: an action is NaN or outside the space; names the account.
        """
        batch = self.batch
        infos = self._standing()
        batch.step(actions)
        result = batch.result
        observation = batch.observe()
        rewards = result.reward.copy()
        terminated, truncated = batch.terminated.copy(), batch.truncated.copy()
        infos |= {
            "log_return": result.log_return.copy(),
            "equity": batch.accounts.equity.copy(),
            "exposure": batch.accounts.exposure.copy(),
            "traded": result.traded > 0,
        }
        ended = np.flatnonzero(terminated | truncated)
        if len(ended):
            observation, infos = self._begin_anew(ended, observation, infos)
        else:
            infos = self._with_all(infos)
        return observation, rewards, terminated, truncated, infos

    def action_masks(self) -> np.ndarray:
        """(N, A) bool, the admissible actions; see ActionTranslator.masks."""
        return self.batch.masks()

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

    def _reset(self, which: np.ndarray, options: list[ResetOptions] | None = None) -> None:
        self.batch.reset(which, self._generators, options)
        self._began[which] = time.perf_counter()

    def _standing(self) -> dict[str, np.ndarray]:
        """Where every account stands."""
        batch = self.batch
        return {"row": batch.tape_rows, "tape": batch.tape_indices, "regime": batch.regimes}

    def _begun(self) -> dict[str, np.ndarray]:
        """What every account's info says at the start of an episode."""
        return self._standing() | {
            "equity": self.batch.accounts.equity.copy(),
            "exposure": self.batch.accounts.exposure.copy(),
        }

    def _markets(self, mask: np.ndarray) -> dict[str, np.ndarray]:
        """Where the accounts of `mask` trade, (N,) each; None for the others."""
        columns = {name: np.full(self.num_envs, None, object) for name in ("symbol", "timeframe")}
        for i in np.flatnonzero(mask):
            columns["symbol"][i], columns["timeframe"][i] = self.batch.market_of(int(i))
        return columns

    def _end_infos(self, ended: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
        """Statistics of the finished episodes, (N,) each; 0 (None for texts) where none finished."""
        ends = self.batch.episode_ends(ended)
        columns: dict[str, Any] = {}
        for name in EpisodeEnd._fields:
            values = np.array([getattr(end, name) for end in ends])
            is_text = values.dtype.kind == "U"  # gymnasium has None where no account says anything
            columns[name] = np.full(self.num_envs, None) if is_text else np.zeros(self.num_envs, values.dtype)
            columns[name][ended] = values
        seconds = np.round(time.perf_counter() - self._began, 6)
        episode = {
            "r": _where(mask, self.batch.accounts.reward_sum),
            "l": columns["episode_length"],
            "t": _where(mask, seconds),
        }
        return columns | {"episode": _with_masks(episode, mask)}

    def _begin_anew(
        self, ended: np.ndarray, last: dict[str, np.ndarray], infos: dict[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Reset the accounts `ended`; their last observation and info move to final_obs, final_info."""
        mask = np.zeros(self.num_envs, bool)
        mask[ended] = True
        final_obs = np.full(self.num_envs, None, object)
        for i in ended:
            final_obs[i] = {name: value[i].copy() for name, value in last.items()}
        final_info = {name: _where(mask, value) for name, value in infos.items()} | self._end_infos(ended, mask)
        self._reset(ended)
        begun = self._begun()
        merged: dict[str, Any] = {"final_obs": final_obs, "_final_obs": mask}
        merged |= {"final_info": _with_masks(final_info, mask), "_final_info": mask.copy()}
        merged |= _with_masks(self._markets(mask), mask)
        for name, value in infos.items():
            if name in begun:
                merged |= self._with_all({name: np.where(mask, begun[name], value)})
            elif not mask.all():  # gymnasium leaves out what no account has
                merged |= _with_masks({name: _where(~mask, value)}, ~mask)
        return self.batch.observe(), merged

    def _with_all(self, infos: dict[str, np.ndarray]) -> dict[str, Any]:
        return infos | {f"_{name}": self._everyone for name in infos}


def _where(mask: np.ndarray, value: np.ndarray) -> np.ndarray:
    """`value` where `mask`, else 0, in its own dtype."""
    return np.where(mask, value, np.zeros((), value.dtype))


def _with_masks(infos: dict[str, Any], mask: np.ndarray) -> dict[str, Any]:
    """gymnasium's convention: beside every `name` stands `_name`, True where an account has it."""
    return infos | {f"_{name}": mask.copy() for name in infos}
