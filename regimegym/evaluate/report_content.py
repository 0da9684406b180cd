"""The content of report.json: an Evaluation as plain numbers, words and series.

Undefined is None, times are UTC milliseconds, and a bar's values stand at its close. All series
share one thinned time axis that keeps every bucket's worst drawdown and the last bar.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from regimegym.common.plain import plain
from regimegym.common.regimes import REGIMES, Regime
from regimegym.common.seeding import generator
from regimegym.evaluate.breakdowns import pnl_parts, pnl_parts_by_regime, trade_statistics
from regimegym.evaluate.evaluation import Evaluation
from regimegym.evaluate.intervals import Interval, drawdown_interval
from regimegym.evaluate.metrics import METRICS
from regimegym.evaluate.report_breakdowns import closed_trades, cost_curve, costs_paid, month_rows, regime_rows
from regimegym.evaluate.report_facts import ReportContext, facts
from regimegym.evaluate.report_policies import differences, interval_method, key_figures, policy_content
from regimegym.evaluate.report_series import close_ms, drawn_fills, regime_spans, regime_words
from regimegym.evaluate.report_statistics import scenario_statistics, statistics_content
from regimegym.evaluate.targets import Target, targets
from regimegym.evaluate.trajectory import downsample
from regimegym.evaluate.verdict import Evidence, as_return, judge, percent
from regimegym.features.durations import timeframe_words

FORMAT_VERSION = 1


def to_report(evaluation: Evaluation, context: ReportContext | None = None) -> dict[str, Any]:
    """The whole content of report.json, JSON-able."""
    context = context or ReportContext()
    seed = int(context.random_seeds[0]) if context.random_seeds else 0
    draws = generator(seed, "report")
    statistics = statistics_content(evaluation, context.trials_counted, draws)
    evidence = evidence_with(evaluation.evidence(context.test_looks_before), statistics, context, draws)
    agent = evaluation.agent
    level, block = evaluation.evaluation.intervals.level, evaluation.intervals.block_length
    drawdown = drawdown_interval(agent.log_returns, block, level, generator(seed, "drawdown"))
    drawn = [t.equity for key, t in evaluation.trajectories.items() if key != "flat"]
    at = downsample(drawn, evaluation.evaluation.chart_points)
    content = {
        "format_version": FORMAT_VERSION,
        "title": f"{evaluation.labels['agent']} on {evaluation.symbol} {timeframe_words(agent.timeframe_ns)}",
        "part": evaluation.part,
        "facts": facts(evaluation, context),
        "verdict": judge(evidence, evaluation.evaluation.verdict).to_dict(),
        "key_figures": key_figures(evaluation, drawdown),
        "targets": [target._asdict() for target in _targets(evaluation, context, drawdown)],
        "metrics_meta": [{"key": key} | metric._asdict() for key, metric in METRICS.items()],
        "policies": [policy_content(evaluation, key, at, context.seed_band) for key in evaluation.trajectories],
        "seeds": _seeds(context),
        "differences": differences(evaluation),
        "hindsight": _hindsight(evaluation),
        "intervals": interval_method(evaluation),
        "series_t": close_ms(agent)[at],
        "price": {"close": agent.close[at]},
        "regimes": {
            "codes": [regime_words(r) for r in (*REGIMES, Regime.UNKNOWN)],
            "spans": regime_spans(agent),
        },
        "fills": drawn_fills(agent),
        "per_regime": regime_rows(evaluation),
        "scenarios": context.scenarios,
        "walk_forward": context.walk_forward,
        "statistics": statistics,
        "calibration": context.calibration,
        "decision": context.decision,
        "checks": context.checks,
        "monte_carlo": context.monte_carlo,
        "drift": context.drift,
        "look_ahead": context.look_ahead,
        "cost_curve": cost_curve(evaluation),
        "costs_paid": costs_paid(evaluation),
        "closed_trades": closed_trades(evaluation),
        "trade_statistics": trade_statistics(evaluation.trades),
        "per_month": month_rows(evaluation),
        "pnl_parts": pnl_parts(agent)._asdict(),
        "pnl_parts_by_regime": {name: parts._asdict() for name, parts in pnl_parts_by_regime(agent).items()},
        "weaknesses": _weaknesses(evaluation, context),
        "shrinkage": _shrinkage(evaluation, context.validation),
        "warnings": [*context.warnings, *warnings_of(evidence, context)],
        "run_card": dict(context.run_card),
        "commands": [{"label": label, "command": command} for label, command in context.commands],
    }
    return plain(content)


def _hindsight(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "is_exact": evaluation.ceiling_is_exact,
        "regret": evaluation.regret,
        "captured_share": evaluation.captured_share,
    }


def _targets(evaluation: Evaluation, context: ReportContext, drawdown: Interval) -> list[Target]:
    settings = evaluation.evaluation
    sharpe, level = evaluation.intervals.sharpe_ratio["agent"], settings.intervals.level
    return targets(evaluation.agent, sharpe, drawdown, context.latencies_ms, level, settings.targets)


def _seeds(context: ReportContext) -> list[dict[str, float]]:
    pairs = zip(context.random_seeds, context.seed_log_returns, strict=False)
    return [{"random_seed": seed, "log_return": value} for seed, value in pairs]


def evidence_with(
    evidence: Evidence, statistics: dict[str, Any], context: ReportContext, draws: np.random.Generator
) -> Evidence:
    """`evidence` with what statistics, scenarios and the audit add; the scenario statistics join `statistics`."""
    statistics["scenarios"] = None if context.scenarios is None else scenario_statistics(context.scenarios, draws)
    if context.trials_counted is not None:
        evidence = replace(evidence, deflated_sharpe=statistics["trials"]["deflated_sharpe"])
    if context.look_ahead is not None:
        evidence = replace(evidence, look_ahead=bool(context.look_ahead["found"]))
    if statistics["scenarios"] is None:
        return evidence
    held = next(one for one in statistics["scenarios"]["against"] if one["key"] == "buy_and_hold")
    return replace(
        evidence,
        scenario_gap=Interval(held["difference"], held["low"], held["high"]),
        scenario_p=held["p_holm"],
        n_scenarios=statistics["scenarios"]["n_scenarios"],
    )


def _weaknesses(evaluation: Evaluation, context: ReportContext) -> list[dict[str, Any]]:
    """What was found weak on this part, then in the scenarios."""
    found = [asdict(one) for one in evaluation.weaknesses]
    keys = {one["key"] for one in found}
    elsewhere = [] if context.scenarios is None else context.scenarios["weaknesses"]
    return [*found, *(one for one in elsewhere if one["key"] not in keys)]


def _shrinkage(evaluation: Evaluation, validation: Mapping[str, float] | None) -> dict[str, float] | None:
    if validation is None:
        return None
    found = evaluation.metrics["agent"]
    return {
        "validation_sharpe": validation["sharpe_ratio"],
        "test_sharpe": found["sharpe_ratio"],
        "validation_log_return": validation["log_return"],
        "test_log_return": found["log_return"],
    }


def warnings_of(evidence: Evidence, context: ReportContext) -> list[str]:
    """What a reader must know before the figures."""
    seeds = f"{len(context.random_seeds)} seeds" if len(context.random_seeds) > 1 else "one seed"
    gap = evidence.above_buy_and_hold
    bounds = f"{percent(as_return(gap.low))} to {percent(as_return(gap.high))}"
    found = [
        (evidence.terminated, "the account was liquidated; its equity is frozen from then on"),
        (evidence.n_trades == 0, "the agent never traded"),
        (
            gap.includes_zero and evidence.n_trades > 0,
            f"{seeds}, one market: the interval above buy and hold ({bounds}) includes zero",
        ),
        (evidence.optimistic_fills, "orders filled at the close they were decided on, which is optimistic"),
    ]
    return [text for holds, text in found if holds]
