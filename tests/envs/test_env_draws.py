"""Draws of many generators at once are those of NumPy, one by one, and leave every generator where it would be."""

import numpy as np
import pytest

from regimegym.envs.draws import MOST, draw_below


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 9_458, 2**31, 3 * 2**30, 2**32 - 2**20, MOST])
def test_the_numbers_and_the_generators_afterwards_are_those_of_integers(kind, size):
    ours, theirs = ([np.random.Generator(kind(seed)) for seed in range(40)] for _ in range(2))
    for generator in (*ours[::3], *theirs[::3]):
        generator.integers(5)  # half of a 64-bit draw of PCG64 is left for the next one
    for _ in range(3):
        np.testing.assert_array_equal(draw_below(ours, size), [generator.integers(size) for generator in theirs])
    for our, their in zip(ours, theirs, strict=True):
        assert our.integers(2**62) == their.integers(2**62)


def test_a_generator_that_is_listed_twice_draws_twice():
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    np.testing.assert_array_equal(draw_below([one, one], 1_000), other.integers(1_000, size=2))


def test_no_generators_draw_nothing():
    assert draw_below([], 5).shape == (0,)


@pytest.mark.parametrize("size", [0, 2**32])
def test_other_sizes_are_refused(size):
    with pytest.raises(AssertionError):
        draw_below([np.random.default_rng(0)], size)
