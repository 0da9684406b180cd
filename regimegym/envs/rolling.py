"""The windows of N accounts: an array of their own, or one that rolls along with them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numba import njit

from regimegym.common.prefetch import prefetch_to_write
from regimegym.features.tape import MarketTape
from regimegym.features.windows import gather_windows, write_window

SHIFT = 2  # rows between two looks through the same array: the two arrays of an environment take turns
AHEAD = 8  # accounts whose rows are on their way from memory while one is written
SPARE = 1  # windows of room that a rolling array moves through before everything is written anew
NOWHERE = -SHIFT - 1  # no row is SHIFT rows after it


class Windows(Protocol):
    """Room for the windows (N, W, F) float32 of N accounts; references are those of AccountBatch."""

    def show(self, tapes: Sequence[MarketTape], references: np.ndarray) -> np.ndarray:
        """The windows that end on `references` (N,)."""

    def show_again(self, tapes: Sequence[MarketTape], references: np.ndarray, which: np.ndarray) -> None:
        """Change what was shown last for the accounts `which`; `references` are those of all N."""


class OwnWindows:
    """An array that is written whole."""

    def __init__(self, n: int, window: tuple[int, int]) -> None:
        self._market = np.empty((n, *window), np.float32)

    def show(self, tapes: Sequence[MarketTape], references: np.ndarray) -> np.ndarray:
        """The windows that end on `references` (N,)."""
        gather_windows(tapes, references, self._market)
        return self._market

    def show_again(self, tapes: Sequence[MarketTape], references: np.ndarray, which: np.ndarray) -> None:
        """Change what was shown last for the accounts `which`."""
        part = np.empty((len(which), *self._market.shape[1:]), np.float32)
        gather_windows(tapes, references[which], part)
        self._market[which] = part


class RollingWindows:
    """An array a few windows long, of which a window's length is shown; it moves on as the accounts do.

    A window differs from the one SHIFT rows before in SHIFT rows: only those are written, where an account has
    gone on as expected. What is shown is read-only, since it is the larger part of what will be shown next.
    """

    def __init__(self, n: int, window: tuple[int, int]) -> None:
        self._length, n_features = window
        self._rows = np.empty((n, (1 + SPARE) * self._length, n_features), np.float32)
        self._shown = np.full(n, NOWHERE)
        self._first = self._rows.shape[1]

    def show(self, tapes: Sequence[MarketTape], references: np.ndarray) -> np.ndarray:
        """The windows that end on `references` (N,), read-only."""
        self._first += SHIFT
        if self._first + self._length > self._rows.shape[1] or len(tapes) > 1 or self._length < SHIFT:
            self._first = 0
            self._shown[:] = NOWHERE
        view = self._view()
        if len(tapes) > 1:
            gather_windows(tapes, references, view)
        else:
            tape = tapes[0]
            roll_windows(
                tape.features, tape.segment_start, references, self._shown, self._first, self._length, self._rows
            )
        view.flags.writeable = False
        return view

    def show_again(self, tapes: Sequence[MarketTape], references: np.ndarray, which: np.ndarray) -> None:
        """Change what was shown last for the accounts `which`."""
        part = np.empty((len(which), self._length, self._rows.shape[2]), np.float32)
        gather_windows(tapes, references[which], part)
        self._view()[which] = part
        self._shown[which] = references[which] if len(tapes) == 1 else NOWHERE

    def _view(self) -> np.ndarray:
        return self._rows[:, self._first : self._first + self._length]


@njit(cache=True, error_model="numpy")
def roll_windows(
    features: np.ndarray,
    segment_start: np.ndarray,
    rows: np.ndarray,
    shown: np.ndarray,
    first: int,
    length: int,
    out: np.ndarray,
) -> None:
    """Let out[:, first : first + length] be the windows that end at `rows` (N,).

    Args:
        features, segment_start: of the tape.
        shown: (N,) rows at which the windows SHIFT rows earlier in `out` end; becomes `rows`.
        out: (N, L, F).
    """
    n, room, width = out.shape
    flat = out.reshape((n * room, width))
    for i in range(n):
        for k in range(SHIFT):
            prefetch_to_write(flat, (i + AHEAD) * room + first + length - SHIFT + k)
        row, before = rows[i], shown[i]
        at = i * room + first
        if row - before == SHIFT and segment_start[row] == segment_start[before]:
            write_window(flat, at + length - SHIFT, features, row - SHIFT + 1, row, SHIFT)
        else:
            write_window(flat, at, features, segment_start[row], row, length)
        shown[i] = row
