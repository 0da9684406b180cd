"""What the parts of the report look up in report.json."""

from typing import Any

from regimegym.common.regimes import REGIMES
from regimegym.evaluate.report.numbers import is_defined

Report = dict[str, Any]


def agent_of(report: Report) -> Report:
    """The agent's entry of `policies`."""
    return _first(report, "agent")


def buy_and_hold_of(report: Report) -> Report:
    """The entry of buy and hold in `policies`."""
    return _first(report, "buy_and_hold")


def _first(report: Report, kind: str) -> Report:
    return next(policy for policy in report["policies"] if policy["kind"] == kind)


def display_name(policy: Report) -> str:
    """`Agent` for the agent, else the policy's label."""
    return "Agent" if policy["kind"] == "agent" else str(policy["label"])


def difference_of(report: Report, metric: str) -> Report | None:
    """The paired difference agent − buy and hold in `metric`, or None when it is undefined."""
    for row in report["differences"]:
        if row["metric"] == metric and row["key"].startswith("agent_minus_buy_and_hold") and is_defined(row["value"]):
            return row
    return None


def unit_of(key: str, unit: str) -> str:
    """Unit in which a metric is written: log returns have three decimals and a sign."""
    return "log" if key.endswith("log_return") else unit


def metric(policy: Report, key: str) -> float | None:
    """A metric of a policy; None when it is undefined or missing."""
    value = policy["metrics"].get(key)
    return value if is_defined(value) else None


def by_regime_of(calibration: Report) -> Report:
    """The detector's reliability by regime in the order of Regime: a file keeps its keys in that of the alphabet."""
    found = calibration["regimes"]["by_regime"]
    return {name: found[name] for name in (regime.name.lower() for regime in REGIMES) if name in found}
