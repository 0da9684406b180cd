"""What targets that are known beforehand would have done: the account of a rollout in one compiled loop.

A rule that looks at the market alone knows its targets for all bars before the first step. Its
trajectory is that of `rollout`, number by number, without asking a policy at every bar.
"""

import numpy as np
from numba import njit

from regimegym.envs.actions import ActionTranslator
from regimegym.envs.kernel import step_kernel
from regimegym.envs.results import FILL, LOG_RETURN, MAX_FILLS, N_FILLS, REWARD, new_result
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import CASH, EQUITY, EXPOSURE, UNITS, bar_records, new_accounts, rule_record
from regimegym.envs.trades import FILL_DTYPE
from regimegym.evaluate.trajectory import Trajectory
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape

FIRST_ROOM = 1 << 12  # fills that are made room for at first


def replay_actions(tape: MarketTape, settings: EnvSettings, rows: RowRange, actions: np.ndarray) -> Trajectory:
    """The trajectory of an account that takes `actions` (n,) or (n, 1) at the rows start … stop − 2.

    A reward of the user's own is not paid: shaped rewards are 0 there.
    """
    translator = ActionTranslator(settings.action, settings.account.max_leverage)
    targets = translator.targets(actions, rows.count - 1)
    return replay_targets(tape, settings, rows, targets, actions)


def replay_targets(
    tape: MarketTape,
    settings: EnvSettings,
    rows: RowRange,
    targets: np.ndarray,
    actions: np.ndarray,
) -> Trajectory:
    """As `replay_actions`, with the target weights (n,) said themselves; NaN keeps the position."""
    bars = bar_records(tape, settings.account.carry_clock)
    account = new_accounts(1, settings)
    room, n = new_result(account), rows.count - 1
    marks, steps = np.empty((4, n + 1)), np.empty((2, n))
    marks[:, 0] = account.values[[CASH, UNITS, EQUITY, EXPOSURE], 0]
    rules, kept = rule_record(settings), []
    fills, owners = np.empty(FIRST_ROOM, FILL), np.empty(FIRST_ROOM, np.int64)
    done = 0
    while done < n:
        done, count = _replay(
            bars, rules, rows.start, done, n, targets, account.values, account.ring, room.values, room.fills,
            marks, steps, fills, owners,
        )  # fmt: skip
        kept.append(_fills(owners[:count], fills[:count]))
    segment = tape.segment_of(rows.start)
    return Trajectory(
        first_row=rows.start,
        timestamps=tape.timestamps[rows.start : rows.stop],
        timeframe_ns=segment.timeframe_ns,
        close=tape.close[rows.start : rows.stop],
        equity=marks[2],
        cash=marks[0],
        units=marks[1],
        exposure=marks[3],
        regimes=tape.regimes[rows.start : rows.stop - 1],
        actions=np.asarray(actions),
        log_returns=steps[1],
        shaped_rewards=steps[0],
        fills=np.concatenate(kept),
        periods_per_year=segment.periods_per_year,
        terminated=bool(account.done[0]),
    )


def _fills(owners: np.ndarray, fills: np.ndarray) -> np.ndarray:
    """FILL_DTYPE of the kernel's records and the steps that made them."""
    found = np.empty(len(fills), FILL_DTYPE)
    found["step"], found["side"] = owners, np.where(fills["units"] > 0, 1, -1)
    found["units"] = np.abs(fills["units"])
    for name in ("row", "mid", "price", "fee", "reason"):
        found[name] = fills[name]
    return found


@njit(cache=True, error_model="numpy")
def _replay(
    bars: np.ndarray,
    rules: np.ndarray,
    start: int,
    first: int,
    n: int,
    targets: np.ndarray,
    account: np.ndarray,
    ring: np.ndarray,
    results: np.ndarray,
    room: np.ndarray,
    marks: np.ndarray,
    steps: np.ndarray,
    fills: np.ndarray,
    owners: np.ndarray,
) -> tuple[int, int]:
    """Steps first … until all n are done or the room for fills is full; (next step, fills written)."""
    row, target, count = np.zeros(1, np.int64), np.zeros(1), 0
    for k in range(first, n):
        if count + MAX_FILLS > len(fills):
            return k, count
        row[0], target[0] = start + k, targets[k]
        step_kernel(bars, rules, row, target, account, ring, account, ring, results, room)
        marks[0, k + 1], marks[1, k + 1] = account[CASH, 0], account[UNITS, 0]
        marks[2, k + 1], marks[3, k + 1] = account[EQUITY, 0], account[EXPOSURE, 0]
        steps[0, k], steps[1, k] = results[REWARD, 0], results[LOG_RETURN, 0]
        for j in range(int(results[N_FILLS, 0])):
            fills[count], owners[count] = room[0, j], k
            count += 1
    return n, count
