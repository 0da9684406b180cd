"""An evaluation as a whole: repeatable, complete, and its report content adds up."""

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from handmade import TabledWindowPolicy, WindowPolicy, make_trajectory, random_tape
from hydra.utils import instantiate
from omegaconf import OmegaConf

import regimegym
from regimegym.common.errors import ConfigError
from regimegym.common.plain import plain
from regimegym.envs.settings import AccountSettings, EnvSettings
from regimegym.envs.trades import FILL_DTYPE
from regimegym.evaluate.cost_curve import break_even, break_even_words, scaled_costs
from regimegym.evaluate.evaluation import evaluate_policy
from regimegym.evaluate.intervals import Interval, IntervalSettings
from regimegym.evaluate.metrics import METRICS
from regimegym.evaluate.report.build import render_report
from regimegym.evaluate.report_content import to_report, warnings_of
from regimegym.evaluate.report_facts import ReportContext, costs_words
from regimegym.evaluate.report_series import drawn_fills, regime_spans
from regimegym.evaluate.rollout import rollout
from regimegym.evaluate.rules import Flat
from regimegym.evaluate.settings import EvaluationSettings
from regimegym.evaluate.verdict import percent as verdict_percent
from regimegym.features.durations import timeframe_words
from regimegym.features.splits import RowRange
from regimegym.training.formatting import number, percent

ROWS = RowRange(40, 2740)
SETTINGS = EnvSettings()
QUICK = EvaluationSettings(intervals=IntervalSettings(n_resamples=200), cost_multiples=(0.0, 1.0, 5.0))
CONTEXT = ReportContext(
    source="hand",
    random_seeds=(1,),
    test_looks_before=2,
    validation={"sharpe_ratio": 1.0, "log_return": 0.1},
    run_card={"seeds": {"train": np.int64(1)}},
    commands=[("Again", "regime-gym evaluate run=last")],
)


@pytest.fixture(scope="module")
def tape():
    return random_tape(2740, 11)


@pytest.fixture(scope="module")
def evaluation(tape):
    return evaluate_policy(TabledWindowPolicy(), tape, SETTINGS, ROWS, "test", 1, "By hand", QUICK)


@pytest.fixture(scope="module")
def report(evaluation):
    return to_report(evaluation, CONTEXT)


def policy_of(report, key):
    return next(policy for policy in report["policies"] if policy["key"] == key)


def test_every_policy_has_every_metric(evaluation):
    assert list(evaluation.metrics) == [
        "agent", "buy_and_hold", "ma_cross", "mean_reversion", "volatility_target", "regime_trader",
        "random", "flat", "hindsight",
    ]  # fmt: skip
    for values in evaluation.metrics.values():
        assert list(values) == list(METRICS)
    assert evaluation.metrics["random"]["trades"] == evaluation.metrics["agent"]["trades"] > 50


def test_repeated_evaluation_is_identical(tape, report):
    again = evaluate_policy(TabledWindowPolicy(), tape, SETTINGS, ROWS, "test", 1, "By hand", QUICK)
    assert json.dumps(to_report(again, CONTEXT)) == json.dumps(report)


def test_what_the_policy_computes_for_the_tape_is_computed_once(tape):
    policy = TabledWindowPolicy()
    evaluate_policy(policy, tape, SETTINGS, RowRange(40, 140), "test", 1, "By hand", QUICK)
    assert policy.n_bound == 1


def test_the_agent_of_the_evaluation_is_its_rollout(tape, evaluation):
    (run,) = rollout(WindowPolicy(), tape, SETTINGS, ROWS)
    np.testing.assert_array_equal(evaluation.agent.equity, run.equity)


def test_the_cost_curve_is_the_same_policy_under_other_costs(tape, evaluation):
    assert evaluation.costs.multiples.tolist() == [0.0, 1.0, 5.0]
    for multiple, found in zip((0.0, 1.0, 5.0), evaluation.costs.agent, strict=True):
        (run,) = rollout(WindowPolicy(), tape, scaled_costs(SETTINGS, multiple), ROWS)
        assert found == pytest.approx(run.log_returns.sum(), rel=1e-12)
    assert np.all(np.diff(evaluation.costs.agent) < 0)
    assert np.all(np.diff(evaluation.costs.buy_and_hold) < 0)


