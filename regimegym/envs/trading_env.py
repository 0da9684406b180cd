"""TradingEnv: one account as a gymnasium environment."""

from typing import Any

import gymnasium
import numpy as np

from regimegym.common.errors import ConfigError, RegimeGymError, nearest_name
from regimegym.envs.batch import AccountBatch
from regimegym.envs.default_market import default_tape
from regimegym.envs.episode_watch import EpisodeWatch, nothing_recorded
from regimegym.envs.render import EpisodeHistory, Window, draw_frame, has_display
from regimegym.envs.reset_options import reset_options
from regimegym.envs.settings import EnvSettings
from regimegym.envs.single_step import GOES_ON, TERMINATED, TRUNCATED, SingleStep
from regimegym.envs.stages import Stage
from regimegym.envs.state import CASH, EQUITY, EXPOSURE, UNITS
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape

ALONE = np.zeros(1, np.int64)  # the index of the only account
RENDER_MODES = ("ansi", "rgb_array", "human")


class TradingEnv(gymnasium.Env):
    """Trade along a tape (DEFINITIONS §5 and §6).

    An observation on row t holds bars up to and including t. `step` fills the order (by default at
    the next open) and carries the account to close t+1. `terminated` is a liquidation, `truncated`
    the end of the episode's length; never both.

    An info holds `row` and `tape` of the decision (or of the start), its `regime`, `equity` and
    `exposure`; of a reset also `symbol` and `timeframe`; of a step also `log_return` (unshaped)
    and `traded`; of an episode's last step also the fields of envs.batch.EpisodeEnd. With several
    tapes (`set_stage`) an observed reference is tape · T + row.

    Args:
        tape: the market; a small built-in synthetic one where None.
        settings: EnvSettings; the defaults where None.
        rows: rows of the tape episodes may use; all after the warm-up where None.
        observation: `window` (features of the last W bars) or `reference` (the tape row).
        render_mode: `ansi` (one line), `rgb_array` (a picture), `human` (a window) or None. The
            `metadata` of an environment lists `human` only where a window can be opened.

    Raises:
        DataError: too few rows for one episode.
        ConfigError: an unknown observation or render mode.
        MachineError: `human` where no window can be opened.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 20}  # noqa: RUF012

    def __init__(
        self,
        tape: MarketTape | None = None,
        settings: EnvSettings | None = None,
        rows: RowRange | None = None,
        observation: str = "window",
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *RENDER_MODES):
            raise ConfigError(
                "unknown-render-mode",
                f"'render_mode' must be {', '.join(RENDER_MODES)} or None, got '{render_mode}'",
                nearest=nearest_name(str(render_mode), RENDER_MODES),
            )
        self._window = Window("Regime Gym") if render_mode == "human" else None
        modes = [mode for mode in RENDER_MODES if mode != "human" or has_display()]
        self.metadata = self.metadata | {"render_modes": modes}  # gymnasium's checker tries every one
        tape = default_tape() if tape is None else tape
        self.batch = AccountBatch(1, tape, settings or EnvSettings(), rows, observation)
        self.rows = self.batch.limits
        self.render_mode = render_mode
        self.observation_space = self.batch.space
        self.action_space = self.batch.actions.space
        self._targets = self.batch.actions.known
        self._running = False
        self._single: SingleStep | None = None
        self._watch = None if render_mode is None else EpisodeWatch(self.batch, 0)
        self.batch.watch = self._watch

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
        """The next reset begins an episode as `stage` says. Raises as Stage says."""
        self.batch.set_stage(stage)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin an episode; `seed` decides its start row.

        Args:
            seed: of the starts from now on; None goes on drawing.
            options: `symbol`, `timeframe`, and `start`: a row counted from 0 within them, or a time
                as ISO text (UTC), which stands for the first bar that begins at it or later.

        Raises:
            ConfigError, DataError: an option that is unknown, or names no possible start.
        """
        where = reset_options(options)
        super().reset(seed=seed)
        if seed is not None:
            self.batch.episodes[:] = 0
        self.batch.reset([0], [self.np_random], [where])
        self._running = True
        if self._single is not None and not self._single.is_current():
            self._single = None
        equity = float(self.batch.accounts.values[EQUITY, 0])
        tape, row = divmod(int(self.batch.references[0]), len(self.tape))
        info: dict[str, Any] = {
            "row": row,
            "tape": tape,
            "regime": int(self.batch.regimes[0]),
            "equity": equity,
            "exposure": 0.0,
        }
        (info["symbol"],), (info["timeframe"],) = self.batch.markets_of(ALONE)
        if self.render_mode is not None:
            self._show()
        return {name: value[0] for name, value in self.batch.observe().items()}, info

    def step(self, action: Any) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Decide on the current row and live through the next bar.

        Raises:
            RegimeGymError: the action is NaN or outside the space, or the episode is over.
        """
        if not self._running:
            raise RegimeGymError("no-episode", "step was called without an episode: call reset first")
        single = self._single
        if single is None:
            single = self._single = SingleStep(self.batch)
        try:
            target = self._targets[action]
        except (KeyError, TypeError):  # of another kind, or outside
            target = self.batch.actions.target(action)
        rooms = single.rooms or single.make_room()
        observation = rooms.pop()
        row, regime, log_return, equity, exposure, traded, reward, outcome = single.advance(
            single.address, target, len(rooms)
        )
        info = {
            "row": row,
            "tape": single.tape,
            "regime": regime,
            "log_return": log_return,
            "equity": equity,
            "exposure": exposure,
            "traded": traded,
        }
        if single.rule is not None:
            reward = single.own_reward(single.rule)
        if self.batch.recorder is not None:
            self.batch.recorder.stepped()
        if self._watch is not None:
            self._watch.stepped()
            self._show()
        if outcome == GOES_ON:
            return observation, reward, False, False, info
        self._running = False
        info |= {name: column.tolist()[0] for name, column in self.batch.episode_ends(ALONE).items()}
        return observation, reward, outcome == TERMINATED, outcome == TRUNCATED, info

    def action_masks(self) -> np.ndarray:
        """(A,) bool, the admissible actions; see ActionTranslator.masks."""
        return self.batch.masks()[0]

    def render(self) -> str | np.ndarray | None:
        """The episode so far, before the first reset None.

        Returns:
            `ansi`: one line with row, close, units, cash, equity, exposure; `rgb_array`:
            (480, 640, 3) uint8; `human`: None, the window shows each step by itself.
        """
        if self._history is None or self.render_mode == "human":
            return None
        return draw_frame(self._history) if self.render_mode == "rgb_array" else self._line(self._history)

    def episode_figure(self) -> Any:
        """The episode so far as a plotly Figure: price with trades, equity, drawdown.

        Raises:
            ConfigError: nothing was recorded, because there is no render mode or no episode.
            MachineError: plotly is not installed.
        """
        if self._watch is None:
            raise nothing_recorded()
        return self._watch.figure()

    def close(self) -> None:
        """Close the window, where there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def __getstate__(self) -> dict[str, Any]:
        """Of a copy or a pickle: without the addresses of this one's arrays."""
        return self.__dict__ | {"_single": None}

    @property
    def _history(self) -> EpisodeHistory | None:
        """The recorded episode so far."""
        return None if self._watch is None else self._watch.history

    def _show(self) -> None:
        """In mode `human`, draw the episode so far into the window."""
        if self._window is None:
            return
        assert self._history is not None
        self._window.show(draw_frame(self._history), self.metadata["render_fps"])

    def _line(self, history: EpisodeHistory) -> str:
        values = self.batch.accounts.values[:, 0]
        return (
            f"row {history.row}  close {history.tape.close[history.row]:.6g}  units {values[UNITS]:.6g}"
            f"  cash {values[CASH]:.2f}  equity {values[EQUITY]:.2f}  exposure {values[EXPOSURE]:+.3f}"
        )
