"""Sum trees against a plain cumulative sum, and against slow trees after many writes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimegym.replay.blocks import BLOCK_BYTES, zeros_in_blocks
from regimegym.replay.sum_tree import SumTrees

WEIGHTS = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=100)


def filled(weights) -> SumTrees:
    tree = SumTrees([len(weights)])
    tree.set(np.arange(len(weights)), np.array(weights))
    return tree


@given(WEIGHTS)
def test_total_is_the_sum_and_minimum_the_smallest_above_zero(weights):
    tree = filled(weights)
    assert tree.total() == pytest.approx(sum(weights))
    assert tree.minimum() == min((w for w in weights if w > 0), default=np.inf)
    tree.check_valid()


@given(WEIGHTS.filter(lambda w: sum(w) > 1e-300))
def test_the_highest_legal_target_never_finds_an_empty_slot(weights):
    tree = filled(weights)
    slot = tree.find(np.array([np.nextafter(tree.total(), 0.0)]))[0]
    assert weights[slot] > 0.0


@pytest.mark.parametrize(("target", "slot"), [(0.0, 0), (2.9, 0), (3.0, 1), (3.5, 1), (4.0, 3)])
def test_find_uses_half_open_intervals(target, slot):
    assert filled([3.0, 1.0, 0.0, 2.0]).find(np.array([target])) == slot


@pytest.mark.parametrize("capacity", [1, 15, 16, 17, 33, 1000, 4097])
def test_every_slot_is_found_as_often_as_its_weight_says(capacity):
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 3, capacity).astype(float)
    weights[-1] = 2.0
    tree = filled(weights)
    # One target in every unit of weight: each slot must come back exactly `weight` times.
    found = tree.find(np.arange(int(tree.total())) + 0.5)
    np.testing.assert_array_equal(np.bincount(found, minlength=capacity), weights)


def test_trees_do_not_touch_one_another_and_stay_valid_through_many_writes():
    rng, capacities = np.random.default_rng(0), [5, 700, 16, 123]
    trees, expected = SumTrees(capacities), [np.zeros(capacity) for capacity in capacities]
    for _ in range(400):
        t = int(rng.integers(4))
        n = int(rng.integers(1, 300))
        slots, weights = rng.integers(0, capacities[t], n), rng.random(n) * (rng.random(n) < 0.9)
        trees.set(slots, weights, t)
        expected[t][slots] = 0.0
        np.maximum.at(expected[t], slots, weights)
    trees.check_valid()
    for t, weights in enumerate(expected):
        np.testing.assert_array_equal(trees.weights(t), weights)
        assert trees.total(t) == pytest.approx(weights.sum(), rel=1e-13)
        assert trees.minimum(t) == weights[weights > 0].min()


def test_a_tree_that_does_not_add_up_is_noticed():
    tree = filled(np.arange(1.0, 50.0))
    tree.leaves[7] += 1e-9
    with pytest.raises(AssertionError, match="tree 0 does not add up"):
        tree.check_valid()
    tree.rebuild()
    tree.check_valid()


@pytest.mark.parametrize("slot", [-1, 3])
def test_a_rejected_write_changes_nothing(slot):
    tree = filled([4.0, 5.0, 3.0])
    with pytest.raises(IndexError, match=r"\[0, 3\)"):
        tree.set(np.array([0, slot]), np.array([9.0, 9.0]))
    np.testing.assert_array_equal(tree.weights(), [4.0, 5.0, 3.0])


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_weights_must_be_finite_and_not_negative(weight):
    with pytest.raises(ValueError, match="finite and ≥ 0"):
        SumTrees([2]).set(np.array([0]), np.array([weight]))


def test_an_empty_tree_has_nothing_to_find_and_no_tree_nothing_to_hold():
    with pytest.raises(ValueError, match=r"\[0, 0\.0\)"):
        SumTrees([4]).find(np.array([0.0]))
    for capacities in ([], [3, 0]):
        with pytest.raises(ValueError, match="≥ 1 slot"):
            SumTrees(capacities)


def test_a_repeated_slot_keeps_its_largest_weight():
    tree = SumTrees([2])
    tree.set(np.array([1, 1, 1]), np.array([2.0, 5.0, 3.0]))
    assert tree.total() == 5.0


def test_blocks_begin_where_cache_lines_do():
    rooms = [zeros_in_blocks(n) for n in (1, 16, 1000, 100_000)]
    assert [room.ctypes.data % BLOCK_BYTES for room in rooms] == [0] * 4
    assert [len(room) for room in rooms] == [1, 16, 1000, 100_000]
    assert not any(room.any() for room in rooms)
    trees = SumTrees([5, 700, 16])
    for numbers in (trees.leaves, trees.sums, trees.bounds, trees.minima):
        assert numbers.ctypes.data % BLOCK_BYTES == 0
        assert len(numbers) % 16 == 0
