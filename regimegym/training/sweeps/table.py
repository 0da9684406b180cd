"""A sweep in the terminal: a line when a trial ends, a table when all have."""

import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from regimegym.training.formatting import UNDEFINED, duration, number, percent
from regimegym.training.sweeps.choosing import Choosing
from regimegym.training.sweeps.results import Row, SweepResult

SHOWN = 10  # rows of the table; trials.csv holds all

SPA_LEVEL = 0.05


def trial_line(row: Row, done: int, n_trials: int) -> str:
    """What has just ended: "trial 3 complete  log_return +0.0123  12 s  (4 of 8)"."""
    found = {"complete": _scores(row), "failed": row.error}.get(row.state, f"at {number(row.last, 4, signed=True)}")
    settings = " ".join(f"{name}={short(value)}" for name, value in row.parameters.items())
    return f"{done:>4}/{n_trials}  trial {row.number} {row.state:<8}  {found}  {duration(row.seconds)}  {settings}"


def print_result(result: SweepResult, folder: str, command: str, console: Console) -> None:
    """The table, what failed, what the number of trials leaves of the best, and where everything is."""
    console.print(_table(result), width=max(console.width, 80) if not console.is_terminal else None)
    failed = [row for row in result.rows if row.state == "failed"]
    if failed:
        console.print(Text(f"{len(failed)} of {len(result.rows)} trials failed", "bold"))
        for row in failed:
            _say(console, f"  trial {row.number}: {row.error} ({folder}/logs/{row.number}.txt)")
    for text in remarks(result):
        console.print(Text.assemble(("! ", "bold yellow"), text), soft_wrap=True)
    _say(console, f"folder   {folder}")
    _say(console, f"page     {folder}/sweep.html")
    if result.best:
        _say(console, f"next     {command}")


def remarks(result: SweepResult) -> list[str]:
    """What speaks against the best trial; never empty where there is one."""
    if not result.best:
        return ["No trial has completed: there is nothing to choose from."]
    if "run" not in result.row(result.best[0]).metrics:  # a predictor's trial trades nothing
        said = [f"The best of {result.n_counted} trials by the rows that chose it: expect less of it on others."]
        return [*said, *_front(result)]
    share = percent(result.deflated_sharpe, 0)
    said = [
        f"The best of {result.n_counted} trials on these data; once they are counted, its Sharpe ratio on "
        f"validation is above 0 with probability {share} (deflated Sharpe ratio)."
        if math.isfinite(result.deflated_sharpe)
        else f"The best of {result.n_counted} trials has no defined Sharpe ratio on validation."
    ]
    return [*said, *_of_choosing(result.choosing), *_front(result)]


def _front(result: SweepResult) -> list[str]:
    if len(result.best) < 2:
        return []
    return [f"{len(result.best)} trials are on the Pareto front: none of them is better in everything."]


def _of_choosing(found: Choosing) -> list[str]:
    """Whether what was best on some bars was good on others, and whether any trial beats buy and hold."""
    said = []
    if math.isfinite(found.overfitting):
        said.append(
            f"Chosen on one half of the validation bars, the best of {found.n_trials} trials is among the worse "
            f"half on the other in {percent(found.overfitting, 0)} of the cuts (probability of backtest "
            "overfitting; 50 % is luck)."
        )
    if math.isfinite(found.superiority):
        beaten = "Some of them beat" if found.superiority < SPA_LEVEL else "It is not shown that any of them beats"
        said.append(f"{beaten} buy and hold on these bars (SPA test, p = {number(found.superiority, 3)}).")
    return said


def short(value: Any) -> str:
    """A parameter's value in few characters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(result: SweepResult) -> Table:
    names: Sequence[str] = list(result.rows[0].parameters) if result.rows else []
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bright_black")
    table.add_column("trial", justify="right")
    for name in result.objectives:
        table.add_column(name, justify="right")
    for name in ("state", "time", *names):
        table.add_column(name, justify="right", overflow="fold")
    for row in result.rows[:SHOWN]:
        scores = [number(row.values.get(name, row.last), 4, signed=True) for name in result.objectives]
        settings = [short(row.parameters[name]) if name in row.parameters else UNDEFINED for name in names]
        style = "bold cyan" if row.number in result.best else ""
        table.add_row(str(row.number), *scores, row.state, duration(row.seconds), *settings, style=style)
    return table


def _scores(row: Row) -> str:
    return "  ".join(f"{name} {number(value, 4, signed=True)}" for name, value in row.values.items())


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
