"""The compiled loop that draws: regimes, slots, importance weights, and what lies in the slots."""

import numpy as np
from numba import njit

from regimegym.common.prefetch import prefetch
from regimegym.common.vector_math import raise_all
from regimegym.replay.layout import (
    ACTION,
    AGE,
    BITS,
    BORN,
    CHOICE,
    COUNT,
    DISCOUNT,
    DRAWN,
    END_BIT,
    ENDED,
    FIRST_SLOT,
    GENERATION,
    LABEL,
    LATER,
    NOW,
    REFERENCE,
    RETURN,
    SLOT,
    STEPS_BIT,
    TOTAL,
    UNSUPPORTED,
    WEIGHT,
    Store,
    opened,
    total_of,
)
from regimegym.replay.sum_tree import FIRST_LEAF, find_slots, root_of


@njit(cache=True, error_model="numpy", forceinline=True)
def shares_of(store: Store, weights: np.ndarray) -> np.ndarray:
    """(G,) w_r renormalised over the groups that hold anything; zeros where none of these has weight."""
    shares = np.where(store.groups[:, COUNT] > 0, weights, 0.0)
    total = shares.sum()
    return shares / total if total > 0 else shares


@njit(cache=True, error_model="numpy", forceinline=True)
def probability_scale(store: Store, shares: np.ndarray, g: int, balanced: bool) -> float:
    """What p^α of a transition is multiplied by to be P(i), or N_r·P(i)/w_r where `balanced`."""
    target = float(store.groups[g, COUNT]) if balanced else shares[g]
    return target / total_of(store, g)


@njit(cache=True, error_model="numpy", forceinline=True)
def _least_probability(store: Store, shares: np.ndarray, balanced: bool) -> float:
    """The smallest of them over everything that can be drawn."""
    least = np.inf
    for g in range(len(store.groups)):
        if shares[g] > 0:
            minimum = store.minima[root_of(store.layout[g])]
            least = min(least, minimum * probability_scale(store, shares, g, balanced))
    return least


@njit(cache=True, error_model="numpy", forceinline=True)
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
    words: np.ndarray,
    whole: np.ndarray,
    real: np.ndarray,
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
        words, whole, real: a Memory.
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
    store = opened(words, whole, real)
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


@njit(cache=True, error_model="numpy", forceinline=True)
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


@njit(cache=True, error_model="numpy", forceinline=True)
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
    raise_all(ratios, beta)
    weights[:] = ratios


@njit(cache=True, error_model="numpy", forceinline=True)
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
