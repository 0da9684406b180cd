"""The compiled loops of the replay buffer: add, sample, update.

A stored transition is one row of 32-bit words, so that two cache lines bring all of it:

    reference · born · regime, steps and end · return · action (A) · account (S) · next account (S)

`born` counts insertions: it is the slot's generation, and tells its age. Returns and accounts are
float32; `floats` is the same memory as `words`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from regimegym.common.prefetch import prefetch
from regimegym.replay.sum_tree import FIRST_LEAF, N_COLUMNS, find_slots, root_of, write_weight, write_weights

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
    """Everything a buffer holds, in three arrays, since a compiled call pays for each it is handed."""

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


@njit(cache=True, error_model="numpy")
def opened(memory: Memory) -> Store:
    """The parts of a buffer's memory."""
    words, whole, real = memory
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


@njit(cache=True, error_model="numpy")
def add_step(
    memory: Memory,
    pending: Pending,
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
        references: (N,) int64. regimes: (N,) int8. actions (N, A), account, next_account (N, S): int32 words.
        rewards: (N,) float64. terminated, ended: (N,) bool.
        alpha: priority exponent.
        keeps_unknown: store transitions of no known regime too.
    """
    store = opened(memory)
    n_actions, size = actions.shape[1], account.shape[1]
    first = ACTION + n_actions
    n_steps = pending.sums.shape[1]
    for i in range(len(references)):
        if pending.waiting[i] > 0 and references[i] != pending.expected[i]:
            pending.waiting[i] = 0  # the episode was broken off from outside
        pending.expected[i] = references[i] + 1
        newest = pending.waiting[i]
        row = pending.words[i, newest]
        row[REFERENCE] = references[i]
        row[BITS] = regimes[i] + 1
        for k in range(n_actions):
            row[ACTION + k] = actions[i, k]
        for k in range(size):
            row[first + k] = account[i, k]
        pending.sums[i, newest] = 0.0
        for j in range(newest + 1):
            pending.sums[i, j] += pending.powers[newest - j] * rewards[i]
        n_waiting = newest + 1
        n_ripe = n_waiting if ended[i] else (1 if n_waiting == n_steps else 0)
        for j in range(n_ripe):
            row = pending.words[i, j]
            if row[BITS] > 0 or keeps_unknown:
                slot = _insert(store, row[BITS], alpha)
                _write(store, slot, row, n_waiting - j, terminated[i], pending.sums[i, j], first, next_account[i])
        if n_ripe == 1 and not ended[i]:
            for j in range(n_waiting - 1):
                pending.words[i, j] = pending.words[i, j + 1]
                pending.sums[i, j] = pending.sums[i, j + 1]
        pending.waiting[i] = 0 if ended[i] else n_waiting - n_ripe


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
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
        write_weight(store.leaves, store.sums, store.bounds, store.minima, store.layout[g], local, peak**alpha)
    return slot


@njit(cache=True, error_model="numpy")
def total_of(store: Store, g: int) -> float:
    """S_r: sum of the weights of a group; its number of transitions where nothing is prioritised."""
    if len(store.leaves) == 0:
        return float(store.groups[g, COUNT])
    return store.sums[root_of(store.layout[g])]


@njit(cache=True, error_model="numpy")
def shares_of(store: Store, weights: np.ndarray) -> np.ndarray:
    """(G,) w_r renormalised over the groups that hold anything; zeros where none of these has weight."""
    shares = np.where(store.groups[:, COUNT] > 0, weights, 0.0)
    total = shares.sum()
    return shares / total if total > 0 else shares


@njit(cache=True, error_model="numpy")
def probability_scale(store: Store, shares: np.ndarray, g: int, balanced: bool) -> float:
    """What p^α of a transition is multiplied by to be P(i), or N_r·P(i)/w_r where `balanced`."""
    target = float(store.groups[g, COUNT]) if balanced else shares[g]
    return target / total_of(store, g)


@njit(cache=True, error_model="numpy")
def _least_probability(store: Store, shares: np.ndarray, balanced: bool) -> float:
    """The smallest of them over everything that can be drawn."""
    least = np.inf
    for g in range(len(store.groups)):
        if shares[g] > 0:
            minimum = store.minima[root_of(store.layout[g])]
            least = min(least, minimum * probability_scale(store, shares, g, balanced))
    return least


@njit(cache=True, error_model="numpy")
def _allocate(shares: np.ndarray, batch_size: int, u: float) -> np.ndarray:
    """n_r = ⌊u + B·W_r⌋ − ⌊u + B·W_{r−1}⌋ with W cumulative, its last value exactly 1."""
    bounds = np.zeros(len(shares) + 1, np.int64)
    cumulative, last = 0.0, 0
    for g in range(len(shares)):
        cumulative += shares[g]
        bounds[g + 1] = min(int(np.floor(u + batch_size * cumulative)), batch_size)
        last = g if shares[g] > 0 else last
    bounds[last + 1 :] = batch_size
    return bounds


@njit(cache=True, error_model="numpy")
def sample(
    memory: Memory,
    weights: np.ndarray,
    uniforms: np.ndarray,
    beta: float,
    balanced: bool,
    powers: np.ndarray,
    numbers: np.ndarray,
    floats: np.ndarray,
    packed: np.ndarray,
    actions: np.ndarray,
) -> int:
    """Draw B transitions and copy them out.

    Args:
        weights: (G,) w_r.
        uniforms: (B + 1,) in [0, 1): the allocation's, then one of each draw. Overwritten.
        beta, balanced: of the importance weights.
        powers: (n + 1,) γ^k.
        numbers: (6, B) int64, rows NOW … CHOICE: references of the decisions and of what is
            bootstrapped from, slots, generations, regimes, first words of the actions.
        floats: (4, B) float32, rows TOTAL … WEIGHT: returns, discounts, terminated, importance weights.
        packed: (2, B, S) float32, the accounts there. actions: (B, A) int32 words.

    Returns:
        How many rewards every one of them summed, 0 where that differs; UNSUPPORTED where no group
        that holds anything has weight.
    """
    store = opened(memory)
    shares = shares_of(store, weights)
    if shares.sum() == 0:
        return UNSUPPORTED
    bounds = _allocate(shares, numbers.shape[1], uniforms[0])
    for g in range(len(store.groups)):
        part = slice(bounds[g], bounds[g + 1])
        if bounds[g] < bounds[g + 1]:
            _find(store, g, uniforms[1:][part], numbers[SLOT, part])
    if len(store.leaves) > 0:
        _weigh(store, shares, bounds, beta, balanced, numbers[SLOT], uniforms[1:], floats[WEIGHT])
    else:
        floats[WEIGHT] = 1.0
    return _copy_out(store, powers, numbers, floats, packed, actions)


@njit(cache=True, error_model="numpy")
def _find(store: Store, g: int, uniforms: np.ndarray, slots: np.ndarray) -> None:
    """Draw from one group, and begin to load what was drawn. Overwrites `uniforms`."""
    uniforms *= total_of(store, g)
    if len(store.leaves) > 0:
        find_slots(store.leaves, store.sums, store.bounds, store.layout[g], uniforms, slots)
    else:
        slots[:] = uniforms.astype(np.int64)
    slots += store.groups[g, FIRST_SLOT]
    for slot in slots:
        prefetch(store.words, slot)


@njit(cache=True, error_model="numpy")
def _weigh(
    store: Store,
    shares: np.ndarray,
    bounds: np.ndarray,
    beta: float,
    balanced: bool,
    slots: np.ndarray,
    ratios: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Importance weights (min_j P(j) / P(i))^β of what was drawn; `ratios` (B,) is room for what is between."""
    least = _least_probability(store, shares, balanced)
    for g in range(len(store.groups)):
        first_leaf = store.layout[g, FIRST_LEAF] - store.groups[g, FIRST_SLOT]
        top = least / probability_scale(store, shares, g, balanced) if bounds[g] < bounds[g + 1] else 0.0
        for b in range(bounds[g], bounds[g + 1]):
            ratios[b] = top / store.leaves[np.uint64(first_leaf + slots[b])]
    for b in range(len(weights)):
        weights[b] = ratios[b] ** beta


@njit(cache=True, error_model="numpy")
def _copy_out(
    store: Store,
    powers: np.ndarray,
    numbers: np.ndarray,
    floats: np.ndarray,
    packed: np.ndarray,
    actions: np.ndarray,
) -> int:
    """Everything that is known of the slots numbers[SLOT], as `sample` says, and count them as drawn."""
    n_actions, size = actions.shape[1], packed.shape[2]
    first = ACTION + n_actions
    all_steps = store.words[numbers[SLOT, 0], BITS] >> STEPS_BIT
    for b in range(numbers.shape[1]):
        slot = np.uint64(numbers[SLOT, b])
        held, real = store.words[slot], store.floats[slot]
        steps, label = held[BITS] >> STEPS_BIT, held[BITS] & 7
        all_steps = all_steps if steps == all_steps else 0
        numbers[NOW, b], numbers[LATER, b] = held[REFERENCE], held[REFERENCE] + steps
        numbers[GENERATION, b], numbers[LABEL, b], numbers[CHOICE, b] = held[BORN], label - 1, held[ACTION]
        floats[TOTAL, b], floats[DISCOUNT, b] = real[RETURN], powers[steps]
        floats[ENDED, b] = held[BITS] >> END_BIT & 1
        for k in range(n_actions):
            actions[b, k] = held[ACTION + k]
        for k in range(size):
            packed[0, b, k], packed[1, b, k] = real[first + k], real[first + size + k]
        store.statistics[label, DRAWN] += 1
        store.statistics[label, AGE] += store.clock[0] - held[BORN]
    return all_steps


@njit(cache=True, error_model="numpy")
def update(
    memory: Memory,
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
    store = opened(memory)
    for b in range(len(slots)):
        if not (np.isfinite(errors[b]) and 0 <= slots[b] < len(store.words)):
            return b
    group_of, priorities = np.empty(len(slots), np.int64), np.empty(len(slots))
    for b in range(len(slots)):
        held, error = store.words[np.uint64(slots[b])], abs(errors[b])
        label = held[BITS] & 7
        is_held = held[BORN] == born[b]
        group_of[b] = -1 if not is_held else label - 1 if len(store.groups) > 1 else 0
        store.statistics[label, UPDATED] += is_held
        store.statistics[label, ERROR] += error if is_held else 0.0
        priorities[b] = min(error, most) + epsilon
    if len(store.leaves) > 0:
        _set_priorities(store, slots, group_of, priorities, alpha, decay)
    return -1


@njit(cache=True, error_model="numpy")
def _set_priorities(
    store: Store, slots: np.ndarray, group_of: np.ndarray, priorities: np.ndarray, alpha: float, decay: float
) -> None:
    """Write priorities (B,) of slots (B,), each of its group, −1 of none, and let the peaks sink towards them."""
    weights = np.empty(len(slots))
    for b in range(len(slots)):
        weights[b] = priorities[b] ** alpha
    chosen, chosen_weights = np.empty(len(slots), np.int64), np.empty(len(slots))
    n_groups, highest = len(store.groups), 0.0
    for g in range(n_groups):
        n, peak = 0, 0.0
        for b in range(len(slots)):
            if group_of[b] == g:
                peak = max(peak, priorities[b])
                chosen[n], chosen_weights[n] = slots[b] - store.groups[g, FIRST_SLOT], weights[b]
                n += 1
        if n > 0:
            write_weights(
                store.leaves, store.sums, store.bounds, store.minima, store.layout[g], chosen[:n], chosen_weights[:n]
            )
            store.peaks[g] = max(peak, decay * store.peaks[g])
            highest = max(highest, peak)
    if highest > 0:
        store.peaks[n_groups] = max(highest, decay * store.peaks[n_groups])