def test_market_impact_is_scaled_with_the_other_costs(tape):
    free = EnvSettings(account=AccountSettings(fee_rate=0.0, half_spread=0.0, slippage=0.0, impact=0.001))
    found = evaluate_policy(WindowPolicy(), tape, free, ROWS, "test", 1, "By hand", QUICK)
    for multiple, log_return in zip((0.0, 1.0, 5.0), found.costs.agent, strict=True):
        account = replace(free.account, impact=0.001 * multiple)
        (run,) = rollout(WindowPolicy(), tape, replace(free, account=account), ROWS)
        assert log_return == pytest.approx(run.log_returns.sum(), rel=1e-12)
    assert found.costs.agent[0] > found.costs.agent[1] > found.costs.agent[2]


def test_multiples_of_the_costs_that_leave_nothing_to_trade_with_are_left_out(tape):
    dear = EnvSettings(account=AccountSettings(impact=0.3))
    found = evaluate_policy(WindowPolicy(), tape, dear, ROWS, "test", 1, "By hand", QUICK)
    assert found.costs.multiples.tolist() == [0.0, 1.0]


def test_quoted_spreads_are_scaled_with_the_other_costs():
    settings = EnvSettings(account=AccountSettings(spread_source="bars", fee_rate=0.0, slippage=0.0))
    wide = random_tape(400, 1, spread=0.002)
    found = evaluate_policy(WindowPolicy(), wide, settings, RowRange(40, 400), "test", 1, evaluation=QUICK)
    tight = random_tape(400, 1, spread=0.01)
    (run,) = rollout(WindowPolicy(), tight, settings, RowRange(40, 400))
    assert found.costs.agent[2] == pytest.approx(run.log_returns.sum(), rel=1e-12)


def test_costs_that_leave_nothing_are_left_out_of_the_curve():
    settings = EnvSettings(account=AccountSettings(fee_rate=0.3))
    found = evaluate_policy(
        WindowPolicy(), random_tape(200, 1), settings, RowRange(40, 200), "test", 1, evaluation=QUICK
    )
    assert found.costs.multiples.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([0.3, 0.1, -0.1, -0.3], 1.5),
        ([0.3, 0.0, -0.1, -0.3], 1.0),
        ([0.4, 0.3, 0.2, 0.1], math.inf),
        ([-0.1, -0.2, -0.3, -0.4], math.nan),
        ([0.0, 0.0, 0.0, 0.0], math.nan),
        ([0.1, -0.1, 0.2, -0.1], 0.5),
    ],
)
def test_break_even_is_the_first_crossing(gaps, expected):
    found = break_even(np.arange(4.0), np.array(gaps))
    assert found == pytest.approx(expected, nan_ok=True)
    assert break_even_words(found, [0, 1, 2, 3], "flat").endswith("the assumed costs")


def test_the_report_is_plain_json_without_nan(report):
    text = json.dumps(report, allow_nan=False)
    assert json.loads(text) == report
    assert policy_of(report, "flat")["metrics"]["sharpe_ratio"] is None


def test_all_series_share_one_axis_and_end_where_the_table_ends(evaluation, report):
    n = len(report["series_t"])
    assert n <= 2000
    assert len(report["price"]["close"]) == n
    assert report["series_t"][-1] == report["facts"]["end_ms"]
    for policy in report["policies"]:
        assert {len(policy[name]) for name in ("equity", "drawdown", "exposure")} == {n}
        assert policy["equity"][-1] - 1 == pytest.approx(policy["metrics"]["total_return"], abs=1e-6)
        assert -min(policy["drawdown"]) == pytest.approx(policy["metrics"]["max_drawdown"], abs=1e-6)
    assert len(policy_of(report, "random")["band"]["low"]) == n
    assert [policy["key"] for policy in report["policies"]] == list(evaluation.trajectories)


