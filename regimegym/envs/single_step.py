"""The step of a single account as one compiled call: decide, live through the bar, look.

A call of a compiled function costs more for its arguments than one account's step itself, so everything it
reads and writes is handed over by address, in one table.
"""

import numpy as np
from numba import carray, njit

from regimegym.envs.batch import AccountBatch
from regimegym.envs.custom_reward import apply_reward_rule
from regimegym.envs.kernel import step_kernel
from regimegym.envs.memory import at_address
from regimegym.envs.observation import ACCOUNT_FIELDS, write_account_blocks
from regimegym.envs.results import FILL, LOG_RETURN, MAX_FILLS, RESULT_ROWS, REWARD, TRADED
from regimegym.envs.state import ACCOUNT_ROWS, BAR, DONE, EQUITY, EXPOSURE, RULES
from regimegym.features.windows import write_windows

ROOMS = 32  # observations that are allocated at once; one that is kept keeps its 31 neighbours
MARKS = ("log_return", "equity", "exposure", "traded", "reward")
N_FIELDS = len(ACCOUNT_FIELDS)
ACCOUNT_ROOM, MARKET_ROOM, ROOM = range(21, 24)  # in the table: addresses, and the room that is next
TABLE_SIZE = 24
GOES_ON, TERMINATED, TRUNCATED = range(3)


class SingleStep:
    """Steps the only account of `batch` through the episode it is in.

    The arrays whose addresses it keeps are held here, also where the batch has replaced them since.
    A copy of it would point at the arrays of the original: make a new one instead.
    """

    def __init__(self, batch: AccountBatch) -> None:
        self.batch = batch
        self.terms = batch.terms[batch.terms_of[0]]
        self.tape = int(batch.tape_indices[0])
        tape = batch.tapes[self.tape]
        self.regimes = tape.regimes.data  # one of its numbers is read faster than an array's
        values, results = batch.accounts.values, batch.result.values
        self._marks = np.empty(len(MARKS))
        window = self.terms.settings.episode.window
        self._window = 0 if batch.observation == "reference" else window
        self._arrays = (
            batch.bars, self.terms.rules, tape.features, tape.segment_start, values, batch.accounts.ring,
            results, batch.result.fills, batch.references, batch.last_references,
            batch.targets, np.empty(1, np.int64), self._marks,
        )  # fmt: skip
        sizes = (
            len(batch.bars), len(tape), tape.n_features, batch.accounts.ring.shape[1],
            values.strides[0] // values.itemsize, results.strides[0] // results.itemsize,
            self.tape * len(tape), self._window,
        )  # fmt: skip
        self._table = np.array([*(array.ctypes.data for array in self._arrays), *sizes, 0, 0, 0], np.int64)
        self._address = self._table.ctypes.data
        self._rule = self.terms.settings.reward.rule
        self._new_rooms()

    def _new_rooms(self) -> None:
        """Make room for the next ROOMS observations."""
        accounts = np.empty((ROOMS, len(ACCOUNT_FIELDS)), np.float32)
        markets = np.empty((ROOMS, self._window, self.batch.tapes[self.tape].n_features), np.float32)
        self._table[ACCOUNT_ROOM:] = accounts.ctypes.data, markets.ctypes.data, 0
        self._rooms = zip(accounts, markets, strict=True)

    def is_current(self) -> bool:
        """Whether the account still lives under the terms and on the tape this was made for."""
        batch = self.batch
        return batch.terms[batch.terms_of[0]] is self.terms and bool(batch.tape_indices[0] == self.tape)

    def step(self, target: float) -> tuple[dict[str, np.ndarray], list[float], int]:
        """Decide on `target` (NaN keeps the position) and live through the next bar.

        Returns:
            The observation, MARKS, and one of GOES_ON, TERMINATED, TRUNCATED.
        """
        room = next(self._rooms, None)
        if room is None:
            self._new_rooms()
            room = next(self._rooms)
        outcome = _step(self._address, target)
        account, market = room
        if self._window:
            observation = {"account": account, "market": market}
        else:
            observation = {"account": account, "row": self.batch.references.copy()}
        if self._rule is not None:
            apply_reward_rule(
                self._rule, self.batch.bars, self.batch.references - 1, self.batch.accounts, self.batch.result
            )
            self._marks[4] = self.batch.result.values[REWARD, 0]
        return observation, self._marks.tolist(), outcome


@njit(cache=True, error_model="numpy")
def _step(address: int, target: float) -> int:
    """The compiled part of SingleStep.step; the observation goes into the next room."""
    table = carray(at_address(address), (TABLE_SIZE,), np.int64)
    n_bars, n_rows, n_features, window = table[13], table[14], table[15], table[16]
    bars = carray(at_address(table[0]), (n_bars,), BAR)
    rules = carray(at_address(table[1]), (1,), RULES)
    accounts = carray(at_address(table[4]), (len(ACCOUNT_ROWS), table[17]), np.float64)[:, :1]
    ring = carray(at_address(table[5]), (1, window), np.uint8)
    results = carray(at_address(table[6]), (len(RESULT_ROWS), table[18]), np.float64)[:, :1]
    fills = carray(at_address(table[7]), (1, MAX_FILLS), FILL)
    references = carray(at_address(table[8]), (1,), np.int64)
    last = carray(at_address(table[9]), (1,), np.int64)
    targets = carray(at_address(table[10]), (1,), np.float64)
    tape_row = carray(at_address(table[11]), (1,), np.int64)
    marks = carray(at_address(table[12]), (len(MARKS),), np.float64)
    targets[0] = target
    step_kernel(bars, rules, references, targets, accounts, ring, accounts, ring, results, fills)
    references[0] += 1
    room, shown = table[ROOM], table[20]
    table[ROOM] += 1
    account = carray(at_address(table[ACCOUNT_ROOM] + 4 * room * N_FIELDS), (1, N_FIELDS), np.float32)
    write_account_blocks(bars, references, accounts, window, account)
    if shown > 0:
        features = carray(at_address(table[2]), (n_rows, n_features), np.float32)
        segment_start = carray(at_address(table[3]), (n_rows,), np.int64)
        tape_row[0] = references[0] - table[19]
        market = carray(
            at_address(table[MARKET_ROOM] + 4 * room * shown * n_features), (1, shown, n_features), np.float32
        )
        write_windows(features, segment_start, tape_row, market)
    marks[0], marks[1], marks[2] = results[LOG_RETURN, 0], accounts[EQUITY, 0], accounts[EXPOSURE, 0]
    marks[3], marks[4] = results[TRADED, 0], results[REWARD, 0]
    if accounts[DONE, 0] != 0:
        return TERMINATED
    return TRUNCATED if references[0] >= last[0] else GOES_ON
