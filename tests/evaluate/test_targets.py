"""A target is met only by a whole interval, and what was not measured or never moved shows nothing."""

import math

import numpy as np
import pytest
from handmade import make_trajectory, random_tape
from report_example import example_report

from regimegym.common.errors import ConfigError
from regimegym.envs.settings import EnvSettings
from regimegym.envs.trades import TRADE_DTYPE
from regimegym.evaluate.evaluation import evaluate_policy
from regimegym.evaluate.intervals import Interval, IntervalSettings, drawdown_interval, share_interval
from regimegym.evaluate.report.build import render_report
from regimegym.evaluate.report.markdown import markdown_of
from regimegym.evaluate.report.targets import target_heading
from regimegym.evaluate.report_content import to_report
from regimegym.evaluate.report_facts import ReportContext
from regimegym.evaluate.rules import BuyAndHold
from regimegym.evaluate.settings import EvaluationSettings
from regimegym.evaluate.targets import TargetSettings, quantile_interval, state, targets
from regimegym.features.splits import RowRange

NAN = math.nan
GOOD = Interval(3.0, 2.5, 3.5)


@pytest.mark.parametrize(
    ("low", "high", "better", "found"),
    [
        (2.1, 3.0, "high", "met"),
        (1.0, 1.9, "high", "not_met"),
        (1.0, 3.0, "high", "not_shown"),
        (2.0, 3.0, "high", "not_shown"),  # a bound on the limit excludes nothing
        (2.1, 3.0, "low", "not_met"),
        (1.0, 1.9, "low", "met"),
        (1.0, 3.0, "low", "not_shown"),
        (NAN, 3.0, "low", "not_shown"),
        (NAN, NAN, "high", "not_shown"),
    ],
)
def test_the_whole_interval_decides_and_the_figure_alone_does_not(low, high, better, found):
    for value in (0.0, 2.0, 99.0):
        assert state(Interval(value, low, high), 2.0, better) == found


def found_of(log_returns, latencies=None, won=0, lost=0, sharpe=GOOD):
    equity = np.exp(np.concatenate([[0.0], np.cumsum(log_returns)]))
    agent = make_trajectory(equity)
    trades = np.zeros(won + lost, TRADE_DTYPE)
    trades["pnl"] = [1.0] * won + [-1.0] * lost
    agent.__dict__["_closed_and_open"] = trades, 0
    drawdown = drawdown_interval(agent.log_returns, 5.0, 0.95, np.random.default_rng(0))
    return {one.key: one for one in targets(agent, sharpe, drawdown, latencies, 0.95, TargetSettings())}


def test_every_target_has_its_figure_its_interval_and_what_it_rests_on():
    calm = np.random.default_rng(1).normal(0.001, 0.004, 500)
    found = found_of(calm, np.linspace(1.0, 20.0, 100), won=90, lost=10)
    assert list(found) == ["sharpe_ratio", "max_drawdown", "win_rate", "latency_ms"]
    assert {one.state for one in found.values()} == {"met"}
    assert found["win_rate"].value == 0.9
    assert [one.n for one in found.values()] == [500, 500, 100, 100]
    assert found["latency_ms"].low < found["latency_ms"].value < found["latency_ms"].high == 20.0


def test_a_good_figure_on_little_data_is_not_shown():
    found = found_of(np.random.default_rng(2).normal(0.0, 0.01, 150), np.full(20, 1.0), won=4, lost=1)
    assert found["win_rate"].value == 0.8
    assert found["win_rate"].state == "not_shown"
    assert found["latency_ms"].value == 1.0
    assert found["latency_ms"].state == "not_shown"  # 20 calls bound no 95th percentile


def test_bad_figures_on_much_data_are_not_met():
    found = found_of(np.full(400, -0.001) + np.tile([0.01, -0.01], 200), np.full(100, 300.0), won=10, lost=90)
    assert {key: one.state for key, one in found.items() if key != "sharpe_ratio"} == {
        "max_drawdown": "not_met",
        "win_rate": "not_met",
        "latency_ms": "not_met",
    }


