"""A/B tests: A against A rejects at its level, a better agent is found, pairs are what counts."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from regimegym.common.errors import ConfigError, DataError
from regimegym.evaluate.ab_test import (
    compare_agents,
    difference_interval,
    false_discovery,
    holm,
    path_p,
    sign_flip_p,
)

RNG = np.random.default_rng


def slow_sign_flip(differences):
    """Every sign pattern, one at a time."""
    observed = abs(sum(differences))
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    return np.mean([total >= observed - 1e-12 for total in sums])


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_few_scenarios_are_counted_exactly(n):
    differences = RNG(n).normal(0.5, 1, n)
    assert sign_flip_p(differences, RNG(0)) == pytest.approx(slow_sign_flip(differences))


def test_an_agent_against_itself_shows_nothing():
    assert sign_flip_p(np.zeros(8), RNG(0)) == 1.0
    assert difference_interval(np.zeros(8), RNG(0))[1:] == (0.0, 0.0)
    assert np.isnan(path_p(np.zeros(300), 20.0, RNG(0)))


@pytest.mark.parametrize("n_scenarios", [10, 40])
def test_equally_good_agents_are_told_apart_at_the_nominal_rate(n_scenarios):
    rng = RNG(1)
    p_values = []
    for _ in range(600):
        market = rng.standard_t(3, n_scenarios)
        a, b = (market + rng.normal(0, 1, (4, n_scenarios)) for _ in range(2))
        p_values.append(sign_flip_p(a.mean(axis=0) - b.mean(axis=0), rng, n_resamples=199))
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.022)


def test_a_planted_better_agent_is_found_with_its_interval():
    rng = RNG(2)
    found, covered = [], []
    for _ in range(100):
        market = rng.normal(0, 3, 30)  # far larger than the difference: only pairs can show it
        a, b = market + 0.5 + rng.normal(0, 1, (5, 30)), market + rng.normal(0, 1, (5, 30))
        (comparison,) = compare_agents({"b": b, "a": a}, "b", rng)
        found.append(comparison.p_holm <= 0.05)
        covered.append(comparison.difference.low <= 0.5 <= comparison.difference.high)
        assert comparison.n_scenarios == 30
    assert np.mean(found) > 0.95
    assert np.mean(covered) > 0.88


def test_intervals_of_symmetric_differences_cover_exactly():
    rng = RNG(3)
    covered = []
    for _ in range(800):
        _, low, high = difference_interval(rng.standard_t(2, 8), rng, 0.9)
        covered.append(low <= 0 <= high)
    assert np.mean(covered) == pytest.approx(0.9, abs=0.03)


def test_the_interval_and_the_test_agree_about_zero():
    rng = RNG(4)
    for _ in range(100):
        differences = rng.normal(0.5, 1, 9)
        _, low, high = difference_interval(differences, rng)
        assert (not low <= 0.0 <= high) == (sign_flip_p(differences, rng) <= 0.05)


def test_too_few_scenarios_for_the_level_bound_nothing():
    assert difference_interval(np.array([1.0, 2.0, 3.0]), RNG(0))[1:] == (-np.inf, np.inf)
    assert sign_flip_p(np.array([1.0, 2.0, 3.0]), RNG(0)) == 0.25


def test_one_sided_p_values_are_those_of_the_better_side():
    differences = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 2.5])
    assert sign_flip_p(differences, RNG(0), "greater") == pytest.approx(1 / 64)
    assert sign_flip_p(-differences, RNG(0), "greater") == 1.0


def test_holm_is_the_example_of_the_book():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.01, np.nan, 0.04]))[[0, 2]].tolist() == pytest.approx([0.02, 0.04])
    assert np.isnan(holm(np.array([0.01, np.nan]))[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusted_values_keep_the_order_and_never_fall_below_the_raw_ones(values):
    p = np.array(values)
    order = np.argsort(p, kind="stable")
    for adjusted in (holm(p), false_discovery(p)):
        assert (adjusted >= p).all()
        assert (adjusted <= 1).all()
        assert (np.diff(adjusted[order]) >= 0).all()
    assert (holm(p) >= false_discovery(p) - 1e-15).all()


def test_false_discoveries_are_adjusted_as_scipy_does():
    p = RNG(5).random(30) ** 2
    np.testing.assert_allclose(false_discovery(p), false_discovery_control(p), rtol=1e-12)


def test_holm_keeps_the_error_of_many_comparisons():
    rng = RNG(6)
    wrong = 0
    for _ in range(150):
        market = rng.normal(0, 1, 12)
        scores = {f"agent {k}": market + rng.normal(0, 1, (2, 12)) for k in range(6)}
        wrong += any(c.p_holm <= 0.05 for c in compare_agents(scores, "agent 0", rng))
    assert wrong / 150 <= 0.09


def ar1(rng, n, phi):
    shocks = rng.normal(0, 1, n)
    values = shocks.copy()
    for t in range(1, n):
        values[t] += phi * values[t - 1]
    return values


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_on_one_path_equal_agents_are_told_apart_at_about_the_nominal_rate(phi):
    rng = RNG(7)
    p_values = [path_p(ar1(rng, 800, phi), 40.0, rng, 200) for _ in range(250)]
    assert 0.01 <= np.mean(np.array(p_values) <= 0.05) <= 0.11


def test_on_one_path_a_planted_difference_is_found():
    rng = RNG(8)
    assert np.mean([path_p(ar1(rng, 800, 0.3) + 0.25, 30.0, rng, 200) <= 0.05 for _ in range(40)]) > 0.9


def test_what_cannot_be_compared_is_named():
    scores = {"a": np.zeros((2, 3)), "b": np.zeros((2, 4))}
    with pytest.raises(ConfigError, match="no agent 'c' to compare with"):
        compare_agents(scores, "c", RNG(0))
    with pytest.raises(DataError, match="scores of 4 scenarios"):
        compare_agents(scores, "a", RNG(0))
    with pytest.raises(DataError, match="one difference per scenario"):
        sign_flip_p(np.empty(0), RNG(0))
    assert np.isnan(sign_flip_p(np.array([1.0, np.nan]), RNG(0)))
