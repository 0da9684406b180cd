"""Microstructure from bars and quotes: numbers worked out by hand, a plain loop, planted spreads found again."""

import numpy as np
import pytest

from regimegym.features import microstructure
from regimegym.features.synthetic.worlds import random_walk_bars

BARS = random_walk_bars(600, 2)
RETURNS = np.diff(np.log(BARS.close), prepend=np.nan)


def test_amihud_worked_out_by_hand_passes_over_bars_without_trades():
    returns = np.array([np.nan, 0.01, -0.02, 0.05, 0.03])
    notional = np.array([9.0, 2.0, 4.0, 0.0, 1.0])
    found = microstructure.amihud_illiquidity(returns, notional, 2)
    np.testing.assert_allclose(found, [np.nan, np.nan, 0.005, 0.005, 0.03])
    assert (microstructure.amihud_illiquidity(returns, np.zeros(5), 2)[2:] == 0).all()


def test_roll_equals_a_plain_covariance():
    found = microstructure.roll_spread(RETURNS, 50)
    assert np.isnan(found[:51]).all()
    for t in (51, 200, 599):
        now, before = RETURNS[t - 49 : t + 1], RETURNS[t - 50 : t]
        covariance = np.cov(now, before, ddof=0)[0, 1]
        assert found[t] == pytest.approx(2 * np.sqrt(max(-covariance, 0.0)), rel=1e-9)


def test_roll_finds_the_spread_of_a_bid_ask_bounce():
    rng = np.random.default_rng(0)
    mid = rng.normal(0, 0.0005, 20_000).cumsum()
    quoted = mid + 0.005 * rng.choice([-1, 1], 20_000)  # half-spread 0.5 %
    returns = np.diff(quoted, prepend=np.nan)
    assert microstructure.roll_spread(returns, 19_000)[-1] == pytest.approx(0.01, rel=0.05)


def test_roll_of_a_trend_is_zero():
    returns = np.r_[np.nan, np.repeat([0.01, -0.01], 50)]
    assert microstructure.roll_spread(returns, 40)[41] == pytest.approx(0.0, abs=1e-9)


def test_corwin_schultz_worked_out_by_hand():
    high, low = np.array([101.0, 102.0]), np.array([99.0, 100.0])
    close = np.array([100.5, 101.0])
    beta = np.log(101 / 99) ** 2 + np.log(102 / 100) ** 2
    gamma = np.log(102 / 99) ** 2
    k = 3 - 2 * np.sqrt(2)
    alpha = (np.sqrt(2 * beta) - np.sqrt(beta)) / k - np.sqrt(gamma / k)
    expected = max(2 * (np.exp(alpha) - 1) / (1 + np.exp(alpha)), 0.0)
    assert microstructure.corwin_schultz_spread(high, low, close)[1] == pytest.approx(expected)
    wide = microstructure.corwin_schultz_spread(np.array([101.0, 101.0]), np.array([99.0, 99.0]), close)
    assert wide[1] == pytest.approx(0.02, rel=0.02)  # the whole range of both bars is spread


def test_corwin_schultz_moves_a_bar_that_gapped():
    high, low, close = np.array([101.0, 121.0]), np.array([99.0, 119.0]), np.array([100.0, 120.0])
    gapped = microstructure.corwin_schultz_spread(high, low, close)[1]
    shift = 100.0 / 119.0
    beside = microstructure.corwin_schultz_spread(
        np.array([101.0, 121.0 * shift]), np.array([99.0, 119.0 * shift]), close
    )[1]
    assert gapped == pytest.approx(beside)


def test_corwin_schultz_finds_a_planted_spread():
    rng = np.random.default_rng(1)
    path = rng.normal(0, 0.0001, 1_000 * 390).cumsum().reshape(1_000, 390)
    price = path + 0.005 * rng.choice([-1, 1], path.shape)
    high, low, close = np.exp(price.max(axis=1)), np.exp(price.min(axis=1)), np.exp(path[:, -1])
    assert microstructure.corwin_schultz_spread(high, low, close)[1:].mean() == pytest.approx(0.01, rel=0.05)


def test_buys_follow_the_normal_distribution():
    change, sd = np.array([0.0, 1.0, -1.0, 3.0, 1.0]), np.array([1.0, 1.0, 2.0, 0.0, np.nan])
    found = microstructure.buy_share(change, sd)
    np.testing.assert_allclose(found[:4], [0.5, 0.8413447461, 0.3085375387, 0.5])
    assert np.isnan(found[4])


def test_volume_imbalance_worked_out_by_hand():
    buys, volume = np.array([np.nan, 1.0, 0.0, 0.75, 0.5]), np.array([5.0, 10.0, 30.0, 0.0, 0.0])
    found = microstructure.volume_imbalance(buys, volume, 2)
    np.testing.assert_allclose(found, [np.nan, np.nan, -0.5, -1.0, 0.0])


def test_kyle_lambda_is_the_slope_through_the_origin():
    rng = np.random.default_rng(2)
    signed = rng.normal(0, 100, 500)
    returns = 3e-5 * signed + rng.normal(0, 1e-4, 500)
    returns[0] = np.nan
    found = microstructure.kyle_lambda(returns, signed, 200)
    assert np.isnan(found[:200]).all()
    assert found[-1] == pytest.approx(np.linalg.lstsq(signed[-200:, None], returns[-200:], rcond=None)[0][0])
    assert found[-1] == pytest.approx(3e-5, rel=0.02)
    assert microstructure.kyle_lambda(returns, np.zeros(500), 200)[-1] == 0


def test_quotes_worked_out_by_hand():
    imbalance = microstructure.size_imbalance(np.array([3.0, 0.0, 0.0]), np.array([1.0, 2.0, 0.0]))
    np.testing.assert_allclose(imbalance, [0.5, -1.0, 0.0])
    bid, ask = 99.0, 101.0
    microprice = (bid * 1.0 + ask * 3.0) / 4.0
    gap = microstructure.microprice_gap(np.array([ask - bid]), np.array([100.0]), imbalance[:1])
    assert gap[0] == pytest.approx(microprice / 100.0 - 1.0)


def test_log_ratio_is_neutral_where_nothing_can_be_compared():
    found = microstructure.log_ratio(np.array([np.e, 0.0, 1.0, np.nan]), np.array([1.0, 1.0, 0.0, 1.0]))
    np.testing.assert_allclose(found, [1.0, 0.0, 0.0, np.nan])