def test_every_figure_has_interval_baseline_and_n(report):
    keys = [figure["key"] for figure in report["key_figures"]]
    assert keys == ["total_return", "excess_log_return", "sharpe_ratio", "max_drawdown"]
    for figure in report["key_figures"][:3]:
        assert figure["low"] <= figure["agent"] <= figure["high"]
        assert figure["n"] == 2699
        assert figure["baseline"] is not None
        assert figure["includes_line"] is (figure["low"] <= 0 <= figure["high"])
    assert report["key_figures"][3]["includes_line"] is None


def test_the_facts_come_before_the_figures(report):
    facts = report["facts"]
    assert facts["n_bars"] == facts["n_decisions"] + 1 == 2700
    assert facts["timeframe"] == "1h"
    assert facts["costs_words"] == "0.15 % per trade: fee 0.1 %, half spread 0.02 %, slippage 0.03 %"
    assert facts["test_looks_before"] == 2
    assert "looked at 2 times before" in report["verdict"]["sentences"][2]["text"]
    assert report["title"] == "By hand on HAND 1h"
    assert report["run_card"] == {"seeds": {"train": 1}}
    assert report["shrinkage"]["validation_sharpe"] == 1.0


def test_hindsight_is_the_ceiling_of_everything(evaluation, report):
    best = evaluation.metrics["hindsight"]["log_return"]
    assert all(values["log_return"] <= best for values in evaluation.metrics.values())
    assert evaluation.ceiling_is_exact is True
    own = evaluation.metrics["agent"]["log_return"]
    assert report["hindsight"] == {"is_exact": True, "regret": best - own, "captured_share": own / best}
    assert policy_of(report, "hindsight")["kind"] == "ceiling"
    assert policy_of(report, "hindsight")["label"] == "Hindsight, exact"


def test_the_report_says_where_the_result_came_from(evaluation, report):
    parts, own = report["pnl_parts"], evaluation.agent.equity
    assert parts["total"] == pytest.approx(own[-1] - own[0])
    assert sum(part["total"] for part in report["pnl_parts_by_regime"].values()) == pytest.approx(parts["total"])
    months = sum(row["log_return"] for row in report["per_month"])
    assert months == pytest.approx(evaluation.metrics["agent"]["log_return"])
    assert report["trade_statistics"]["n"] == evaluation.metrics["agent"]["closed_trades"]
    assert report["trade_statistics"]["win_rate"] == evaluation.metrics["agent"]["win_rate"]
    assert {"worst_regime", "worst_month", "break_even"} <= {one["key"] for one in report["weaknesses"]}


def test_a_ceiling_beyond_all_measure_is_still_written():
    """Hindsight over decades multiplies the money by more than any number has digits for."""
    tape = random_tape(4_000, 2, volatility=0.05)
    found = evaluate_policy(TabledWindowPolicy(), tape, SETTINGS, RowRange(40, 4_000), "test", 1, evaluation=QUICK)
    assert found.metrics["hindsight"]["total_return"] > 1e30
    assert "e+" in render_report(to_report(found))
    assert "e+" in percent(found.metrics["hindsight"]["total_return"], signed=True)
    assert number(-3.14e24) == "−3.1e+24"
    assert verdict_percent(3.14e24) == "+3.1e+26 %"


def test_other_policies_are_compared_on_equal_terms(tape, evaluation):
    others = {"twin": ("The agent again", WindowPolicy())}
    found = evaluate_policy(TabledWindowPolicy(), tape, SETTINGS, ROWS, "test", 1, "By hand", QUICK, others=others)
    assert found.metrics["twin"] == pytest.approx(evaluation.metrics["agent"], nan_ok=True)
    assert found.labels["twin"] == "The agent again"
    assert found.intervals.log_return_above["twin"].value == 0.0


def test_regime_spans_cover_the_part_without_gaps(report):
    spans = report["regimes"]["spans"]
    assert spans[0][0] == report["facts"]["start_ms"]
    assert spans[-1][1] == report["facts"]["end_ms"]
    for (_, end, code), (start, _, following) in pairwise(spans):
        assert end == start
        assert code != following


def test_too_many_regime_spans_are_merged_for_drawing():
    labels = np.random.default_rng(0).integers(0, 4, 500)
    run = make_trajectory(np.full(501, 100.0), regimes=labels)
    spans = regime_spans(run, most=50)
    assert len(spans) <= 50
    assert spans[-1][1] - spans[0][0] == sum(end - start for start, end, _ in spans)


