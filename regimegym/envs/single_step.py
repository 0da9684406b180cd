"""The step of a single account as one compiled call: decide, live through the bar, look.

A call of a compiled function costs more for its arguments than one account's step itself, so everything it
reads and writes is handed over by address, in one table, and its compiled entry is called directly.
"""

from collections.abc import Callable
from sys import getrefcount

import numpy as np
from numba import carray, njit, types

from regimegym.envs.batch import AccountBatch
from regimegym.envs.custom_reward import apply_reward_rule
from regimegym.envs.kernel import step_kernel
from regimegym.envs.memory import at_address
from regimegym.envs.observation import ACCOUNT_FIELDS, write_account_blocks
from regimegym.envs.results import FILL, LOG_RETURN, MAX_FILLS, RESULT_ROWS, REWARD, TRADED
from regimegym.envs.reward_rules import RewardRule
from regimegym.envs.state import ACCOUNT_ROWS, DONE, EQUITY, EXPOSURE, RULES
from regimegym.features.bar_records import BAR
from regimegym.features.windows import write_windows

ROOMS = 32  # observations that are allocated at once; one that is kept keeps its 31 neighbours
ALONE = 2  # references to an array that only a tuple and the question know of
N_FIELDS = len(ACCOUNT_FIELDS)
ACCOUNT_ROOM, MARKET_ROOM = range(20, 22)  # in the table
TABLE_SIZE = 22
GOES_ON, TERMINATED, TRUNCATED = range(3)


class SingleStep:
    """Steps the only account of `batch` through the episode it is in; TradingEnv.step is written around it.

    The arrays whose addresses it keeps are held here, also where the batch has replaced them since.
    A copy of it would point at the arrays of the original: make a new one instead.

    Attributes:
        tape: index of the tape the episode is on.
        rule: the reward rule of one's own, or None.
        rooms: observations of the next steps, still to be written; the last one is the next.
        address: what `advance` takes.
        advance: decides on a target (NaN keeps the position), lives through the next bar and writes
            the room of the given number: (address, target, room) → row, regime, log return, equity,
            exposure, whether it traded, reward, and GOES_ON, TERMINATED or TRUNCATED.
    """

    __slots__ = (
        "_arrays",
        "_shown",
        "_spare",
        "_table",
        "_window",
        "address",
        "advance",
        "batch",
        "rooms",
        "rule",
        "tape",
        "terms",
    )

    def __init__(self, batch: AccountBatch) -> None:
        self.batch = batch
        self.terms = batch.terms[batch.terms_of[0]]
        self.tape = int(batch.tape_indices[0])
        tape = batch.tapes[self.tape]
        values, results = batch.accounts.values, batch.result.values
        window = self.terms.settings.episode.window
        self._window = 0 if batch.observation == "reference" else window
        self._arrays = (
            batch.bars, self.terms.rules, tape.features, tape.segment_start, values, batch.accounts.ring,
            results, batch.result.fills, batch.references, batch.last_references,
            batch.targets, np.empty(1, np.int64),
        )  # fmt: skip
        sizes = (
            len(batch.bars), len(tape), tape.n_features, batch.accounts.ring.shape[1],
            values.strides[0] // values.itemsize, results.strides[0] // results.itemsize,
            self.tape * len(tape), self._window,
        )  # fmt: skip
        self._table = np.array([*(array.ctypes.data for array in self._arrays), *sizes, 0, 0], np.int64)
        self.address = self._table.ctypes.data
        self.advance = _entry()
        self.rule = self.terms.settings.reward.rule
        self.rooms: list[dict[str, np.ndarray]] = []
        self._shown, self._spare = self._new_room(), self._new_room()

    def _new_room(self) -> tuple[np.ndarray, np.ndarray]:
        """Room for ROOMS observations: account blocks, and windows or references."""
        accounts = np.empty((ROOMS, N_FIELDS), np.float32)
        if self._window == 0:
            return accounts, np.empty((ROOMS, 1), np.int64)
        return accounts, np.empty((ROOMS, self._window, self.batch.tapes[self.tape].n_features), np.float32)

    def make_room(self) -> list[dict[str, np.ndarray]]:
        """Make room for the next ROOMS observations, in the older of two pieces if nobody looks at it any more."""
        room = self._spare
        if getrefcount(room[0]) > ALONE or getrefcount(room[1]) > ALONE:
            room = self._new_room()
        self._shown, self._spare = room, self._shown
        accounts, others = room
        self._table[ACCOUNT_ROOM:] = accounts.ctypes.data, others.ctypes.data
        name = "market" if self._window else "row"
        self.rooms = [{"account": account, name: other} for account, other in zip(accounts, others, strict=True)]
        return self.rooms

    def is_current(self) -> bool:
        """Whether the account still lives under the terms and on the tape this was made for."""
        batch = self.batch
        return batch.terms[batch.terms_of[0]] is self.terms and bool(batch.tape_indices[0] == self.tape)

    def own_reward(self, rule: RewardRule) -> float:
        """What `rule` pays for the step just taken."""
        batch = self.batch
        apply_reward_rule(rule, batch.bars, batch.references - 1, batch.accounts, batch.result)
        return float(batch.result.values[REWARD, 0])


