"""A walk that stays in compiled code: one account over its bars, around the kernel that every step goes through.

What the account does is known beforehand (targets), or decided on the way by heads over a table of encodings
(agents.folded_heads): look at the account, value the actions, take the best, step. Either way it is what
`rollout` does bar by bar, with the same bits.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from regimegym.agents.folded_heads import FoldedHeads, write_values
from regimegym.envs.actions import KEEP
from regimegym.envs.kernel import step_kernel
from regimegym.envs.observation import ACCOUNT_FIELDS, write_account_blocks
from regimegym.envs.results import FILL, LOG_RETURN, MAX_FILLS, N_FILLS, REWARD, new_result
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import CASH, EQUITY, EXPOSURE, UNITS, new_accounts, rule_record
from regimegym.envs.trades import FILL_DTYPE
from regimegym.evaluate.trajectory import Lived

FIRST_ROOM = 1 << 12  # fills that are made room for at first
MARKS = (CASH, UNITS, EQUITY, EXPOSURE)


class Decided(NamedTuple):
    """What an account did that decided for itself, and scores (n, A) float32, the values of its actions."""

    lived: Lived
    scores: np.ndarray


class Deciding(NamedTuple):
    """How an account decides.

    Attributes:
        heads: values of the actions.
        first: the row of their table on which the first decision stands.
        weights: (A,) the actions' target weights; NaN keeps the position.
        delay: steps that a decision waits for before it is an order.
    """

    heads: FoldedHeads
    first: int
    weights: np.ndarray
    delay: int


NOTHING = np.zeros((0, 0), np.float32)
NOT_AT_ALL = Deciding(FoldedHeads(NOTHING, NOTHING, NOTHING, np.zeros(0, np.float32)), 0, np.zeros(0), 0)


def live_by_targets(
    bars: np.ndarray, settings: EnvSettings, start: int, targets: np.ndarray, actions: np.ndarray
) -> Lived:
    """The steps of an account that is told its target weights (n,) from row `start` on, as `actions` meant them.

    A reward of the user's own is not paid: shaped rewards are 0 there.
    """
    told = np.array(targets, np.float64)  # the loop is compiled for targets that it may write
    lived = _live(bars, settings, start, len(told), NOT_AT_ALL, told, np.zeros(0, np.int64), NOTHING)
    return lived._replace(actions=actions)


def live_by_heads(bars: np.ndarray, settings: EnvSettings, start: int, n: int, deciding: Deciding) -> Decided:
    """n steps of an account that takes the best action on every row from `start` on.

    A reward of the user's own is not paid, as in `live_by_targets`.
    """
    actions, scores = np.empty(n, np.int64), np.empty((n, len(deciding.weights)), np.float32)
    targets = np.full(n + deciding.delay, KEEP)
    return Decided(_live(bars, settings, start, n, deciding, targets, actions, scores), scores)


def _live(
    bars: np.ndarray,
    settings: EnvSettings,
    start: int,
    n: int,
    deciding: Deciding,
    targets: np.ndarray,
    actions: np.ndarray,
    scores: np.ndarray,
) -> Lived:
    account, rules = new_accounts(1, settings), rule_record(settings)
    room, kept = new_result(account), []
    marks, steps = np.empty((len(MARKS), n + 1)), np.empty((2, n))
    marks[:, 0] = account.values[list(MARKS), 0]
    fills, owners = np.empty(FIRST_ROOM, FILL), np.empty(FIRST_ROOM, np.int64)
    done = 0
    while done < n:
        done, count = _walk(
            bars, rules, start, done, n, deciding, targets, actions, scores,
            account.values, account.ring, room.values, room.fills, marks, steps, fills, owners,
        )  # fmt: skip
        kept.append(_fills(owners[:count], fills[:count]))
    return Lived(marks, steps, actions, np.concatenate(kept), bool(account.done[0]))


def _fills(owners: np.ndarray, fills: np.ndarray) -> np.ndarray:
    """FILL_DTYPE of the kernel's records and the steps that made them."""
    found = np.empty(len(fills), FILL_DTYPE)
    found["step"], found["side"] = owners, np.where(fills["units"] > 0, 1, -1)
    found["units"] = np.abs(fills["units"])
    for name in ("row", "mid", "price", "fee", "reason"):
        found[name] = fills[name]
    return found


@njit(cache=True, error_model="numpy")
def _walk(
    bars: np.ndarray,
    rules: np.ndarray,
    start: int,
    first: int,
    n: int,
    deciding: Deciding,
    targets: np.ndarray,
    actions: np.ndarray,
    scores: np.ndarray,
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
    block = np.empty((1, len(ACCOUNT_FIELDS)), np.float32)
    layer = np.empty(deciding.heads.table.shape[1], np.float32)
    for k in range(first, n):
        if count + MAX_FILLS > len(fills):
            return k, count
        row[0] = start + k
        if len(deciding.weights) > 0:
            write_account_blocks(bars, row, account, ring.shape[1], block)
            write_values(deciding.heads, deciding.first + k, block[0], layer, scores[k])
            actions[k] = np.argmax(scores[k])
            targets[k + deciding.delay] = deciding.weights[actions[k]]
        target[0] = targets[k]
        step_kernel(bars, rules, row, target, account, ring, account, ring, results, room)
        marks[0, k + 1], marks[1, k + 1] = account[CASH, 0], account[UNITS, 0]
        marks[2, k + 1], marks[3, k + 1] = account[EQUITY, 0], account[EXPOSURE, 0]
        steps[0, k], steps[1, k] = results[REWARD, 0], results[LOG_RETURN, 0]
        for j in range(int(results[N_FILLS, 0])):
            fills[count], owners[count] = room[0, j], k
            count += 1
    return n, count
