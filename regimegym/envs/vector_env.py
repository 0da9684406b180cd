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
from regimegym.envs.batch import AccountBatch
from regimegym.envs.default_market import default_tape
from regimegym.envs.episode_watch import EpisodeWatch, check_render_mode, nothing_recorded
from regimegym.envs.outputs import Outputs, outputs_of, separate
from regimegym.envs.reset_options import NO_OPTIONS, ResetOptions, reset_options
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
    The masks of infos are read-only, and so is `tape` while there is one only.

    Args:
        num_envs: N ≥ 1.
        tape, settings, rows, observation: as for TradingEnv.
        render_mode: `rgb_array` or None.
        render_account: the account that pictures and the figure show.
        copy: whether every step returns arrays of its own. False is faster: two sets of arrays take
            turns, so what a step (or reset) returned holds through the next step, and is written
            over by the one after it. What lies in final_obs and final_info is never written over.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "render_fps": 20,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        tape: MarketTape | None = None,
        settings: EnvSettings | None = None,
        rows: RowRange | None = None,
        observation: str = "window",
        render_mode: str | None = None,
        render_account: int = 0,
        copy: bool = True,
    ) -> None:
        check_at_least("num_envs", num_envs, 1)
        check_render_mode(render_mode)
        tape = default_tape() if tape is None else tape
        self.num_envs = num_envs
        self.batch = AccountBatch(num_envs, tape, settings or EnvSettings(), rows, observation)
        self.rows = self.batch.limits
        self.render_mode = render_mode
        if render_mode is not None:
            self.batch.watch = EpisodeWatch(self.batch, render_account)
        self.single_observation_space = self.batch.space
        self.single_action_space = self.batch.actions.space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._generators: list[np.random.Generator] = []
        self._began = np.zeros(num_envs)  # seconds of perf_counter
        self._room = outputs_of(num_envs, self.batch.window, copy)
        self._everyone = _read_only(np.ones(num_envs, bool))
        self._first_tape = _read_only(np.zeros(num_envs, np.int64))

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
        everyone = np.arange(self.num_envs)
        self._reset(everyone, None if where == NO_OPTIONS else [where] * self.num_envs)
        out = self._room()
        self.batch.show(out)
        self.batch.show_begun(everyone, out)
        infos: dict[str, Any] = {"row": out.row, "tape": self._tapes(), "regime": out.regime}
        infos |= {"equity": out.equity, "exposure": out.exposure}
        self._write_begun(everyone, out, infos["tape"])
        infos["symbol"], infos["timeframe"] = self.batch.markets_of(everyone)
        return dict(out.observation), _with_masks(infos, self._everyone)

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One decision of every account; those whose episode ends stand in a new one afterwards.

        Raises:
            RegimeGymError: an action is NaN or outside the space; names the account.
        """
        self.batch.decide(actions)
        out, tapes, everyone = self._room(), self._tapes(), self._everyone
        n_ended = self.batch.step(out)
        infos: dict[str, Any] = {
            "row": out.row, "_row": everyone,
            "tape": tapes, "_tape": everyone,
            "regime": out.regime, "_regime": everyone,
            "log_return": out.log_return, "_log_return": everyone,
            "equity": out.equity, "_equity": everyone,
            "exposure": out.exposure, "_exposure": everyone,
            "traded": out.traded, "_traded": everyone,
        }  # fmt: skip
        if n_ended:
            self._begin_anew(out, infos)
        return dict(out.observation), out.reward, out.terminated, out.truncated, infos

    def render(self) -> tuple[np.ndarray, ...] | None:
        """One picture (480, 640, 3) uint8: the running episode of `render_account`; None without a render mode."""
        frame = None if self.batch.watch is None else self.batch.watch.frame()
        return None if frame is None else (frame,)

    def episode_figure(self) -> Any:
        """It as a plotly Figure. Raises as EpisodeWatch.figure, also without a render mode."""
        if self.batch.watch is None:
            raise nothing_recorded()
        return self.batch.watch.figure()

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

    def _tapes(self) -> np.ndarray:
        """(N,) the tape each account stands on; a new array where there are several."""
        return self._first_tape if len(self.batch.tapes) == 1 else self.batch.tape_indices

    def _write_begun(self, which: np.ndarray, out: Outputs, tapes: np.ndarray) -> None:
        """What the infos of the accounts `which` say of their new episode."""
        batch = self.batch
        references = batch.references[which]
        out.row[which] = references % len(self.tape)
        if len(batch.tapes) > 1:
            tapes[which] = references // len(self.tape)
        out.regime[which] = batch.bars["regime"][references]
        out.equity[which], out.exposure[which] = batch.accounts.equity[which], 0.0

    def _end_infos(self, ended: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
        """Statistics of the finished episodes, (N,) each; 0 (None for texts) where none finished."""
        columns: dict[str, Any] = {}
        for name, values in self.batch.episode_ends(ended).items():
            is_text = values.dtype == object  # gymnasium has None where no account says anything
            columns[name] = np.full(self.num_envs, None) if is_text else np.zeros(self.num_envs, values.dtype)
            columns[name][ended] = values
        seconds = np.round(time.perf_counter() - self._began, 6)
        episode = {
            "r": _where(mask, self.batch.accounts.reward_sum),
            "l": columns["episode_length"],
            "t": _where(mask, seconds),
        }
        return columns | {"episode": _with_masks(episode, mask)}

    def _begin_anew(self, out: Outputs, infos: dict[str, Any]) -> None:
        """Reset the accounts whose episode ended; their last observation and info move to final_obs, final_info."""
        mask = _read_only(out.terminated | out.truncated)
        ended, names = np.flatnonzero(mask), [name for name in infos if name[0] != "_"]
        final_obs = np.full(self.num_envs, None, object)
        final_obs[ended] = separate(out.observation, ended)
        final_info = {name: _where(mask, infos[name]) for name in names} | self._end_infos(ended, mask)
        self._reset(ended)
        self.batch.show_begun(ended, out)
        self._write_begun(ended, out, infos["tape"])
        infos |= {"final_obs": final_obs, "_final_obs": mask}
        infos |= {"final_info": _with_masks(final_info, mask), "_final_info": mask}
        markets = {name: np.full(self.num_envs, None, object) for name in ("symbol", "timeframe")}
        markets["symbol"][ended], markets["timeframe"][ended] = self.batch.markets_of(ended)
        infos |= _with_masks(markets, mask)
        others = _read_only(~mask)
        for name in ("log_return", "traded"):  # of a step, which a new episode has not taken
            infos[name][ended] = 0
            infos[f"_{name}"] = others
            if len(ended) == self.num_envs:  # gymnasium leaves out what no account has
                del infos[name], infos[f"_{name}"]


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _where(mask: np.ndarray, value: np.ndarray) -> np.ndarray:
    """`value` where `mask`, else 0, in its own dtype."""
    return np.where(mask, value, np.zeros((), value.dtype))


def _with_masks(infos: dict[str, Any], mask: np.ndarray) -> dict[str, Any]:
    """gymnasium's convention: beside every `name` stands `_name`, True where an account has it."""
    return infos | {f"_{name}": mask for name in infos}
