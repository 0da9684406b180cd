"""TradingVecEnv: N accounts as one stable-baselines3 vector environment."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode

from regimegym.common.checks import check_at_least
from regimegym.envs.accounts_vec_env import AccountsVecEnv
from regimegym.envs.batch import AccountBatch, EpisodeEnd
from regimegym.envs.batch_state import batch_state, load_batch_state
from regimegym.envs.default_market import default_tape
from regimegym.envs.episode_watch import EpisodeWatch, check_render_mode
from regimegym.envs.outputs import Outputs, outputs_of, separate
from regimegym.envs.reset_options import NO_OPTIONS, ResetOptions, reset_options
from regimegym.envs.settings import EnvSettings
from regimegym.envs.stages import Stage
from regimegym.envs.state import REWARD_SUM
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape


class TradingVecEnv(AccountsVecEnv):
    """N accounts on one tape, number by number what N TradingEnv in a DummyVecEnv would be.

    Account i draws its starts from a generator of its own, seeded `random_seed + i`, or by
    `seed(s)` with `s + i` from the next reset on; `set_options` takes the reset options of
    TradingEnv. Each account has one info dictionary, written anew at every step: copy what you
    keep. Infos of finished episodes are dictionaries of their own that also hold what Monitor
    would write: `episode` {r, l, t}; and `terminal_observation`, `TimeLimit.truncated`.

    Args:
        n_envs: N ≥ 1.
        tape, settings, rows, observation: as for TradingEnv.
        random_seed: seed of the first account's starts.
        render_mode: `rgb_array` or None.
        render_account: the account that pictures show.
    """

    shared: ClassVar[tuple[str, ...]] = ("set_stage", "state", "load_state")
    each: ClassVar[tuple[str, ...]] = ("action_masks",)

    def __init__(
        self,
        n_envs: int = 1,
        tape: MarketTape | None = None,
        settings: EnvSettings | None = None,
        rows: RowRange | None = None,
        random_seed: int = 0,
        observation: str = "window",
        render_mode: str | None = None,
        render_account: int = 0,
    ) -> None:
        check_at_least("n_envs", n_envs, 1)
        check_render_mode(render_mode)
        tape = default_tape() if tape is None else tape
        self.batch = AccountBatch(n_envs, tape, settings or EnvSettings(), rows, observation)
        self.rows = self.batch.limits
        self.render_mode = render_mode
        if render_mode is not None:
            self.batch.watch = EpisodeWatch(self.batch, render_account)
        super().__init__(n_envs, self.batch.space, self.batch.actions.space, random_seed)
        self.metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "autoreset_mode": AutoresetMode.SAME_STEP}
        self._room = outputs_of(n_envs, self.batch.window, copy=True)
        self._first_tape = [0] * n_envs
        self._step_infos: list[dict[str, Any]] = [{} for _ in range(n_envs)]

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

    def action_masks(self) -> np.ndarray:
        """(N, A) bool, the admissible actions; see ActionTranslator.masks."""
        return self.batch.masks()

    def state(self) -> dict[str, Any]:
        """Everything that decides how the episodes go on, as plain numbers and arrays.

        Stages set by `set_stage` are not in it: set them again, in their order, before `load_state`.
        """
        return {
            "batch": batch_state(self.batch),
            "generators": [generator.bit_generator.state for generator in self._generators],
            "seeds": list(self._seeds),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`, for an environment built with the same arguments."""
        load_batch_state(self.batch, state["batch"])
        self._generators = [np_random(0)[0] for _ in state["generators"]]
        for generator, saved in zip(self._generators, state["generators"], strict=True):
            generator.bit_generator.state = saved
        self._seeds = list(state["seeds"])

    def reset(self) -> dict[str, np.ndarray]:
        """Begin N episodes; seeds and options set before apply once."""
        options = [reset_options(option) for option in self._options]
        self._use_seeds()
        everyone = np.arange(self.num_envs)
        self._begin(everyone, None if all(option == NO_OPTIONS for option in options) else options)
        return self.batch.observe()

    def step_wait(self) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """One decision of every account; those whose episode ends stand in a new one afterwards."""
        batch = self.batch
        batch.decide(self._actions)
        tapes = batch.tape_indices.tolist() if len(batch.tapes) > 1 else self._first_tape
        out = self._room()
        n_ended = batch.step(out)
        infos, dones = self._infos(out, tapes), out.terminated | out.truncated
        if n_ended:
            ended = np.flatnonzero(dones)
            columns = (column.tolist() for column in batch.episode_ends(ended).values())
            ends = map(EpisodeEnd._make, zip(*columns, strict=True))
            for i, end, last in zip(ended.tolist(), ends, separate(out.observation, ended), strict=True):
                infos[i] = infos[i] | self._end_info(end, float(batch.accounts.values[REWARD_SUM, i]), last)
            self._begin(ended)
            batch.show_begun(ended, out)
        return dict(out.observation), out.reward.astype(np.float32), dones, infos

    def get_images(self) -> Sequence[np.ndarray | None]:
        """One picture (480, 640, 3) uint8, which `render` returns: the running episode of `render_account`."""
        return [] if self.batch.watch is None else [self.batch.watch.frame()]

    def _begin(self, which: np.ndarray, options: list[ResetOptions] | None = None) -> None:
        batch = self.batch
        batch.reset(which, self._generators, options)
        tapes, rows = np.divmod(batch.references[which], len(self.tape))
        regimes = batch.bars["regime"][batch.references[which]]
        equities = batch.accounts.equity[which]
        columns = (which, rows, tapes, regimes, equities, *batch.markets_of(which))
        for i, row, tape, regime, equity, symbol, timeframe in zip(*(c.tolist() for c in columns), strict=True):
            self.reset_infos[i] = {
                "row": row,
                "tape": tape,
                "regime": regime,
                "equity": equity,
                "exposure": 0.0,
                "symbol": symbol,
                "timeframe": timeframe,
            }

    def _infos(self, out: Outputs, tapes: list[int]) -> list[dict[str, Any]]:
        """The infos of a step, in the accounts' own dictionaries."""
        columns = (
            out.row.tolist(),
            tapes,
            out.regime.tolist(),
            out.log_return.tolist(),
            out.equity.tolist(),
            out.exposure.tolist(),
            out.traded.tolist(),
            out.truncated.tolist(),
        )
        for info, row, tape, regime, log_return, equity, exposure, traded, truncated in zip(
            self._step_infos, *columns, strict=True
        ):
            info["row"] = row
            info["tape"] = tape
            info["regime"] = regime
            info["log_return"] = log_return
            info["equity"] = equity
            info["exposure"] = exposure
            info["traded"] = traded
            info["TimeLimit.truncated"] = truncated
        return self._step_infos.copy()
