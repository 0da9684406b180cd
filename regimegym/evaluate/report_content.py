"""The content of report.json: an Evaluation as plain numbers, words and series.

Undefined is None, times are UTC milliseconds, and a bar's values stand at its close. All series
share one thinned time axis that keeps every bucket's worst drawdown and the last bar.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from regimegym.common.plain import plain
from regimegym.common.regimes import REGIMES, Regime
from regimegym.common.seeding import generator
from regimegym.envs.settings import AccountSettings
from regimegym.evaluate.breakdowns import per_month, pnl_parts, pnl_parts_by_regime
from regimegym.evaluate.cost_curve import break_even_words
from regimegym.evaluate.evaluation import Evaluation
from regimegym.evaluate.intervals import Interval
from regimegym.evaluate.metrics import METRICS, Metric, drawdowns
from regimegym.evaluate.report_series import (
    close_ms,
    drawn_fills,
    regime_spans,
    regime_words,
)
from regimegym.evaluate.report_statistics import (
    scenario_statistics,
    statistics_content,
)
from regimegym.evaluate.trajectory import downsample
from regimegym.evaluate.verdict import Evidence, as_return, judge, percent
from regimegym.features.durations import timeframe_words

FORMAT_VERSION = 1
EQUITY_DIGITS = 6
EXPOSURE_DIGITS = 4
FILL_WORDS = {
    "next_open": "an order decided at a close fills at the next bar's open",
    "same_close": "an order fills at the very close it was decided on (optimistic)",
}


@dataclass(frozen=True)
class ReportContext:
    """What the report says that an Evaluation does not know.

    Attributes:
        source: file or generator of the data.
        data_fingerprint: of the bars.
        run_id, run_folder: of the run.
        random_seeds: seeds of the runs shown.
        created_ms: when the report was made, UTC milliseconds; None leaves it out.
        test_looks_before: looks at this part before this one; None where unknown.
        trials_counted: configurations scored on validation so far; None where unknown.
        validation: metrics of the agent on validation, for the shrinkage; None without.
        run_card: nested settings, versions and seeds, shown as they are.
        commands: (label, command) pairs to repeat or go on.
        warnings: said by the run itself.
        scenarios: content of scenarios.json. calibration: of report_calibration. walk_forward: of its folds.
            look_ahead: `found`, `columns`, `cuts` and `changed` of the audit. Each None where not measured.
    """

    source: str = ""
    data_fingerprint: str = ""
    run_id: str = ""
    run_folder: str = ""
    random_seeds: Sequence[int] = ()
    created_ms: int | None = None
    test_looks_before: int | None = None
    trials_counted: int | None = None
    validation: Mapping[str, float] | None = None
    run_card: Mapping[str, Any] = field(default_factory=dict)
    commands: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()
    scenarios: Mapping[str, Any] | None = None
    calibration: Mapping[str, Any] | None = None
    walk_forward: Mapping[str, Any] | None = None
    look_ahead: Mapping[str, Any] | None = None


def to_report(evaluation: Evaluation, context: ReportContext | None = None) -> dict[str, Any]:
    """The whole content of report.json, JSON-able."""
    context = context or ReportContext()
    draws = generator(int(context.random_seeds[0]) if context.random_seeds else 0, "report")
    statistics = statistics_content(evaluation, context.trials_counted, draws)
    evidence = evidence_with(evaluation.evidence(context.test_looks_before), statistics, context, draws)
    agent = evaluation.agent
    drawn = [t.equity for key, t in evaluation.trajectories.items() if key != "flat"]
    at = downsample(drawn, evaluation.evaluation.chart_points)
    content = {
        "format_version": FORMAT_VERSION,
        "title": f"{evaluation.labels['agent']} on {evaluation.symbol} {timeframe_words(agent.timeframe_ns)}",
        "part": evaluation.part,
        "facts": _facts(evaluation, context),
        "verdict": judge(evidence, evaluation.evaluation.verdict).to_dict(),
        "key_figures": _key_figures(evaluation),
        "metrics_meta": [{"key": key} | metric._asdict() for key, metric in METRICS.items()],
        "policies": [_policy(evaluation, key, at) for key in evaluation.trajectories],
        "differences": _differences(evaluation),
        "hindsight": {
            "is_exact": evaluation.ceiling_is_exact,
            "regret": evaluation.regret,
            "captured_share": evaluation.captured_share,
        },
        "intervals": _interval_method(evaluation),
        "series_t": close_ms(agent)[at],
        "price": {"close": agent.close[at]},
        "regimes": {
            "codes": [regime_words(r) for r in (*REGIMES, Regime.UNKNOWN)],
            "spans": regime_spans(agent),
        },
        "fills": drawn_fills(agent),
        "per_regime": _per_regime(evaluation),
        "scenarios": context.scenarios,
        "walk_forward": context.walk_forward,
        "statistics": statistics,
        "calibration": context.calibration,
        "look_ahead": context.look_ahead,
        "cost_curve": _cost_curve(evaluation),
        "costs_paid": _costs_paid(evaluation),
        "closed_trades": _closed_trades(evaluation),
        "trade_statistics": evaluation.trades,
        "per_month": _per_month(evaluation),
        "pnl_parts": pnl_parts(agent)._asdict(),
        "pnl_parts_by_regime": {name: parts._asdict() for name, parts in pnl_parts_by_regime(agent).items()},
        "weaknesses": _weaknesses(evaluation, context),
        "shrinkage": _shrinkage(evaluation, context.validation),
        "warnings": [*context.warnings, *warnings_of(evidence, context)],
        "run_card": dict(context.run_card),
        "commands": [{"label": label, "command": command} for label, command in context.commands],
    }
    return plain(content)


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


def _bounds(interval: Interval) -> dict[str, float]:
    return {"low": interval.low, "high": interval.high}


def _as_returns(interval: Interval) -> Interval:
    return Interval(*(as_return(bound) for bound in interval))


def _facts(evaluation: Evaluation, context: ReportContext) -> dict[str, Any]:
    agent, account, action = evaluation.agent, evaluation.settings.account, evaluation.settings.action
    times = close_ms(agent)
    names = ("fee_rate", "half_spread", "slippage", "impact", "fixed_fee", "borrow_rate", "spread_source")
    one_way = one_way_cost(account)
    costs = {name: getattr(account, name) for name in names}
    return {
        "symbol": evaluation.symbol,
        "timeframe": timeframe_words(agent.timeframe_ns),
        "source": context.source,
        "data_fingerprint": context.data_fingerprint,
        "start_ms": times[0],
        "end_ms": times[-1],
        "n_bars": len(agent) + 1,
        "n_decisions": len(agent),
        "periods_per_year": agent.periods_per_year,
        "years": evaluation.years,
        "fills": account.execution,
        "fills_words": FILL_WORDS[account.execution],
        "costs": costs | {"one_way": one_way, "round_trip": 2 * one_way},
        "costs_words": costs_words(costs, one_way),
        "agent": evaluation.labels["agent"],
        "random_seeds": list(context.random_seeds),
        "run_id": context.run_id,
        "run_folder": context.run_folder,
        "test_looks_before": context.test_looks_before,
        "trials_counted": context.trials_counted,
        "created_ms": context.created_ms,
        "initial_cash": account.initial_cash,
        "sizing": account.sizing,
        "rebalance": account.rebalance,
        "action_mode": action.mode,
        "allow_short": action.allow_short,
    }


def one_way_cost(account: AccountSettings) -> float:
    """Cost of one trade as a fraction of its value, without impact, fixed fees and spreads quoted in the data."""
    spread = 0.0 if account.spread_source == "bars" else account.half_spread
    return account.fee_rate + spread + account.slippage


def costs_words(costs: Mapping[str, Any], one_way: float) -> str:
    """Costs of one trade in per cent of its value, each part named."""
    parts = [f"fee {100 * costs['fee_rate']:.3g} %", f"slippage {100 * costs['slippage']:.3g} %"]
    if costs["spread_source"] == "bars":
        parts.insert(1, "half spread as quoted in the data")
        total = f"{100 * one_way:.3g} % per trade and the spread"
    else:
        parts.insert(1, f"half spread {100 * costs['half_spread']:.3g} %")
        total = f"{100 * one_way:.3g} % per trade"
    if costs["impact"]:
        parts.append(f"impact up to {100 * costs['impact']:.3g} % by the share of the bar's volume")
    if costs["fixed_fee"]:
        parts.append(f"{costs['fixed_fee']:g} per fill")
    return f"{total}: {', '.join(parts)}"


def _key_figures(evaluation: Evaluation) -> list[dict[str, Any]]:
    agent, held = evaluation.metrics["agent"], evaluation.metrics["buy_and_hold"]
    intervals = evaluation.intervals
    returns = _as_returns(intervals.log_return["agent"])
    gap = intervals.log_return_above["buy_and_hold"]
    sharpe = intervals.sharpe_ratio["agent"]
    undefined = Interval(agent["max_drawdown"], math.nan, math.nan)
    error = agent["sharpe_standard_error"]
    figures = (
        ("total_return", returns, held["total_return"], ""),
        ("excess_log_return", gap, 0.0, "paired on common bars"),
        ("sharpe_ratio", sharpe, held["sharpe_ratio"], f"standard error {error:.2f}"),
        ("max_drawdown", undefined, held["max_drawdown"], ""),
    )
    return [_key_figure(evaluation, *figure) for figure in figures]


def _key_figure(evaluation: Evaluation, key: str, interval: Interval, baseline: float, note: str) -> dict[str, Any]:
    if key == "excess_log_return":
        described = Metric("Log return above buy and hold", "ratio", "high", "return")
    else:
        described = METRICS[key]
    bounded = math.isfinite(interval.low)
    return {
        "key": key,
        "label": described.label,
        "unit": described.unit,
        "better": described.better,
        "agent": interval.value,
        **_bounds(interval),
        "baseline": baseline,
        "baseline_label": "buy and hold",
        "n": len(evaluation.agent),
        "n_label": "bars",
        "line": 0.0 if bounded else None,
        "note": note,
        "includes_line": interval.includes_zero if bounded else None,
    }


def _policy(evaluation: Evaluation, key: str, at: np.ndarray) -> dict[str, Any]:
    trajectory = evaluation.trajectories[key]
    own = evaluation.intervals.log_return[key]
    per_year = 1.0 / evaluation.years
    start = trajectory.equity[0]
    kinds = {"agent": "agent", "buy_and_hold": "buy_and_hold", "hindsight": "ceiling"}
    accounts = evaluation.evaluation.random_accounts
    is_random = key == "random"
    band = {
        "low": (evaluation.random_band[0, at] / start).round(EQUITY_DIGITS),
        "high": (evaluation.random_band[1, at] / start).round(EQUITY_DIGITS),
        "label": f"5–95 % of {accounts} random traders",
    }
    return {
        "key": key,
        "label": evaluation.labels[key],
        "kind": kinds.get(key, "baseline"),
        "note": evaluation.notes.get(key, ""),
        "metrics": evaluation.metrics[key],
        "intervals": {
            "log_return": _bounds(own),
            "total_return": _bounds(_as_returns(own)),
            "annual_log_return": {"low": own.low * per_year, "high": own.high * per_year},
            "sharpe_ratio": _bounds(evaluation.intervals.sharpe_ratio[key]),
        },
        "equity": (trajectory.equity[at] / start).round(EQUITY_DIGITS),
        "drawdown": 0.0 - drawdowns(trajectory.equity)[at].round(EQUITY_DIGITS),
        "exposure": trajectory.exposure[at].round(EXPOSURE_DIGITS),
        "band": band if is_random else None,
    }


def _differences(evaluation: Evaluation) -> list[dict[str, Any]]:
    found = []
    for metric, suffix, above in (
        ("log_return", "", evaluation.intervals.log_return_above),
        ("sharpe_ratio", "_sharpe", evaluation.intervals.sharpe_ratio_above),
    ):
        for key, interval in above.items():
            found.append(
                {
                    "key": f"agent_minus_{key}{suffix}",
                    "label": f"Agent − {evaluation.labels[key]}",
                    "metric": metric,
                    "value": interval.value,
                    **_bounds(interval),
                    "includes_zero": interval.includes_zero,
                }
            )
    return found


def _interval_method(evaluation: Evaluation) -> dict[str, Any]:
    settings = evaluation.evaluation.intervals
    return {
        "level": settings.level,
        "method": "stationary block bootstrap (Politis and Romano)",
        "n_resamples": settings.n_resamples,
        "block_length": evaluation.intervals.block_length,
        "n": len(evaluation.agent),
    }


def _per_regime(evaluation: Evaluation) -> list[dict[str, Any]]:
    names = ("log_return", "mean_exposure", "sharpe_ratio", "trades")
    rows = []
    for regime in REGIMES:
        agent = evaluation.regimes["agent"][regime.name]
        held = evaluation.regimes["buy_and_hold"][regime.name]
        rows.append(
            regime_words(regime)
            | {
                "n": agent["n"],
                "share": agent["share"],
                "agent": {name: agent[name] for name in names},
                "buy_and_hold": {name: held[name] for name in names},
                "difference": {"log_return": agent["log_return"] - held["log_return"]},
            }
        )
    return rows


def _cost_curve(evaluation: Evaluation) -> dict[str, Any]:
    curve = evaluation.costs
    multiples = curve.multiples.tolist()
    flat, held = curve.break_even_flat, curve.break_even_buy_and_hold
    return {
        "one_way": one_way_cost(evaluation.settings.account),
        "multiples": multiples,
        "agent_log_return": curve.agent,
        "buy_and_hold_log_return": curve.buy_and_hold,
        "agent_total_return": np.expm1(curve.agent),
        "buy_and_hold_total_return": np.expm1(curve.buy_and_hold),
        "break_even_flat": flat,
        "break_even_flat_words": break_even_words(flat, multiples, "flat"),
        "break_even_buy_and_hold": held,
        "break_even_buy_and_hold_words": break_even_words(held, multiples, "buy and hold"),
    }


def _costs_paid(evaluation: Evaluation) -> dict[str, float]:
    paid, trades = evaluation.metrics["agent"]["costs_paid"], evaluation.agent.n_trades
    return {
        "agent": paid,
        "agent_share_of_initial": paid / evaluation.settings.account.initial_cash,
        "per_trade": paid / trades if trades else math.nan,
    }


def _closed_trades(evaluation: Evaluation) -> dict[str, float]:
    metrics = evaluation.metrics["agent"]
    return {
        "n": metrics["closed_trades"],
        "open": metrics["open_trades"],
        "win_rate": metrics["win_rate"],
        "profit_factor": metrics["profit_factor"],
        "average_bars": metrics["average_bars_held"],
    }


def _per_month(evaluation: Evaluation) -> list[dict[str, Any]]:
    held = per_month(evaluation.trajectories["buy_and_hold"])
    return [
        {"month": month, **row, "buy_and_hold_log_return": held[month]["log_return"]}
        for month, row in per_month(evaluation.agent).items()
    ]


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
