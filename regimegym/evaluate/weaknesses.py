"""What is weak about a result, found by fixed rules and said with its number."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from regimegym.common.actions import Action
from regimegym.envs.settings import ActionSettings
from regimegym.evaluate.breakdowns import per_month
from regimegym.evaluate.metrics import turnover
from regimegym.evaluate.regime_table import per_regime
from regimegym.evaluate.trajectory import Trajectory
from regimegym.evaluate.verdict import as_return, percent

MUCH_TURNOVER = 100.0  # × the equity per year
FEW_POSITIONS = 0.95  # share of the bars at one exposure
SAME_EXPOSURE = 0.05  # weights nearer than this are one exposure
EXTREME_SHARE = 0.95  # of all actions; above it the policy hardly decides any more
RARE_SHARE = 0.02


@dataclass(frozen=True)
class Weakness:
    """One thing that was looked at.

    Attributes:
        key: worst_regime, worst_month, break_even, turnover, exposure_concentration, action_collapse.
        text: a sentence for people.
        value: the number behind it; NaN where undefined.
        is_weak: whether it counts against the result.
    """

    key: str
    text: str
    value: float
    is_weak: bool


def weaknesses(agent: Trajectory, action: ActionSettings, break_even: float, least_break_even: float) -> list[Weakness]:
    """Everything that was looked at, what is weak first; never empty.

    Args:
        break_even: multiple of the assumed costs at which the gain is gone (evaluate.cost_curve): NaN
            where there is no gain even without costs, ∞ where it survives everything that was tried.
        least_break_even: multiple that a result should survive.
    """
    found = [
        _worst_regime(agent),
        _worst_month(agent),
        _break_even(break_even, least_break_even),
        _turnover(agent),
        _concentration(agent),
        *_collapse(agent, action),
    ]
    return sorted(found, key=lambda one: not one.is_weak)


def _worst_regime(agent: Trajectory) -> Weakness:
    table = {name: row for name, row in per_regime(agent).items() if row["n"] > 0}
    if not table:
        return Weakness("worst_regime", "no bar has a known regime", math.nan, False)
    name = min(table, key=lambda key: table[key]["log_return"])
    earned, share = table[name]["log_return"], table[name]["share"]
    text = (
        f"worst regime: {name.lower()}, {percent(as_return(earned))} in {percent(share, 0).lstrip('+')} "
        f"of the bars, mean exposure {percent(table[name]['mean_exposure'], 0)}"
    )
    return Weakness("worst_regime", text, earned, earned < 0)


def _worst_month(agent: Trajectory) -> Weakness:
    months = per_month(agent)
    name = min(months, key=lambda key: months[key]["log_return"])
    earned = months[name]["log_return"]
    losing = sum(1 for row in months.values() if row["log_return"] < 0)
    text = f"worst month: {name}, {percent(as_return(earned))}; {losing} of {len(months)} months lost"
    return Weakness("worst_month", text, earned, earned < 0)


def _break_even(value: float, least: float) -> Weakness:
    if math.isnan(value):
        return Weakness("break_even", "there is no gain even without costs", value, True)
    if math.isinf(value):
        return Weakness("break_even", "the gain survives every multiple of the costs that was tried", value, False)
    text = f"the gain is gone at {value:.1f} × the assumed costs (wanted: {least:g} ×)"
    return Weakness("break_even", text, value, value < least)


def _turnover(agent: Trajectory) -> Weakness:
    fills = agent.fills
    value = turnover(fills["units"] * fills["mid"], agent.equity, agent.periods_per_year)
    gross = abs(float(agent.equity[-1] - agent.equity[0])) + float(agent.costs.sum())
    share = float(agent.costs.sum()) / gross if gross > 0 else 0.0
    text = f"turnover {value:,.0f} × the equity per year; costs are {100 * share:.0f} % of what was moved before them"
    return Weakness("turnover", text, value, value > MUCH_TURNOVER)


def _concentration(agent: Trajectory) -> Weakness:
    bins = np.round(agent.exposure[1:] / (2 * SAME_EXPOSURE)).astype(np.int64)
    kinds, counts = np.unique(bins, return_counts=True)
    share, most = float(counts.max() / counts.sum()), float(kinds[counts.argmax()] * 2 * SAME_EXPOSURE)
    text = f"{100 * share:.0f} % of the bars at an exposure of about {most:+.1f}".replace("-", "−")
    return Weakness("exposure_concentration", text, share, share >= FEW_POSITIONS)


def _collapse(agent: Trajectory, action: ActionSettings) -> list[Weakness]:
    shares = action_shares(agent, action)
    if not shares:
        return []
    most, least = max(shares, key=lambda name: shares[name]), min(shares, key=lambda name: shares[name])
    if shares[most] >= EXTREME_SHARE or shares[least] > RARE_SHARE:
        text = f"{most} is {100 * shares[most]:.0f} % of all actions"
        return [Weakness("action_collapse", text, shares[most], shares[most] >= EXTREME_SHARE)]
    text = f"{least} is {100 * shares[least]:.1f} % of all actions"
    return [Weakness("action_collapse", text, shares[least], True)]


def action_shares(agent: Trajectory, action: ActionSettings) -> dict[str, float]:
    """Share of each discrete action among the decisions, by name; empty for continuous weights."""
    if action.mode == "continuous":
        return {}
    names = [a.name for a in Action] if action.mode == "trade" else [f"target {weight:+g}" for weight in action.ladder]
    counts = np.bincount(np.asarray(agent.actions).astype(np.int64).ravel(), minlength=len(names))
    return {name: float(count / counts.sum()) for name, count in zip(names, counts, strict=True)}


def scenario_weaknesses(log_returns: Mapping[str, float], above: Mapping[str, float]) -> list[Weakness]:
    """What a suite adds: the worst scenario, and the share in which the agent is behind.

    Args:
        log_returns: of the agent, by scenario. above: agent minus buy and hold, by scenario.
    """
    worst = min(log_returns, key=lambda name: log_returns[name])
    furthest = min(above, key=lambda name: above[name])
    lost = sum(1 for value in log_returns.values() if value < 0) / len(log_returns)
    behind = sum(1 for value in above.values() if value < 0) / len(above)
    return [
        Weakness(
            "worst_scenario",
            f"worst scenario: {worst}, {percent(as_return(log_returns[worst]))}; "
            f"{100 * lost:.0f} % of {len(log_returns)} scenarios lost",
            log_returns[worst],
            log_returns[worst] < 0,
        ),
        Weakness(
            "behind_buy_and_hold",
            f"furthest behind buy and hold in {furthest} ({above[furthest]:+.3f} in log return); behind in "
            f"{100 * behind:.0f} % of the scenarios".replace("-", "−"),
            above[furthest],
            behind > 0.5,
        ),
    ]
