"""sweep.html: one file without network or script, drawn here as SVG."""

from collections.abc import Sequence
from html import escape
from importlib import resources
from string import Template

from regimegym.training.formatting import UNDEFINED, duration, number, percent
from regimegym.training.sweeps.drawings import history, importance_bars, parallel_coordinates, scatter
from regimegym.training.sweeps.results import Row, SweepResult
from regimegym.training.sweeps.table import remarks, short


def sweep_page(result: SweepResult, title: str) -> str:
    """The page as HTML text."""
    template = resources.files("regimegym.training.sweeps") / "page.html"
    first = next(iter(result.objectives))
    several = len(result.objectives) > 1
    return Template(template.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        facts=_facts(result),
        remarks="".join(f"<li>{escape(text)}</li>" for text in remarks(result)),
        objective=escape(first),
        history=history(result),
        importance=importance_bars(result.importance) or "<p>Too few trials, or all scored alike.</p>",
        parallel=parallel_coordinates(result),
        front=_front(result) if several else "",
        table=_table(result),
    )


def _front(result: SweepResult) -> str:
    first, second = list(result.objectives)[:2]
    how = f"Orange: no other trial is better in both {escape(first)} and {escape(second)}."
    return f'<section><h2>Pareto front</h2><p class="how">{how}</p>{scatter(result)}</section>'


def _facts(result: SweepResult) -> str:
    states = [row.state for row in result.rows]
    counts = ", ".join(f"{states.count(name)} {name}" for name in dict.fromkeys(states))
    found = [f"{len(states)} trials ({counts})", f"{result.n_counted} counted on these data"]
    if result.best:
        found.append(f"best: trial {', '.join(map(str, result.best[:5]))}")
        found.append(f"deflated Sharpe ratio: {percent(result.deflated_sharpe, 0)}")
    return "".join(f"<li>{escape(text)}</li>" for text in found)


def _table(result: SweepResult) -> str:
    names = list(result.rows[0].parameters) if result.rows else []
    head = ["trial", *result.objectives, "state", "time", *names, ""]
    body = "".join(_table_row(row, result, names) for row in result.rows)
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _table_row(row: Row, result: SweepResult, names: Sequence[str]) -> str:
    cells = [
        str(row.number),
        *(number(row.values.get(name, row.last), 5, signed=True) for name in result.objectives),
        row.state,
        duration(row.seconds),
        *(short(row.parameters[name]) if name in row.parameters else UNDEFINED for name in names),
        row.error,
    ]
    kind = ' class="best"' if row.number in result.best else ""
    return f"<tr{kind}>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
