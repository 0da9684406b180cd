"""Several runs side by side: on the bars that all of them traded, and over the scenarios that all of them met."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from regimegym.common.errors import DataError, MachineError
from regimegym.common.plain import plain
from regimegym.evaluate.ab_test import compare_agents, holm, path_p
from regimegym.evaluate.intervals import IntervalSettings, log_return_intervals
from regimegym.evaluate.overfitting import backtest_overfitting, superior_predictive_ability
from regimegym.evaluate.report_statistics import EVIDENCE_GROUPS, LEAST_SCENARIOS, UNSEEN, agent_scores
from regimegym.evaluate.trajectory import downsample

FORMAT_VERSION = 1
LEAST_BARS = 20
RESAMPLES = 1000
PARTITIONS = 16  # blocks of the cross-validation; every half of them is once the sample
IDENTITY = ("symbol", "start_ms", "end_ms", "n_bars", "cost_multiple", "delay")


class ComparedRun(NamedTuple):
    """What is compared of one run.

    Attributes:
        name: of its folder. label: of its agent. random_seed: it was trained with.
        timestamps: (n + 1,) int64 UTC nanoseconds of its marks. equity, held: (n + 1,) of the agent and buy and hold.
        metrics: of the agent, by name. n_trades: executed ones. stamp: of its verdict.
        scenarios: content of scenarios.json, None without.
    """

    name: str
    label: str
    random_seed: int
    timestamps: np.ndarray
    equity: np.ndarray
    held: np.ndarray
    metrics: Mapping[str, float | None]
    n_trades: int
    stamp: str
    scenarios: Mapping[str, Any] | None


def comparison_content(
    runs: Sequence[ComparedRun], part: str, fingerprint: str, generator: np.random.Generator, settings: IntervalSettings
) -> dict[str, Any]:
    """The content of comparison.json: every run against the first.

    Raises:
        DataError: `nothing-in-common`, the runs share too few bars.
    """
    times = _common_times(runs)
    at = [np.searchsorted(run.timestamps, times) for run in runs]
    equities = [run.equity[rows] / run.equity[rows[0]] for run, rows in zip(runs, at, strict=True)]
    held = runs[0].held[at[0]] / runs[0].held[at[0][0]]
    log_returns = np.stack([np.diff(np.log(np.maximum(equity, 1e-12))) for equity in [*equities, held]])
    n_trades = min(run.n_trades for run in runs)
    own, above = log_return_intervals(log_returns, n_trades, settings, generator)
    length = settings.block_length(log_returns.shape[1], n_trades)
    p_values = [path_p(log_returns[0] - other, length, generator, RESAMPLES) for other in log_returns[1:]]
    shown = downsample([*equities, held])
    names = [*(run.name for run in runs), "buy and hold"]
    content = {
        "format_version": FORMAT_VERSION,
        "part": part,
        "data_fingerprint": fingerprint,
        "n_bars": len(times) - 1,
        "start_ms": int(times[0] // 1_000_000),
        "end_ms": int(times[-1] // 1_000_000),
        "level": settings.level,
        "block_length": length,
        "runs": [
            {
                "name": run.name,
                "label": run.label,
                "random_seed": run.random_seed,
                "stamp": run.stamp,
                "metrics": dict(run.metrics),
                "log_return": {"value": interval.value, "low": interval.low, "high": interval.high},
            }
            for run, interval in zip(runs, own, strict=False)
        ],
        "against": [
            {"key": name, "difference": gap.value, "low": gap.low, "high": gap.high, "p": p, "p_holm": adjusted}
            for name, gap, p, adjusted in zip(
                names[1:], above, p_values, holm(np.array(p_values)).tolist(), strict=True
            )
        ],
        "selection": _selection(log_returns[:-1], log_returns[-1], length, generator),
        "scenarios": _scenarios(runs, generator),
        "series_t": times[shown] // 1_000_000,
        "equity": {name: equity[shown].round(6) for name, equity in zip(names, [*equities, held], strict=True)},
    }
    return plain(content)


def _selection(
    log_returns: np.ndarray, held: np.ndarray, block_length: float, generator: np.random.Generator
) -> dict[str, float | bool | None]:
    """What choosing the best of these runs is worth: overfitting by cross-validation, and SPA against buy and hold.

    `spa_p` is None without the package arch.
    """
    overfitting = backtest_overfitting(log_returns, PARTITIONS) if log_returns.shape[1] >= 2 * PARTITIONS else None
    if overfitting is not None and math.isnan(overfitting.probability):
        overfitting = None  # nobody traded
    try:
        spa: float | None = superior_predictive_ability(log_returns, held, block_length, int(generator.integers(2**31)))
    except MachineError as error:
        if error.name != "no-arch":
            raise
        spa = None
    return {
        "probability_of_overfitting": None if overfitting is None else overfitting.probability,
        "loss_probability": None if overfitting is None else overfitting.loss_probability,
        "n_blocks": PARTITIONS,
        "spa_p": spa,
        "spa_was_run": spa is not None,
    }


def _common_times(runs: Sequence[ComparedRun]) -> np.ndarray:
    times = runs[0].timestamps
    for run in runs[1:]:
        times = np.intersect1d(times, run.timestamps, assume_unique=True)
    if len(times) <= LEAST_BARS:
        raise DataError(
            "nothing-in-common",
            "these runs did not trade the same bars, so they cannot be compared",
            needed=f"more than {LEAST_BARS} common bars",
            found=f"{len(times)}",
            help=("regime-gym evaluate run=RUN data=file data.path=FILE, for each of them",),
        )
    return times


def _scenarios(runs: Sequence[ComparedRun], generator: np.random.Generator) -> dict[str, Any] | None:
    """Sign-flip tests over the scenarios that every run met and none was trained on; None with too few."""
    if any(run.scenarios is None for run in runs):
        return None
    by_name = [_unseen(run.scenarios or {}) for run in runs]
    common = [key for key in by_name[0] if all(key in found for found in by_name)]
    if len(common) < LEAST_SCENARIOS:
        return None
    scores = {run.name: agent_scores([found[key] for key in common]) for run, found in zip(runs, by_name, strict=True)}
    reference = runs[0].name
    negated = {name: -value for name, value in scores.items()}
    return {
        "n_scenarios": len(common),
        "against": [
            {
                "key": one.name,
                "difference": one.difference.value,
                "low": one.difference.low,
                "high": one.difference.high,
                "p": one.p_value,
                "p_holm": one.p_holm,
                "improvement": one.improvement,
            }
            for one in compare_agents(negated, reference, generator)
        ],
        "rows": [
            {
                "name": key[0],
                "group": by_name[0][key]["group"],
                **{run: float(value[:, k].mean()) for run, value in scores.items()},
            }
            for k, key in enumerate(common)
        ],
    }


def _unseen(content: Mapping[str, Any]) -> dict[tuple, Any]:
    """Scenarios by what makes two of one name the same: their bars and costs."""
    return {
        (one["name"], *(one[key] for key in IDENTITY)): one
        for one in content.get("scenarios", ())
        if one["group"] in EVIDENCE_GROUPS and one["seen"] in UNSEEN
    }
