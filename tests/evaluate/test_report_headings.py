"""Headings are findings: each rule on numbers chosen by hand. And how numbers are written."""

import copy

import pytest
from report_example import example_report

from regimegym.evaluate.report import headings
from regimegym.evaluate.report.numbers import interval, mark, number, percent, quantity, words


@pytest.fixture(scope="module")
def example():
    return example_report(800)


@pytest.fixture
def report(example):
    return copy.deepcopy(example)


def _set(report, own, hold, own_drawdown=0.1, hold_drawdown=0.3, includes_zero=False):
    for policy, value, drawdown in zip(report["policies"][:2], (own, hold), (own_drawdown, hold_drawdown), strict=True):
        policy["metrics"] |= {"total_return": value, "max_drawdown": drawdown}
    report["differences"][0] |= {"value": 0.1, "includes_zero": includes_zero}


@pytest.mark.parametrize(
    ("numbers", "heading"),
    [
        ((0.08, 0.20, 0.10, 0.30), "12 points behind buy and hold, with a third of its drawdown"),
        ((0.031, 0.08, 0.30, 0.30), "4.9 points behind buy and hold, with the same drawdown"),
        ((0.25, 0.08, 0.15, 0.30), "17 points ahead of buy and hold, with half its drawdown"),
        ((0.25, 0.08, 0.60, 0.30), "17 points ahead of buy and hold, with twice its drawdown"),
        ((0.25, 0.08, 1.50, 0.30), "17 points ahead of buy and hold, with 5 times its drawdown"),
        ((0.25, 0.08, 0.10, 0.00), "17 points ahead of buy and hold"),
        ((0.0802, 0.08, 0.33, 0.30), "Level with buy and hold, with the same drawdown"),
        ((0.0, 0.08, 0.0, 0.30), "8.0 points behind buy and hold, with hardly any drawdown"),
        ((None, 0.08, 0.1, 0.30), "The return is undefined"),
    ],
)
def test_the_equity_heading_states_distance_and_drawdown(report, numbers, heading):
    _set(report, *numbers)
    assert headings.equity_heading(report) == heading


def test_a_gap_whose_interval_holds_zero_is_called_chance(report):
    _set(report, 0.08, 0.20, includes_zero=True)
    assert headings.equity_heading(report).endswith("; the gap may be chance")
    _set(report, 0.20, 0.20, includes_zero=True)
    assert "chance" not in headings.equity_heading(report)


def _exposures(report, values):
    for row, value in zip(report["per_regime"], values, strict=True):
        row["n"] = 0 if value is None else 10
        row["agent"]["mean_exposure"] = value
    report["fills"]["total"] = 148


def test_the_exposure_heading_names_the_extremes(report):
    _exposures(report, (0.8, 0.12, 0.5, None))
    assert headings.exposure_heading(report) == (
        "Most invested in uptrends (80\u00a0%), least in downtrends (12\u00a0%); 148 trades"
    )
    _exposures(report, (0.5, 0.52, 0.47, 0.5))
    assert headings.exposure_heading(report) == (
        "148 trades, and nearly the same exposure in every regime (47\u00a0% to 52\u00a0%)"
    )
    report["fills"]["total"] = 0
    assert headings.exposure_heading(report) == "The agent never traded"


@pytest.mark.parametrize(
    ("gaps", "heading"),
    [
        (
            (-0.09, 0.05, 0.01, -0.02),
            "Against buy and hold it gains most in downtrends (+0.05) and loses most in uptrends (−0.09)",
        ),
        ((0.01, 0.05, None, 0.0), "Not behind buy and hold in any regime, most ahead in downtrends (+0.05)"),
        ((-0.4, 0.0, None, -0.1), "Not ahead of buy and hold in any regime, most behind in uptrends (−0.40)"),
        ((None, None, None, None), "No regime has enough bars"),
    ],
)
def test_the_regime_heading_names_gain_and_loss(report, gaps, heading):
    for row, gap in zip(report["per_regime"], gaps, strict=True):
        row["n"], row["difference"] = (0 if gap is None else 10), {"log_return": gap}
    assert headings.regime_heading(report) == heading


