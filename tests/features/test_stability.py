"""PSI and information coefficients: by hand, against scipy, drift found, nothing foretold by chance."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from regimegym.common.errors import DataError
from regimegym.features.market import prepare_market
from regimegym.features.pipeline import FeatureSettings, FeatureTable
from regimegym.features.splits import RowRange, WalkForward
from regimegym.features.stability import (
    chosen_by_training,
    drift_table,
    information_coefficient,
    population_stability_index,
    walk_forward_coefficients,
)
from regimegym.features.synthetic.worlds import random_walk_bars


def test_psi_worked_out_by_hand():
    reference, current = np.arange(10.0), np.array([0.0, 1, 2, 3, 4, 4, 4, 4, 9, 9])
    # Two bins at the median 4.5: halves against 8 and 2 of 10.
    expected = (0.8 - 0.5) * np.log(0.8 / 0.5) + (0.2 - 0.5) * np.log(0.2 / 0.5)
    assert population_stability_index(reference, current, n_bins=2) == pytest.approx(expected)
    assert population_stability_index(reference, reference) == 0.0


def test_psi_of_one_distribution_is_what_chance_gives():
    rng = np.random.default_rng(0)
    found = [population_stability_index(rng.normal(size=2_000), rng.normal(size=500)) for _ in range(300)]
    assert np.mean(found) == pytest.approx(9 * (1 / 2_000 + 1 / 500), rel=0.15)


def test_psi_grows_with_a_shift_and_with_a_spread():
    rng = np.random.default_rng(1)
    reference = rng.normal(size=5_000)
    shifted = [population_stability_index(reference, rng.normal(shift, 1, 5_000)) for shift in (0, 0.3, 0.6, 1.0)]
    assert shifted == sorted(shifted)
    assert shifted[-1] > 0.5
    assert population_stability_index(reference, rng.normal(0, 2, 5_000)) > 0.25


def test_psi_of_constants_is_finite():
    assert population_stability_index(np.ones(50), np.ones(50)) == 0.0
    assert np.isfinite(population_stability_index(np.ones(50), np.zeros(50)))


def test_too_few_values_are_refused():
    with pytest.raises(DataError, match="9 and 50 values are too few for 10 bins"):
        population_stability_index(np.ones(9), np.ones(50))


def test_the_drift_table_finds_the_feature_that_moved_and_when():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(4_000, 2))
    values[3_000:, 1] += 1.0
    values[:50] = np.nan
    table = FeatureTable(np.arange(4_000), values, ("still", "moved"), 50)
    drift = drift_table(table, RowRange(0, 2_000), 500)
    np.testing.assert_array_equal(drift.starts, [2_000, 2_500, 3_000, 3_500])
    np.testing.assert_array_equal(drift.values > 0.25, [[False, False], [False, False], [False, True], [False, True]])


def test_the_coefficient_equals_scipy():
    rng = np.random.default_rng(3)
    x, y = np.round(rng.normal(size=(2, 300)), 1)  # with ties
    assert information_coefficient(x, y) == pytest.approx(spearmanr(x, y).statistic)
    assert information_coefficient(np.ones(9), np.arange(9.0)) == 0.0


def market(n: int = 6_000):
    return prepare_market(random_walk_bars(n, 4), feature_settings=FeatureSettings(("return_5", "slope", "adx")))


def test_nothing_foretells_a_random_walk_and_the_best_of_training_is_nothing_in_the_test():
    made = market()
    found = walk_forward_coefficients(made.table, made.bars.close, 5, WalkForward(2_000, 500, 500))
    assert len(found) == 7
    assert all(fold.n_test == 500 for fold in found)
    tests = [test for *_, test in chosen_by_training(found, made.table.names)]
    assert abs(np.mean(tests)) < 0.1


def test_a_planted_foreteller_is_chosen_in_every_fold():
    made = market()
    values, horizon = made.table.values.copy(), 5
    ahead = np.log(made.bars.close[horizon:] / made.bars.close[:-horizon])
    values[:-horizon, 1] = ahead + np.random.default_rng(5).normal(0, 0.02, len(ahead))
    table = FeatureTable(made.table.timestamps, values, made.table.names, made.table.warm_up)
    found = walk_forward_coefficients(table, made.bars.close, horizon, WalkForward(2_000, 500, 500))
    for _, name, train, test in chosen_by_training(found, table.names):
        assert name == "slope"
        assert train > 0.5
        assert test > 0.5


def test_a_training_outcome_never_reaches_into_the_test():
    made = market()
    folds = WalkForward(2_000, 500, 500)
    before = walk_forward_coefficients(made.table, made.bars.close, 20, folds)[0]
    close = made.bars.close.copy()
    first_test = made.table.warm_up + 2_000
    close[first_test:] *= np.exp(np.random.default_rng(6).normal(0, 0.2, len(close) - first_test))
    np.testing.assert_array_equal(walk_forward_coefficients(made.table, close, 20, folds)[0].train, before.train)
