"""Dueling heads over a table of encodings, as two small matrices in compiled code.

A walk with one account asks for one value at a time, and pays for calls, not for arithmetic. One function holds the
arithmetic, in one order, for a batch that is asked and for a walk that never leaves compiled code: both give the
same bits.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numba import njit


class FoldedHeads(NamedTuple):
    """Q (O,) of an account block (K,) on a row: max(0, table[row] + block·account)·last + bias; all float32.

    Attributes:
        table: (R, J) the first layers' share of the encoding of every row, with their biases.
        account: (K, J) the first layers' share of the account.
        last: (J, O), bias: (O,) the last layers of values and advantages, and the mean of these, in one.
    """

    table: np.ndarray
    account: np.ndarray
    last: np.ndarray
    bias: np.ndarray


@runtime_checkable
class FoldedPolicy(Protocol):
    """A policy over the tape rows [start, stop) that is greedy in folded heads, and nothing else.

    Attributes:
        heads: row 0 of their table is `start`; None where it is more than that after all.
    """

    heads: FoldedHeads | None
    start: int
    stop: int


@njit(cache=True, error_model="numpy", inline="always")
def write_values(heads: FoldedHeads, row: int, block: np.ndarray, room: np.ndarray, out: np.ndarray) -> None:
    """Write Q (O,) of the account `block` (K,) on a row of the table into `out`; `room` (J,) is written over."""
    at = np.uint64(row)
    for j in range(len(room)):
        room[j] = heads.table[at, j]
    for k in range(len(block)):
        seen = block[k]
        for j in range(len(room)):
            room[j] += seen * heads.account[k, j]
    for o in range(len(out)):
        out[o] = heads.bias[o]
    for j in range(len(room)):
        active = max(room[j], np.float32(0))
        for o in range(len(out)):
            out[o] += active * heads.last[j, o]


@njit(cache=True, error_model="numpy")
def write_values_of(heads: FoldedHeads, rows: np.ndarray, blocks: np.ndarray, out: np.ndarray) -> None:
    """Write Q (B, O) of account blocks (B, K) on rows (B,) of the table into `out`."""
    room = np.empty(heads.table.shape[1], np.float32)
    for i in range(len(rows)):
        write_values(heads, rows[i], blocks[i], room, out[i])
