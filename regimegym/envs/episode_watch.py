"""EpisodeWatch: follows one account of a batch through its episode, for pictures and figures."""

from typing import TYPE_CHECKING, Any

import numpy as np

from regimegym.common.checks import check_number
from regimegym.common.errors import ConfigError
from regimegym.envs.render import EpisodeHistory, draw_frame, plot_episode

if TYPE_CHECKING:
    from regimegym.envs.batch import AccountBatch


class EpisodeWatch:
    """Keeps what happened to `account` since its episode began.

    AccountBatch tells its watch of every step, before an episode that ended begins anew, and of
    every new episode; whatever advances accounts by other ways must call `stepped` too.

    Attributes:
        history: of the running episode, until the next step the whole one where it has just ended
            by a step that began no other; None before the first.

    Raises:
        ConfigError: the batch has no such account.
    """

    def __init__(self, batch: "AccountBatch", account: int) -> None:
        check_number(
            "render_account", account, f"a whole number in [0, {batch.n})", lambda v: v == int(v) and 0 <= v < batch.n
        )
        self._batch, self.account = batch, account
        self.history: EpisodeHistory | None = None

    def began(self, which: np.ndarray) -> None:
        """The accounts `which` stand at the start of a new episode."""
        if not (np.asarray(which) == self.account).any():
            return
        batch, i = self._batch, self.account
        tape, row = divmod(int(batch.references[i]), len(batch.tapes[0]))
        length = int(batch.last_references[i] - batch.references[i])
        self.history = EpisodeHistory(batch.tapes[tape], row, row + length, float(batch.accounts.equity[i]))

    def stepped(self) -> None:
        """All accounts have taken a step; none has begun a new episode yet."""
        if self.history is not None:
            batch, i = self._batch, self.account
            hold = float(batch.hold_equities(np.array([i]))[0])
            self.history.add(float(batch.accounts.equity[i]), hold, batch.fills_of(i))

    def frame(self) -> np.ndarray | None:
        """(480, 640, 3) uint8 RGB of the episode so far; None before the first."""
        return None if self.history is None else draw_frame(self.history)

    def figure(self) -> Any:
        """The episode so far as a plotly Figure.

        Raises:
            ConfigError: no episode has begun.
            MachineError: plotly is not installed.
        """
        if self.history is None:
            raise nothing_recorded()
        return plot_episode(self.history)


def nothing_recorded() -> ConfigError:
    """What a figure of an environment without a watch, or without an episode, raises."""
    return ConfigError(
        "nothing-recorded",
        "there is no recorded episode to plot",
        needed="an environment built with a render_mode (rgb_array) and a reset",
    )


def check_render_mode(mode: str | None) -> None:
    """Raise ConfigError unless `mode` is one a vector environment has: rgb_array or None."""
    if mode not in (None, "rgb_array"):
        raise ConfigError(
            "unknown-render-mode", f"'render_mode' of many accounts must be rgb_array or None, got '{mode}'"
        )
