"""Regimes: the checked table of DEFINITIONS §3 and the properties behind it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError, DataError
from regimegym.common.regimes import Regime
from regimegym.features.regime_fit import fit_regimes, regime_shares
from regimegym.features.regimes import RegimeSettings, classify_regimes
from regimegym.features.splits import RowRange

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


@pytest.mark.parametrize(
    "settings",
    [
        RegimeSettings(),
        RegimeSettings(hysteresis=True, min_dwell=7),
        RegimeSettings(plateau="economic", round_trip_cost=0.02),
        RegimeSettings(plateau="economic", round_trip_cost=0.02, hysteresis=True),
        RegimeSettings(window=5, long_window=40, z_threshold=1.0, v_lo=0.9),
    ],
    ids=lambda settings: f"{settings.plateau}-{settings.hysteresis}-{settings.window}",
)
def test_every_prefix_has_the_regimes_of_the_whole(settings):
    close = walk(600)
    whole = classify_regimes(close, settings)
    assert len(np.unique(whole.labels)) >= 4
    for stop in range(1, 600):
        part = classify_regimes(close[:stop], settings)
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
        ({"leave_share": 0.0}, "'regime.leave_share' must be in \\(0, 1\\], got 0.0"),
        ({"min_dwell": 0}, "'regime.min_dwell' must be a whole number ≥ 1, got 0"),
        ({"plateau": "economical"}, "'regime.plateau' must be one of relative, economic, got 'economical'"),
        ({"trend_share": 0.9}, "must be ≤ 1, got 0.9 \\+ 0.2"),
        ({"long_window": 10}, "'regime.long_window' must be ≥ 'regime.window' \\(20\\), got 10"),
    ],
)
def test_settings_out_of_range_are_refused(change, text):
    with pytest.raises(ConfigError, match=text):
        RegimeSettings(**change)


SETTLED = RegimeSettings(hysteresis=True, min_dwell=5)


def slow_settled(z, v, s):
    """Hysteresis bar by bar: enter at z_T, leave at .67 z_T, no change within the dwell."""
    out, present, since = [], None, None
    for t in range(len(z)):
        if np.isnan(z[t]):
            out.append(Regime.UNKNOWN)
            continue
        if z[t] >= s.z_threshold:
            wanted = UP
        elif z[t] <= -s.z_threshold:
            wanted = DOWN
        else:
            wanted = PLATEAU if v[t] < s.v_lo else OSCILLATING
        if present == UP and z[t] >= s.leave_share * s.z_threshold:
            wanted = UP
        if present == DOWN and z[t] <= -s.leave_share * s.z_threshold:
            wanted = DOWN
        if present is None or (wanted != present and t - since >= s.min_dwell):
            present, since = wanted, t
        out.append(present)
    return np.array(out)


@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0.2, 1.0), st.floats(0.3, 2.5))
def test_settled_labels_are_those_of_the_slow_state_machine(seed, min_dwell, leave_share, z_threshold):
    settings = RegimeSettings(
        hysteresis=True, min_dwell=min_dwell, leave_share=leave_share, z_threshold=z_threshold, v_lo=0.9
    )
    regimes = classify_regimes(walk(400, seed), settings)
    np.testing.assert_array_equal(regimes.labels, slow_settled(regimes.z, regimes.v, settings))


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_no_settled_label_is_shorter_than_the_dwell(seed, min_dwell):
    labels = classify_regimes(walk(500, seed), RegimeSettings(hysteresis=True, min_dwell=min_dwell)).labels[20:]
    assert np.isin(labels, [0, 1, 2, 3]).all()
    changes = np.flatnonzero(np.diff(labels)) + 1
    lengths = np.diff(np.r_[0, changes])
    assert (lengths >= min_dwell).all()


def test_settled_labels_flicker_less_and_have_the_regimes_of_the_whole_on_every_prefix():
    close = walk(5_000)
    whole, hard = classify_regimes(close, SETTLED).labels, classify_regimes(close).labels
    assert (np.diff(whole[20:]) != 0).sum() < 0.7 * (np.diff(hard[20:]) != 0).sum()
    for stop in range(1, 600, 7):
        np.testing.assert_array_equal(classify_regimes(close[:stop], SETTLED).labels, whole[:stop])


def test_without_a_band_and_a_dwell_settled_labels_are_the_hard_ones():
    close = walk(5_000)
    plain = classify_regimes(close, RegimeSettings(hysteresis=True, min_dwell=1, leave_share=1.0)).labels
    np.testing.assert_array_equal(plain, classify_regimes(close).labels)


@pytest.mark.parametrize("change", [{"hysteresis": True}, {"plateau": "economic"}, {"fit": "quantile"}])
def test_labels_of_every_rule_stay_when_prices_are_scaled(change):
    close, train = walk(3_000), RowRange(20, 2_000)
    by_scale = [
        classify_regimes(
            scale * close, fit_regimes(classify_regimes(scale * close), RegimeSettings(**change), train)
        ).labels
        for scale in (1.0, 50_000.0)
    ]
    np.testing.assert_array_equal(*by_scale)


def test_an_economic_plateau_lasts_as_long_as_its_moves_cost_more_than_they_bring():
    """σ_w·√w = .0003·√20 = .0013 < .003; the relative rule forgets the plateau after L bars."""
    rng = np.random.default_rng(5)
    close = np.exp(np.r_[rng.normal(0, 0.01, 300), rng.normal(0, 0.0003, 1_000)].cumsum())
    settings = RegimeSettings(plateau="economic", z_threshold=4.0)
    economic = classify_regimes(close, settings)
    assert (economic.labels[330:] == PLATEAU).all()
    assert (classify_regimes(close, RegimeSettings(z_threshold=4.0)).labels[600:] == PLATEAU).mean() < 0.1
    r = np.diff(np.log(close))
    for t in range(20, 1_300, 13):
        move = np.sqrt((r[t - 20 : t] ** 2).sum())
        assert (economic.labels[t] == PLATEAU) == (move < 0.003)
    dearer = RegimeSettings(plateau="economic", z_threshold=4.0, kappa_p=100.0)
    assert (classify_regimes(close, dearer).labels[20:] == PLATEAU).all()


def test_fitted_thresholds_give_the_training_rows_their_shares():
    close, train = walk(20_000), RowRange(100, 12_000)
    settings = RegimeSettings(fit="quantile", trend_share=0.4, plateau_share=0.25)
    fitted = fit_regimes(classify_regimes(close), settings, train)
    assert fitted.fit == "none"
    shares = regime_shares(classify_regimes(close, fitted).labels[slice(*train)])
    assert shares["UPTREND"] + shares["DOWNTREND"] == pytest.approx(0.4, abs=1e-3)
    assert shares["PLATEAU"] == pytest.approx(0.25, abs=1e-3)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_nothing_after_the_training_rows_moves_a_fitted_threshold():
    close, settings = walk(5_000), RegimeSettings(fit="quantile")
    train = RowRange(100, 3_000)
    other = np.r_[close[:3_000], walk(2_000, seed=9, sd=0.2)]
    assert fit_regimes(classify_regimes(other), settings, train) == fit_regimes(
        classify_regimes(close), settings, train
    )
    assert fit_regimes(classify_regimes(other), settings, RowRange(100, 3_500)) != fit_regimes(
        classify_regimes(close), settings, RowRange(100, 3_500)
    )


def test_the_economic_plateau_leaves_v_lo_and_fits_the_trend_threshold():
    close = walk(5_000)
    economic, relative = (
        fit_regimes(classify_regimes(close), RegimeSettings(fit="quantile", plateau=rule), RowRange(100, 3_000))
        for rule in ("economic", "relative")
    )
    assert economic.v_lo == RegimeSettings().v_lo != relative.v_lo
    assert economic.z_threshold == relative.z_threshold


def test_training_rows_that_do_not_move_give_no_threshold():
    with pytest.raises(DataError, match=r"no positive 'regime\.z_threshold'"):
        fit_regimes(classify_regimes(np.full(500, 7.0)), RegimeSettings(fit="quantile"), RowRange(30, 400))


def test_labels_wait_for_the_fit_of_their_thresholds():
    with pytest.raises(ConfigError, match="no training rows were given"):
        classify_regimes(walk(100), RegimeSettings(fit="quantile"))


def test_shares_without_a_known_label_are_undefined():
    assert all(np.isnan(share) for share in regime_shares(np.full(5, Regime.UNKNOWN)).values())
