"""Powers against NumPy's, from the smallest numbers on."""

import numpy as np
import pytest

from regimegym.common.vector_math import SMALLEST, power_of, raise_all


@pytest.mark.parametrize("exponent", [0.0, 0.4, 0.6, 1.0])
def test_powers_are_those_of_the_c_library(exponent):
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [np.exp(rng.normal(0, 4, 1000)), 10.0 ** rng.uniform(-307, 300, 300), [SMALLEST, 1e-5, 10.00001]]
    )
    ours = np.array([power_of(v, exponent) for v in x])
    np.testing.assert_allclose(ours, x**exponent, rtol=2e-13)
    np.testing.assert_allclose(ours[:1000], x[:1000] ** exponent, rtol=1e-14)
    raise_all(x, exponent)
    np.testing.assert_array_equal(x, ours)


def test_one_stays_one_and_what_is_below_all_normal_numbers_is_the_smallest_of_them():
    assert [power_of(1.0, exponent) for exponent in (0.0, 0.3, 1.0)] == [1.0, 1.0, 1.0]
    for tiny in (0.0, 5e-324, 1e-310):
        assert power_of(tiny, 0.5) == power_of(SMALLEST, 0.5) == pytest.approx(SMALLEST**0.5, rel=1e-13)
    assert power_of(SMALLEST, 1.0) == pytest.approx(SMALLEST, rel=1e-12)


def test_no_power_of_a_share_is_above_one():
    shares = 1.0 - np.geomspace(1e-16, 0.5, 500)
    assert max(power_of(v, exponent) for v in shares for exponent in (0.01, 0.4, 1.0)) <= 1.0
