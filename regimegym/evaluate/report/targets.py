"""Targets in the report: what was wanted, what was found, and whether the whole interval says so."""

from collections.abc import Sequence
from html import escape

from regimegym.evaluate.report.numbers import interval, number, percent, plural, quantity
from regimegym.evaluate.report.reading import Report
from regimegym.evaluate.report.sections import section
from regimegym.evaluate.report.tables import cell, table

STATES = {"met": ("yes", "met"), "not_met": ("no", "not met"), "not_shown": ("unknown", "not shown")}
HEAD = ("Target", "Wanted", "Agent", "interval", "Resting on", "")


def target_heading(targets: Sequence[Report]) -> str:
    """How many targets are met, how many are not, and how many cannot be told."""
    counts = {state: sum(one["state"] == state for one in targets) for state in STATES}
    text = f"{counts['met']} of {plural(len(targets), 'target')} met"
    rest = [f"{counts[state]} {STATES[state][1]}" for state in ("not_met", "not_shown") if counts[state]]
    return f"{text}; {', '.join(rest)}" if rest else text


def target_section(report: Report) -> str:
    """One row per target; nothing where none was asked for."""
    targets = report.get("targets") or ()
    if not targets:
        return ""
    how = (
        "A target is met only where the whole interval lies on the wanted side, and not met only where the whole "
        "interval lies on the other one. Between them the data cannot tell, however good the figure looks."
    )
    head = [HEAD[0], *HEAD[1:3], _level(report), *HEAD[4:]]
    return section("targets", "Targets", target_heading(targets), how, table(head, list(map(_row, targets)), "cards"))


def _level(report: Report) -> str:
    return f"{percent(report['intervals']['level'], 0)} interval"


def _row(one: Report) -> str:
    kind, said = STATES[one["state"]]
    return (
        f'<tr><th scope="row">{escape(one["label"])}</th>'
        + cell(_wanted(one), "Wanted", "full")
        + cell(f"<b>{_quantity(one['value'], one)}</b>", "Agent", "own full")
        + cell(_bounds(one), "Interval", "full")
        + cell(f"{number(one['n'], 0)} {escape(one['n_label'])}<small>{escape(one['method'])}</small>", "Resting on")
        + cell(f'<span class="state {kind}">{said}</span>', "State", "full")
        + "</tr>"
    )


def _wanted(one: Report) -> str:
    return f"{'above' if one['better'] == 'high' else 'below'} {_quantity(one['limit'], one)}"


def _quantity(value: float | None, one: Report) -> str:
    if one["unit"] != "milliseconds":
        return quantity(value, one["unit"])
    return number(value, 0 if value and value >= 10 else 2) + (" ms" if value is not None else "")


def _bounds(one: Report) -> str:
    if one["unit"] != "milliseconds":
        return interval(one["low"], one["high"], one["unit"])
    return interval(one["low"], one["high"], "ratio")
