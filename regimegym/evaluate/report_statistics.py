"""What report.json says of chance: trials, paths, timing, risk, power, and the scenarios as pieces of evidence."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from regimegym.evaluate.ab_test import compare_agents, holm, path_p
from regimegym.evaluate.evaluation import Evaluation
from regimegym.evaluate.metrics import simple_returns
from regimegym.evaluate.overfitting import (
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    minimum_track_record,
    probabilistic_sharpe_ratio,
)
from regimegym.evaluate.power import detectable_difference, power_statement
from regimegym.evaluate.risk import backtest_risk, historical_risk, rolling_risk
from regimegym.evaluate.statistics import interquartile_mean, performance_profile, score_interval
from regimegym.evaluate.timing import trajectory_timing

RESAMPLES = 1000
RISK_LEVEL = 0.95
RISK_WINDOW = 250  # bars from which the next bar's risk is forecast
NOT_COMPARED = ("agent", "random", "hindsight")  # on one path: a draw of many, and a ceiling
# Scenarios on price paths of their own; dearer costs or a delay on the same bars are no further evidence.
EVIDENCE_GROUPS = ("held-out blocks", "worlds")
UNSEEN = ("test", "new", "synthetic")
LEAST_SCENARIOS = 6  # below it no sign-flip test reaches 5 % two-sided
PROFILE_POINTS = 41


def statistics_content(evaluation: Evaluation, trials: int | None, generator: np.random.Generator) -> dict[str, Any]:
    """Trials, paired tests on the path, timing, risk and power.

    Args:
        trials: configurations scored on validation so far, this one among them; None where unknown.
        generator: of every resampling here.
    """
    agent = evaluation.agent
    returns = simple_returns(agent.equity)
    return {
        "trials": _trials(returns, agent.periods_per_year, trials),
        "path": _path(evaluation, generator),
        "timing": trajectory_timing(agent, generator, RESAMPLES)._asdict(),
        "risk": _risk(returns, generator),
        "power": power_statement(len(agent), agent.periods_per_year),
    }


def _trials(returns: np.ndarray, periods_per_year: float, trials: int | None) -> dict[str, Any]:
    n = max(1, trials or 1)
    luck = expected_maximum_sharpe(n, 1.0 / max(1, len(returns) - 1))
    return {
        "n": trials,
        "probabilistic_sharpe": probabilistic_sharpe_ratio(returns),
        "deflated_sharpe": deflated_sharpe_ratio(returns, n),
        "best_of_luck": luck * math.sqrt(periods_per_year),
        "years_needed": minimum_track_record(returns) / periods_per_year,
    }


def _path(evaluation: Evaluation, generator: np.random.Generator) -> list[dict[str, Any]]:
    agent = evaluation.agent.log_returns
    compared = [key for key in evaluation.trajectories if key not in NOT_COMPARED]
    gaps = [agent - evaluation.trajectories[key].log_returns for key in compared]
    length = evaluation.intervals.block_length
    p_values = np.array([path_p(gap, length, generator, RESAMPLES) for gap in gaps])
    return [
        {"key": key, "label": evaluation.labels[key], "difference": float(gap.sum()), "p": p, "p_holm": adjusted}
        for key, gap, p, adjusted in zip(compared, gaps, p_values.tolist(), holm(p_values).tolist(), strict=True)
    ]


def _risk(returns: np.ndarray, generator: np.random.Generator) -> dict[str, Any] | None:
    """Value at risk and shortfall of one bar, and how forecasts from the bars before met the next one."""
    if len(returns) < 2 * RISK_WINDOW or not np.ptp(returns) > 0.0:
        return None
    whole = historical_risk(returns, RISK_LEVEL)
    met = backtest_risk(returns, rolling_risk(returns, RISK_WINDOW, RISK_LEVEL), RISK_LEVEL, generator)
    return {"level": RISK_LEVEL, "window": RISK_WINDOW, **whole._asdict(), "backtest": met._asdict()}


def scenario_statistics(content: Mapping[str, Any], generator: np.random.Generator) -> dict[str, Any] | None:
    """The agent against every baseline with the scenario as the unit of evidence; None with too few of them.

    Args:
        content: of scenarios.json.
    """
    rows = [one for one in content["scenarios"] if one["group"] in EVIDENCE_GROUPS and one["seen"] in UNSEEN]
    keys = [key for key in rows[0]["baselines"] if key != "hindsight"] if rows else []
    if len(rows) < LEAST_SCENARIOS:
        return None
    scores = {"agent": agent_scores(rows)} | {
        key: np.array([[one["baselines"][key]["log_return"] for one in rows]]) for key in keys
    }
    found = {
        comparison.name: comparison
        for comparison in compare_agents({key: -value for key, value in scores.items()}, "agent", generator)
    }
    labels = {policy["key"]: policy["label"] for policy in content["policies"]}
    edge = max(float(np.abs(value).max()) for value in scores.values()) or 1.0
    thresholds = np.linspace(-edge, edge, PROFILE_POINTS)
    return {
        "n_scenarios": len(rows),
        "n_seeds": len(scores["agent"]),
        "groups": sorted({one["group"] for one in rows}),
        "scores": [_score(key, labels, value, generator) for key, value in scores.items()],
        "against": [
            {
                "key": key,
                "label": labels[key],
                "difference": found[key].difference.value,
                "low": found[key].difference.low,
                "high": found[key].difference.high,
                "p": found[key].p_value,
                "p_holm": found[key].p_holm,
                "improvement": found[key].improvement,
            }
            for key in keys
        ],
        "profile": {
            "log_return": thresholds.tolist(),
            **{
                key: performance_profile(scores[key], thresholds, generator).share.tolist()
                for key in ("agent", "buy_and_hold")
            },
        },
        "power": _scenario_power(scores),
    }


def agent_scores(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Log returns (R, S) of the runs: random seeds × scenarios."""
    return np.array([[one["log_return"] for one in row["per_seed"]] for row in rows]).T


def _score(key: str, labels: Mapping[str, str], scores: np.ndarray, generator: np.random.Generator) -> dict[str, Any]:
    found = score_interval(scores, generator, interquartile_mean, n_resamples=RESAMPLES)
    return {"key": key, "label": labels[key], "iqm": found.value, "low": found.low, "high": found.high}


def _scenario_power(scores: Mapping[str, np.ndarray]) -> float:
    """Mean difference to buy and hold that these scenarios would have shown in 80 % of the cases."""
    return detectable_difference(scores["agent"].mean(axis=0) - scores["buy_and_hold"].mean(axis=0))