@pytest.mark.parametrize(
    ("ratios", "heading"),
    [
        (
            (0.4, 0.7, 0.2, None, None),
            "Sharpe ratio 0.40, below 1 of 2 baselines; the best is Buy and hold with 0.70",
        ),
        (
            (0.9, 0.7, 0.2, -1.0, None),
            "Sharpe ratio 0.90, above every baseline; the next is Buy and hold with 0.70",
        ),
        (
            (-0.9, 0.7, 0.2, None, None),
            "Sharpe ratio −0.90, below all 2 baselines; the best is Buy and hold with 0.70",
        ),
        ((-0.9, None, None, None, None), "Sharpe ratio −0.90, with no baseline to compare"),
        ((None, 0.7, 0.2, 0.0, None), "The agent's Sharpe ratio is undefined"),
    ],
)
def test_the_metrics_heading_gives_the_place(report, ratios, heading):
    for policy, ratio in zip(report["policies"], ratios, strict=True):
        policy["metrics"]["sharpe_ratio"] = ratio
    assert headings.metrics_heading(report) == heading


@pytest.mark.parametrize(
    ("change", "heading"),
    [
        (
            {"break_even_flat": 1.3},
            "The profit is gone at 0.20\u00a0% per trade, 1.3 × what was assumed",
        ),
        (
            {"break_even_flat": 0.4},
            "Costs ate the profit: it breaks even at 0.06\u00a0% per trade, 0.4 × what was assumed",
        ),
        ({"agent_log_return": [-0.1] * 7}, "It loses even without costs"),
        ({"agent_log_return": [0.1] * 7}, "Still above doing nothing at 5 × the assumed costs"),
        ({"agent_log_return": [0.0] * 7}, "No trade, no costs: the curve is flat"),
        ({"agent_log_return": [None] * 7}, "The cost curve is undefined"),
        ({"one_way": 0.0}, "No costs were assumed, so nothing is known about them"),
    ],
)
def test_the_cost_heading_states_the_break_even(report, change, heading):
    report["cost_curve"] |= {"break_even_flat": None} | change
    assert headings.cost_heading(report) == heading


def test_the_weakness_heading_shows_the_shrinkage(report):
    report["shrinkage"] |= {"validation_sharpe": 0.9, "test_sharpe": 0.42}
    assert headings.weakness_heading(report) == (
        "The Sharpe ratio fell from 0.90 on validation to 0.42 on test; 2 warnings"
    )
    report["shrinkage"]["test_sharpe"] = 1.2
    assert headings.weakness_heading(report) == (
        "The Sharpe ratio held from validation (0.90) to test (1.20); 2 warnings"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.031, "+3.1\u00a0%"),
        (-0.031, "−3.1\u00a0%"),
        (-0.0001, "0.0\u00a0%"),
        (58.2, "+5,820.0\u00a0%"),
        (0.12250, "+12.3\u00a0%"),  # a tie goes away from zero, as in the script
    ],
)
def test_percent_has_a_true_minus_and_no_signed_zero(value, text):
    assert percent(value, signed=True) == text


def test_units_intervals_and_marks():
    assert number(1234567.891) == "1,234,567.89"
    assert quantity(0.1, "log") == "+0.100"
    assert quantity(1.3, "multiple") == "1.3\u00a0×"
    assert quantity(12.0, "count") == "12"
    assert interval(-0.12, 0.205, "percent", signed=True) == "−12.0 to +20.5\u00a0%"
    assert interval(None, 0.2, "percent") == "–"
    assert [mark(-1.0, 1.0, 0.0), mark(0.1, 1.0, 0.0), mark(None, 1.0, 0.0)] == ["○", "●", ""]
    assert words("1.3 × of <5 %>") == "1.3\u00a0× of &lt;5\u00a0%&gt;"
