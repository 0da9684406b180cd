"""The drawings of a sweep's page as SVG text: history, importance, parallel coordinates, Pareto front."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from regimegym.training.formatting import decimals, number, percent
from regimegym.training.sweeps.results import Row, SweepResult
from regimegym.training.sweeps.table import short

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1060.0, 300.0, 70.0, 20.0, 18.0, 34.0
ROW = 26.0  # height of a bar
LOG_SPAN = 20.0  # a parameter whose values span more than this ratio is drawn in logarithms
BEST_SHARE = 0.25
Scale = Callable[[float], float]


def history(result: SweepResult) -> str:
    """Score of each trial by number, and the best so far."""
    name, direction = next(iter(result.objectives.items()))
    rows = sorted(result.rows, key=lambda row: row.number)
    scores = {row.number: row.values.get(name, row.last) for row in rows}
    known = [score for score in scores.values() if math.isfinite(score)]
    if not known:
        return "<p>No trial has a score.</p>"
    x = linear(0.0, max(len(rows) - 1, 1), LEFT, WIDTH - RIGHT)
    y = linear(min(known), max(known), HEIGHT - BOTTOM, TOP)
    parts = [_frame(min(known), max(known), y)]
    steps: list[str] = []
    best = -math.inf
    sign = 1.0 if direction == "maximize" else -1.0
    for row in rows:
        score = scores[row.number]
        if row.values and sign * score > best:
            if steps:
                steps.append(f"{x(row.number):.1f},{y(sign * best):.1f}")
            best = sign * score
        if best > -math.inf:
            steps.append(f"{x(row.number):.1f},{y(sign * best):.1f}")
        parts.append(_mark(row, x(row.number), y(score) if math.isfinite(score) else HEIGHT - BOTTOM))
    parts.append(f'<polyline class="best" stroke-width="2" points="{" ".join(steps)}"/>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">trial</text>')
    parts += [
        f'<text x="{x(k):.1f}" y="{HEIGHT - 12}" text-anchor="middle">{k}</text>'
        for k in sorted({rows[0].number, rows[-1].number})
    ]
    return svg("".join(parts), HEIGHT, f"history of {name}")


def importance_bars(importance: Mapping[str, float]) -> str:
    """A bar per parameter, the largest first; empty without any."""
    if not importance:
        return ""
    ordered = sorted(importance.items(), key=lambda pair: -pair[1])
    widest = max(value for _, value in ordered) or 1.0
    parts = []
    for i, (name, value) in enumerate(ordered):
        top, length = i * ROW + 6, (WIDTH - 320.0) * value / widest
        parts.append(f'<text class="name" x="210" y="{top + 14}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect class="bar" x="220" y="{top}" width="{length:.1f}" height="18" rx="3"/>')
        parts.append(f'<text x="{226 + length:.1f}" y="{top + 14}">{percent(value, 0)}</text>')
    return svg("".join(parts), len(ordered) * ROW + 12, "importance of the parameters")


def parallel_coordinates(result: SweepResult) -> str:
    """A line per completed trial through one axis per parameter and one for the score."""
    done = [row for row in result.rows if row.values]
    if not done:
        return "<p>No trial has completed.</p>"
    objective = next(iter(result.objectives))
    names = [*done[0].parameters, objective]
    columns = [[row.parameters.get(name, row.values.get(name)) for row in done] for name in names]
    places = [_places(column) for column in columns]
    at = [LEFT + i * (WIDTH - LEFT - 60.0) / (len(names) - 1) for i in range(len(names))]
    n_best = max(1, round(BEST_SHARE * len(done)))
    lines = []
    for k in reversed(range(len(done))):  # rows are best first; the best are drawn on top
        points = " ".join(f"{x:.1f},{place[k]:.1f}" for x, place in zip(at, places, strict=True))
        kind = "best" if k < n_best else "other"
        lines.append(
            f'<polyline class="{kind}" stroke-width="1.5" points="{points}"><title>{_title(done[k])}</title></polyline>'
        )
    axes = [_axis(x, name, column, place) for x, name, column, place in zip(at, names, columns, places, strict=True)]
    return svg("".join(lines + axes), HEIGHT, "parallel coordinates")


def scatter(result: SweepResult) -> str:
    """The first two objectives against each other; the front is marked."""
    first, second = list(result.objectives)[:2]
    done = [row for row in result.rows if row.values]
    if not done:
        return "<p>No trial has completed.</p>"
    xs, ys = ([row.values[name] for row in done] for name in (first, second))
    x, y = linear(min(xs), max(xs), LEFT, WIDTH - RIGHT), linear(min(ys), max(ys), HEIGHT - BOTTOM, TOP)
    parts = [_frame(min(ys), max(ys), y)]
    for row, across, up in zip(done, xs, ys, strict=True):
        kind = "front" if row.number in result.best else "given-up"
        parts.append(
            f'<circle class="{kind}" cx="{x(across):.1f}" cy="{y(up):.1f}" r="5"><title>{_title(row)}</title></circle>'
        )
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 18}">{_tick(min(xs))}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 18}" text-anchor="end">{_tick(max(xs))}</text>')
    parts.append(
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(first)} →, {escape(second)} ↑</text>'
    )
    return f'<div class="card">{svg("".join(parts), HEIGHT, "Pareto front")}</div>'


def linear(low: float, high: float, start: float, stop: float) -> Scale:
    """The straight map of [low, high] to [start, stop]; the middle where low equals high."""
    span = high - low
    return lambda value: start + (stop - start) * ((value - low) / span if span else 0.5)


def svg(body: str, height: float, label: str) -> str:
    """A drawing of the page's width."""
    return f'<svg viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">{body}</svg>'


