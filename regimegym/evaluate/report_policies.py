"""What report.json says of the policies: key figures, metrics, series and paired differences, with their intervals."""

import math
from typing import Any

import numpy as np

from regimegym.evaluate.evaluation import Evaluation
from regimegym.evaluate.intervals import Interval
from regimegym.evaluate.metrics import METRICS, Metric, drawdowns
from regimegym.evaluate.verdict import as_return

EQUITY_DIGITS = 6
EXPOSURE_DIGITS = 4
NO_LINE = ("max_drawdown",)  # a drawdown is never below 0: its interval is compared with no line


def key_figures(evaluation: Evaluation, drawdown: Interval) -> list[dict[str, Any]]:
    """The four figures of the first screen, each with its interval, baseline and n."""
    agent, held = evaluation.metrics["agent"], evaluation.metrics["buy_and_hold"]
    intervals = evaluation.intervals
    returns = _as_returns(intervals.log_return["agent"])
    gap = intervals.log_return_above["buy_and_hold"]
    sharpe = intervals.sharpe_ratio["agent"]
    error = agent["sharpe_standard_error"]
    figures = (
        ("total_return", returns, held["total_return"], ""),
        ("excess_log_return", gap, 0.0, "paired on common bars"),
        ("sharpe_ratio", sharpe, held["sharpe_ratio"], f"standard error {error:.2f}"),
        (
            "max_drawdown",
            drawdown._replace(value=agent["max_drawdown"]),
            held["max_drawdown"],
            "other paths of the same blocks",
        ),
    )
    return [_key_figure(evaluation, *figure) for figure in figures]


def _key_figure(evaluation: Evaluation, key: str, interval: Interval, baseline: float, note: str) -> dict[str, Any]:
    if key == "excess_log_return":
        described = Metric("Log return above buy and hold", "ratio", "high", "return")
    else:
        described = METRICS[key]
    bounded = math.isfinite(interval.low) and key not in NO_LINE
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


def policy_content(
    evaluation: Evaluation, key: str, at: np.ndarray, seed_band: np.ndarray | None = None
) -> dict[str, Any]:
    """One policy: metrics, intervals, and its series at the kept marks `at`."""
    trajectory = evaluation.trajectories[key]
    own = evaluation.intervals.log_return[key]
    per_year = 1.0 / evaluation.years
    start = trajectory.equity[0]
    kinds = {"agent": "agent", "buy_and_hold": "buy_and_hold", "hindsight": "ceiling"}
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
        "band": _band(evaluation, key, at, seed_band),
    }


def _band(evaluation: Evaluation, key: str, at: np.ndarray, seed_band: np.ndarray | None) -> dict[str, Any] | None:
    """Around the random trader 5 to 95 % of all of them, around the agent all its seeds."""
    if key == "random":
        band = evaluation.random_band / evaluation.trajectories[key].equity[0]
        label = f"5–95 % of {evaluation.evaluation.random_accounts} random traders"
    elif key == "agent" and seed_band is not None:
        band, label = seed_band, "all seeds of the agent"
    else:
        return None
    low, high = band[:, at].round(EQUITY_DIGITS)
    return {"low": low, "high": high, "label": label}


def differences(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The agent minus every baseline, paired on the same bars."""
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


def interval_method(evaluation: Evaluation) -> dict[str, Any]:
    """How the intervals were made."""
    settings = evaluation.evaluation.intervals
    return {
        "level": settings.level,
        "method": "stationary block bootstrap (Politis and Romano)",
        "n_resamples": settings.n_resamples,
        "block_length": evaluation.intervals.block_length,
        "n": len(evaluation.agent),
    }


def _bounds(interval: Interval) -> dict[str, float]:
    return {"low": interval.low, "high": interval.high}


def _as_returns(interval: Interval) -> Interval:
    return Interval(*(as_return(bound) for bound in interval))
