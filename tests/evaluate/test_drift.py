"""Drift is found where it was planted, and not where nothing changed, however alike neighbouring rows are."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import ks_2samp

from regimegym.common.errors import ConfigError, DataError
from regimegym.evaluate.monitoring.drift import (
    DriftSettings,
    adaptive_windows,
    block_length,
    feature_drift,
    performance_drift,
)

RNG = np.random.default_rng
QUICK = DriftSettings(n_resamples=60, least_effect=0.0)
NAMES = [f"f{k}" for k in range(8)]


def ar(rng, n, phi, n_features=8):
    return lfilter([1.0], [1.0, -phi], rng.normal(size=(n + 300, n_features)), axis=0)[300:]


@pytest.mark.parametrize("statistic", ["psi", "ks"])
@pytest.mark.parametrize("phi", [0.0, 0.9])
def test_without_drift_few_features_are_named_however_dependent_the_rows(statistic, phi):
    rng = RNG(0)
    settings = DriftSettings(statistic, n_resamples=60, least_effect=0.0)
    runs, naive = [], []
    for _ in range(12):
        rows = ar(rng, 1900, phi)
        found = feature_drift(rows[:1500], rows[1500:], NAMES, rng, settings)
        runs.append(any(drift.drifted for drift in found))
        naive += [ks_2samp(a, b).pvalue < 0.05 for a, b in zip(rows[:1500].T, rows[1500:].T, strict=True)]
    assert np.mean(runs) <= 0.25
    if phi:
        assert np.mean(naive) > 0.3  # what a test for independent rows would have named


@pytest.mark.parametrize("statistic", ["psi", "ks"])
def test_planted_drift_is_named_with_its_reason(statistic):
    rng = RNG(1)
    settings = DriftSettings(statistic, n_resamples=60)
    named = []
    for _ in range(5):
        rows = ar(rng, 1900, 0.5)
        rows[1500:, 2] += 1.5 * rows[:, 2].std()
        rows[1500:, 5] *= 3.0
        found = feature_drift(rows[:1500], rows[1500:], NAMES, rng, settings)
        named.append([drift.name for drift in found if drift.drifted])
        assert found[2].reason.startswith(statistic.upper())
        assert found[0].reason == ""
    assert np.mean(["f2" in names and "f5" in names for names in named]) == 1.0
    assert np.mean([len(names) for names in named]) < 3


def test_what_is_missing_now_is_drift_and_what_always_was_is_not():
    rows = RNG(2).normal(size=(1000, 3))
    rows[::10, 1] = np.nan
    now = RNG(3).normal(size=(300, 3))
    now[::10, 1] = np.nan
    now[5, 0] = np.nan
    found = feature_drift(rows, now, ["a", "b", "c"], RNG(4), QUICK)
    assert [drift.drifted for drift in found] == [True, False, False]
    assert found[0].reason == "0.3 % of the values are missing"
    assert math.isnan(found[0].effect)


def test_a_constant_that_moves_is_drift():
    rows, now = np.zeros((100, 2)), np.zeros((60, 2))
    now[3, 1] = 1.0
    found = feature_drift(rows, now, ["still", "moved"], RNG(5), QUICK)
    assert [drift.reason for drift in found] == ["", "no longer constant"]


def test_a_difference_that_is_sure_but_small_is_not_named():
    rng = RNG(6)
    rows, now = rng.normal(size=(20_000, 1)), rng.normal(0.08, 1, (20_000, 1))
    (small,) = feature_drift(rows, now, ["a"], rng, DriftSettings(n_resamples=50))
    assert small.q_value < 0.01
    assert not small.drifted


def test_blocks_are_as_long_as_the_memory_asks():
    rng = RNG(7)
    assert block_length(rng.normal(size=5000), 1.0) == 5.0
    assert block_length(ar(rng, 40_000, 0.9, 1)[:, 0], 1.0) == pytest.approx(19, rel=0.25)
    assert block_length(np.arange(400.0), 4.0) == 100.0
    assert block_length(np.zeros(100), 4.0) == 5.0


def test_results_that_grow_worse_are_found_and_better_ones_never():
    rng = RNG(8)
    worse = [performance_drift(rng.normal(0, 1, 400), rng.normal(-0.5, 1, 300), rng).p_value for _ in range(20)]
    better = [performance_drift(rng.normal(0, 1, 400), rng.normal(0.5, 1, 300), rng).p_value for _ in range(20)]
    assert np.mean(np.array(worse) < 0.05) >= 0.95
    assert min(better) > 0.5
    low = performance_drift(rng.normal(1, 1, 400), rng.normal(1.6, 1, 300), rng, "low")
    assert low.p_value < 0.05
    assert low.change > 0


def test_equal_results_alarm_at_the_nominal_rate_also_around_zero():
    rng = RNG(9)
    p = [performance_drift(ar(rng, 500, 0.5, 1)[:, 0], ar(rng, 300, 0.5, 1)[:, 0], rng, n_resamples=300).p_value
         for _ in range(200)]  # fmt: skip
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.05)
    assert performance_drift(np.zeros(50), np.zeros(40), rng).p_value == 1.0


def test_adaptive_windows_see_a_change_soon_after_it():
    pytest.importorskip("river")
    rng = RNG(10)
    assert adaptive_windows(rng.normal(size=2000), 1e-4) == []
    found = adaptive_windows(np.concatenate([rng.normal(size=800), rng.normal(2, 1, 400)]))
    assert 800 <= found[0] < 1000


def test_what_cannot_be_compared_is_named():
    with pytest.raises(DataError, match="5 and 100 rows are too few"):
        feature_drift(np.zeros((5, 1)), np.zeros((100, 1)), ["a"], RNG(0))
    with pytest.raises(DataError, match=r"got \(9, 2\) and \(9, 1\) for 2 names"):
        feature_drift(np.zeros((9, 2)), np.zeros((9, 1)), ["a", "b"], RNG(0))
    with pytest.raises(ConfigError, match="'statistic' must be one of psi, ks, got 'kss'"):
        DriftSettings("kss")