def test_fills_stand_at_the_time_they_happened():
    fills = np.array(
        [
            (2, 3, 1, 1.0, 100.0, 101.0, 0.1, 0),
            (4, 4, -1, 2.0, 100.0, 99.0, 0.1, 0),
            (5, 6, -1, 1.0, 90.0, 89.0, 0.1, 3),
        ],
        dtype=FILL_DTYPE,
    )
    shown = drawn_fills(make_trajectory(np.full(9, 100.0), fills=fills))["shown"]
    hour = 3_600_000
    assert [(f["t"] / hour, f["kind"]) for f in shown] == [(3, "policy"), (5, "policy"), (7, "liquidation")]


def test_an_agent_that_never_trades_is_judged_and_warned_of(tape):
    found = evaluate_policy(Flat(SETTINGS), tape, SETTINGS, RowRange(40, 440), "test", 1, evaluation=QUICK)
    report = to_report(found)
    assert report["verdict"]["stamp_key"] == "not_distinguishable"
    assert report["verdict"]["sentences"][1]["text"].startswith("The agent made no trade")
    assert report["warnings"] == ["the agent never traded"]
    assert report["costs_paid"]["per_trade"] is None
    assert report["cost_curve"]["break_even_flat"] is None
    assert report["shrinkage"] is None


def test_the_warning_names_seeds_market_and_interval(evaluation):
    evidence = replace(evaluation.evidence(), above_buy_and_hold=Interval(0.1, -0.2, 0.3))
    (warning,) = warnings_of(evidence, CONTEXT)
    assert warning == "one seed, one market: the interval above buy and hold (−18.1 % to +35.0 %) includes zero"
    assert warnings_of(evidence, ReportContext(random_seeds=(1, 2)))[0].startswith("2 seeds, one market")
    assert warnings_of(replace(evidence, above_buy_and_hold=Interval(0.2, 0.1, 0.3)), CONTEXT) == []


def test_words_for_bars_and_costs():
    minute = 60_000_000_000
    assert [timeframe_words(n * minute) for n in (1, 15, 60, 240, 1440)] == [
        "1min",
        "15min",
        "1h",
        "4h",
        "1d",
    ]
    assert timeframe_words(5_000_000_000) == "5s"
    costs = {
        "fee_rate": 0.001,
        "half_spread": 0.0,
        "slippage": 0.0,
        "impact": 0.02,
        "fixed_fee": 1.0,
        "spread_source": "bars",
    }
    assert costs_words(costs, 0.001) == (
        "0.1 % per trade and the spread: fee 0.1 %, half spread as quoted in the data, slippage 0 %,"
        " impact up to 2 % by the share of the bar's volume, 1 per fill"
    )


def test_what_is_not_finite_is_none():
    assert plain({"a": [np.float64("nan"), math.inf, np.int8(3)], 1: (np.bool_(True), None)}) == {
        "a": [None, None, 3],
        "1": [True, None],
    }


def test_the_written_defaults_are_the_defaults():
    path = Path(regimegym.__path__[0]) / "conf" / "evaluation" / "default.yaml"
    config = OmegaConf.load(path)
    assert instantiate(config) == EvaluationSettings()
    for written, built in (
        (config, EvaluationSettings()),
        (config.intervals, EvaluationSettings().intervals),
        (config.verdict, EvaluationSettings().verdict),
    ):
        assert {key for key in written if not key.startswith("_")} == set(vars(built))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"random_accounts": 4}, "'random_accounts' must be odd, got 4"),
        ({"cost_multiples": (0.0, 2.0)}, "'cost_multiples' must be two or more ascending numbers"),
        ({"cost_multiples": (1.0, 0.5)}, "'cost_multiples' must be two or more ascending numbers"),
        ({"cost_multiples": (-1.0, 1.0)}, r"'cost_multiples\[0\]' must be ≥ 0"),
        ({"chart_points": 3}, "'chart_points' must be a whole number ≥ 100, got 3"),
    ],
)
def test_wrong_settings_are_named(change, text):
    with pytest.raises(ConfigError, match=text):
        replace(EvaluationSettings(), **change)
