"""The page of a model at work: is it well, how its figures went from look to look, and which inputs drifted.

Everything stands without JavaScript; the charts are drawn here, each as wide as its card.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from regimegym.evaluate.report.numbers import day, is_defined, minute, number, plural, quantity, words
from regimegym.evaluate.report.page import Page, render_page, write_page
from regimegym.evaluate.report.reading import Report, unit_of
from regimegym.evaluate.report.sections import section
from regimegym.evaluate.report.tables import cell, table

FILES = "The same content as data: <code>health.json</code>; every look: <code>history.jsonl</code>."
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 340, 150, 62, 10, 10, 24  # of a chart, pixels
SHOWN = 12  # features in the table that have not drifted


def write_health(content: Report, path: Path) -> None:
    """Write the page, whole or not at all. Raises MachineError."""
    write_page(render_health(content), path)


def render_health(content: Report) -> str:
    """The HTML text.

    Args:
        content: of health.json: `run`, `reference`, `time_ms`, `start_ms`, `end_ms`, `n_bars`, `alerts` [{key, reason,
            text}], `metrics` [{key, label, unit, expected, limit, now, alarms}], `drifts` [{name, effect, threshold,
            drifted}] and `looks` [{time_ms, metrics {key: {now, expected, limit}}}], the oldest first.
    """
    parts = [_verdict(content), _metrics(content), _trends(content), _drifts(content)]
    return render_page(
        Page(
            tab=words(f"{_stamp(content)} · {content['run']}"),
            kind="a model at work",
            title=words(content["run"]),
            facts=_facts(content),
            body=f'<main class="first">{"".join(parts)}</main>',
            files=FILES,
            scripts=(),
            data={},
        )
    )


def _stamp(content: Report) -> str:
    return plural(len(content["alerts"]), "alert") if content["alerts"] else "Healthy"


def _facts(content: Report) -> str:
    items = (
        f"<b>{day(content['start_ms'])} – {day(content['end_ms'])}</b>, {plural(content['n_bars'], 'new bar')}",
        f"looked at {minute(content['time_ms'])}",
        f"expected: what its {escape(content['reference'])} part promises",
        plural(len(content["looks"]), "look"),
    )
    return '<ul class="facts">' + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _verdict(content: Report) -> str:
    said = [
        f"<li><span class=q>{escape(kind)}</span><span>{words(text)}</span></li>" for kind, text in _sentences(content)
    ]
    kind = "worse_than_nothing" if content["alerts"] else "better"
    return (
        f'<section id="verdict"><div class="verdict {kind}"><div class="stamp">{_stamp(content)}</div>'
        f'<ol class="sentences">{"".join(said)}</ol></div></section>'
    )


def _sentences(content: Report) -> list[tuple[str, str]]:
    """(kind, text) of every alert; features that drifted are one sentence, the table below has each."""
    features = [one for one in content["alerts"] if one["key"].startswith("feature ")]
    others = [one for one in content["alerts"] if one not in features]
    said = [("Drift" if one["reason"] == "drift" else one["reason"].capitalize(), one["text"]) for one in others]
    if features:
        names = ", ".join(one["key"].removeprefix("feature ") for one in features)
        said.append(("Drift", f"{plural(len(features), 'feature')} drifted: {names}."))
    return said or [("Nothing", "is worse than expected, missing, or has drifted.")]


def _metrics(content: Report) -> str:
    rows = [
        f'<tr><th scope="row">{escape(one["label"])}</th>'
        + cell(_value(one["expected"], one), "Expected")
        + cell(_value(one["limit"], one), "Worse beyond")
        + cell(f"<b>{_value(one['now'], one)}</b>", "Now", "own")
        + cell(f'<span class="state {"no" if one["alarms"] else "yes"}">{"alarm" if one["alarms"] else "well"}</span>',
               "State") + "</tr>"
        for one in content["metrics"]
    ]  # fmt: skip
    how = (
        "Expected over as many bars as are new, from blocks of the returns on the reference part. Only a change for "
        "the worse alarms: beyond the tolerance and beyond two standard errors. A missing value alarms too."
    )
    alarms = sum(one["alarms"] for one in content["metrics"])
    heading = f"{alarms} of {plural(len(rows), 'figure')} worse than expected"
    head = ["Figure", "Expected", "Worse beyond", "Now", ""]
    return section("metrics", "Figures", heading, how, table(head, rows, "cards"))


def _value(value: float | None, one: Report) -> str:
    return quantity(value, unit_of(one["key"], one["unit"]), False)


def _trends(content: Report) -> str:
    looks = content["looks"]
    how = (
        "One point a look, the newest at the right. Solid: found; dashed: expected; orange: the value beyond which it "
        "alarms, which moves with the number of new bars."
    )
    figures = [
        f"<figure><div class=axis>{escape(one['label'])}</div>{trend_chart(one, looks)}</figure>"
        for one in content["metrics"]
    ]
    heading = f"How the figures went over {plural(len(looks), 'look')}"
    return section("trends", "Trends", heading, how, f'<div class="multiples">{"".join(figures)}</div>')


def trend_chart(one: Report, looks: Sequence[Report]) -> str:
    """The value of a metric from look to look beside what was expected and what alarms, as SVG."""
    series = {
        name: [look["metrics"].get(one["key"], {}).get(name) for look in looks] for name in ("now", "expected", "limit")
    }
    known = [value for values in series.values() for value in values if is_defined(value)]
    if not known:
        return '<p class="note">Nothing is known of it yet.</p>'
    low, high = min(known), max(known)
    room = 0.08 * (high - low) or max(1e-6, 0.05 * abs(high))
    low, high = low - room, high + room
    last = max(1, len(looks) - 1)

    def x(k: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (k / last if len(looks) > 1 else 1.0)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    styles = (
        ("limit", "--hold-line", "6 4", 1.5),
        ("expected", "--other", "1.5 3.5", 1.5),
        ("now", "--agent", "", 2.2),
    )
    lines = "".join(_line(series[name], x, y, colour, dash, width) for name, colour, dash, width in styles)
    ticks = "".join(
        f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        f'<text x="{LEFT - 7}" y="{y(v) + 4:.1f}" text-anchor="end">{_value(v, one)}</text>'
        for v in (low + room, (low + high) / 2, high - room)
    )
    dates = (
        f'<text x="{LEFT}" y="{HEIGHT - 5}">{day(looks[0]["time_ms"])}</text>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" text-anchor="end">{day(looks[-1]["time_ms"])}</text>'
        if len(looks) > 1
        else f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" text-anchor="end">{day(looks[-1]["time_ms"])}</text>'
    )
    label = f"{one['label']} from look to look"
    return (
        f'<svg class="c" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{ticks}{lines}{dates}</svg>"
    )


def _line(values: Sequence[float | None], x: Any, y: Any, colour: str, dash: str, width: float) -> str:
    """A line through the defined values, broken where one is missing, and a dot at the last of them."""
    path, pen = "", False
    at = [k for k, value in enumerate(values) if is_defined(value)]
    for k, value in enumerate(values):
        if is_defined(value):
            path += f"{'L' if pen else 'M'}{x(k):.1f} {y(value):.1f}"
        pen = is_defined(value)
    if not at:
        return ""
    style = f'style="stroke:var({colour})" stroke-width="{width}" fill="none"'
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    dot = f'<circle cx="{x(at[-1]):.1f}" cy="{y(values[at[-1]]):.1f}" r="3" style="fill:var({colour})"/>'
    return f'<path d="{path}" {style}{dashed}/>{dot}'


def _drifts(content: Report) -> str:
    drifts = content["drifts"]
    drifted = [one for one in drifts if one["drifted"]]
    others = sorted((one for one in drifts if not one["drifted"]), key=lambda one: -(one["effect"] or 0.0))
    rows = [
        f'<tr><th scope="row">{escape(one["name"])}</th>'
        + cell(number(one["effect"], 3), "Effect")
        + cell(number(one["threshold"], 3), "95 % without drift below")
        + cell(f'<span class="state {"no" if one["drifted"] else "yes"}">{"drifted" if one["drifted"] else "as before"}'
               "</span>", "State") + "</tr>"
        for one in [*drifted, *others[:SHOWN]]
    ]  # fmt: skip
    how = (
        "The distribution on the new bars beside that of the training rows. What stretches of one and the same "
        "process differ by comes from blocks of the training rows; the false discovery rate is controlled."
    )
    heading = f"{len(drifted)} of {plural(len(drifts), 'feature')} drifted"
    head = ["Feature", "Effect", "95 % without drift below", ""]
    return section("drift", "Inputs", heading, how, table(head, rows, "cards"))