def _places(column: Sequence[Any]) -> list[float]:
    """Heights of the values on their axis: in logarithms, evenly by name, or straight."""
    low, high = HEIGHT - BOTTOM - 14, TOP + 22
    if any(isinstance(value, bool | str) or value is None for value in column):
        names = _names(column)
        scale = linear(0.0, max(len(names) - 1, 1), low, high)
        return [scale(names.index(str(value))) for value in column]
    numbers = np.asarray(column, np.float64)
    if numbers.min() > 0 and numbers.max() / numbers.min() > LOG_SPAN:
        numbers = np.log(numbers)
    scale = linear(float(numbers.min()), float(numbers.max()), low, high)
    return [scale(float(value)) for value in numbers]


def _names(column: Sequence[Any]) -> list[str]:
    return sorted(set(map(str, column)))


def _axis(x: float, name: str, column: Sequence[Any], places: Sequence[float]) -> str:
    """The axis with its name above and a label at its ends, or at every name."""
    parts = [f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP + 22}" y2="{HEIGHT - BOTTOM - 14}"/>']
    parts.append(f'<text class="name" x="{x:.1f}" y="{TOP}" text-anchor="middle">{escape(name)}</text>')
    labels = dict(zip(map(short, column), places, strict=True))
    if not any(isinstance(value, bool | str) or value is None for value in column):
        ends = sorted(zip(column, places, strict=True))
        labels = {short(ends[0][0]): ends[0][1] + 14, short(ends[-1][0]): ends[-1][1] - 6}
    parts += [f'<text x="{x + 5:.1f}" y="{place:.1f}">{escape(text)}</text>' for text, place in labels.items()]
    return "".join(parts)


def _frame(low: float, high: float, y: Scale) -> str:
    """The left axis with its ends, and zero where it lies between them."""
    parts = [f'<line class="axis" x1="{LEFT}" x2="{LEFT}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>']
    for value in {low, high} | ({0.0} if low < 0.0 < high else set()):
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{_tick(value)}</text>')
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
    return "".join(parts)


def _mark(row: Row, x: float, y: float) -> str:
    title = f"<title>{_title(row)}</title>"
    if row.state == "failed":
        return f'<path class="failed" stroke-width="2" d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8">{title}</path>'
    kind = "dot" if row.values else "given-up"
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4">{title}</circle>'


def _title(row: Row) -> str:
    settings = ", ".join(f"{name} {short(value)}" for name, value in row.parameters.items())
    scores = ", ".join(f"{name} {number(value, 4)}" for name, value in row.values.items()) or row.error or row.state
    return escape(f"trial {row.number}: {scores} · {settings}")


def _tick(value: float) -> str:
    return number(value, decimals(value))
