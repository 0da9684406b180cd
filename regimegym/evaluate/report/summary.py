"""The first screen of the report and its sceptical end: facts, verdict, key figures, weaknesses.

Every text that comes from the data passes `escape`.
"""

import re
from html import escape

from regimegym.evaluate.report.numbers import (
    DASH,
    NO_BREAK,
    day,
    interval,
    is_defined,
    mark,
    number,
    percent,
    plural,
    quantity,
    words,
)
from regimegym.evaluate.report.reading import Report, unit_of

CHECK_MARKS = {"yes": ("yes", "met"), "no": ("no", "not met"), "unknown": ("unknown", "not measured")}
WEAKNESSES = {
    "worst_regime": "Worst regime",
    "worst_month": "Worst month",
    "break_even": "Costs",
    "turnover": "Turnover",
    "exposure_concentration": "Exposure",
    "action_collapse": "Actions",
    "worst_scenario": "Worst scenario",
    "behind_buy_and_hold": "Behind buy and hold",
}
UNSIGNED = ("max_drawdown",)
SIGNED_NUMBER = re.compile(r"[+−]\d[\d,.]*\d(?:\u00a0%)?")


def facts_strip(report: Report) -> str:
    """Period and whether it was opened before, bars, fills, costs, seeds, run."""
    facts = report["facts"]
    seeds = facts["random_seeds"]
    seed_list = ", ".join(map(str, seeds[:10])) + (" …" if len(seeds) > 10 else "")
    items = [
        f"<b>{day(facts['start_ms'])} {DASH} {day(facts['end_ms'])}</b>, {_opened(report)}",
        f"{plural(facts['n_bars'], 'bar')} of {escape(facts['timeframe'])} ({number(facts['years'])} years)",
        f"fills at the <b>{'next open' if facts['fills'] == 'next_open' else 'same close'}</b>",
        f"costs <b>{percent(facts['costs']['one_way'], 2)}</b> per trade",
    ]
    if seeds:
        items.append(f"<b>{plural(len(seeds), 'seed')}</b> ({escape(seed_list)})")
    if facts["run_id"]:
        items.append(f"run <code>{escape(str(facts['run_id']))}</code>")
    return '<ul class="facts">' + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _opened(report: Report) -> str:
    if report["part"] != "test":
        return "validation block: the checkpoint was chosen on it"
    looks = report["facts"]["test_looks_before"]
    if looks is None:
        return "test block, not known how often it was opened before"
    if looks == 0:
        return "test block, opened for the first time"
    return f"test block, opened {'once' if looks == 1 else f'{looks} times'} before"


def verdict(report: Report) -> str:
    """Stamp with its place among all stamps, the three sentences, the list of checks."""
    content = report["verdict"]
    places = "".join(
        f"<li{' class=here' if name == content['stamp'] else ''}>{escape(name)}</li>" for name in content["stamps"]
    )
    sentences = "".join(
        f"<li><span class=q>{escape(row['question'])}</span><span>{_prose(row['text'])}</span></li>"
        for row in content["sentences"]
    )
    checks = "".join(map(_check, content["checks"]))
    stamp = f'<div class="stamp">{escape(content["stamp"])}</div>'
    return (
        f'<div class="verdict {escape(content["stamp_key"])}">{stamp}'
        f'<ol class="places" aria-label="All stamps, worst first">{places}</ol>'
        f'<ol class="sentences">{sentences}</ol><ul class="checks">{checks}</ul></div>'
    )


def _prose(text: str) -> str:
    """A sentence with its first signed number bold and its brackets grey; units never wrap."""
    text = re.sub(r"\([^()]*\)", r'<span class="iv">\g<0></span>', words(text))
    first = SIGNED_NUMBER.search(text)
    if first is None or "(" in text[: first.start()]:
        return text
    return f"{text[: first.start()]}<b>{first[0]}</b>{text[first.end() :]}"


