"""The compiled loop that sets priorities by TD errors."""

import numpy as np
from numba import njit

from regimegym.common.prefetch import prefetch
from regimegym.common.vector_math import raise_all
from regimegym.replay.blocks import BLOCK, SHIFT
from regimegym.replay.layout import BITS, BORN, ERROR, FIRST_SLOT, UPDATED, Store, opened
from regimegym.replay.sum_tree import FIRST_LEAF, write_weights

STALE = -1


@njit(cache=True, error_model="numpy")
def update(
    words: np.ndarray,
    whole: np.ndarray,
    real: np.ndarray,
    slots: np.ndarray,
    born: np.ndarray,
    errors: np.ndarray,
    alpha: float,
    epsilon: float,
    most: float,
    decay: float,
) -> int:
    """Set the priorities min(|δ|, δ_max) + ε of slots (B,) that still hold what was drawn.

    Returns:
        −1, or the first index whose δ is not finite or whose slot does not exist; nothing has
        changed then.
    """
    store = opened(words, whole, real)
    for b in range(len(slots)):
        if not (np.isfinite(errors[b]) and 0 <= slots[b] < len(words)):
            return b
        prefetch(words, slots[b])
    group_of = _held_in(store, slots, born, errors)
    if len(store.leaves) > 0:
        priorities, weights = np.empty(len(slots)), np.empty(len(slots))
        for b in range(len(slots)):
            priorities[b] = weights[b] = min(abs(errors[b]), most) + epsilon
        raise_all(weights, alpha)
        _set_weights(store, slots, group_of, weights)
        _let_peaks_sink(store, group_of, priorities, decay)
    return -1


@njit(cache=True, error_model="numpy", forceinline=True)
def _held_in(store: Store, slots: np.ndarray, born: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """(B,) group of each slot, STALE where it holds something else by now; counts the others and loads weights."""
    group_of, blocks, n_groups = np.empty(len(slots), np.int64), store.leaves.reshape((-1, BLOCK)), len(store.groups)
    for b in range(len(slots)):
        held = store.words[np.uint64(slots[b])]
        label, is_held = held[BITS] & 7, held[BORN] == born[b]
        g = label - 1 if n_groups > 1 else 0
        store.statistics[label, UPDATED] += is_held
        store.statistics[label, ERROR] += abs(errors[b]) if is_held else 0.0
        group_of[b] = g if is_held else STALE
        if len(blocks) > 0:
            prefetch(blocks, (store.layout[g, FIRST_LEAF] + slots[b] - store.groups[g, FIRST_SLOT]) >> SHIFT)
    return group_of


@njit(cache=True, error_model="numpy", forceinline=True)
def _set_weights(store: Store, slots: np.ndarray, group_of: np.ndarray, weights: np.ndarray) -> None:
    """Write weights (B,) of slots (B,) into the trees of their groups."""
    n_groups = len(store.groups)
    counts = np.zeros(n_groups + 2, np.int64)
    for g in group_of:
        counts[g + 2] += 1
    ends = np.cumsum(counts)  # ends[g + 1]: where g goes next among all sorted by group, STALE before the first
    chosen, chosen_weights = np.empty(len(slots), np.int64), np.empty(len(slots))
    for b in range(len(slots)):
        g = group_of[b]
        at = ends[g + 1]
        ends[g + 1] += 1
        chosen[at], chosen_weights[at] = slots[b] - store.groups[g, FIRST_SLOT], weights[b]
    for g in range(n_groups):
        part = slice(ends[g], ends[g + 1])
        if ends[g] < ends[g + 1]:
            write_weights(
                store.leaves,
                store.sums,
                store.bounds,
                store.minima,
                store.layout[g],
                chosen[part],
                chosen_weights[part],
            )


@njit(cache=True, error_model="numpy", forceinline=True)
def _let_peaks_sink(store: Store, group_of: np.ndarray, priorities: np.ndarray, decay: float) -> None:
    """m ← max(p, decay·m) of every group that was updated, and of all together."""
    n_groups = len(store.groups)
    highest = np.zeros(n_groups + 1)
    for b in range(len(priorities)):
        g = group_of[b]
        if g != STALE and priorities[b] > highest[g]:
            highest[g] = priorities[b]
    highest[n_groups] = highest.max()
    for g in range(n_groups + 1):
        if highest[g] > 0:
            store.peaks[g] = max(highest[g], decay * store.peaks[g])
