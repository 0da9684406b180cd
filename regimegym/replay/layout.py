"""How a replay buffer lies in memory: rows of words, and three arrays that hold everything.

A stored transition is one row of 32-bit words, so that two cache lines bring all of it:

    reference · born · regime, steps and end · return · action (A) · account (S) · next account (S)

`born` counts insertions: it is the slot's generation, and tells its age. Returns and accounts are
float32; `floats` is the same memory as `words`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from regimegym.replay.sum_tree import N_COLUMNS, root_of

REFERENCE, BORN, BITS, RETURN, ACTION = range(5)  # words; the accounts follow the action
N_HEAD_WORDS = ACTION
END_BIT, STEPS_BIT = 3, 4  # of word BITS: regime + 1 below, whether it terminated, rewards summed
FIRST_SLOT, CAPACITY, HEAD, COUNT = range(4)  # columns of `groups`
N_LABELS = 5  # UNKNOWN and the four regimes, as rows of statistics
DRAWN, AGE, UPDATED, ERROR = range(4)  # columns of `statistics`, sums since they were read
NOW, LATER, SLOT, GENERATION, LABEL, CHOICE = range(6)  # rows of the whole numbers that are drawn
TOTAL, DISCOUNT, ENDED, WEIGHT = range(4)  # rows of the fractions
N_DRAWN_NUMBERS, N_DRAWN_FLOATS = 6, 4
UNSUPPORTED = -1


class Memory(NamedTuple):
    """Everything a buffer holds, in three arrays: a compiled call pays for each it is handed, and more for a tuple."""

    words: np.ndarray  # (capacity, C) int32
    whole: np.ndarray  # int64: G, leaves, nodes, clock, held (5), groups (G · 4), layout (G · 10)
    real: np.ndarray  # float64: leaves, sums, bounds, minima, peaks (G + 1), statistics (5 · 4)


class Store(NamedTuple):
    """The parts of a Memory by name; they share its arrays."""

    words: np.ndarray  # (capacity, C) int32
    floats: np.ndarray  # (capacity, C) float32, the same memory
    groups: np.ndarray  # (G, 4) int64: first slot, capacity, next slot to write, slots filled
    leaves: np.ndarray  # SumTrees.leaves; empty where nothing is prioritised
    sums: np.ndarray
    bounds: np.ndarray
    minima: np.ndarray
    layout: np.ndarray
    peaks: np.ndarray  # (G + 1,) running maximum priority of each group and of all; 0 before the first
    clock: np.ndarray  # (1,) int64 insertions so far
    held: np.ndarray  # (5,) int64 transitions by regime + 1
    statistics: np.ndarray  # (5, 4) float64 by regime + 1


@njit(cache=True, error_model="numpy", forceinline=True)
def opened(words: np.ndarray, whole: np.ndarray, real: np.ndarray) -> Store:
    """The parts of a Memory."""
    n_groups, n_leaves, n_nodes = whole[0], whole[1], whole[2]
    layout = 4 + N_LABELS + 4 * n_groups
    bounds = n_leaves + n_nodes
    minima = bounds + n_nodes
    peaks = minima + n_nodes
    statistics = peaks + n_groups + 1
    return Store(
        words,
        words.view(np.float32),
        whole[4 + N_LABELS : layout].reshape((n_groups, 4)),
        real[:n_leaves],
        real[n_leaves:bounds],
        real[bounds:minima],
        real[minima:peaks],
        whole[layout:].reshape((n_groups, N_COLUMNS)),
        real[peaks:statistics],
        whole[3:4],
        whole[4 : 4 + N_LABELS],
        real[statistics:].reshape((N_LABELS, 4)),
    )


class Pending(NamedTuple):
    """Decisions of N accounts that wait for their n rewards, oldest first."""

    words: np.ndarray  # (N, n, C) int32
    sums: np.ndarray  # (N, n) float64 rewards so far, discounted
    waiting: np.ndarray  # (N,) int64 how many
    expected: np.ndarray  # (N,) int64 reference of the next decision
    powers: np.ndarray  # (n + 1,) float64 γ^k


@njit(cache=True, error_model="numpy", forceinline=True)
def total_of(store: Store, g: int) -> float:
    """S_r: sum of the weights of a group; its number of transitions where nothing is prioritised."""
    if len(store.leaves) == 0:
        return float(store.groups[g, COUNT])
    return store.sums[root_of(store.layout[g])]
