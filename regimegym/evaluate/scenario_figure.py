"""The figure of a suite as SVG: one line per scenario, agent against buy and hold and the rules.

Blue is the agent, orange buy and hold, the grey bar reaches from the worst to the best simple rule.
It survives grey print: the agent is a filled dot, buy and hold an open one. The axis is the log
return, so that a rise and the fall that undoes it are equally long.
"""

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from regimegym.evaluate.baselines import SIMPLE_RULES
from regimegym.evaluate.verdict import as_return, percent

WIDTH, LEFT, RIGHT, TOP, ROW, GAP = 960, 250, 96, 58, 19, 26
AGENT, HOLD, RULES, INK, FAINT = "#1f62bd", "#c9690c", "#c3c7cc", "#22262b", "#63686f"
SPREAD = 1.04  # room at both ends of the axis
MOST = 1.6  # log return beyond which a dot is drawn at the edge, with its value written


def suite_figure(content: Mapping[str, Any]) -> str:
    """SVG of the whole suite; `content` as of `suite_content`."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for one in content["scenarios"]:
        groups.setdefault(one["group"], []).append(one)
    height = TOP + sum(GAP + ROW * len(members) for members in groups.values()) + 30
    edge = _edge(content)
    body = [_axis(edge, height)]
    y = float(TOP)
    for group, members in groups.items():
        body.append(_text(14, y + 16, group, INK, weight="bold"))
        y += GAP
        for one in members:
            body.append(_line(one, y + ROW / 2, edge))
            y += ROW
    title = (
        f"{len(content['scenarios'])} scenarios of the suite {content['suite']}, log return as per cent, net of costs"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="12.5" role="img" aria-label="{escape(title)}">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{_text(14, 22, title, INK, weight="bold")}'
        f"{_legend()}{''.join(body)}</svg>\n"
    )


def _edge(content: Mapping[str, Any]) -> float:
    """Log return at both ends of the axis."""
    found = [0.02]
    for one in content["scenarios"]:
        found += [abs(one["agent"]["log_return"]), abs(one["baselines"]["buy_and_hold"]["log_return"])]
    return min(max(found), MOST) * SPREAD


def _x(log_return: float, edge: float) -> float:
    share = (min(max(log_return, -edge), edge) + edge) / (2 * edge)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _axis(edge: float, height: float) -> str:
    parts = []
    for value in _ticks(edge):
        x = _x(value, edge)
        stroke = FAINT if value == 0 else "#e4e6e9"
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - 26}" stroke="{stroke}"/>')
        parts.append(_text(x, height - 10, percent(as_return(value), 0), FAINT, anchor="middle"))
    return "".join(parts)


def _ticks(edge: float) -> list[float]:
    """Log returns of round percentages, symmetric about 0 where they fit."""
    steps = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
    step = next((s for s in steps if math.expm1(edge) / s <= 4), 5.0)
    rises = [i * step for i in range(-4, 5)]
    return [math.log1p(r) for r in rises if r > -0.99 and abs(math.log1p(r)) <= edge]


def _line(one: Mapping[str, Any], y: float, edge: float) -> str:
    agent, hold = one["agent"]["log_return"], one["baselines"]["buy_and_hold"]["log_return"]
    rules = [one["baselines"][key]["log_return"] for key in SIMPLE_RULES]
    seeds = [seed["log_return"] for seed in one["per_seed"]]
    low, high = _x(min(rules), edge), _x(max(rules), edge)
    bar = f'<line x1="{low:.1f}" x2="{max(high, low + 1):.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{RULES}" '
    parts = [
        _text(26, y + 4, one["name"] + (" (trained on)" if one["seen"] == "train" else ""), FAINT),
        bar + 'stroke-width="5" stroke-linecap="round"/>',
        f'<circle cx="{_x(hold, edge):.1f}" cy="{y:.1f}" r="4" fill="#fff" stroke="{HOLD}" stroke-width="2"/>',
        f'<circle cx="{_x(agent, edge):.1f}" cy="{y:.1f}" r="4.6" fill="{AGENT}"/>',
        _text(WIDTH - RIGHT + 14, y + 4, percent(as_return(agent)), AGENT),
    ]
    if len(seeds) > 1:
        parts.insert(2, f'<line x1="{_x(min(seeds), edge):.1f}" x2="{_x(max(seeds), edge):.1f}" y1="{y:.1f}" '
                        f'y2="{y:.1f}" stroke="{AGENT}" stroke-width="1.6"/>')  # fmt: skip
    return "".join(parts)


def _legend() -> str:
    return (
        f'<circle cx="22" cy="40" r="4.6" fill="{AGENT}"/>{_text(32, 44, "agent, the median run", INK)}'
        f'<circle cx="200" cy="40" r="4" fill="#fff" stroke="{HOLD}" stroke-width="2"/>'
        f"{_text(210, 44, 'buy and hold', INK)}"
        f'<line x1="316" x2="340" y1="40" y2="40" stroke="{RULES}" stroke-width="5" stroke-linecap="round"/>'
        f"{_text(350, 44, 'worst to best simple rule', INK)}"
    )


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )
