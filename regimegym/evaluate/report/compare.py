"""The page of several runs side by side."""

from html import escape
from string import Template
from typing import Any

from regimegym.evaluate.metrics import METRICS
from regimegym.evaluate.report.numbers import (
    day,
    interval,
    is_defined,
    mark,
    number,
    percent,
    plural,
    quantity,
)
from regimegym.evaluate.report.page import Page, part_of, render_page
from regimegym.evaluate.report.reading import Report, unit_of
from regimegym.evaluate.report.sections import section, shaded
from regimegym.evaluate.report.summary import track
from regimegym.evaluate.report.tables import cell, table

DAY_MS = 86_400_000
SCRIPTS = ("charts.js", "compare.js")
FILES = "The same content as data: <code>comparison.json</code>, as text: <code>comparison.md</code>."


def render_comparison(content: Report) -> str:
    """The HTML text; verdict, tables and intervals stand without JavaScript."""
    title = escape(f"{plural(len(content['runs']), 'run')} side by side")
    parts = {"verdict": _verdict(content), "metrics": _metrics(content), "scenarios": _scenarios(content)}
    parts["equity"] = part_of("equity.html")
    return render_page(
        Page(
            tab=title,
            kind="comparison",
            title=title,
            facts=_facts(content),
            body=Template(part_of("compare.html")).substitute(parts),
            files=FILES,
            scripts=SCRIPTS,
            data=_data(content),
        )
    )


def sentence(content: Report) -> str:
    """What can be said of the first run against the others."""
    first = content["runs"][0]["name"]
    rows = content["against"]
    shown = [row["key"] for row in rows if row["p_holm"] is not None and row["p_holm"] < 0.05 and row["difference"] > 0]
    behind = [
        row["key"] for row in rows if row["p_holm"] is not None and row["p_holm"] < 0.05 and row["difference"] < 0
    ]
    if not shown and not behind:
        return f"{first} cannot be told from any of the others on these bars"
    parts = [f"better than {', '.join(shown)}"] if shown else []
    parts += [f"worse than {', '.join(behind)}"] if behind else []
    return f"{first} is {' and '.join(parts)} on these bars, after Holm"


def _facts(content: Report) -> str:
    items = (
        f"<b>{day(content['start_ms'])} – {day(content['end_ms'])}</b>, {escape(content['part'])} part",
        f"{number(content['n_bars'], 0)} common bars",
        f"data <code>{escape(content['data_fingerprint'])}</code>",
    )
    return '<ul class="facts">' + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _verdict(content: Report) -> str:
    reach = max((abs(row[side] or 0.0) for row in content["against"] for side in ("low", "high")), default=0.0) or 1.0
    first = content["runs"][0]["name"]
    rows = [_against(first, row, reach) for row in content["against"]]
    head = ["Paired on the same bars", "Log return", f"{percent(content['level'], 0)} interval", "", "p", "p, Holm"]
    how = (
        "The first run against every other and against buy and hold, on the bars that all of them traded. One path "
        "is one "
        "piece of evidence, however long it is; runs of several seeds and a suite of scenarios say more."
    )
    note = f'<p class="note">{escape(selection_words(content))}</p>'
    return section("verdict", "Comparison", sentence(content), how, table(head, rows, "cards"), note)


def selection_words(content: Report) -> str:
    """What choosing the best of the runs is worth, in words."""
    found, n = content["selection"], len(content["runs"])
    said = []
    if is_defined(found["probability_of_overfitting"]):
        said.append(
            f"Choosing the best of these {n}: in {percent(found['probability_of_overfitting'], 0)} of the halves of "
            f"the bars the run that was best there is below the median in the other half, and in "
            f"{percent(found['loss_probability'], 0)} it loses there (CSCV, {found['n_blocks']} blocks)."
        )
    if is_defined(found["spa_p"]):
        said.append(f"That none of them earns more than buy and hold has p = {number(found['spa_p'], 3)} (SPA).")
    elif not found["spa_was_run"]:
        said.append("The SPA test against buy and hold needs the extra stats: pip install 'regime-gym[stats]'.")
    return " ".join(said)


def _against(first: str, row: Report, reach: float) -> str:
    low, high = row["low"], row["high"]
    return (
        f'<tr><th scope="row">{escape(first)} − {escape(row["key"])}</th>'
        + cell(f"<b>{number(row['difference'], 3, True)}</b>", "Log return")
        + cell(f'{interval(low, high, "log", True)}<span class="mk">{mark(low, high, 0.0)}</span>', "Interval")
        + cell(track(row["difference"], low, high, 0.0, domain=(-reach, reach)), "", "wide")
        + cell(number(row["p"], 4), "p")
        + cell(f"<b>{number(row['p_holm'], 4)}</b>", "p, Holm")
        + "</tr>"
    )


def _metrics(content: Report) -> str:
    runs = content["runs"]
    head = [
        "Metric",
        *(f"{escape(run['name'])}<small>{escape(run['label'])}, seed {run['random_seed']}</small>" for run in runs),
    ]
    rows = [
        '<tr><th scope="row">Verdict</th>' + "".join(cell(escape(run["stamp"]), run["name"]) for run in runs) + "</tr>"
    ]
    for key, meta in METRICS.items():
        unit = unit_of(key, meta.unit)
        cells = "".join(
            cell(quantity(run["metrics"].get(key), unit, unit == "percent" and meta.group == "return"), run["name"])
            for run in runs
        )
        rows.append(f'<tr><th scope="row">{escape(meta.label)}</th>{cells}</tr>')
    how = "Each run on its own part, as it was measured when it was trained or evaluated."
    return section("metrics", "All metrics", "The runs in numbers", how, table(head, rows, "cards"))


def _scenarios(content: Report) -> str:
    found = content["scenarios"]
    if not found:
        return (
            '<section id="scenarios"><p class="note">No common scenarios: <code>regime-gym evaluate run=RUN '
            "suite=default"
            "</code> for each of the runs adds the test over scenarios.</p></section>"
        )
    names = [run["name"] for run in content["runs"]]
    reach = max(abs(row[names[0]] - row[name]) for row in found["rows"] for name in names[1:]) or 1.0
    rows = [
        f'<tr><th scope="row">{escape(row["name"])}</th>{cell(number(row[names[0]], 3, True), names[0], "own")}'
        + "".join(shaded(row[names[0]] - row[name], name, reach) for name in names[1:])
        + "</tr>"
        for row in found["rows"]
    ]
    tests = [
        f"{names[0]} − {row['key']}: {number(row['difference'], 3, True)} on average "
        f"({interval(row['low'], row['high'], 'log', True)}), better in {percent(row['improvement'], 0)}, "
        f"p = {number(row['p_holm'], 4)} after Holm"
        for row in found["against"]
    ]
    heading = f"Over {found['n_scenarios']} scenarios that no run was trained on"
    head = ["Scenario", escape(names[0]), *(f"<small>minus</small> {escape(name)}" for name in names[1:])]
    return section("scenarios", "Scenarios", heading, f"{'. '.join(tests)}.", table(head, rows, "heat"))


def _data(content: Report) -> dict[str, Any]:
    bars = max(1, content["n_bars"])
    names = [*(run["name"] for run in content["runs"]), "buy and hold"]
    return {
        "t": content["series_t"],
        "intraday": (content["end_ms"] - content["start_ms"]) / bars < 0.9 * DAY_MS,
        "lines": [{"name": name, "equity": content["equity"][name]} for name in names],
    }
