"""The tables of the report: policies, differences, regimes, costs, run card.

Plain HTML that stands without JavaScript. At phone width the rows of a `.cards` table become
cards, labelled by `data-l`. Every text that comes from the data passes `escape`.
"""

from html import escape
from typing import Any

from regimegym.evaluate.report.numbers import (
    DASH,
    interval,
    is_defined,
    mark,
    minute,
    number,
    percent,
    plural,
    quantity,
    words,
)
from regimegym.evaluate.report.reading import Report, agent_of, buy_and_hold_of, display_name, unit_of
from regimegym.evaluate.report.summary import track

SHOWN_POLICIES = 5
GROUPS = {"return": "Return", "risk": "Risk", "trading": "Trading"}


def cell(text: str, label: str, kind: str = "") -> str:
    """One cell; `text` is HTML, `label` names it where rows become cards."""
    css = f' class="{kind}"' if kind else ""
    return f'<td{css} data-l="{escape(label)}">{text}</td>'


def table(head: list[str], rows: list[str], kind: str) -> str:
    """A table of HTML heads and rows, of the classes `kind`."""
    columns = "".join(f'<th scope="col">{text}</th>' for text in head)
    return (
        f'<div class="tw"><table class="{kind}"><thead><tr>{columns}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def metric_table(report: Report) -> str:
    """All metrics of all policies; – where undefined, ● or ○ where an interval is known.

    As many policies as a screen holds; the others beside the agent in a table that is folded.
    """
    policies = report["policies"]
    first, others = policies[:SHOWN_POLICIES], [policies[0], *policies[SHOWN_POLICIES:]]
    shown = _metrics_of(report, first)
    if len(others) == 1:
        return shown
    names = ", ".join(escape(display_name(policy)) for policy in others[1:])
    return f"{shown}<details><summary>The same for {names}</summary>{_metrics_of(report, others)}</details>"


def _metrics_of(report: Report, policies: list[Report]) -> str:
    head = ["Metric"]
    for policy in policies:
        note = f"<small>{escape(policy['note'])}</small>" if policy["note"] else ""
        chip = f'<i class="chip {escape(policy["kind"])}"></i>'
        head.append(f"{chip}{escape(display_name(policy))}{note}")
    rows, group = [], None
    for meta in report["metrics_meta"]:
        if meta["group"] != group:
            group = meta["group"]
            name = escape(GROUPS.get(group, str(group)))
            rows.append(f'<tr class="grp"><td colspan="{len(head)}">{name}</td></tr>')
        rows.append(_metric_row(meta, policies))
    return table(head, rows, "cards metrics")


def _metric_row(meta: Report, policies: list[Report]) -> str:
    arrow = {"high": " ↑", "low": " ↓"}.get(meta["better"], "")
    unit = unit_of(meta["key"], meta["unit"])
    signed = meta["group"] == "return" and unit == "percent"
    cells = f'<th scope="row">{escape(meta["label"])}<span class="mut">{arrow}</span></th>'
    for policy in policies:
        text = quantity(policy["metrics"].get(meta["key"]), unit, signed)
        bounds = policy["intervals"].get(meta["key"]) or {"low": None, "high": None}
        low, high = bounds["low"], bounds["high"]
        known = is_defined(low) and is_defined(high) and low < high
        place = escape(f"{policy['key']}.{meta['key']}")
        marked = f'<span class="mk">{mark(low, high, 0.0)}</span>' if known else ""
        range_ = f"<small>{interval(low, high, unit, signed)}</small>" if known else ""
        text = f'<span class="val"><span data-metric="{place}">{text}</span>{marked}</span>{range_}'
        cells += cell(text, display_name(policy), "own" if policy["kind"] == "agent" else "")
    return f"<tr>{cells}</tr>"


def difference_table(report: Report) -> str:
    """Paired differences with their intervals."""
    level = percent(report["intervals"]["level"], 0)
    head = ["Paired on the same bars", "Metric", "Difference", f"{level} interval", ""]
    return table(head, list(map(_difference_row, report["differences"])), "cards")


def _difference_row(row: Report) -> str:
    is_log = row["metric"] == "log_return"
    low, high, unit = row["low"], row["high"], "log" if is_log else "ratio"
    marked = f'<span class="mk">{mark(low, high, 0.0)}</span>'
    return (
        f'<tr><th scope="row">{escape(row["label"])}</th>'
        + cell("log return" if is_log else "Sharpe ratio", "Metric")
        + cell(f"<b>{quantity(row['value'], unit, True)}</b>", "Difference")
        + cell(f"<span>{interval(low, high, unit, True)}{marked}</span>", "Interval", "full")
        + cell(track(row["value"], low, high, 0.0), "", "wide")
        + "</tr>"
    )


def regime_table(report: Report) -> str:
    """Per-regime sums of log returns, the difference drawn from zero, exposure and trades."""
    differences = [row["difference"]["log_return"] for row in report["per_regime"]]
    reach = max([abs(value) for value in differences if is_defined(value)], default=0.0) or 1.0
    rows = [_regime_row(row, reach) for row in report["per_regime"]]
    head = [
        "Regime",
        "Share of bars",
        "Bars",
        "Agent",
        escape(display_name(buy_and_hold_of(report))),
        "Difference",
        "",
        "Sharpe",
        "Exposure",
        "Trades",
    ]
    return table(head, rows, "cards regimes")


def _regime_row(row: Report, reach: float) -> str:
    own, other, gap = row["agent"], row["buy_and_hold"], row["difference"]["log_return"]
    tag = f'<span class="tag {escape(row["key"])}">{escape(row["letter"])}</span>'
    return (
        f'<tr><th scope="row">{tag}{escape(row["label"])}</th>'
        + cell(percent(row["share"], 0), "Share of bars")
        + cell(number(row["n"], 0), "Bars")
        + cell(number(own["log_return"], 3, True), "Agent")
        + cell(number(other["log_return"], 3, True), "Buy and hold")
        + cell(f"<b>{number(gap, 3, True)}</b>", "Difference")
        + cell(_bar_from_zero(gap, reach), "", "wide")
        + cell(number(own["sharpe_ratio"]), "Sharpe")
        + cell(percent(own["mean_exposure"], 0), "Exposure")
        + cell(number(own["trades"], 0), "Trades")
        + "</tr>"
    )


def _bar_from_zero(value: float | None, reach: float) -> str:
    if not is_defined(value):
        return '<span class="track" aria-hidden="true"></span>'
    width = 48 * abs(value) / reach
    side, kind = ("left", "own") if value >= 0 else ("right", "behind")
    return (
        '<span class="track" aria-hidden="true"><i class="z" style="left:50%"></i>'
        f'<i class="d {kind}" style="{side}:50%;width:{width:.1f}%"></i></span>'
    )


def cost_table(report: Report) -> str:
    """Net return at every cost multiple."""
    curve = report["cost_curve"]
    rows = [
        f'<tr{" class=here" if multiple == 1 else ""}><th scope="row">{_multiple(multiple)}</th>'
        + cell(percent(multiple * curve["one_way"], 3), "Cost per trade")
        + cell(percent(own, 1, True), "Agent")
        + cell(percent(other, 1, True), "Buy and hold")
        + "</tr>"
        for multiple, own, other in zip(
            curve["multiples"],
            curve["agent_total_return"],
            curve["buy_and_hold_total_return"],
            strict=True,
        )
    ]
    head = ["Costs", "Per trade", "Agent", escape(display_name(buy_and_hold_of(report)))]
    return table(head, rows, "narrow")


def _multiple(multiple: float) -> str:
    text = f"{multiple:g} ×"
    return f"{text} <span class=mut>assumed</span>" if multiple == 1 else text


def cost_facts(report: Report) -> str:
    """Break-even in words and what was paid, as a definition list."""
    curve, paid = report["cost_curve"], report["costs_paid"]
    costs = (
        f"{number(paid['agent'])} of {number(report['facts']['initial_cash'])} at the start "
        f"({percent(paid['agent_share_of_initial'])}); {number(paid['per_trade'])} per trade"
    )
    rows = [
        ("Break-even against doing nothing", words(curve["break_even_flat_words"])),
        ("Break-even against buy and hold", words(curve["break_even_buy_and_hold_words"])),
        ("Costs paid", costs),
    ]
    return definitions(rows)


def definitions(rows: list[tuple[str, str]]) -> str:
    """A card of names and HTML texts."""
    inner = "".join(f"<div><dt>{escape(name)}</dt><dd>{text}</dd></div>" for name, text in rows)
    return f'<dl class="card">{inner}</dl>'


def run_card(report: Report) -> str:
    """Facts to repeat the run, then the whole run card as folded trees, then the commands."""
    trees = "".join(
        f"<details><summary>{escape(_title(name))}</summary>{_tree(value)}</details>"
        for name, value in report["run_card"].items()
        if value not in (None, {}, [])
    )
    commands = "".join(map(_command, report["commands"]))
    return f'{definitions(_run_facts(report))}<div class="trees">{trees}</div>{commands}'


def _run_facts(report: Report) -> list[tuple[str, str]]:
    facts, note = report["facts"], agent_of(report)["note"]
    account = (
        f"{number(facts['initial_cash'], 0)} at the start, sizing {escape(facts['sizing'])}, "
        f"rebalance {escape(facts['rebalance'])}, actions {escape(facts['action_mode'])}, "
        f"short {'allowed' if facts['allow_short'] else 'not allowed'}"
    )
    return [
        ("Data", f"{escape(str(facts['source']))}, {escape(facts['symbol'])} {escape(facts['timeframe'])}"),
        ("Fingerprint", f"<code>{escape(str(facts['data_fingerprint']))}</code>"),
        ("Period", f"{minute(facts['start_ms'])} to {minute(facts['end_ms'])}"),
        ("Execution", f"<b>{escape(facts['fills'])}</b>: {escape(facts['fills_words'])}"),
        ("Costs", words(facts["costs_words"])),
        ("Account", account),
        ("Agent", escape(str(facts["agent"])) + (f", {escape(note)}" if note else "")),
        ("Seeds", escape(", ".join(map(str, facts["random_seeds"])))),
        ("Bars per year", number(facts["periods_per_year"], 0)),
        ("Run folder", f"<code>{escape(str(facts['run_folder']))}</code>"),
        ("Report made", minute(facts["created_ms"])),
    ]


def _command(row: Report) -> str:
    command = f"<pre><code>{escape(row['command'])}</code></pre>"
    return f'<div class="cmd"><span>{escape(row["label"])}</span>{command}</div>'


def _title(name: str) -> str:
    return (name[:1].upper() + name[1:]).replace("_", " ")


def _tree(value: Any) -> str:
    if isinstance(value, dict):
        rows = "".join(f"<div><dt>{escape(str(key))}</dt><dd>{_tree(item)}</dd></div>" for key, item in value.items())
        return f'<dl class="tree">{rows}</dl>' if rows else DASH
    if isinstance(value, list):
        return ", ".join(_tree(item) for item in value) or DASH
    if value is None or value != value:
        return DASH
    return escape(str(value))


def trade_note(report: Report) -> str:
    """How much was traded and for which costs."""
    own, paid = agent_of(report)["metrics"], report["costs_paid"]
    parts = [f"{plural(report['fills']['total'], 'trade')} in all"]
    if is_defined(own.get("turnover")):
        parts.append(f"turnover {number(own['turnover'], 0)} × a year")
    parts.append(f"costs {percent(paid['agent_share_of_initial'])} of the starting equity")
    return f"{', '.join(parts)}."
