"""A walk-forward: its folds as a section of a report, and as a page of its own with the one account's equity."""

from html import escape

from regimegym.evaluate.metrics import METRICS
from regimegym.evaluate.report.numbers import (
    DASH,
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
from regimegym.evaluate.report.page import Page, part_of, render_page
from regimegym.evaluate.report.reading import Report, unit_of
from regimegym.evaluate.report.sections import known_or_zero, section, signed_log
from regimegym.evaluate.report.summary import track
from regimegym.evaluate.report.tables import cell, table

DAY_MS = 86_400_000
FILES = "The same content as data: <code>walk_forward.json</code>, as text: <code>walk_forward.md</code>."


def walk_forward_section(report: Report) -> str:
    """Every fold with its dates, and the difference to buy and hold; nothing without a walk-forward."""
    content = report.get("walk_forward")
    if not content:
        return ""
    return _folds(content)


def _folds(content: Report) -> str:
    folds = content["folds"]
    sides = ("low", "high", "difference")
    reach = max([abs(known_or_zero(fold[side])) for fold in folds for side in sides], default=0.0) or 1.0
    how = (
        "Each model is trained on the bars before its fold, selected on its own validation, purged, and tested once on "
        "the block that follows; one account trades all of them in turn. Log returns; the difference is paired on the "
        "same bars. Drift: how far the weights moved since the model before, and on how many bars it decides otherwise."
    )
    head = [
        "Fold, test block",
        "Bars",
        "Validation",
        "Agent",
        "Buy and hold",
        "Difference",
        "95 % interval",
        "",
        "Drift",
    ]
    rows = [_fold_row(fold, reach) for fold in folds]
    return section("walkforward", "Walk-forward", walk_forward_heading(content), how, table(head, rows, "cards"))


def walk_forward_heading(content: Report) -> str:
    """How many folds are ahead of buy and hold, and for how many that may be chance."""
    folds = content["folds"]
    ahead = sum(known_or_zero(fold["difference"]) > 0 for fold in folds)
    unsure = sum(mark(fold["low"], fold["high"], 0.0) == "○" for fold in folds)
    return f"{ahead} of {plural(len(folds), 'fold')} ahead of buy and hold, {unsure} intervals include zero"


def _fold_row(fold: Report, reach: float) -> str:
    gap, low, high = fold["difference"], fold["low"], fold["high"]
    bounds = f'<span>{interval(low, high, "log", True)}<span class="mk">{mark(low, high, 0.0)}</span></span>'
    return (
        f'<tr><th scope="row">{_dates(fold)}<small>{escape(_model(fold))}</small></th>'
        + cell(number(fold["n_bars"], 0), "Bars")
        + cell(signed_log(fold.get("validation")), "Validation")
        + cell(signed_log(fold["agent"]), "Agent", "own")
        + cell(signed_log(fold["buy_and_hold"]), "Buy and hold")
        + cell(f"<b>{signed_log(gap)}</b>", "Difference")
        + cell(bounds, "Interval")
        + cell(track(gap, low, high, 0.0, domain=(-reach, reach)), "", "wide")
        + cell(_drift(fold), "Drift")
        + "</tr>"
    )


def _drift(fold: Report) -> str:
    if not is_defined(fold.get("weights_moved")):
        return DASH
    return f"{percent(fold['weights_moved'], 0)}<small>{percent(fold.get('decisions_moved'), 0)} of decisions</small>"


def _dates(fold: Report) -> str:
    return f"{day(fold['start_ms'])} {DASH} {day(fold['end_ms'])}"


def _model(fold: Report) -> str:
    """Whose model trades it, where that is not its own, and why a new one was trained, where drift asked for it."""
    if fold.get("model", fold.get("name")) != fold.get("name"):
        return f"keeps the model of {fold['model']}"
    return f"trained anew: {fold['reason']}" if fold.get("reason") else ""


def render_walk_forward(content: Report) -> str:
    """The HTML text.

    Args:
        content: of walk_forward.json: `title`, `run`, `folds`, `log_return` and `log_return_above_buy_and_hold` with
            their intervals, `metrics` {agent, buy_and_hold}, and the thinned `series` {t, agent, buy_and_hold}.
    """
    series = content["series"]
    body = f'<main class="first">{_verdict(content)}{part_of("equity.html")}{_folds(content)}{_metrics(content)}</main>'
    return render_page(
        Page(
            tab=words(content["title"]),
            kind="walk-forward",
            title=words(content["title"]),
            facts=_facts(content),
            body=body,
            files=FILES,
            scripts=("charts.js", "compare.js"),
            data={
                "t": series["t"],
                "intraday": _is_intraday(content),
                "lines": [
                    {"name": "agent", "equity": series["agent"]},
                    {"name": "buy and hold", "equity": series["buy_and_hold"]},
                ],
            },
        )
    )


def _is_intraday(content: Report) -> bool:
    span = content["folds"][-1]["end_ms"] - content["folds"][0]["start_ms"]
    return span / max(1, sum(fold["n_bars"] for fold in content["folds"])) < 0.9 * DAY_MS


def _facts(content: Report) -> str:
    folds = content["folds"]
    bars = sum(fold["n_bars"] for fold in folds)
    items = (
        f"<b>{day(folds[0]['start_ms'])} – {day(folds[-1]['end_ms'])}</b>, out of sample",
        f"{plural(len(folds), 'fold')}, {plural(bars, 'bar')}",
        f"run <code>{escape(content['run'])}</code>",
    )
    return '<ul class="facts">' + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _verdict(content: Report) -> str:
    own, above = content["log_return"], content["log_return_above_buy_and_hold"]
    reach = max(abs(known_or_zero(one[side])) for one in (own, above) for side in ("low", "high", "value")) or 1.0
    rows = [
        f'<tr><th scope="row">{name}</th>'
        + cell(f"<b>{signed_log(one['value'])}</b>", "Log return", "own")
        + cell(f'{interval(one["low"], one["high"], "log", True)}<span class="mk">'
               f'{mark(one["low"], one["high"], 0.0)}</span>', "Interval")
        + cell(track(one["value"], one["low"], one["high"], 0.0, domain=(-reach, reach)), "", "wide") + "</tr>"
        for name, one in (("Agent", own), ("Agent − buy and hold", above))
    ]  # fmt: skip
    how = (
        "One account over all folds: what one model holds the next one inherits. The intervals are of one path of one "
        "market (block bootstrap, paired)."
    )
    head = ["Out of sample, all folds", "Log return", "95 % interval", ""]
    return section("verdict", "Result", sentence(content), how, table(head, rows, "cards"))


def sentence(content: Report) -> str:
    """What the whole walk-forward says against doing nothing and against buy and hold."""
    own, above = content["log_return"], content["log_return_above_buy_and_hold"]
    said = (
        "ahead of buy and hold"
        if known_or_zero(above["low"]) > 0
        else "behind buy and hold"
        if known_or_zero(above["high"]) < 0
        else "not distinguishable from buy and hold"
    )
    return f"{signed_log(own['value'])} in log return out of sample, {said} ({signed_log(above['value'])})"


def _metrics(content: Report) -> str:
    own, held = content["metrics"]["agent"], content["metrics"]["buy_and_hold"]

    def text(found: Report, key: str) -> str:
        unit = unit_of(key, METRICS[key].unit)
        return quantity(found.get(key), unit, unit == "percent" and METRICS[key].group == "return")

    rows = [
        f'<tr><th scope="row">{escape(meta.label)}</th>'
        + cell(text(own, key), "Agent", "own") + cell(text(held, key), "Buy and hold") + "</tr>"
        for key, meta in METRICS.items()
    ]  # fmt: skip
    how = "Net of costs, over all folds as one stretch; counts and costs are sums."
    return section("metrics", "All metrics", "The one account in numbers", how,
                   table(["Metric", "Agent", "Buy and hold"], rows, "narrow"))  # fmt: skip
