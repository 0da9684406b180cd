"""TradingEnv: one account as a gymnasium environment."""

from typing import Any

import gymnasium
import numpy as np

from regimegym.common.errors import ConfigError, RegimeGymError
from regimegym.envs.batch import AccountBatch
from regimegym.envs.default_market import default_tape
from regimegym.envs.results import LOG_RETURN, REWARD, TRADED
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import CASH, EQUITY, EXPOSURE, UNITS
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape


class TradingEnv(gymnasium.Env):
    """Trade one instrument along a tape (DEFINITIONS §5 and §6).

    An observation on row t holds bars up to and including t. `step` fills the order (by default at
    the next open) and carries the account to close t+1. `terminated` is a liquidation, `truncated`
    the end of the episode's length.

    Args:
        tape: the market; a small built-in synthetic one where None.
        settings: EnvSettings; the defaults where None.
        rows: rows of the tape episodes may use; all after the warm-up where None.
        observation: `window` (features of the last W bars) or `reference` (the tape row).
        render_mode: `ansi` or None.

    Raises:
        DataError: too few rows for one episode.
        ConfigError: an unknown observation or render mode.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        tape: MarketTape | None = None,
        settings: EnvSettings | None = None,
        rows: RowRange | None = None,
        observation: str = "window",
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ConfigError("unknown-render-mode", f"'render_mode' must be ansi or None, got '{render_mode}'")
        tape = default_tape() if tape is None else tape
        self.batch = AccountBatch(1, tape, settings or EnvSettings(), rows, observation)
        self.tape, self.settings, self.rows = self.batch.tape, self.batch.settings, self.batch.limits
        self.render_mode = render_mode
        self.observation_space = self.batch.space
        self.action_space = self.batch.actions.space
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin an episode; `seed` decides its start row. There are no `options`."""
        super().reset(seed=seed)
        if options:
            raise ConfigError("unknown-option", f"reset has no options, got {', '.join(options)}")
        if seed is not None:
            self.batch.episodes[:] = 0
        self.batch.reset([0], [self.np_random])
        self._running = True
        row = int(self.batch.rows[0])
        values = self.batch.accounts.values
        info = {
            "row": row,
            "regime": int(self.tape.regimes[row]),
            "equity": float(values[EQUITY, 0]),
            "exposure": 0.0,
        }
        return self._observation(), info

    def step(self, action: Any) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Decide on the current row and live through the next bar.

        Raises:
            RegimeGymError: the action is NaN or outside the space, or the episode is over.
        """
        if not self._running:
            raise RegimeGymError("no-episode", "step was called without an episode: call reset first")
        batch = self.batch
        row = int(batch.rows[0])
        batch.step(action)
        accounts, result = batch.accounts.values, batch.result.values
        terminated, truncated = bool(batch.terminated[0]), bool(batch.truncated[0])
        info = {
            "row": row,
            "regime": int(self.tape.regimes[row]),
            "log_return": float(result[LOG_RETURN, 0]),
            "equity": float(accounts[EQUITY, 0]),
            "exposure": float(accounts[EXPOSURE, 0]),
            "traded": bool(result[TRADED, 0]),
        }
        if terminated or truncated:
            self._running = False
            info |= batch.episode_end(0)._asdict()
        return self._observation(), float(result[REWARD, 0]), terminated, truncated, info

    def action_masks(self) -> np.ndarray:
        """(A,) bool, the admissible actions (all of them); for algorithms that mask."""
        return self.batch.actions.masks(1)[0]

    def render(self) -> str | None:
        """One line: row, close, units, cash, equity, exposure; None without a render mode."""
        if self.render_mode is None:
            return None
        row = int(self.batch.rows[0])
        values = self.batch.accounts.values[:, 0]
        return (
            f"row {row}  close {self.tape.close[row]:.6g}  units {values[UNITS]:.6g}"
            f"  cash {values[CASH]:.2f}  equity {values[EQUITY]:.2f}  exposure {values[EXPOSURE]:+.3f}"
        )

    def _observation(self) -> dict[str, np.ndarray]:
        return {name: value[0] for name, value in self.batch.observe().items()}
