"""Rules of combination, each against numbers worked out by hand or the slow obvious way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from regimegym.supervised.ensemble.combine import (
    RecentSuccess,
    averaged,
    confident_weights,
    largest,
    mixture_weights,
    routed_weights,
    shares,
    squares_weights,
)
from regimegym.supervised.ensemble.intervals import conformal_quantile, interval_around, prediction_sets

TWO = np.array([[[0.2, 0.8], [0.6, 0.4]], [[0.5, 0.5], [0.0, 1.0]]])  # two members, two rows, two classes


def test_probabilities_are_averaged_not_labels():
    np.testing.assert_allclose(averaged(TWO, np.array([0.5, 0.5])), TWO.mean(axis=0))
    # Labels 0 and 2 would average to 1, a class that nobody believes in.
    three = np.array([[[0.9, 0.1, 0.0]], [[0.0, 0.1, 0.9]]])
    assert averaged(three, np.array([0.6, 0.4])).argmax() == 0


def test_a_member_without_an_answer_gives_its_weight_to_the_others():
    answers = np.array([[[1.0], [1.0]], [[2.0], [np.nan]], [[4.0], [4.0]]])
    weights = np.array([0.5, 0.25, 0.25])
    np.testing.assert_allclose(shares(answers, weights)[:, 1], [2 / 3, 0, 1 / 3])
    np.testing.assert_allclose(averaged(answers, weights)[:, 0], [2.0, 2.0])
    only = np.array([[[3.0]], [[np.nan]]])
    np.testing.assert_allclose(averaged(only, np.array([0.0, 1.0])), [[3.0]])
    assert np.isnan(averaged(only * np.nan, np.array([0.5, 0.5]))).all()


@given(arrays(float, (3, 4, 2), elements=st.floats(0, 1) | st.just(float("nan"))), st.integers(0, 10_000))
def test_shares_lie_on_the_simplex_wherever_anybody_answers(answers, seed):
    found = shares(answers, np.random.default_rng(seed).dirichlet(np.ones(3)))
    anybody = np.isfinite(answers).all(axis=2).any(axis=0)
    np.testing.assert_allclose(found[:, anybody].sum(axis=0), 1.0)
    assert (found[:, anybody] >= 0).all()
    assert np.isnan(found[:, ~anybody]).all()


def test_sureness_is_how_far_the_best_class_stands_above_chance():
    np.testing.assert_allclose(confident_weights(TWO, np.array([0.5, 0.5])), [[0.3, 0.1], [0.0, 0.5]])
    found = averaged(TWO, confident_weights(TWO, np.array([0.5, 0.5])))
    np.testing.assert_allclose(found[0], TWO[0, 0])
    np.testing.assert_allclose(found[1], (0.1 * TWO[0, 1] + 0.5 * TWO[1, 1]) / 0.6)


def test_a_mixed_batch_is_routed_row_by_row():
    regimes = np.array([[1.0, 0.0], [0.0, 1.0], [0.25, 0.75], [np.nan, np.nan]])
    by_regime, default = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0.5, 0.5])
    hard = routed_weights(regimes, by_regime, True, default)
    np.testing.assert_allclose(hard.T, [[0.9, 0.1], [0.2, 0.8], [0.2, 0.8], [0.5, 0.5]])
    soft = routed_weights(regimes, by_regime, False, default)
    np.testing.assert_allclose(soft.T, [[0.9, 0.1], [0.2, 0.8], [0.375, 0.625], [0.5, 0.5]])


def test_only_the_largest_weights_are_kept():
    np.testing.assert_array_equal(largest(np.array([0.2, 0.5, 0.3]), 2), [0, 0.5, 0.3])
    np.testing.assert_array_equal(largest(np.array([[0.2, 0.6], [0.8, 0.4]]), 1), [[0, 0.6], [0.8, 0]])
    assert largest(np.ones(2), None).tolist() == [1, 1]


def test_the_planted_best_member_is_recovered():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2_000)
    truth = np.where(y == 1, 0.8, 0.2)
    p = np.stack([np.where(rng.random(2000) < 0.5, 0.5, 0.4), truth, np.full(2000, 0.5)])
    likelihood = np.where(y == 1, p, 1 - p)
    weights = mixture_weights(likelihood)
    assert weights.sum() == pytest.approx(1)
    assert weights[1] > 0.95


def test_mixture_weights_are_the_best_on_a_grid():
    rng = np.random.default_rng(1)
    likelihood = rng.uniform(0.2, 0.9, (2, 300))
    grid = np.linspace(0, 1, 2001)
    gains = np.log(grid[:, None] * likelihood[0] + (1 - grid[:, None]) * likelihood[1]).sum(axis=1)
    assert mixture_weights(likelihood)[0] == pytest.approx(grid[gains.argmax()], abs=2e-3)
    ignored = mixture_weights(likelihood, (np.arange(300) < 100).astype(float))
    np.testing.assert_allclose(ignored, mixture_weights(likelihood[:, :100]), atol=1e-9)


def test_squares_weights_are_the_best_on_a_grid():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(2, 200))
    truth = 0.7 * values[0] + 0.3 * values[1] + 0.1 * rng.normal(size=200)
    grid = np.linspace(0, 1, 2001)
    losses = ((truth - grid[:, None] * values[0] - (1 - grid[:, None]) * values[1]) ** 2).sum(axis=1)
    found = squares_weights(values, truth)
    assert found.sum() == pytest.approx(1)
    assert found[0] == pytest.approx(grid[losses.argmin()], abs=1e-3)
    # One that is best left out is left out.
    np.testing.assert_allclose(squares_weights(np.stack([truth, -truth]), truth), [1, 0], atol=1e-6)


@given(st.lists(st.tuples(st.floats(-3, 0), st.floats(-3, 0)), min_size=1, max_size=12), st.floats(0.5, 1.0))
def test_weights_by_recent_success_are_the_formula(scores, forgetting):
    found = RecentSuccess(2, forgetting, 0.3)
    found.update(np.array(scores).T)
    n = len(scores)
    sums = [sum(forgetting ** (n - 1 - s) * scores[s][m] for s in range(n)) for m in range(2)]
    expected = np.exp(0.3 * np.array(sums))
    np.testing.assert_allclose(found.weights, expected / expected.sum(), rtol=1e-9)


def test_a_member_that_did_not_answer_neither_gains_nor_loses():
    found = RecentSuccess(3, 1.0, 1.0)
    found.update(np.array([[-1.0, np.nan], [-3.0, np.nan], [np.nan, np.nan]]))
    np.testing.assert_array_equal(found.scores, [-1.0, -3.0, -2.0])


def test_a_conformal_quantile_is_the_rank_it_says():
    scores = np.array([5.0, 1.0, np.nan, 3.0, 2.0, 4.0, 6.0, 7.0, 8.0, 9.0])
    assert conformal_quantile(scores, 0.9) == 9.0
    assert conformal_quantile(scores, 0.5) == 5.0
    assert conformal_quantile(scores[:4], 0.9) == np.inf
    np.testing.assert_array_equal(interval_around(np.array([1.0]), 2.0), [[-1, 3]])
    np.testing.assert_array_equal(prediction_sets(np.array([[0.2, 0.8], [0.5, 0.5]]), 0.5), [[0, 1], [1, 1]])


def test_conformal_intervals_cover_what_they_promise():
    rng = np.random.default_rng(3)
    inside = [np.abs(rng.normal(size=400)) <= conformal_quantile(np.abs(rng.normal(size=300)), 0.9) for _ in range(50)]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.01)