@njit(cache=True, error_model="numpy")
def _step(address: int, target: float, room: int) -> tuple[int, int, float, float, float, bool, float, int]:
    """What SingleStep.advance does; the observation goes into the room of that number."""
    table = carray(at_address(address), (TABLE_SIZE,), np.int64)
    n_bars, n_rows, n_features, window = table[12], table[13], table[14], table[15]
    bars = carray(at_address(table[0]), (n_bars,), BAR)
    rules = carray(at_address(table[1]), (1,), RULES)
    accounts = carray(at_address(table[4]), (len(ACCOUNT_ROWS), table[16]), np.float64)[:, :1]
    ring = carray(at_address(table[5]), (1, window), np.uint8)
    results = carray(at_address(table[6]), (len(RESULT_ROWS), table[17]), np.float64)[:, :1]
    fills = carray(at_address(table[7]), (1, MAX_FILLS), FILL)
    references = carray(at_address(table[8]), (1,), np.int64)
    last = carray(at_address(table[9]), (1,), np.int64)
    targets = carray(at_address(table[10]), (1,), np.float64)
    tape_row = carray(at_address(table[11]), (1,), np.int64)
    targets[0] = target
    step_kernel(bars, rules, references, targets, accounts, ring, accounts, ring, results, fills)
    row, regime = references[0] - table[18], bars[references[0]].regime
    references[0] += 1
    shown = table[19]
    account = carray(at_address(table[ACCOUNT_ROOM] + 4 * room * N_FIELDS), (1, N_FIELDS), np.float32)
    write_account_blocks(bars, references, accounts, window, account)
    if shown > 0:
        features = carray(at_address(table[2]), (n_rows, n_features), np.float32)
        segment_start = carray(at_address(table[3]), (n_rows,), np.int64)
        tape_row[0] = row + 1
        market = carray(
            at_address(table[MARKET_ROOM] + 4 * room * shown * n_features), (1, shown, n_features), np.float32
        )
        write_windows(features, segment_start, tape_row, market)
    else:
        carray(at_address(table[MARKET_ROOM] + 8 * room), (1,), np.int64)[0] = references[0]
    outcome = TRUNCATED if references[0] >= last[0] else GOES_ON
    if accounts[DONE, 0] != 0:
        outcome = TERMINATED
    log_return, traded, reward = results[LOG_RETURN, 0], results[TRADED, 0] > 0, results[REWARD, 0]
    return row, regime, log_return, accounts[EQUITY, 0], accounts[EXPOSURE, 0], traded, reward, outcome


def _entry() -> Callable[[int, float, int], tuple[int, int, float, float, float, bool, float, int]]:
    """_step for exactly (int, float, int): finding that out anew at every call takes as long as half a step."""
    kinds = (types.int64, types.float64, types.int64)
    _step.compile(kinds)
    return _step.overloads[kinds].entry_point  # type: ignore[attr-defined]
