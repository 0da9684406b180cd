"""Value at risk and shortfall equal their closed forms; forecasts that are wrong are found out."""

import math

import numpy as np
import pytest
from handmade import make_trajectory
from scipy.integrate import quad
from scipy.stats import norm

from regimegym.common.errors import ConfigError, DataError
from regimegym.evaluate.risk import (
    Risk,
    backtest_risk,
    historical_risk,
    normal_risk,
    rolling_risk,
    stress_table,
)

RNG = np.random.default_rng


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_closed_form_is_the_integral_of_the_tail(level):
    mean, deviation = 0.0004, 0.013
    risk = normal_risk(mean, deviation, level)
    assert norm.cdf(-risk.value_at_risk, mean, deviation) == pytest.approx(1 - level)
    tail, _ = quad(lambda p: -norm.ppf(p, mean, deviation), 0, 1 - level)
    assert risk.expected_shortfall == pytest.approx(tail / (1 - level), rel=1e-6)


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_a_large_normal_sample_has_the_risk_of_the_closed_form(level):
    sample = RNG(0).normal(0.0004, 0.013, 400_000)
    assert historical_risk(sample, level) == pytest.approx(normal_risk(0.0004, 0.013, level), rel=0.02)


def test_a_small_sample_is_counted_by_hand():
    returns = np.array([-0.10, -0.05, 0.01, 0.02, 0.03, -0.01, 0.04, 0.0, 0.02, 0.01])
    assert historical_risk(returns, 0.8) == pytest.approx((0.05, 0.075))
    assert historical_risk(returns, 0.99) == pytest.approx((0.10, 0.10))
    assert np.isnan(historical_risk(np.empty(0), 0.95)).all()


@pytest.mark.parametrize("method", ["historical", "normal"])
def test_rolling_forecasts_look_back_only_and_equal_one_window_at_a_time(method):
    returns = RNG(1).normal(0, 0.01, 120)
    risk = rolling_risk(returns, 50, 0.9, method)
    assert np.isnan(risk.value_at_risk[:50]).all()
    for t in (50, 77, 119):
        past = returns[t - 50 : t]
        wanted = (
            historical_risk(past, 0.9) if method == "historical" else normal_risk(past.mean(), past.std(ddof=1), 0.9)
        )
        assert (risk.value_at_risk[t], risk.expected_shortfall[t]) == pytest.approx(tuple(wanted))
    changed = returns.copy()
    changed[100:] = 9.0
    np.testing.assert_array_equal(rolling_risk(changed, 50, 0.9, method).value_at_risk[:101], risk.value_at_risk[:101])


def test_fewer_bars_than_the_window_have_no_forecast():
    risk = rolling_risk(np.zeros(5), 10, 0.9)
    assert np.isnan(risk.value_at_risk).all()
    with pytest.raises(DataError, match="no bar with a forecast"):
        backtest_risk(np.zeros(5), risk, 0.9, RNG(0))


def test_right_forecasts_pass_at_the_nominal_rate():
    rng = RNG(2)
    true = normal_risk(0.0, 0.01, 0.95)
    found = [backtest_risk(rng.normal(0, 0.01, 1000), true, 0.95, rng) for _ in range(300)]
    for name in ("coverage_p", "independence_p", "conditional_p", "shortfall_p"):
        assert np.nanmean([getattr(test, name) <= 0.05 for test in found]) <= 0.09, name
    assert np.mean([test.n_breaches for test in found]) == pytest.approx(found[0].expected, rel=0.05)
    assert np.mean([test.shortfall_ratio for test in found]) == pytest.approx(1.0, abs=0.02)


def test_too_small_a_risk_fails_coverage():
    rng = RNG(3)
    small = normal_risk(0.0, 0.008, 0.95)
    assert all(backtest_risk(rng.normal(0, 0.01, 2000), small, 0.95, rng).coverage_p < 0.05 for _ in range(20))


def test_breaches_in_clusters_fail_independence_although_their_number_is_right():
    rng = RNG(4)
    returns = np.full(1000, 0.001)
    for start in rng.choice(95, 10, replace=False) * 10:
        returns[start : start + 5] = -0.05
    found = backtest_risk(returns, Risk(0.02, 0.03), 0.95, rng)
    assert found.n_breaches == 50
    assert found.coverage_p > 0.9
    assert found.independence_p < 1e-6
    assert found.conditional_p < 1e-6


def test_fat_tails_fail_a_normal_shortfall():
    rng = RNG(5)
    returns = 0.01 * rng.standard_t(3, 4000)
    limit = historical_risk(returns, 0.98).value_at_risk
    thin = normal_risk(0.0, limit / norm.ppf(0.98), 0.98)
    found = backtest_risk(returns, thin, 0.98, rng)
    assert found.shortfall_ratio > 1.1
    assert found.shortfall_p < 0.05


def test_the_likelihood_ratio_of_coverage_is_the_one_worked_out_by_hand():
    returns = np.where(np.arange(250) % 25 == 0, -0.05, 0.01)  # 10 breaches of 250 at 1 %
    found = backtest_risk(returns, Risk(0.02, 0.05), 0.99, RNG(0))
    ratio = -2 * (240 * math.log(0.99) + 10 * math.log(0.01) - 240 * math.log(0.96) - 10 * math.log(0.04))
    assert ratio == pytest.approx(12.96, abs=0.01)
    assert found.coverage_p == pytest.approx(math.erfc(math.sqrt(ratio / 2)), rel=1e-6)
    assert found.shortfall_ratio == pytest.approx(1.0)


def test_no_breach_is_no_claim_about_dependence():
    found = backtest_risk(np.full(100, 0.01), Risk(0.02, 0.03), 0.95, RNG(0))
    assert found.n_breaches == 0
    assert math.isnan(found.independence_p)
    assert math.isnan(found.shortfall_ratio)


def test_a_stress_table_uses_the_exposures_that_were_held():
    rows = stress_table(make_trajectory([1.0, 1.0, 1.0], exposure=[0.0, 1.0, -0.5]), (-0.2, 0.2))
    assert rows[0] == pytest.approx((-0.2, -0.2, -0.1 / 3, 0.1))
    assert rows[1] == pytest.approx((0.2, -0.1, 0.1 / 3, -0.1))
    leveraged = stress_table(make_trajectory([1.0, 1.0], exposure=[0.0, 5.0]), (-0.5,))
    assert leveraged[0].worst == -1.0


@pytest.mark.parametrize("level", [0.2, 1.0])
def test_a_level_that_is_none_is_named(level):
    with pytest.raises(ConfigError, match="'level' must be"):
        normal_risk(0.0, 0.01, level)