def test_an_agent_in_cash_and_a_latency_nobody_measured_show_nothing():
    found = found_of(np.zeros(300), sharpe=Interval(NAN, NAN, NAN))
    assert {one.state for one in found.values()} == {"not_shown"}
    assert found["max_drawdown"].value == 0.0


def test_null_asks_for_no_target_and_senseless_ones_are_refused():
    agent = make_trajectory(np.full(50, 100.0))
    nothing = Interval(NAN, NAN, NAN)
    only = TargetSettings(sharpe_ratio=None, win_rate=None, latency_ms=None)
    assert [one.key for one in targets(agent, nothing, nothing, None, 0.95, only)] == ["max_drawdown"]
    with pytest.raises(ConfigError, match=r"targets\.win_rate"):
        TargetSettings(win_rate=55.0)
    with pytest.raises(ConfigError, match=r"targets\.latency_ms"):
        TargetSettings(latency_ms=0.0)


def test_the_interval_of_a_percentile_covers_it_as_often_as_promised():
    rng, held = np.random.default_rng(3), 0
    for _ in range(400):
        found = quantile_interval(rng.exponential(1.0, 200), 0.95, 0.95)
        held += found.low <= -math.log(0.05) <= found.high
    assert held >= 0.93 * 400


def test_the_interval_of_a_share_is_wilsons():
    assert share_interval(8, 10) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)  # Wilson 1927 by hand
    assert share_interval(0, 20).low == 0.0
    assert math.isnan(share_interval(0, 0).low)


def test_a_drawdown_lies_among_those_of_other_orders_of_its_blocks():
    returns = np.random.default_rng(4).normal(0.0, 0.01, 800)
    found = drawdown_interval(returns, 20.0, 0.95, np.random.default_rng(0))
    assert found.low < found.value < found.high
    rising = drawdown_interval(np.linspace(0.001, 0.002, 100), 5.0, 0.95, np.random.default_rng(0))
    assert rising == (0.0, 0.0, 0.0)  # moved, and never fell


@pytest.fixture(scope="module")
def report():
    settings = EvaluationSettings(IntervalSettings(n_resamples=100), random_accounts=1)
    tape = random_tape(400, drift=0.001)
    found = evaluate_policy(
        BuyAndHold(EnvSettings()), tape, EnvSettings(), RowRange(40, 380), "test", 1, evaluation=settings
    )
    return to_report(found, ReportContext(latencies_ms=[0.5] * 100))


def test_the_report_shows_the_targets_as_page_and_as_text(report):
    rows = {one["key"]: one for one in report["targets"]}
    assert rows["latency_ms"]["state"] == "met"
    assert rows["win_rate"]["state"] == "not_shown"
    page = render_report(report)
    text = markdown_of(page)
    assert '<section id="targets">' in page
    assert f"1 of 4 targets met; {3 if rows['sharpe_ratio']['state'] == 'not_shown' else 2} not shown" in page
    assert '<span class="state unknown">not shown</span>' in page
    assert "below 100 ms" in page
    assert (
        "| Decision, 95th percentile | below 100 ms | 0.50 ms | 0.50 to 0.50 | 100 calls order statistics | met |"
        in text
    )


def test_the_drawdown_of_the_first_screen_has_an_interval_and_no_line(report):
    (drawdown,) = (one for one in report["key_figures"] if one["key"] == "max_drawdown")
    assert drawdown["low"] < drawdown["agent"] < drawdown["high"]
    assert drawdown["line"] is None
    assert drawdown["includes_line"] is None


def test_the_heading_counts_the_states():
    rows = [{"state": state} for state in ("met", "met", "not_met", "not_shown")]
    assert target_heading(rows) == "2 of 4 targets met; 1 not met, 1 not shown"
    assert target_heading(rows[:1]) == "1 of 1 target met"


def test_a_report_without_targets_has_no_section_of_them():
    assert 'id="targets"' not in render_report(example_report(800))
