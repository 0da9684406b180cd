"""Sum trees: draw slot i with probability weight[i] / total, and know the smallest weight.

Weights lie in blocks of sixteen, two cache lines each; over the blocks stands a binary heap of
sums and one of minima: node 1 is the root, node k has children 2k and 2k + 1, block b is node
n_blocks + b. Many slots are walked together, one level after the other, so that the processor
waits for many nodes at once instead of for one after the other. Parents are recomputed from
their children, never adjusted by a difference: a million updates leave no drift.

Source: Schaul et al. 2016, "Prioritized Experience Replay", arXiv:1511.05952, app. B.2.1.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit

from regimegym.common.prefetch import prefetch

BLOCK = 16  # weights; eight took more memory, thirty-two more time
FIRST_LEAF, FIRST_NODE, N_BLOCKS = range(3)


class SumTrees:
    """Sampling weights of several trees, the t-th of `capacities[t]` slots, all zero at first.

    A weight is unitless: the caller has already applied the priority exponent. A weight of zero
    is never drawn and does not count as the minimum. A call that raises leaves the trees as they were.

    Attributes:
        leaves: all weights, each tree padded to whole blocks.
        sums, minima: the heaps of all trees, one behind the other.
        layout: (G, 3) int64, first leaf, first node and number of blocks of each tree.
    """

    def __init__(self, capacities: Sequence[int]) -> None:
        if not len(capacities) or min(capacities) < 1:
            raise ValueError(f"every capacity must be ≥ 1 slot, got {list(capacities)}")
        self.capacities = np.array(capacities, np.int64)
        n_blocks = -(-self.capacities // BLOCK)
        before = np.cumsum(n_blocks) - n_blocks
        self.layout = np.stack([before * BLOCK, before * 2, n_blocks], axis=1)
        self.leaves = np.zeros(int(n_blocks.sum()) * BLOCK)
        self.sums = np.zeros(int(n_blocks.sum()) * 2)
        self.minima = np.full(int(n_blocks.sum()) * 2, np.inf)

    @property
    def nbytes(self) -> int:
        """Bytes of weights and heaps."""
        return self.leaves.nbytes + self.sums.nbytes + self.minima.nbytes

    def total(self, tree: int = 0) -> float:
        """Sum of the weights of a tree."""
        return float(self.sums[self.layout[tree, FIRST_NODE] + 1])

    def minimum(self, tree: int = 0) -> float:
        """Smallest weight above zero of a tree; infinity where there is none."""
        return float(self.minima[self.layout[tree, FIRST_NODE] + 1])

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
        write_weights(self.leaves, self.sums, self.minima, self.layout[tree], slots, weights)

    def find(self, targets: np.ndarray, tree: int = 0) -> np.ndarray:
        """Slots (B,) of a tree whose cumulative interval holds targets (B,); never one of weight zero.

        Raises:
            ValueError: a target lies outside [0, total), hence always on an empty tree.
        """
        targets = np.array(targets, np.float64)
        if not ((targets >= 0.0) & (targets < self.total(tree))).all():
            raise ValueError(f"targets must lie in [0, {self.total(tree)}), got {targets}")
        slots = np.empty(len(targets), np.int64)
        find_slots(self.leaves, self.sums, self.layout[tree], targets, slots)
        return slots

    def rebuild(self) -> None:
        """Recompute both heaps from `leaves`."""
        for tree in self.layout:
            _rebuild(self.leaves, self.sums, self.minima, tree)

    def check_valid(self) -> None:
        """Raise AssertionError unless every node is the exact sum, and minimum, of what is below it."""
        assert np.isfinite(self.leaves).all()
        assert (self.leaves >= 0).all()
        fresh = SumTrees(self.capacities.tolist())
        fresh.leaves[:] = self.leaves
        fresh.rebuild()
        for tree, capacity in enumerate(self.capacities):
            first, node, n_blocks = self.layout[tree]
            assert not self.leaves[first + capacity : first + n_blocks * BLOCK].any(), f"tree {tree}: padding is drawn"
            for ours, theirs in ((self.sums, fresh.sums), (self.minima, fresh.minima)):
                nodes = slice(node + 1, node + 2 * n_blocks)
                assert np.array_equal(ours[nodes], theirs[nodes]), f"tree {tree} does not add up"


@njit(cache=True, error_model="numpy")
def _gather_block(leaves: np.ndarray, sums: np.ndarray, minima: np.ndarray, tree: np.ndarray, block: int) -> None:
    first = tree[FIRST_LEAF] + block * BLOCK
    sum_0, sum_1, sum_2, sum_3, least = 0.0, 0.0, 0.0, 0.0, np.inf
    for leaf in range(first, first + BLOCK, 4):  # four sums that need not wait for one another
        sum_0 += leaves[leaf]
        sum_1 += leaves[leaf + 1]
        sum_2 += leaves[leaf + 2]
        sum_3 += leaves[leaf + 3]
    for leaf in range(first, first + BLOCK):
        weight = leaves[leaf]
        least = weight if 0 < weight < least else least
    node = tree[FIRST_NODE] + tree[N_BLOCKS] + block
    sums[node], minima[node] = (sum_0 + sum_1) + (sum_2 + sum_3), least


@njit(cache=True, error_model="numpy")
def _gather_children(sums: np.ndarray, minima: np.ndarray, first: int, node: int) -> None:
    left, right = first + 2 * node, first + 2 * node + 1
    sums[first + node] = sums[left] + sums[right]
    minima[first + node] = min(minima[left], minima[right])


@njit(cache=True, error_model="numpy")
def _rebuild(leaves: np.ndarray, sums: np.ndarray, minima: np.ndarray, tree: np.ndarray) -> None:
    for block in range(tree[N_BLOCKS]):
        _gather_block(leaves, sums, minima, tree, block)
    for node in range(tree[N_BLOCKS] - 1, 0, -1):
        _gather_children(sums, minima, tree[FIRST_NODE], node)


@njit(cache=True, error_model="numpy")
def write_weights(
    leaves: np.ndarray, sums: np.ndarray, minima: np.ndarray, tree: np.ndarray, slots: np.ndarray, weights: np.ndarray
) -> None:
    """SumTrees.set without its checks; `tree` is its row of the layout. Overwrites `slots`."""
    first, n = tree[FIRST_LEAF], len(slots)
    for b in range(n):
        leaves[first + slots[b]] = 0.0
    for b in range(n):
        leaves[first + slots[b]] = max(leaves[first + slots[b]], weights[b])
    for b in range(n):
        block = slots[b] // BLOCK
        _gather_block(leaves, sums, minima, tree, block)
        slots[b] = tree[N_BLOCKS] + block
    # Blocks lie on two levels at most. A node may be gathered too early by way of a short branch;
    # the longest branch comes by last, when everything below is done. Near the root, where most
    # branches meet, all nodes are gathered once instead.
    top = n
    while n > 0:
        n_parents, previous = 0, 0
        for b in range(n):
            parent = slots[b] >> 1
            if parent >= top and parent != previous:
                _gather_children(sums, minima, tree[FIRST_NODE], parent)
                slots[n_parents] = previous = parent
                n_parents += 1
        n = n_parents
    for node in range(min(top, tree[N_BLOCKS]) - 1, 0, -1):
        _gather_children(sums, minima, tree[FIRST_NODE], node)


@njit(cache=True, error_model="numpy", forceinline=True)
def _go_down(sums: np.ndarray, first: int, targets: np.ndarray, slots: np.ndarray, b: int) -> None:
    """Target b from node slots[b] to one of its children."""
    node, target = slots[b], targets[b]
    left = sums[first + 2 * node]
    # The second test stops rounding from leading into an empty subtree.
    goes_right = (target >= left) & (sums[first + 2 * node + 1] > 0.0)
    targets[b] = target - left if goes_right else target
    slots[b] = 2 * node + goes_right


@njit(cache=True, error_model="numpy")
def find_slots(leaves: np.ndarray, sums: np.ndarray, tree: np.ndarray, targets: np.ndarray, slots: np.ndarray) -> None:
    """SumTrees.find without its checks, into `slots`; `tree` is its row of the layout. Overwrites `targets`."""
    n_blocks, first = tree[N_BLOCKS], tree[FIRST_NODE]
    slots[:] = 1
    reach = 1
    while 2 * reach <= n_blocks:  # every node of this level has children
        reach *= 2
        for b in range(len(slots)):
            _go_down(sums, first, targets, slots, b)
    blocks = leaves.reshape((-1, BLOCK))
    for b in range(len(slots)):
        if slots[b] < n_blocks:
            _go_down(sums, first, targets, slots, b)
        prefetch(blocks, tree[FIRST_LEAF] // BLOCK + slots[b] - n_blocks)
    for b in range(len(slots)):
        block = (slots[b] - n_blocks) * BLOCK
        passed, last, total = 0, 0, 0.0
        for k in range(BLOCK):
            weight = leaves[tree[FIRST_LEAF] + block + k]
            total += weight
            passed += targets[b] >= total
            last = k if weight > 0 else last
        slots[b] = block + min(passed, last)


@njit(cache=True, error_model="numpy")
def write_weight(
    leaves: np.ndarray, sums: np.ndarray, minima: np.ndarray, tree: np.ndarray, slot: int, weight: float
) -> None:
    """Write one weight; `tree` is its row of the layout."""
    leaves[tree[FIRST_LEAF] + slot] = weight
    _gather_block(leaves, sums, minima, tree, slot // BLOCK)
    node = (tree[N_BLOCKS] + slot // BLOCK) >> 1
    while node > 0:
        _gather_children(sums, minima, tree[FIRST_NODE], node)
        node >>= 1
