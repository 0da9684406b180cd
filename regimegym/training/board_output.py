"""What stable-baselines3 logs, written to our board: one event file, our groups, nothing twice."""

from numbers import Real
from typing import Any

from stable_baselines3.common.logger import KVWriter

from regimegym.training.board import Board

# Shown by our own tags, or the step axis itself.
LEFT_OUT = (
    "rollout/ep_rew_mean",
    "time/fps",
    "time/iterations",
    "time/episodes",
    "time/time_elapsed",
    "time/total_timesteps",
)
RENAMED = {"rollout/epsilon": "train/epsilon", "rollout/ep_len_mean": "env/episode_length"}


class BoardOutput(KVWriter):
    """A format of SB3's logger."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """File the numbers of one dump."""
        numbers = {
            RENAMED.get(key, key): float(value)
            for key, value in key_values.items()
            if isinstance(value, Real) and key not in LEFT_OUT and "tensorboard" not in (key_excluded.get(key) or ())
        }
        self._board.scalars(step, numbers)

    def close(self) -> None:
        """The board is closed by whoever opened it."""
