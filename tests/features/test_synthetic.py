"""Synthetic markets: valid bars, known truth, clustered volatility, the same seed the same market."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError
from regimegym.common.regimes import Regime
from regimegym.features.bars import Bars
from regimegym.features.regimes import classify_regimes
from regimegym.features.synthetic.processes import bridge_extremes
from regimegym.features.synthetic.worlds import (
    RegimeMarketSettings,
    random_walk_bars,
    regime_switching_market,
    sine_bars,
)
from regimegym.features.validation import find_broken_rules

MARKET = regime_switching_market(40_000, 7)
RETURNS = np.diff(np.log(MARKET.bars.close))
STATES = MARKET.true_regimes[1:]


def columns(bars: Bars) -> dict[str, np.ndarray]:
    names = ("open", "high", "low", "close", "volume")
    return {"timestamp": bars.timestamps, **{name: getattr(bars, name) for name in names}}


def assert_valid(bars: Bars, n_bars: int) -> None:
    assert len(bars) == n_bars
    assert find_broken_rules(columns(bars)) == []
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.symbol, bars.periods_per_year) == ("SYNTHETIC", 8760.0)
    assert bars.timestamps[0] == np.datetime64("2020-01-01", "ns").astype(np.int64)


@hypothesis_settings(max_examples=30)
@given(st.integers(2, 400), st.integers(0, 2**31), st.floats(0.0, 0.2))
def test_every_market_has_valid_bars(n_bars, seed, volatility):
    assert_valid(regime_switching_market(n_bars, seed).bars, n_bars)
    assert_valid(random_walk_bars(n_bars, seed, volatility), n_bars)
    assert_valid(sine_bars(n_bars, seed, noise=volatility), n_bars)


def test_the_same_seed_makes_the_same_market_and_another_seed_another():
    again = regime_switching_market(40_000, 7)
    assert again.bars.fingerprint == MARKET.bars.fingerprint
    np.testing.assert_array_equal(again.true_regimes, MARKET.true_regimes)
    assert regime_switching_market(40_000, 8).bars.fingerprint != MARKET.bars.fingerprint


def test_regimes_stay_about_as_long_as_set_and_are_about_equally_common():
    changes = np.flatnonzero(np.diff(MARKET.true_regimes))
    assert 40_000 / len(changes) == pytest.approx(120, rel=0.2)
    shares = np.bincount(MARKET.true_regimes, minlength=4) / 40_000
    assert (shares > 0.18).all()


def test_each_regime_moves_as_it_should():
    mean = {regime: RETURNS[regime == STATES].mean() for regime in (0, 1, 2, 3)}
    sd = {regime: RETURNS[regime == STATES].std() for regime in (0, 1, 2, 3)}
    assert mean[Regime.UPTREND] == pytest.approx(0.001, abs=2e-4)
    assert mean[Regime.DOWNTREND] == pytest.approx(-0.001, abs=2e-4)
    assert abs(mean[Regime.PLATEAU]) < 2e-4
    assert sd[Regime.PLATEAU] == pytest.approx(0.0015, rel=0.1)
    assert sd[Regime.UPTREND] == pytest.approx(0.004, rel=0.1)
    oscillating = (STATES[1:] == Regime.OSCILLATING) & (STATES[:-1] == Regime.OSCILLATING)
    assert np.corrcoef(RETURNS[1:][oscillating], RETURNS[:-1][oscillating])[0, 1] < -0.03


def test_volatility_clusters_within_one_regime():
    size = np.where(STATES == Regime.UPTREND, np.abs(RETURNS), np.nan)
    pairs = np.c_[size[:-10], size[10:]]
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    assert np.corrcoef(pairs.T)[0, 1] > 0.05


def test_the_open_is_the_close_before_it_but_for_a_tiny_gap():
    gap = np.log(MARKET.bars.open[1:] / MARKET.bars.close[:-1])
    assert 0 < gap.std() < 0.05 * RETURNS.std()


@pytest.mark.parametrize("seed", range(5))
def test_prices_stay_within_reason_over_50_000_bars(seed):
    bars = regime_switching_market(50_000, seed).bars
    assert bars.low.min() > 2.0
    assert bars.high.max() < 5_000.0


def test_the_true_regimes_can_be_recognised():
    labels = classify_regimes(MARKET.bars.close).labels
    known = labels >= 0
    truth = MARKET.true_regimes
    share = (labels[known] == truth[known]).mean()
    assert share > 0.5  # chance is .25; a window of 20 bars lags and trends hide in noise
    for regime in (0, 1, 2, 3):
        assert np.bincount(truth[labels == regime], minlength=4).argmax() == regime


def test_the_highest_of_a_bridge_is_that_of_a_fine_random_path():
    rng = np.random.default_rng(0)
    n, steps = 4_000, 400
    moves = rng.normal(0.0, 0.01 / np.sqrt(steps), (n, steps)).cumsum(axis=1)
    end = 0.004
    bridge = moves + (end - moves[:, -1:]) * np.arange(1, steps + 1) / steps
    high, low = bridge_extremes(np.zeros(n), np.full(n, end), np.full(n, 0.01), rng)
    fine = 0.5826 * 0.01 / np.sqrt(steps)  # a path in steps misses its extremes by this on average
    assert high.mean() == pytest.approx(np.maximum(bridge.max(axis=1), 0).mean() + fine, rel=0.05)
    assert low.mean() == pytest.approx(np.minimum(bridge.min(axis=1), 0).mean() - fine, rel=0.05)


def test_a_sine_without_noise_has_its_period_and_amplitude():
    log_close = np.log(sine_bars(400, 3, period=40, amplitude=0.05).close)
    np.testing.assert_allclose(log_close[40:], log_close[:-40], atol=1e-12)
    assert np.ptp(log_close) == pytest.approx(0.1, rel=0.01)


def test_a_walk_has_its_volatility_and_no_drift():
    returns = np.diff(np.log(random_walk_bars(50_000, 2, 0.01).close))
    assert returns.std() == pytest.approx(0.01, rel=0.02)
    assert abs(returns.mean()) < 4 * 0.01 / np.sqrt(50_000)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: regime_switching_market(1, 0), "'n_bars' must be a whole number ≥ 2, got 1"),
        (lambda: RegimeMarketSettings(mean_stay=0.5), "'mean_stay' must be ≥ 1, got 0.5"),
        (lambda: RegimeMarketSettings(oscillation_memory=1.0), "'oscillation_memory' must be in"),
        (lambda: RegimeMarketSettings(trend_sd=-1.0), "'trend_sd' must be ≥ 0"),
        (lambda: sine_bars(100, period=2), "'period' must be > 2"),
        (lambda: random_walk_bars(100, 0, -0.1), "'bar_volatility' must be ≥ 0"),
    ],
)
def test_settings_out_of_range_are_refused(make, text):
    with pytest.raises(ConfigError, match=text):
        make()
