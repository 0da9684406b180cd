"""Targets: what a result was wanted to reach, and whether it has been shown to.

A target is met only where the whole interval of its figure lies on the wanted side, and not met only where the
whole interval lies on the other one. Between the two nothing is shown, however good the figure looks: four
months of data have a standard error of 1.7 on a Sharpe ratio.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import binom

from regimegym.common.checks import check_between, check_positive
from regimegym.evaluate.intervals import N_PATHS, Interval, share_interval
from regimegym.evaluate.trajectory import Trajectory

State = Literal["met", "not_met", "not_shown"]
Unit = Literal["ratio", "percent", "milliseconds"]
Better = Literal["high", "low"]
LATENCY_QUANTILE = 0.95
NOTHING = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class TargetSettings:
    """What is wanted; None asks for nothing.

    Attributes:
        sharpe_ratio: annualised Sharpe ratio, above.
        max_drawdown: largest drawdown, a fraction, below.
        win_rate: share of closed trades that won, above.
        latency_ms: time that 95 of 100 decisions stay below, milliseconds, below.
    """

    sharpe_ratio: float | None = 2.0
    max_drawdown: float | None = 0.15
    win_rate: float | None = 0.55
    latency_ms: float | None = 100.0

    def __post_init__(self) -> None:
        for name in ("max_drawdown", "win_rate"):
            if getattr(self, name) is not None:
                check_between(f"targets.{name}", getattr(self, name), 0.0, 1.0)
        if self.latency_ms is not None:
            check_positive("targets.latency_ms", self.latency_ms)


class Target(NamedTuple):
    """One target with what was found.

    Attributes:
        better: side of `limit` that is wanted.
        value, low, high: the figure and its interval; NaN where undefined.
        n, n_label: what the interval rests on. method: how it was made.
    """

    key: str
    label: str
    unit: Unit
    better: Better
    limit: float
    value: float
    low: float
    high: float
    n: int
    n_label: str
    method: str
    state: State


def targets(
    agent: Trajectory,
    sharpe_ratio: Interval,
    drawdown: Interval,
    latencies_ms: Sequence[float] | None,
    level: float,
    settings: TargetSettings,
) -> list[Target]:
    """Every target that is asked for, in a fixed order.

    Args:
        sharpe_ratio, drawdown: of the agent, with their intervals at `level`.
        latencies_ms: of measured decisions of one account; None where none was measured.
    """
    n, trades = len(agent), agent.trades
    wins = int((trades["pnl"] > 0).sum())
    calls = np.array([] if latencies_ms is None else latencies_ms, np.float64)
    found: tuple[tuple[str, str, Unit, Better, float | None, Interval, int, str, str], ...] = (
        ("sharpe_ratio", "Sharpe ratio", "ratio", "high", settings.sharpe_ratio,
         sharpe_ratio, n, "bars", "block bootstrap"),
        ("max_drawdown", "Largest drawdown", "percent", "low", settings.max_drawdown,
         drawdown, n, "bars", f"{N_PATHS} paths of the same blocks"),
        ("win_rate", "Win rate", "percent", "high", settings.win_rate,
         share_interval(wins, len(trades), level), len(trades), "closed trades", "Wilson"),
        ("latency_ms", "Decision, 95th percentile", "milliseconds", "low", settings.latency_ms,
         quantile_interval(calls, LATENCY_QUANTILE, level), len(calls), "calls", "order statistics"),
    )  # fmt: skip
    return [
        Target(key, label, unit, better, limit, *interval, n_cases, n_label, method, state(interval, limit, better))
        for key, label, unit, better, limit, interval, n_cases, n_label, method in found
        if limit is not None
    ]


def state(interval: Interval, limit: float, better: Better) -> State:
    """Met or not met where the whole interval says so, else not shown; a bound on the limit shows nothing."""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return "not_shown"
    above, below = interval.low > limit, interval.high < limit
    if above or below:
        return "met" if above == (better == "high") else "not_met"
    return "not_shown"


def quantile_interval(values: np.ndarray, quantile: float, level: float) -> Interval:
    """The `quantile` of independent `values` (n,) between two of them, at least at `level`; NaN where n is too small.

    The number of values below the true quantile is binomial, whatever their law.
    """
    if len(values) == 0:
        return NOTHING
    ordered, n = np.sort(values), len(values)
    first = int(binom.ppf((1.0 - level) / 2.0, n, quantile))
    last = int(binom.ppf((1.0 + level) / 2.0, n, quantile)) + 1
    low = float(ordered[first - 1]) if first >= 1 else math.nan
    high = float(ordered[last - 1]) if last <= n else math.nan
    return Interval(float(np.quantile(values, quantile)), low, high)
