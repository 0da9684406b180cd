"""Every metric against numbers worked out by hand, and what is undefined is NaN."""

import math

import numpy as np
import pytest
from handmade import make_fills, make_trajectory

from regimegym.evaluate import metrics

CURVE = np.array([100.0, 110.0, 99.0, 118.8])  # +10 %, −10 %, +20 %
RETURNS = np.array([0.1, -0.1, 0.2])


def test_returns_of_a_curve():
    np.testing.assert_allclose(metrics.simple_returns(CURVE), RETURNS, atol=1e-15)
    assert metrics.total_return(CURVE) == pytest.approx(0.188)
    assert metrics.log_return(CURVE) == pytest.approx(math.log(1.188), abs=1e-15)
    assert metrics.annual_log_return(CURVE, 252.0) == pytest.approx(84 * math.log(1.188))
    assert metrics.cagr(CURVE, 3.0) == pytest.approx(0.188)
    assert metrics.cagr(CURVE, 6.0) == pytest.approx(1.188**2 - 1)


def test_the_sharpe_ratio_uses_the_sample_deviation_and_the_given_calendar():
    mean, deviation = 0.2 / 3, math.sqrt(((0.1 / 3) ** 2 + (0.5 / 3) ** 2 + (0.4 / 3) ** 2) / 2)
    assert metrics.sharpe_ratio(RETURNS, 252.0) == pytest.approx(math.sqrt(252) * mean / deviation)
    assert metrics.sharpe_ratio(RETURNS, 8760.0) == pytest.approx(math.sqrt(8760) * mean / deviation)
    assert metrics.sharpe_ratio(RETURNS, 1.0, risk_free=0.01) == pytest.approx((mean - 0.01) / deviation)
    assert metrics.volatility(RETURNS, 4.0) == pytest.approx(2 * deviation)


def test_the_standard_error_of_sharpe_is_one_over_root_years():
    assert metrics.sharpe_standard_error(84, 252.0) == pytest.approx(math.sqrt(3))  # four months: 1.7


def test_sortino_divides_by_the_shortfall_over_all_bars():
    assert metrics.sortino_ratio(RETURNS, 9.0) == pytest.approx(3 * (0.2 / 3) / math.sqrt(0.01 / 3))
    with_target = metrics.sortino_ratio(RETURNS, 1.0, minimum_return=0.1)
    assert with_target == pytest.approx((0.2 / 3 - 0.1) / math.sqrt(0.04 / 3))


def test_drawdown_and_calmar():
    assert metrics.max_drawdown(CURVE) == pytest.approx(0.1)
    assert metrics.calmar(CURVE, 3.0) == pytest.approx(1.88)


def test_the_first_equity_counts_as_the_first_peak():
    assert metrics.max_drawdown(np.array([100.0, 80.0, 90.0])) == pytest.approx(0.2)


def test_tails():
    returns = np.arange(-20, 20) / 1000.0  # 40 bars: the worst 5 % are two
    assert metrics.cvar_5(returns) == pytest.approx(-0.0195)
    assert metrics.cvar_5(np.array([-0.03, 0.01])) == pytest.approx(-0.03)
    low, high = np.quantile(returns, [0.05, 0.95])
    assert metrics.tail_ratio(returns) == pytest.approx(high / -low)


def test_turnover_is_traded_notional_over_mean_equity_per_year():
    assert metrics.turnover(np.array([100.0, 220.0]), np.array([100.0, 100.0, 120.0]), 252.0) == pytest.approx(
        320 / (320 / 3) * 126
    )


def test_win_rate_and_profit_factor_count_a_zero_as_no_win():
    profits = np.array([10.0, -4.0, 0.0, 2.0])
    assert metrics.win_rate(profits) == 0.5
    assert metrics.profit_factor(profits) == 3.0


def test_exposure_metrics_leave_out_the_mark_before_the_first_decision():
    exposure = np.array([0.0, 1.0, 1.0, 0.0])
    assert metrics.mean_exposure(exposure) == pytest.approx(2 / 3)
    assert metrics.mean_exposure_change(exposure) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "returns",
    [
        np.full(50, 0.001),
        1.001 ** np.arange(1, 51) / 1.001 ** np.arange(50) - 1,
        np.zeros(50),
        np.array([0.1]),
    ],
)
def test_zero_variance_is_undefined_also_when_round_off_hides_it(returns):
    assert math.isnan(metrics.sharpe_ratio(returns, 252.0))


def test_an_account_that_never_trades_has_no_ratios():
    values = metrics.all_metrics(make_trajectory(np.full(30, 100.0)))
    undefined = {name for name, value in values.items() if math.isnan(value)}
    assert undefined == {
        "sharpe_ratio", "sortino_ratio", "calmar", "tail_ratio",
        "win_rate", "profit_factor", "average_bars_held",
    }  # fmt: skip
    for name in ("total_return", "log_return", "max_drawdown", "trades", "closed_trades", "turnover"):
        assert values[name] == 0.0


def test_no_bars_give_no_ratios():
    values = metrics.all_metrics(make_trajectory([100.0]))
    assert math.isnan(values["cagr"])
    assert math.isnan(values["cvar_5"])
    assert math.isnan(values["sharpe_standard_error"])
    assert values["total_return"] == 0.0


def test_a_total_loss_stays_finite_and_negative():
    curve = np.array([100.0, 50.0, 0.0, 0.0])
    assert metrics.total_return(curve) == -1.0
    assert metrics.log_return(curve) == pytest.approx(math.log(0.5) + math.log(1e-3))
    assert metrics.cagr(curve, 252.0) == -1.0
    np.testing.assert_array_equal(metrics.simple_returns(curve), [-0.5, -1.0, 0.0])
    assert math.isnan(metrics.cagr(np.array([1.0, 1e6]), 8766.0))


def test_the_table_describes_every_metric_and_nothing_else():
    fills = make_fills((0, 1, 1, 1.0, 100.0, 100.1, 0.5, 0), (2, 3, -1, 1.0, 110.0, 109.9, 0.5, 0))
    cash = [1000.0, 899.4, 899.4, 1008.8]
    values = metrics.all_metrics(
        make_trajectory([1000.0, 999.4, 1009.4, 1008.8], fills=fills, cash=cash, exposure=[0, 0.1, 0.1, 0])
    )
    assert list(values) == list(metrics.METRICS)
    assert values["trades"] == 2.0
    assert values["closed_trades"] == 1.0
    assert values["costs_paid"] == pytest.approx(1.2)
    assert values["average_bars_held"] == 2.0
    assert values["win_rate"] == 1.0
    assert all(isinstance(value, float) for value in values.values())


def test_only_drawdown_turnover_and_costs_are_better_when_lower():
    lower = {name for name, metric in metrics.METRICS.items() if metric.better == "low"}
    assert lower == {"max_drawdown", "turnover", "costs_paid"}
