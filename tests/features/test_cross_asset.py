"""Several instruments: joins as of the close, planted changes and lags found, ranks exact."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from regimegym.features import cross_asset
from regimegym.features.alignment import close_times, closes_as_of, rows_as_of
from regimegym.features.synthetic.worlds import random_walk_bars

HOUR = 3_600_000_000_000


def pair(n: int, correlation: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x, noise = rng.normal(0, 0.01, n), rng.normal(0, 0.01, n)
    return x, correlation * x + np.sqrt(1 - correlation**2) * noise


def test_the_bar_of_another_instrument_counts_once_it_has_closed():
    bars, other = random_walk_bars(40, 1), random_walk_bars(40, 2)
    later = replace(other, timestamps=other.timestamps + HOUR // 2)  # half past
    joined = closes_as_of(later, close_times(bars), 10 * HOUR)
    assert np.isnan(joined[0])  # at 01:00 the bar from 00:30 is still open
    np.testing.assert_array_equal(joined[1:], later.close[:-1])
    np.testing.assert_array_equal(closes_as_of(other, close_times(bars), 0), other.close)


def test_a_stale_bar_is_unknown():
    bars, other = random_walk_bars(40, 1), random_walk_bars(40, 2)
    gap = replace(
        other, **{n: getattr(other, n)[:10] for n in ("timestamps", "open", "high", "low", "close", "volume")}
    )
    joined = closes_as_of(gap, close_times(bars), 3 * HOUR)
    np.testing.assert_array_equal(joined[10:13], np.full(3, other.close[9]))
    assert np.isnan(joined[13:]).all()


def test_rows_as_of_include_the_moment_itself():
    np.testing.assert_array_equal(rows_as_of(np.array([5, 7, 7]), np.array([4, 5, 6, 7, 8])), [-1, 0, 0, 2, 2])


def test_correlation_and_beta_equal_pandas():
    x, y = pair(400, 0.6, np.random.default_rng(0))
    rolling = pd.Series(x).rolling(50)
    np.testing.assert_allclose(cross_asset.rolling_correlation(x, y, 50), rolling.corr(pd.Series(y)), rtol=1e-8)
    beta = rolling.cov(pd.Series(y), ddof=0) / pd.Series(y).rolling(50).var(ddof=0)
    np.testing.assert_allclose(cross_asset.rolling_beta(x, y, 50), beta, rtol=1e-8)


def test_what_does_not_move_has_no_correlation_and_no_beta():
    x = np.random.default_rng(0).normal(0, 0.01, 100)
    assert (cross_asset.rolling_correlation(x, np.full(100, 0.3), 20)[19:] == 0).all()
    assert (cross_asset.rolling_beta(x, np.zeros(100), 20)[19:] == 0).all()


def test_a_missing_value_makes_only_its_windows_unknown():
    x, y = pair(100, 0.5, np.random.default_rng(0))
    x[50] = np.nan
    unknown = np.isnan(cross_asset.rolling_correlation(x, y, 20))
    np.testing.assert_array_equal(np.flatnonzero(unknown[19:]) + 19, np.arange(50, 70))


def test_the_residual_is_free_of_the_reference():
    rng = np.random.default_rng(3)
    reference = rng.normal(0, 0.01, 3_000)
    own = rng.normal(0, 0.002, 3_000)
    residual = cross_asset.residual_return(1.7 * reference + own, reference, 200)
    assert np.isnan(residual[:200]).all()
    assert abs(np.corrcoef(residual[200:], reference[200:])[0, 1]) < 0.1
    np.testing.assert_allclose(residual[200:].std(), 0.002, rtol=0.1)


def test_a_planted_change_of_correlation_is_found_and_not_before():
    rng = np.random.default_rng(4)
    before, after = pair(400, 0.8, rng), pair(100, -0.8, rng)
    x, y = np.r_[before[0], after[0]], np.r_[before[1], after[1]]
    score = cross_asset.correlation_break(x, y, fast=20, slow=120)
    assert np.isnan(score[:139]).all()
    assert np.abs(score[140:400]).max() < 4.5
    assert score[419] < -6
    assert np.flatnonzero(np.abs(score[400:]) > 4.5)[0] < 20


def test_the_false_alarm_rate_of_the_break_score_is_that_of_a_normal():
    rng = np.random.default_rng(5)
    x, y = pair(200_000, 0.5, rng)
    score = cross_asset.correlation_break(x, y, 20, 120)[140:]
    assert score.mean() == pytest.approx(0.0, abs=0.05)
    assert score.std() == pytest.approx(1.0, abs=0.06)
    assert 0.02 < (np.abs(score) > 2).mean() < 0.07  # 4.6 % of a normal
    assert (np.abs(score) > 4).mean() < 2e-3


@pytest.mark.parametrize("lag", [1, 3, 5])
def test_a_planted_lag_is_recovered(lag):
    rng = np.random.default_rng(lag)
    leader = rng.normal(0, 0.01, 500)
    x = 0.7 * np.roll(leader, lag) + rng.normal(0, 0.004, 500)
    found, strength = cross_asset.lead_lag(x, leader, most_lags=6, window=100)
    assert np.isnan(found[:105]).all()
    assert (found[120:] == lag).mean() > 0.99
    assert np.median(strength[120:]) > 0.7


def test_a_lag_is_found_from_past_pairs_only():
    rng = np.random.default_rng(9)
    leader, x = rng.normal(size=300), rng.normal(size=300)
    whole = cross_asset.lead_lag(x, leader, 4, 50)
    for cut in (60, 123, 250):
        other_x, other_leader = x.copy(), leader.copy()
        other_x[cut:], other_leader[cut:] = rng.normal(size=(2, 300 - cut))
        for part, full in zip(cross_asset.lead_lag(other_x, other_leader, 4, 50), whole, strict=True):
            np.testing.assert_array_equal(part[:cut], full[:cut])


def test_ranks_of_three_sectors_turn_when_the_leader_does():
    t = np.arange(200.0)
    rates = np.array([[0.001] * 100 + [-0.002] * 100, [0.0] * 200, [-0.001] * 100 + [0.002] * 100])
    close = np.exp(np.cumsum(rates, axis=1))
    ranks = cross_asset.rotation_ranks(cross_asset.momentum(close, 20))
    assert np.isnan(ranks[:, :20]).all()
    np.testing.assert_array_equal(ranks[:, 60], [1.0, 0.5, 0.0])
    np.testing.assert_array_equal(ranks[:, 180], [0.0, 0.5, 1.0])
    assert len(t) == ranks.shape[1]


def test_equal_ones_share_a_rank_and_an_unknown_one_has_none():
    momenta = np.array([[1.0, np.nan, 2.0], [1.0, 3.0, np.nan], [2.0, 4.0, np.nan]])
    expected = [[0.25, np.nan, 0.5], [0.25, 0.0, np.nan], [1.0, 1.0, np.nan]]
    np.testing.assert_array_equal(cross_asset.rotation_ranks(momenta), expected)


def test_relative_strength_is_against_the_mean_of_those_known():
    own = np.array([0.05, 0.05, 0.05])
    others = np.array([[0.01, np.nan, np.nan], [0.03, 0.03, np.nan]])
    np.testing.assert_allclose(cross_asset.relative_strength(own, others), [0.03, 0.02, np.nan])
