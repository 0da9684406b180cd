"""Regimes: the checked table of DEFINITIONS §3 and the properties behind it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError
from regimegym.common.regimes import Regime
from regimegym.features.regimes import RegimeSettings, classify_regimes

UP, DOWN, PLATEAU, OSCILLATING = Regime.UPTREND, Regime.DOWNTREND, Regime.PLATEAU, Regime.OSCILLATING


def walk(n, seed=0, sd=0.01):
    return 100.0 * np.exp(np.random.default_rng(seed).normal(0.0, sd, n).cumsum())


def share(close, regime):
    labels = classify_regimes(close).labels
    return (labels[20:] == regime).mean()


def test_a_steady_trend_is_all_trend():
    steps = np.arange(1_000)
    assert share(100.0 * 1.0005**steps, UP) == 1.0
    assert share(100.0 * 0.9995**steps, DOWN) == 1.0


def test_flat_prices_are_all_plateau():
    assert share(np.full(1_000, 42.0), PLATEAU) == 1.0


def test_a_sine_of_period_10_is_all_oscillating():
    assert share(100.0 * np.exp(0.02 * np.sin(2 * np.pi * np.arange(2_000) / 10)), OSCILLATING) == 1.0


def test_a_mean_reverting_walk_oscillates():
    rng, level, out = np.random.default_rng(3), 0.0, []
    for _ in range(20_000):
        level = 0.2 * level + rng.normal(0.0, 0.01)
        out.append(level)
    assert share(np.exp(out), OSCILLATING) > 0.99


def test_calm_after_ten_times_the_volatility_is_a_plateau():
    rng = np.random.default_rng(5)
    close = np.exp(np.r_[rng.normal(0, 0.01, 300), rng.normal(0, 0.001, 95)].cumsum())
    labels = classify_regimes(close).labels[320:395]
    assert (labels == PLATEAU).mean() > 0.75
    assert np.isin(labels, (PLATEAU, UP, DOWN)).all()


def test_shares_of_a_driftless_walk():
    labels = classify_regimes(walk(200_000)).labels[20:]
    shares = np.bincount(labels, minlength=4) / len(labels)
    np.testing.assert_allclose(shares, [0.069, 0.068, 0.003, 0.860], atol=0.006)


def test_prices_times_100_000_have_identical_labels():
    close = walk(20_000)
    np.testing.assert_array_equal(classify_regimes(close).labels, classify_regimes(close * 1e5).labels)


def test_every_prefix_has_the_regimes_of_the_whole():
    close = walk(600)
    whole = classify_regimes(close)
    for stop in range(1, 600):
        part = classify_regimes(close[:stop])
        np.testing.assert_array_equal(part.labels, whole.labels[:stop])
        np.testing.assert_array_equal(part.probabilities, whole.probabilities[:stop])


def slow_scores(close, t, w=20, long=200):
    """DEFINITIONS §3, word for word, for one bar."""
    r = np.diff(np.log(close[: t + 1]))
    last = r[-w:]
    z = last.sum() / np.sqrt((last**2).sum())
    v = np.sqrt((last**2).mean()) / np.sqrt((r[-long:] ** 2).mean())
    return z, v


def test_scores_equal_their_definition():
    close = walk(700, seed=4)
    regimes = classify_regimes(close)
    for t in range(20, 700):
        assert (regimes.z[t], regimes.v[t]) == pytest.approx(slow_scores(close, t), rel=1e-9)


@given(st.integers(0, 10_000), st.sampled_from([1e-6, 1e-3, 0.03]))
def test_one_label_per_bar_and_probabilities_that_agree_with_it(seed, sd):
    close = walk(300, seed, sd)
    regimes = classify_regimes(close)
    assert (regimes.labels[:20] == Regime.UNKNOWN).all()
    assert (regimes.probabilities[:20] == 0.25).all()
    assert np.isin(regimes.labels[20:], [0, 1, 2, 3]).all()
    assert (regimes.probabilities >= 0).all()
    np.testing.assert_allclose(regimes.probabilities.sum(axis=1), 1.0, atol=1e-15)
    assert (np.abs(regimes.z[20:]) <= np.sqrt(20) + 1e-9).all()
    for regime in (UP, DOWN):
        np.testing.assert_array_equal(regimes.probabilities[20:, regime] >= 0.5, regimes.labels[20:] == regime)


def test_movement_at_round_off_level_counts_as_none():
    noise = 1.0 + np.random.default_rng(0).normal(0, 1e-12, 500)
    regimes = classify_regimes(100.0 * noise)
    assert (regimes.labels[20:] == PLATEAU).all()
    assert (regimes.z[20:] == 0).all()


@pytest.mark.parametrize("n", [1, 2, 20])
def test_a_history_without_enough_returns_is_unknown(n):
    regimes = classify_regimes(walk(n))
    assert (regimes.labels == Regime.UNKNOWN).all()
    assert regimes.warm_up == n


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"window": 1}, "'regime.window' must be a whole number ≥ 2, got 1"),
        ({"v_lo": 0.0}, "'regime.v_lo' must be > 0, got 0.0"),
        ({"long_window": 10}, "'regime.long_window' must be ≥ 'regime.window' \\(20\\), got 10"),
    ],
)
def test_settings_out_of_range_are_refused(change, text):
    with pytest.raises(ConfigError, match=text):
        RegimeSettings(**change)
