"""What one step of N accounts hands out: arrays that stand by themselves, or two sets that take turns."""

from collections.abc import Callable

import numpy as np
from numba import njit

from regimegym.envs.observation import ACCOUNT_FIELDS, write_account_blocks
from regimegym.envs.results import LOG_RETURN, REWARD, TRADED
from regimegym.envs.rolling import OwnWindows, RollingWindows, Windows
from regimegym.envs.state import DONE, EQUITY, EXPOSURE


class Outputs:
    """Room for what one step of N accounts says.

    Attributes:
        observation: `account` (N, K) float32 and `market` (N, W, F) float32 or `row` (N, 1) int64.
        reward: (N,) float64.
        terminated, truncated: (N,) bool, never both.
        row, regime: (N,) int64, where the decision was taken.
        log_return, equity, exposure: (N,) float64.
        traded: (N,) bool.
    """

    __slots__ = (
        "equity", "exposure", "log_return", "observation", "regime",
        "reward", "row", "terminated", "traded", "truncated", "windows",
    )  # fmt: skip

    def __init__(self, n: int, windows: Windows | None) -> None:
        """Room for N accounts; without `windows` the observation is a reference."""
        self.windows = windows
        self.observation = {"account": np.empty((n, len(ACCOUNT_FIELDS)), np.float32)}
        if windows is None:
            self.observation["row"] = np.empty((n, 1), np.int64)
        self.reward, self.log_return, self.equity, self.exposure = np.empty((4, n))
        self.row, self.regime = np.empty((2, n), np.int64)
        self.terminated, self.truncated, self.traded = np.empty((3, n), bool)


def separate(observation: dict[str, np.ndarray], which: np.ndarray) -> list[dict[str, np.ndarray]]:
    """What each of the accounts `which` (n,) sees, copied out of the `observation` of all."""
    (name, ours), (other_name, others) = ((name, value[which]) for name, value in observation.items())
    return [{name: one, other_name: other} for one, other in zip(ours, others, strict=True)]


def outputs_of(n: int, window: tuple[int, int] | None, copy: bool) -> Callable[[], Outputs]:
    """A function that gives the room for the next step.

    Args:
        n: N.
        window: (W, F), None for references.
        copy: whether every step gets room of its own. Otherwise two sets take turns: what a step
            handed out stays as it is through the next step, and is written over by the one after.
    """
    if copy:
        return lambda: Outputs(n, OwnWindows(n, window) if window else None)
    sets = [Outputs(n, RollingWindows(n, window) if window else None) for _ in range(2)]

    def take_turns() -> Outputs:
        sets.reverse()
        return sets[0]

    return take_turns


@njit(cache=True, error_model="numpy")
def report_step(
    bars: np.ndarray,
    values: np.ndarray,
    results: np.ndarray,
    window: int,
    references: np.ndarray,
    last_references: np.ndarray,
    n_rows: int,
    account: np.ndarray,
    floats: tuple,
    integers: tuple,
    flags: tuple,
) -> int:
    """Write what a step did into Outputs and move the accounts on to the next row; returns how many episodes ended.

    Args:
        bars, values, results: after the step; `references` are still those of the decisions.
        window: W of recent trades.
        references, last_references: as in AccountBatch.
        n_rows: T of each of the tapes that lie end to end.
        account, floats, integers, flags: arrays of Outputs: (reward, log_return, equity, exposure), (row, regime),
            (terminated, truncated, traded).
    """
    reward, log_return, equity, exposure = floats
    row, regime = integers
    terminated, truncated, traded = flags
    n = len(references)
    for i in range(n):  # by loops: assignments of arrays take seconds to compile
        reward[i], log_return[i] = results[REWARD, i], results[LOG_RETURN, i]
        equity[i], exposure[i] = values[EQUITY, i], values[EXPOSURE, i]
        row[i] = references[i]
    if len(bars) > n_rows:
        for i in range(n):
            row[i] %= n_rows
    for i in range(n):
        regime[i] = bars[np.uint64(references[i])].regime
        references[i] += 1
    n_ended = 0
    for i in range(n):
        is_done = values[DONE, i] > 0
        is_over = not is_done and references[i] >= last_references[i]
        terminated[i], truncated[i], traded[i] = is_done, is_over, results[TRADED, i] > 0
        n_ended += is_done or is_over
    write_account_blocks(bars, references, values, window, account)
    return n_ended
