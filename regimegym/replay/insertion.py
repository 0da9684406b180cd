"""The compiled loop that adds: n-step returns are formed, and stored once they are complete."""

import numpy as np
from numba import njit

from regimegym.common.vector_math import power_of
from regimegym.replay.layout import (
    ACTION,
    BITS,
    BORN,
    CAPACITY,
    COUNT,
    END_BIT,
    FIRST_SLOT,
    HEAD,
    REFERENCE,
    RETURN,
    STEPS_BIT,
    Pending,
    Store,
    opened,
)
from regimegym.replay.sum_tree import write_weight


@njit(cache=True, error_model="numpy")
def add_step(
    words: np.ndarray,
    whole: np.ndarray,
    real: np.ndarray,
    waiting_words: np.ndarray,
    sums: np.ndarray,
    waiting: np.ndarray,
    expected: np.ndarray,
    powers: np.ndarray,
    references: np.ndarray,
    regimes: np.ndarray,
    actions: np.ndarray,
    account: np.ndarray,
    next_account: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
    ended: np.ndarray,
    alpha: float,
    keeps_unknown: bool,
) -> None:
    """Take one step of N accounts in, and store the transitions whose returns are complete.

    Args:
        words, whole, real: a Memory. waiting_words … powers: a Pending.
        references: (N,) int64. regimes: (N,) int8. actions: (N, A) int32 words.
        account, next_account: (N, S) float32, C-contiguous.
        rewards: (N,) float64. terminated, ended: (N,) bool.
        alpha: priority exponent.
        keeps_unknown: store transitions of no known regime too.
    """
    store = opened(words, whole, real)
    pending = Pending(waiting_words, sums, waiting, expected, powers)
    n_steps, first = sums.shape[1], ACTION + actions.shape[1]
    account_words, next_words = account.view(np.int32), next_account.view(np.int32)
    for i in range(len(references)):
        n_waiting = _take_in(pending, i, references[i], regimes[i], actions[i], account_words[i], rewards[i])
        n_ripe = n_waiting if ended[i] else (1 if n_waiting == n_steps else 0)
        for j in range(n_ripe):
            row = waiting_words[i, j]
            if row[BITS] > 0 or keeps_unknown:
                slot = _insert(store, row[BITS], alpha)
                _write(store, slot, row, n_waiting - j, terminated[i], sums[i, j], first, next_words[i])
        if n_ripe == 1 and not ended[i]:
            for j in range(n_waiting - 1):
                waiting_words[i, j] = waiting_words[i, j + 1]
                sums[i, j] = sums[i, j + 1]
        waiting[i] = 0 if ended[i] else n_waiting - n_ripe


@njit(cache=True, error_model="numpy", forceinline=True)
def _take_in(
    pending: Pending, i: int, reference: int, regime: int, action: np.ndarray, account: np.ndarray, reward: float
) -> int:
    """Let a decision of account i wait, and its reward count for all that do; how many these are."""
    if pending.waiting[i] > 0 and reference != pending.expected[i]:
        pending.waiting[i] = 0  # the episode was broken off from outside
    pending.expected[i] = reference + 1
    newest, first = pending.waiting[i], ACTION + len(action)
    row = pending.words[i, newest]
    row[REFERENCE] = reference
    row[BITS] = regime + 1
    for k in range(len(action)):
        row[ACTION + k] = action[k]
    for k in range(len(account)):
        row[first + k] = account[k]
    pending.sums[i, newest] = 0.0
    for j in range(newest + 1):
        pending.sums[i, j] += pending.powers[newest - j] * reward
    return newest + 1


@njit(cache=True, error_model="numpy", forceinline=True)
def _write(
    store: Store,
    slot: int,
    row: np.ndarray,
    steps: int,
    terminated: bool,
    total: float,
    first: int,
    next_account: np.ndarray,
) -> None:
    """Write the transition that began as `row` into its slot."""
    held = store.words[slot]
    size = len(next_account)
    held[REFERENCE] = row[REFERENCE]
    held[BORN] = store.clock[0] & 0x7FFFFFFF
    store.clock[0] += 1
    held[BITS] = row[BITS] | (int(terminated) << END_BIT) | (steps << STEPS_BIT)
    store.floats[slot, RETURN] = total
    for k in range(ACTION, first + size):
        held[k] = row[k]
    for k in range(size):
        held[first + size + k] = next_account[k]


@njit(cache=True, error_model="numpy", forceinline=True)
def _insert(store: Store, label: int, alpha: float) -> int:
    """The slot of a new transition of regime `label` − 1, its priority set; the oldest makes room."""
    g = label - 1 if len(store.groups) > 1 else 0
    group = store.groups[g]
    local, was_empty = group[HEAD], group[COUNT] == 0
    slot = group[FIRST_SLOT] + local
    if group[COUNT] == group[CAPACITY]:
        store.held[store.words[slot, BITS] & 7] -= 1
    else:
        group[COUNT] += 1
    group[HEAD] = (local + 1) % group[CAPACITY]
    store.held[label] += 1
    if len(store.leaves) > 0:
        peak = store.peaks[g]
        if was_empty:
            overall = store.peaks[len(store.groups)]
            peak = store.peaks[g] = overall if overall > 0 else 1.0
        write_weight(
            store.leaves, store.sums, store.bounds, store.minima, store.layout[g], local, power_of(peak, alpha)
        )
    return slot