def _check(row: Report) -> str:
    state, spoken = CHECK_MARKS[row["state"]]
    unit = row.get("unit") or "ratio"
    value = ""
    if is_defined(row.get("value")):
        value = quantity(row["value"], unit)
        if is_defined(row.get("low")) and is_defined(row.get("high")):
            value += f" ({interval(row['low'], row['high'], unit)})"
        value = f': <span class="iv">{value}</span>'
    return (
        f'<li class="{state}"><span class="sr">{spoken}: </span>{words(_sentence(row["text"]))}'
        f"{value if state != 'unknown' else ''}</li>"
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def key_figures(report: Report) -> str:
    """The four boxes: value, interval on a track, baseline and n."""
    boxes = "".join(map(_key_figure, report["key_figures"]))
    method = report["intervals"]
    note = (
        "● interval excludes the line, ○ interval includes it; the orange tick is the baseline. "
        f"{percent(method['level'], 0)} intervals: {escape(method['method'])}, "
        f"{number(method['n_resamples'], 0)} resamples, mean block {number(method['block_length'], 0)} bars, "
        f"n = {number(method['n'], 0)}."
    )
    return f'<div class="key-figures">{boxes}</div><p class="note">{note}</p>'


def _key_figure(row: Report) -> str:
    unit = unit_of(row["key"], row["unit"])
    signed = row["key"] not in UNSIGNED and unit == "percent"
    parts = [interval(row["low"], row["high"], unit, signed)]
    if parts == [DASH]:
        parts = ["no interval"]
    baseline = row["baseline"] if row["baseline"] != row["line"] else None
    if is_defined(baseline):
        parts.append(f"{escape(row['baseline_label'])} {quantity(baseline, unit, signed)}")
    digits = 2 if is_defined(row["n"]) and row["n"] % 1 else 0
    parts.append(f"{number(row['n'], digits)}{NO_BREAK}{escape(row['n_label'])}")
    note = f'<div class="s">{escape(row["note"])}</div>' if row.get("note") else ""
    return (
        f'<div><div class="l">{escape(row["label"])}</div>'
        f'<div class="v">{quantity(row["agent"], unit, signed)}'
        f'<span class="mk">{mark(row["low"], row["high"], row["line"])}</span></div>'
        f"{track(row['agent'], row['low'], row['high'], row['line'], baseline)}"
        f'<div class="s">{" · ".join(parts)}</div>{note}</div>'
    )


def track(
    value: float | None,
    low: float | None,
    high: float | None,
    line: float | None,
    baseline: float | None = None,
    domain: tuple[float, float] | None = None,
) -> str:
    """A small interval drawing: bar low–high, point, the line and an orange baseline tick.

    Args:
        domain: ends of the scale; by default all given numbers with a margin of 8 %.
    """
    if not is_defined(value):
        return '<span class="track" aria-hidden="true"></span>'
    known = [v for v in (value, low, high, line, baseline) if is_defined(v)]
    first, last = domain or (min(known), max(known))
    margin = 0.08 * (last - first) or 1.0

    def place(v: float) -> str:
        return f"{100 * (v - first + margin) / (last - first + 2 * margin):.1f}%"

    marks = f'<i class="z" style="left:{place(line)}"></i>' if is_defined(line) else ""
    if is_defined(baseline):
        marks += f'<i class="h" style="left:{place(baseline)}"></i>'
    kind = "track"
    if is_defined(low) and is_defined(high):
        marks += f'<i class="b" style="left:{place(low)};right:calc(100% - {place(high)})"></i>'
        kind += " open" if is_defined(line) and low <= line <= high else ""
    marks += f'<i class="p" style="left:{place(value)}"></i>'
    return f'<span class="{kind}" aria-hidden="true">{marks}</span>'


def weaknesses(report: Report) -> list[tuple[str, str]]:
    """(title, text) of all that speaks against the result; never empty, not yet escaped."""
    facts = report["facts"]
    counters = (
        f"Configurations scored on validation: {number(facts['trials_counted'], 0)}. "
        f"Looks at this test block before this one: {number(facts['test_looks_before'], 0)}."
    )
    error = 1 / facts["years"] ** 0.5 if facts["years"] else None
    record = (
        f"{number(facts['years'])} years of one market: the standard error of a yearly Sharpe ratio "
        f"is about {number(error, 1)}, whatever the policy."
    )
    weak = report.get("weaknesses") or ()
    return [
        *(("Warning", _sentence(text)) for text in report["warnings"]),
        *(_weakness(one) for one in weak if one["is_weak"]),
        *_look_ahead(report.get("look_ahead")),
        *_drift(report.get("drift")),
        *_shrinkage(report.get("shrinkage") or {}),
        ("Trials and looks", counters),
        ("Length of the record", record),
    ]


def _weakness(one: Report) -> tuple[str, str]:
    """Title and text, which does not begin with the title again."""
    title = WEAKNESSES.get(one["key"], "Weak")
    return title, _sentence(one["text"].removeprefix(f"{title.lower()}: "))


def _look_ahead(audit: Report | None) -> list[tuple[str, str]]:
    if not audit:
        return []
    what = (
        f"{number(audit['columns'], 0)} columns at {number(audit['cuts'], 0)} cuts of {number(audit['bars'], 0)} bars"
    )
    if not audit["found"]:
        return [("Look-ahead audit", f"{what}: nothing changed when only the future did.")]
    return [("Look-ahead found", f"{what}: {', '.join(audit['changed'])} changed when only the future did.")]


def _drift(found: Report | None) -> list[tuple[str, str]]:
    if not found or not found["drifted"]:
        return []
    text = f"{found['drifted']} of {plural(found['n'], 'feature')} are distributed otherwise here than in training."
    return [("Inputs have drifted", text)]


def _shrinkage(values: Report) -> list[tuple[str, str]]:
    before, after = values.get("validation_sharpe"), values.get("test_sharpe")
    if not (is_defined(before) and is_defined(after)):
        return []
    text = (
        f"The Sharpe ratio {'fell' if after < before else 'did not fall'}: {number(before)} on validation, "
        f"where the checkpoint was chosen, {number(after)} on the test block. "
        f"Log return {number(values['validation_log_return'], 3, True)} "
        f"and {number(values['test_log_return'], 3, True)}."
    )
    return [("From validation to test", text)]


def weakness_list(rows: list[tuple[str, str]]) -> str:
    """The weaknesses as cards."""
    items = "".join(f"<li><b>{escape(title)}</b> {words(text)}</li>" for title, text in rows)
    return f'<ul class="weak">{items}</ul>'
