"""Figures of an account as arrays of pixels, drawn with Pillow alone: equity against baselines, exposure.

Blue is the agent, orange buy and hold, other policies grey with dashes. The axis is logarithmic
and labelled with the return in per cent. Drawn at twice the size and scaled down for smooth lines.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from regimegym.training.formatting import MINUS

WIDTH, HEIGHT = 800, 400
ZOOM = 2
LEFT, RIGHT, TOP, BOTTOM = 84, 196, 38, 42  # pixels of margin; the names stand at the right
FONT_SIZE = 17  # TensorBoard shows the figure at half its size first
PAPER, INK, GRID = (255, 255, 255), (60, 60, 60), (228, 228, 228)
AREA = (198, 216, 240)
COLOURS = {"agent": (31, 98, 189), "buy_and_hold": (221, 120, 15)}
GREYS = ((110, 110, 110), (150, 150, 150), (130, 130, 130))
NAMES = {"agent": "agent", "buy_and_hold": "buy & hold", "ma_cross": "MA cross"}
DASHES = (9, 4, 2)  # pixels of the dash of each grey line; gaps are 4 pixels
GAP = 4
MAX_POINTS = 1600

Point = tuple[float, float]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def equity_figure(timestamps: np.ndarray, equity: Mapping[str, np.ndarray], title: str) -> np.ndarray:
    """Draw equity curves over time.

    Args:
        timestamps: (n,) int64 nanoseconds UTC.
        equity: equity curves (n,) > 0 by policy key; drawn relative to their first value.
        title: one line above the figure.

    Returns:
        (400, 800, 3) uint8 RGB. A curve keeps its least and greatest value of every pixel column.
    """
    image = Image.new("RGB", (WIDTH * ZOOM, HEIGHT * ZOOM), PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(FONT_SIZE * ZOOM)
    growth = {key: np.log(np.maximum(curve, 1e-12 * curve[0]) / curve[0]) for key, curve in equity.items()}
    low, high = _limits(growth)
    draw.text((LEFT * ZOOM, 8 * ZOOM), title, INK, font)
    _value_axis(draw, font, low, high)
    _time_axis(draw, font, timestamps)
    ends: list[tuple[float, str, tuple[int, int, int]]] = []
    # The agent is drawn last, on top.
    for i, key in enumerate(sorted(growth, key=lambda k: (k in COLOURS, k == "agent"))):
        colour = COLOURS.get(key, GREYS[i % len(GREYS)])
        points = _thinned(growth[key], low, high)
        if key in COLOURS:
            draw.line(points, colour, width=(5 if key == "agent" else 4), joint="curve")
        else:
            _dashed(draw, points, colour, DASHES[i % len(DASHES)] * ZOOM)
        label = f"{NAMES.get(key, key.replace('_', ' '))} {_percent(math.expm1(growth[key][-1]))}"
        ends.append((points[-1][1], label, colour))
    _end_labels(draw, font, ends)
    return np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


def exposure_figure(timestamps: np.ndarray, exposure: np.ndarray, title: str) -> np.ndarray:
    """Draw the exposure of an account over time, as an area from 0.

    Args:
        timestamps: (n,) int64 nanoseconds UTC.
        exposure: (n,) position value over equity; the axis holds 0 and 1, and −1 where it is ever short.
        title: one line above the figure.

    Returns:
        (400, 800, 3) uint8 RGB. The area keeps the least and greatest value of every pixel column.
    """
    image = Image.new("RGB", (WIDTH * ZOOM, HEIGHT * ZOOM), PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(FONT_SIZE * ZOOM)
    least, most = float(exposure.min()), max(1.0, float(exposure.max()))
    low, high = (min(-1.0, least) if least < 0 else 0.0) - 0.05, most + 0.05
    draw.text((LEFT * ZOOM, 8 * ZOOM), title, INK, font)
    points = _thinned(exposure, low, high)
    zero = _y(0.0, low, high)
    draw.polygon([(points[0][0], zero), *points, (points[-1][0], zero)], AREA)
    draw.line(points, COLOURS["agent"], width=2)
    for value in (-1.0, -0.5, 0.0, 0.5, 1.0):
        if low <= value <= high:
            y = _y(value, low, high)
            draw.line([(_x(0), y), (_x(1), y)], INK if value == 0.0 else GRID, width=2)
            label = _percent(value, 0)
            _write(draw, ((LEFT - 8) * ZOOM - _length(label, font), y), label, INK, font)
    _time_axis(draw, font, timestamps)
    mean = f"mean {_percent(float(np.abs(exposure).mean()), 0)}".replace("+", "")
    _write(draw, (_x(1) + 8 * ZOOM, _y((low + high) / 2, low, high)), mean, COLOURS["agent"], font)
    return np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


def _limits(growth: Mapping[str, np.ndarray]) -> tuple[float, float]:
    low = min(float(curve.min()) for curve in growth.values())
    high = max(float(curve.max()) for curve in growth.values())
    room = max(0.05 * (high - low), 0.002)
    # A ruined account must not squeeze the others into a line.
    return max(low, math.log(0.02)) - room, high + room


def _y(value: float, low: float, high: float) -> float:
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return ZOOM * (HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM))


def _x(share: float) -> float:
    return ZOOM * (LEFT + share * (WIDTH - LEFT - RIGHT))


def _thinned(curve: np.ndarray, low: float, high: float) -> list[Point]:
    """Screen points; a long curve keeps the extremes of each bucket and its last value."""
    n = len(curve)
    rows = np.arange(n)
    if n > MAX_POINTS:
        edges = np.linspace(0, n, MAX_POINTS // 2 + 1).astype(int)
        buckets = [curve[a:b] for a, b in pairwise(edges)]
        extremes = [(a + int(b.argmin()), a + int(b.argmax())) for a, b in zip(edges, buckets, strict=False)]
        rows = np.unique(np.array([*np.ravel(extremes), 0, n - 1]))
    return [(_x(row / max(n - 1, 1)), _y(float(curve[row]), low, high)) for row in rows]


def _value_axis(draw: ImageDraw.ImageDraw, font: Font, low: float, high: float) -> None:
    for value in return_ticks(math.expm1(low), math.expm1(high)):
        y = _y(math.log1p(value), low, high)
        draw.line([(_x(0), y), (_x(1), y)], INK if value == 0.0 else GRID, width=2)
        label = _percent(value, 0 if abs(value) >= 0.01 else 1)
        _write(draw, ((LEFT - 8) * ZOOM - _length(label, font), y), label, INK, font)


def return_ticks(low: float, high: float) -> list[float]:
    """About five round returns between `low` and `high`, zero among them when it lies between."""
    # Values in the middle of the axis decide the step: the axis is logarithmic.
    rough = (high - low) / 5.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough)
    ticks = [round(k * step, 10) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [tick for tick in ticks if tick > -1.0]


def _time_axis(draw: ImageDraw.ImageDraw, font: Font, timestamps: np.ndarray) -> None:
    n = len(timestamps)
    for i, share in enumerate((0.0, 0.5, 1.0)):
        moment = datetime.fromtimestamp(int(timestamps[round(share * (n - 1))]) / 1e9, UTC)
        x, y = _x(share), (HEIGHT - BOTTOM) * ZOOM
        draw.line([(x, y), (x, y + 5 * ZOOM)], INK, width=2)
        anchor = "lt" if i == 0 else "mt"
        draw.text((x, y + 9 * ZOOM), f"{moment:%Y-%m-%d}", INK, font, anchor=anchor)


def _dashed(draw: ImageDraw.ImageDraw, points: list[Point], colour: tuple[int, int, int], dash: int) -> None:
    """A line of dashes of equal length along the curve."""
    period, done = dash + GAP * ZOOM, 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        length = math.hypot(x1 - x0, y1 - y0)
        at = 0.0
        while at < length:
            phase = (done + at) % period
            drawing = phase < dash
            part = max(min((dash if drawing else period) - phase, length - at), 1e-6)
            if drawing:
                a, b = at / length, (at + part) / length
                draw.line(
                    [(x0 + a * (x1 - x0), y0 + a * (y1 - y0)), (x0 + b * (x1 - x0), y0 + b * (y1 - y0))],
                    colour,
                    width=3,
                )
            at += part
        done += length


def _end_labels(
    draw: ImageDraw.ImageDraw,
    font: Font,
    ends: list[tuple[float, str, tuple[int, int, int]]],
) -> None:
    """Names and end values at the right, moved apart where they would cover each other."""
    height = (FONT_SIZE + 4) * ZOOM
    lowest = (HEIGHT - BOTTOM) * ZOOM
    places: list[float] = []
    for y, _, _ in sorted(ends):
        places.append(max(y, places[-1] + height) if places else y)
    for i in reversed(range(len(places))):
        limit = lowest if i == len(places) - 1 else places[i + 1] - height
        places[i] = min(places[i], limit)
    for place, (_, label, colour) in zip(places, sorted(ends), strict=True):
        _write(draw, (_x(1) + 8 * ZOOM, place), label, colour, font)


def _length(text: str, font: Font) -> float:
    return font.getlength(text.replace(MINUS, "+"))


def _write(
    draw: ImageDraw.ImageDraw,
    at: Point,
    text: str,
    colour: tuple[int, int, int],
    font: Font,
) -> None:
    """Text from `at`, its left middle; Pillow's font has no minus sign, so that one is drawn."""
    x, y = at
    for i, part in enumerate(text.split(MINUS)):
        if i:
            width = font.getlength("+")
            draw.line([(x + 0.15 * width, y), (x + 0.85 * width, y)], colour, width=3)
            x += width
        draw.text((x, y), part, colour, font, anchor="lm")
        x += font.getlength(part)


def _percent(value: float, digits: int = 1) -> str:
    if abs(value) >= 10.0:
        digits = 0
    text = f"{100.0 * value:+,.{digits}f} %" if value else "0 %"
    return text.replace("-", MINUS)
