"""Sections that stand only where something was measured: months and scenarios; and the way to all of them.

Like every table of the report they are plain HTML. Every text that comes from the data passes `escape`.
"""

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Any

from regimegym.evaluate.report.numbers import (
    DASH,
    is_defined,
    number,
    percent,
    plural,
    words,
)
from regimegym.evaluate.report.reading import Report
from regimegym.evaluate.report.tables import cell, table

SHOWN_POLICIES = ("buy_and_hold", "ma_cross", "mean_reversion", "volatility_target", "regime_rule", "random")
FOLDED_MONTHS = 24
LINKS = {
    "verdict": "Verdict",
    "equity": "Equity",
    "trades": "Trades",
    "regimes": "Regimes",
    "metrics": "Metrics",
    "targets": "Targets",
    "scenarios": "Scenarios",
    "costs": "Costs",
    "walkforward": "Walk-forward",
    "statistics": "Statistics",
    "histories": "Histories",
    "calibration": "Calibration",
    "against": "Against it",
    "card": "Run card",
}


def section(anchor: str, eyebrow: str, heading: str, how: str, *parts: str) -> str:
    """One section of the report; `heading` and `how` are plain text."""
    return (
        f'<section id="{anchor}"><div class="eyebrow">{escape(eyebrow)}</div><h2>{words(heading)}</h2>'
        f'<p class="how">{words(how)}</p>{"".join(parts)}</section>'
    )


def month_table(report: Report) -> str:
    """Log return by month of the agent and of buy and hold; folded where there are many."""
    months = report.get("per_month") or []
    if not months:
        return ""
    rows = [
        f'<tr><th scope="row">{escape(row["month"])}</th>'
        + cell(signed_log(row["log_return"]), "Agent", "own")
        + cell(signed_log(row["buy_and_hold_log_return"]), "Buy and hold")
        + shaded(_gap(row["log_return"], row["buy_and_hold_log_return"]), "Difference", _reach(months))
        + cell(percent(row["max_drawdown"]), "Drawdown", "opt")
        + cell(percent(row["mean_exposure"], 0), "Exposure", "opt")
        + "</tr>"
        for row in months
    ]
    inner = table(["Month", "Agent", "Buy and hold", "Difference", "Drawdown", "Exposure"], rows, "heat")
    is_open = "" if len(months) > FOLDED_MONTHS else " open"
    return f"<details{is_open}><summary>Month by month, log returns ({len(months)})</summary>{inner}</details>"


def _reach(months: Sequence[Report]) -> float:
    gaps = [_gap(row["log_return"], row["buy_and_hold_log_return"]) for row in months]
    return max([abs(gap) for gap in gaps if gap is not None], default=0.0) or 1.0


def _gap(own: float | None, other: float | None) -> float | None:
    return own - other if is_defined(own) and is_defined(other) else None


def signed_log(value: float | None) -> str:
    """A log return with its sign, three decimals."""
    return number(value, 3, True)


def shaded(value: float | None, label: str, reach: float, kind: str = "") -> str:
    """A cell of a heat map: blue ahead, orange behind, the deeper the further."""
    if not is_defined(value):
        return cell(DASH, label, kind)
    level = min(4, round(4 * abs(value) / reach))
    return cell(signed_log(value), label, f"{'ahead' if value >= 0 else 'behind'} s{level} {kind}".strip())


def scenario_section(report: Report) -> str:
    """All scenarios, agent minus every baseline; nothing where no suite ran."""
    content = report.get("scenarios")
    if not content:
        return ""
    labels = {policy["key"]: policy["label"] for policy in content["policies"]}
    shown = [key for key in SHOWN_POLICIES if key in labels]
    scenarios = content["scenarios"]
    gaps = [abs(gap) for one in scenarios for key in shown if (gap := _behind(one, key)) is not None]
    reach = sorted(gaps)[int(0.85 * (len(gaps) - 1))] if gaps else 1.0
    head = ["Scenario", "Agent", *(f"<small>against</small> {escape(labels[key])}" for key in shown)]
    rows: list[str] = []
    for group, members in groupby(scenarios, key=lambda one: one["group"]):
        rows.append(f'<tr class="grp"><td colspan="{len(head)}">{escape(_title(group))}</td></tr>')
        rows += [_scenario_row(one, shown, labels, reach or 1.0) for one in members]
    seeds = len(content["runs"])
    how = (
        f"Log return after costs in each of {len(scenarios)} scenarios"
        f"{f', the median of {seeds} seeds' if seeds > 1 else ''}, and its distance to every baseline there. "
        "Blue: the agent is ahead, orange: behind. ° marks bars that the model was trained or selected on."
    )
    return section(
        "scenarios", "Scenarios", scenario_heading(report), how, table(head, rows, "heat"), _skipped(content)
    )


def _behind(one: Report, key: str) -> float | None:
    return _gap(one["agent"]["log_return"], one["baselines"].get(key, {}).get("log_return"))


def _scenario_row(one: Report, shown: Sequence[str], labels: dict[str, str], reach: float) -> str:
    seen = " °" if one["seen"] in ("train", "validation") else ""
    name = f'<span title="{escape(one["words"])}">{escape(one["name"])}{seen}</span>'
    kinds = ("", "", *["opt"] * len(shown))  # on a phone there is room for two
    cells = "".join(
        shaded(_behind(one, key), labels[key], reach, kind) for key, kind in zip(shown, kinds, strict=False)
    )
    return f'<tr><th scope="row">{name}</th>{cell(signed_log(one["agent"]["log_return"]), "Agent", "own")}{cells}</tr>'


def _skipped(content: Report) -> str:
    left = content.get("skipped") or []
    if not left:
        return ""
    return f'<p class="note">{plural(len(left), "scenario")} could not be built on these data and are left out.</p>'


def scenario_heading(report: Report) -> str:
    """How often the agent is ahead, and where it is weakest."""
    groups = report["scenarios"]["groups"]
    n = sum(group["n"] for group in groups)
    ahead = sum(round(group["n"] * group["share_above_buy_and_hold"]) for group in groups)
    worst = min(groups, key=lambda group: known_or_zero(group["worst_log_return"]))
    return f"Ahead of buy and hold in {ahead} of {n} scenarios; the worst is among {worst['group']}"


def known_or_zero(value: float | None) -> float:
    """`value`, 0 where undefined."""
    return value if is_defined(value) else 0.0


def navigation(report: Report) -> str:
    """Links to the sections that stand."""
    optional: dict[str, Any] = {
        "targets": report.get("targets"),
        "scenarios": report.get("scenarios"),
        "walkforward": report.get("walk_forward"),
        "statistics": report.get("statistics"),
        "histories": report.get("monte_carlo"),
        "calibration": report.get("calibration") or report.get("decision") or report.get("checks"),
    }
    return "".join(f'<a href="#{key}">{text}</a>' for key, text in LINKS.items() if optional.get(key, True))


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]
