"""Sum trees: draw slot i with probability weight[i] / total, and know the smallest weight.

Level 0 holds the weights, in blocks of sixteen (two cache lines); every further level holds the sum
of each block of the one below, again in blocks, up to a level of one number, the total. Beside the
sums of a block stand its minima and its bounds, the cumulative sums: a target is held against all
sixteen at once. All leaves are equally deep, and a million of them five levels deep. Many slots
are walked together, one level after the other, so that the processor waits for many blocks at once
instead of for one after the other. Sums are recomputed from what is below, never adjusted by a
difference: a million updates leave no drift.

Source: Schaul et al. 2016, "Prioritized Experience Replay", arXiv:1511.05952, app. B.2.1.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit

from regimegym.common.prefetch import prefetch
from regimegym.replay.blocks import BLOCK, SHIFT, least_of, passed_of, passed_sums_of, sum_and_least_of, zeros_in_blocks

SIZE = np.uint64(BLOCK)  # indices that cannot be negative are unsigned: they need not be wrapped around
MOST_LEVELS = 8  # above the weights: 2³² slots
FIRST_LEAF, N_LEVELS, FIRST_NODE = range(3)  # columns of a layout; FIRST_NODE of level 1, the others behind it
N_COLUMNS = FIRST_NODE + MOST_LEVELS


class SumTrees:
    """Sampling weights of several trees, the t-th of `capacities[t]` slots, all zero at first.

    A weight is unitless: the caller has already applied the priority exponent. A weight of zero
    is never drawn and does not count as the minimum. A call that raises leaves the trees as they were.

    Attributes:
        leaves: all weights, each tree padded to whole blocks.
        sums, bounds, minima: the levels above the weights of all trees, one behind the other, each padded.
        layout: (G, 10) int64, first leaf of each tree, its levels above the weights, where these begin.
    """

    def __init__(self, capacities: Sequence[int]) -> None:
        if not len(capacities) or min(capacities) < 1:
            raise ValueError(f"every capacity must be ≥ 1 slot, got {list(capacities)}")
        self.capacities = np.array(capacities, np.int64)
        self.layout, n_leaves, n_nodes = _layout(self.capacities.tolist())
        self.leaves = zeros_in_blocks(n_leaves)
        self.sums, self.bounds, self.minima = (zeros_in_blocks(n_nodes) for _ in range(3))
        self.minima[:] = np.inf

    @property
    def nbytes(self) -> int:
        """Bytes of weights, sums, bounds and minima."""
        return self.leaves.nbytes + self.sums.nbytes + self.bounds.nbytes + self.minima.nbytes

    def total(self, tree: int = 0) -> float:
        """Sum of the weights of a tree."""
        return float(self.sums[root_of(self.layout[tree])])

    def minimum(self, tree: int = 0) -> float:
        """Smallest weight above zero of a tree; infinity where there is none."""
        return float(self.minima[root_of(self.layout[tree])])

    def weights(self, tree: int = 0) -> np.ndarray:
        """(capacity,) view of the weights of a tree."""
        first = self.layout[tree, FIRST_LEAF]
        return self.leaves[first : first + self.capacities[tree]]

    def set(self, slots: np.ndarray, weights: np.ndarray, tree: int = 0) -> None:
        """Write weights (B,) to slots (B,) of a tree; of a repeated slot the largest stands.

        Raises:
            IndexError: a slot lies outside [0, capacity).
            ValueError: the shapes differ, or a weight is negative, NaN or infinite.
        """
        slots, weights = np.array(slots, np.int64), np.array(weights, np.float64)
        capacity = self.capacities[tree]
        if slots.shape != weights.shape:
            raise ValueError(f"slots {slots.shape} and weights {weights.shape} must have one shape")
        if not ((slots >= 0) & (slots < capacity)).all():
            raise IndexError(f"slots must lie in [0, {capacity}), got {slots}")
        if not (np.isfinite(weights) & (weights >= 0.0)).all():
            raise ValueError(f"weights must be finite and ≥ 0, got {weights}")
        write_weights(self.leaves, self.sums, self.bounds, self.minima, self.layout[tree], slots, weights)

    def find(self, targets: np.ndarray, tree: int = 0) -> np.ndarray:
        """Slots (B,) of a tree whose cumulative interval holds targets (B,); never one of weight zero.

        Raises:
            ValueError: a target lies outside [0, total), hence always on an empty tree.
        """
        targets = np.array(targets, np.float64)
        if not ((targets >= 0.0) & (targets < self.total(tree))).all():
            raise ValueError(f"targets must lie in [0, {self.total(tree)}), got {targets}")
        slots = np.empty(len(targets), np.int64)
        find_slots(self.leaves, self.sums, self.bounds, self.layout[tree], targets, slots)
        return slots

    def rebuild(self) -> None:
        """Recompute everything else from `leaves`."""
        for tree, capacity in zip(self.layout, self.capacities, strict=True):
            _rebuild(self.leaves, self.sums, self.bounds, self.minima, tree, -(-capacity // BLOCK))

    def check_valid(self) -> None:
        """Raise AssertionError unless every node is the exact sum, and minimum, of what is below it, bounds as well."""
        assert np.isfinite(self.leaves).all()
        assert (self.leaves >= 0).all()
        fresh = SumTrees(self.capacities.tolist())
        fresh.leaves[:] = self.leaves
        fresh.rebuild()
        for tree, capacity in enumerate(self.capacities):
            first, root = self.layout[tree, FIRST_LEAF], root_of(self.layout[tree])
            padding = self.leaves[first + capacity : first + -(-capacity // BLOCK) * BLOCK]
            assert not padding.any(), f"tree {tree}: padding is drawn"
            for name in ("sums", "bounds", "minima"):
                nodes = slice(self.layout[tree, FIRST_NODE], root + BLOCK)
                ours, theirs = getattr(self, name)[nodes], getattr(fresh, name)[nodes]
                assert np.array_equal(ours, theirs), f"tree {tree} does not add up"


def _layout(capacities: Sequence[int]) -> tuple[np.ndarray, int, int]:
    """Where every level of every tree begins, and how many leaves and nodes there are in all."""
    layout = np.zeros((len(capacities), N_COLUMNS), np.int64)
    n_leaves = n_nodes = 0
    for row, capacity in zip(layout, capacities, strict=True):
        n_blocks = -(-capacity // BLOCK)
        row[FIRST_LEAF] = n_leaves
        n_leaves += n_blocks * BLOCK
        n_numbers = 0
        while n_numbers != 1:
            n_numbers, n_blocks = n_blocks, -(-n_blocks // BLOCK)
            row[FIRST_NODE + row[N_LEVELS]] = n_nodes
            row[N_LEVELS] += 1
            n_nodes += n_blocks * BLOCK
    return layout, n_leaves, n_nodes


@njit(cache=True, error_model="numpy", forceinline=True)
def root_of(tree: np.ndarray) -> int:
    """Index of the total and of the overall minimum; `tree` is a row of the layout."""
    return tree[FIRST_NODE + tree[N_LEVELS] - 1]


@njit(cache=True, error_model="numpy", forceinline=True)
def _start(tree: np.ndarray, level: int, block: int) -> np.uint64:
    """Index of the first number of a block: of weights on level 0, of nodes above."""
    return np.uint64(tree[FIRST_LEAF if level == 0 else FIRST_NODE + level - 1]) + np.uint64(block) * SIZE


@njit(cache=True, error_model="numpy", forceinline=True)
def _gather_leaves(leaves: np.ndarray, sums: np.ndarray, minima: np.ndarray, tree: np.ndarray, block: int) -> None:
    """Recompute the node of level 1 above a block of weights; a weight of zero is no minimum."""
    above = np.uint64(tree[FIRST_NODE] + block)
    sums[above], minima[above] = sum_and_least_of(leaves, _start(tree, 0, block))


@njit(cache=True, error_model="numpy", forceinline=True)
def _gather_nodes(
    sums: np.ndarray, bounds: np.ndarray, minima: np.ndarray, tree: np.ndarray, level: int, block: int
) -> None:
    """Recompute the bounds of a block of nodes, and the node of `level` ≥ 2 above it."""
    first, above = _start(tree, level - 1, block), np.uint64(tree[FIRST_NODE + level - 1] + block)
    total = 0.0  # one after the other: bounds that never fall
    for k in range(BLOCK):
        total += sums[first + np.uint64(k)]
        bounds[first + np.uint64(k)] = total
    sums[above] = total
    minima[above] = least_of(minima, first)


@njit(cache=True, error_model="numpy", forceinline=True)
def _n_blocks(tree: np.ndarray, level: int) -> int:
    """Blocks of `level` ≥ 1, unless it is the highest."""
    return (tree[FIRST_NODE + level] - tree[FIRST_NODE + level - 1]) >> SHIFT


@njit(cache=True, error_model="numpy")
def _rebuild(
    leaves: np.ndarray, sums: np.ndarray, bounds: np.ndarray, minima: np.ndarray, tree: np.ndarray, n_blocks: int
) -> None:
    for block in range(n_blocks):
        _gather_leaves(leaves, sums, minima, tree, block)
    for level in range(2, tree[N_LEVELS] + 1):
        for block in range(_n_blocks(tree, level - 1)):
            _gather_nodes(sums, bounds, minima, tree, level, block)


@njit(cache=True, error_model="numpy", forceinline=True)
def write_weights(
    leaves: np.ndarray,
    sums: np.ndarray,
    bounds: np.ndarray,
    minima: np.ndarray,
    tree: np.ndarray,
    slots: np.ndarray,
    weights: np.ndarray,
) -> None:
    """SumTrees.set without its checks; `tree` is its row of the layout. Overwrites `slots`."""
    first, n = np.uint64(tree[FIRST_LEAF]), len(slots)
    for b in range(n):
        leaves[first + np.uint64(slots[b])] = 0.0
    for b in range(n):
        slot = first + np.uint64(slots[b])
        leaves[slot] = max(leaves[slot], weights[b])
    for b in range(n):
        slots[b] >>= SHIFT
        _gather_leaves(leaves, sums, minima, tree, slots[b])
    for level in range(2, tree[N_LEVELS] + 1):
        n_blocks = _n_blocks(tree, level - 1)
        if n_blocks <= n:  # most of them lie above a slot: all, once
            for block in range(n_blocks):
                _gather_nodes(sums, bounds, minima, tree, level, block)
            continue
        for b in range(n):
            slots[b] >>= SHIFT
            _gather_nodes(sums, bounds, minima, tree, level, slots[b])


@njit(cache=True, error_model="numpy", forceinline=True)
def write_weight(
    leaves: np.ndarray,
    sums: np.ndarray,
    bounds: np.ndarray,
    minima: np.ndarray,
    tree: np.ndarray,
    slot: int,
    weight: float,
) -> None:
    """Write one weight; `tree` is its row of the layout."""
    leaves[tree[FIRST_LEAF] + slot] = weight
    slot >>= SHIFT
    _gather_leaves(leaves, sums, minima, tree, slot)
    for level in range(2, tree[N_LEVELS] + 1):
        slot >>= SHIFT
        _gather_nodes(sums, bounds, minima, tree, level, slot)


@njit(cache=True, error_model="numpy", forceinline=True)
def find_slots(
    leaves: np.ndarray, sums: np.ndarray, bounds: np.ndarray, tree: np.ndarray, targets: np.ndarray, slots: np.ndarray
) -> None:
    """SumTrees.find without its checks, into `slots`; `tree` is its row of the layout. Overwrites `targets`."""
    slots[:] = 0
    for level in range(tree[N_LEVELS] - 1, 0, -1):
        for b in range(len(slots)):
            first = _start(tree, level, slots[b])
            passed = passed_of(bounds, first, targets[b])
            if passed == SIZE:  # rounding: the node above is larger by a unit of the last place
                passed = _last(sums, first)
            is_first = np.uint64(passed == 0)
            below = bounds[first + passed + is_first - np.uint64(1)]
            targets[b] -= below if passed > 0 else 0.0
            slots[b] = slots[b] * BLOCK + np.int64(passed)
    blocks = leaves.reshape((-1, BLOCK))
    for b in range(len(slots)):
        prefetch(blocks, (tree[FIRST_LEAF] >> SHIFT) + slots[b])
    for b in range(len(slots)):
        first = _start(tree, 0, slots[b])
        passed = passed_sums_of(leaves, first, targets[b])
        if passed == SIZE or leaves[first + passed] == 0:  # rounding
            passed = _last(leaves, first)
        slots[b] = slots[b] * BLOCK + np.int64(passed)


@njit(cache=True, error_model="numpy")
def _last(values: np.ndarray, first: np.uint64) -> np.uint64:
    """Place of the last number above zero in the block that begins at `first`."""
    last = SIZE - np.uint64(1)
    while last > 0 and values[first + last] == 0:
        last -= np.uint64(1)
    return last
