"""The content of scenarios.json: a suite's results as plain numbers, and the same as Markdown.

The schema is stable: fields may be added, none changes its meaning while FORMAT_VERSION stays.
Undefined is null, times are UTC milliseconds, returns are fractions or log returns.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from regimegym.common.plain import plain
from regimegym.evaluate.cost_curve import break_even
from regimegym.evaluate.metrics import METRICS
from regimegym.evaluate.report_series import close_ms
from regimegym.evaluate.suite import ScenarioResult, SuiteRun, median_run
from regimegym.evaluate.verdict import as_return, percent
from regimegym.evaluate.weaknesses import Weakness, scenario_weaknesses, weaknesses

FORMAT_VERSION = 1
LEAST_BREAK_EVEN = 2.0


def suite_content(
    runs: Sequence[SuiteRun],
    run_names: Sequence[str],
    random_seeds: Sequence[int],
    facts: Mapping[str, Any] | None = None,
    least_break_even: float = LEAST_BREAK_EVEN,
) -> dict[str, Any]:
    """What scenarios.json holds.

    Args:
        runs: the same suite, one for each training run; scenarios that one of them lacks are left out.
        run_names: of the runs. random_seeds: that they were trained with.
        facts: what is known about the data and the look, as it is.
        least_break_even: multiple of the assumed costs that a result should survive.
    """
    common = _common(runs)
    scenarios = [_scenario(of_runs, random_seeds) for of_runs in common]
    medians = [median_run(of_runs) for of_runs in common]
    return plain(
        {
            "format_version": FORMAT_VERSION,
            "suite": runs[0].suite.name,
            "suite_seed": runs[0].suite.random_seed,
            "runs": [{"run": name, "random_seed": seed} for name, seed in zip(run_names, random_seeds, strict=True)],
            "policies": [{"key": key, "label": label} for key, label in medians[0].labels.items()],
            "metrics_meta": [{"key": key} | metric._asdict() for key, metric in METRICS.items()],
            **(facts or {}),
            "scenarios": scenarios,
            "groups": _groups(medians),
            "skipped": [one._asdict() for one in runs[0].skipped],
            "weaknesses": [asdict(one) for one in suite_weaknesses(medians, least_break_even)],
        }
    )


def _common(runs: Sequence[SuiteRun]) -> list[list[ScenarioResult]]:
    """Results of each scenario that all runs have, by run."""
    by_name = [{result.scenario.name: result for result in run.results} for run in runs]
    return [[found[name] for found in by_name] for name in by_name[0] if all(name in found for found in by_name)]


def _scenario(of_runs: Sequence[ScenarioResult], random_seeds: Sequence[int]) -> dict[str, Any]:
    """One scenario: what it is, and the metrics of the median run, of the baselines, and of every run."""
    shown = median_run(of_runs)
    scenario, agent = shown.scenario, shown.agent
    times = close_ms(agent)
    segment = scenario.tape.segment_of(scenario.rows.start)
    return {
        "name": scenario.name,
        "group": scenario.group,
        "words": scenario.words,
        "seen": scenario.seen,
        "symbol": segment.symbol,
        "timeframe": segment.timeframe,
        "start_ms": times[0],
        "end_ms": times[-1],
        "n_bars": len(agent),
        "cost_multiple": scenario.multiple,
        "delay": scenario.delay,
        "agent": shown.metrics["agent"],
        "baselines": {key: values for key, values in shown.metrics.items() if key != "agent"},
        "per_seed": [
            {"random_seed": seed, **result.metrics["agent"]} for seed, result in zip(random_seeds, of_runs, strict=True)
        ],
        "log_return_above_buy_and_hold": shown.above_buy_and_hold,
        "best_rule": shown.best_rule,
        "regret": shown.regret,
        "captured_share": shown.captured_share,
        "ceiling_is_exact": shown.ceiling_is_exact,
        "is_terminated": agent.terminated,
    }


def _groups(results: Sequence[ScenarioResult]) -> list[dict[str, Any]]:
    """By group, in the order of the suite: medians, the worst, and how often the agent is above the baselines."""
    found: dict[str, list[ScenarioResult]] = {}
    for result in results:
        found.setdefault(result.scenario.group, []).append(result)
    return [{"group": group, **_summary(members)} for group, members in found.items()]


def _summary(members: Sequence[ScenarioResult]) -> dict[str, Any]:
    own = [result.log_return for result in members]
    worst = min(members, key=lambda result: result.log_return)
    shares = [result.captured_share for result in members]
    defined = [share for share in shares if share == share]
    return {
        "n": len(members),
        "median_log_return": statistics.median(own),
        "median_above_buy_and_hold": statistics.median(result.above_buy_and_hold for result in members),
        "share_above_flat": sum(value > 0 for value in own) / len(own),
        "share_above_buy_and_hold": sum(result.above_buy_and_hold > 0 for result in members) / len(members),
        "share_above_best_rule": sum(
            result.log_return > result.metrics[result.best_rule]["log_return"] for result in members
        )
        / len(members),
        "median_captured_share": statistics.median(defined) if defined else None,
        "worst": worst.scenario.name,
        "worst_log_return": worst.log_return,
        "worst_drawdown": max(result.metrics["agent"]["max_drawdown"] for result in members),
    }


def suite_weaknesses(results: Sequence[ScenarioResult], least_break_even: float = LEAST_BREAK_EVEN) -> list[Weakness]:
    """What is weak about the first scenario (the part as it was measured), and about the suite as a whole."""
    first = results[0]
    own = weaknesses(first.agent, first.scenario.settings.action, _break_even(results), least_break_even)
    log_returns = {result.scenario.name: result.log_return for result in results}
    above = {result.scenario.name: result.above_buy_and_hold for result in results}
    return [*own, *scenario_weaknesses(log_returns, above)]


def _break_even(results: Sequence[ScenarioResult]) -> float:
    """Multiple of the costs at which the gain is gone, from the scenarios that scale them; NaN where none does."""
    scaled = sorted({r.scenario.multiple: r.log_return for r in results if r.scenario.group == "costs"}.items())
    if len(scaled) < 2:
        return float("nan")
    multiples, earned = zip(*scaled, strict=True)
    return break_even(np.array(multiples), np.array(earned))


def suite_markdown(content: Mapping[str, Any]) -> str:
    """The suite as Markdown: one table of all scenarios, one of the groups, the weaknesses."""
    lines = [
        f"# Scenarios: {content['suite']}",
        "",
        _words(content),
        "",
        "| scenario | group | seen | bars | agent | buy and hold | best rule | drawdown | Sharpe | trades | captured |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(_row(one, content) for one in content["scenarios"]),
        "",
        "| group | n | median | worst | above flat | above buy and hold | above the best rule |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *(_group_row(group) for group in content["groups"]),
        "",
        "## Weaknesses",
        "",
        *(f"- {'**' if one['is_weak'] else ''}{one['text']}{'**' if one['is_weak'] else ''}"
          for one in content["weaknesses"]),
    ]  # fmt: skip
    if content["skipped"]:
        lines += ["", "## Left out", "", *(f"- {one['name']}: {one['reason']}" for one in content["skipped"])]
    return "\n".join(lines) + "\n"


def _words(content: Mapping[str, Any]) -> str:
    n_runs = len(content["runs"])
    runs = "one run" if n_runs == 1 else f"{n_runs} runs, of which the median by log return is shown"
    return f"{len(content['scenarios'])} scenarios, {runs}. Returns are net of costs."


def _row(one: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    agent, labels = one["agent"], {policy["key"]: policy["label"] for policy in content["policies"]}
    rule = one["baselines"][one["best_rule"]]
    cells = (
        one["name"],
        one["group"],
        one["seen"],
        f"{one['n_bars']:,}",
        _return(agent["log_return"]),
        _return(one["baselines"]["buy_and_hold"]["log_return"]),
        f"{_return(rule['log_return'])} ({labels[one['best_rule']]})",
        percent(agent["max_drawdown"]).lstrip("+"),
        "–" if agent["sharpe_ratio"] is None else f"{agent['sharpe_ratio']:.2f}".replace("-", "−"),
        f"{agent['trades']:,.0f}",
        "–" if one["captured_share"] is None else percent(one["captured_share"]).lstrip("+"),
    )
    return f"| {' | '.join(cells)} |"


def _group_row(group: Mapping[str, Any]) -> str:
    shares = ("share_above_flat", "share_above_buy_and_hold", "share_above_best_rule")
    cells = (
        group["group"],
        str(group["n"]),
        _return(group["median_log_return"]),
        f"{_return(group['worst_log_return'])} ({group['worst']})",
        *(f"{100 * group[share]:.0f} %" for share in shares),
    )
    return f"| {' | '.join(cells)} |"


def _return(log_return: float | None) -> str:
    return "–" if log_return is None else percent(as_return(log_return))
