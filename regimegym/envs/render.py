"""Pictures of the running episode: price with trades, equity and drawdown.

`draw_frame` is drawn with Pillow alone (videos, TensorBoard, the window), `plot_episode` with
plotly for notebooks. Blue is the account, orange buy and hold.
"""

import os
import sys
import time
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from regimegym.common.errors import MachineError
from regimegym.features.tape import MarketTape

WIDTH, HEIGHT = 640, 480
ZOOM = 2  # drawn larger and scaled down for smooth lines
LEFT, RIGHT = 76, 12  # pixels of margin
PRICE, EQUITY, DRAWDOWN = (34, 250), (276, 370), (396, 468)  # pixel rows of the three panels
FONT_SIZE = 13
PAPER, INK, GRID = (255, 255, 255), (60, 60, 60), (228, 228, 228)
BLUE, ORANGE, GREEN, RED = (31, 98, 189), (221, 120, 15), (0, 128, 90), (190, 45, 45)
MARKER = 5  # pixels, half the width of a trade's triangle
MAX_POINTS = 1200  # of a curve; more are thinned

Colour = tuple[int, int, int]
Pen = tuple[ImageDraw.ImageDraw, ImageFont.FreeTypeFont | ImageFont.ImageFont]


class EpisodeHistory:
    """What happened on each row of one episode so far.

    Args:
        tape: the market of the episode.
        first_row, last_row: where it began and where it will end at the latest.
        equity: money at the start.

    Attributes:
        equity, hold_equity: marks of the account and of buy and hold, one per row from first_row on.
        fills: (row, signed units, price) in order.
    """

    def __init__(self, tape: MarketTape, first_row: int, last_row: int, equity: float) -> None:
        self.tape, self.first_row, self.last_row = tape, first_row, last_row
        self.equity, self.hold_equity = [equity], [equity]
        self.fills: list[tuple[int, float, float]] = []

    def add(self, equity: float, hold_equity: float, fills: list[tuple[int, float, float]]) -> None:
        """File one step."""
        self.equity.append(equity)
        self.hold_equity.append(hold_equity)
        self.fills += fills

    @property
    def row(self) -> int:
        """The row the account stands on."""
        return self.first_row + len(self.equity) - 1

    @property
    def rows(self) -> slice:
        """The rows of the episode so far, a slice of the tape."""
        return slice(self.first_row, self.row + 1)

    def drawdown(self) -> np.ndarray:
        """(n,) V / peak − 1, in (−∞, 0]."""
        equity = np.array(self.equity)
        return equity / np.maximum.accumulate(equity) - 1.0


def draw_frame(history: EpisodeHistory) -> np.ndarray:
    """(480, 640, 3) uint8 RGB: the episode so far on the time axis of the whole episode."""
    image = Image.new("RGB", (WIDTH * ZOOM, HEIGHT * ZOOM), PAPER)
    draw = ImageDraw.Draw(image)
    pen = (draw, ImageFont.load_default(FONT_SIZE * ZOOM))
    steps = max(1, history.last_row - history.first_row)
    close = history.tape.close[history.rows]
    marked = [price for _, _, price in history.fills]
    _title(pen, history)
    low, high = _panel(pen, PRICE, [close, np.array(marked)], "price", "{:.6g}")
    _curve(draw, PRICE, close, INK, low, high, steps)
    for row, units, price in history.fills:
        _marker(draw, _x((row - history.first_row) / steps), _y(price, PRICE, low, high), units > 0)
    curves = np.array(history.hold_equity), np.array(history.equity)
    low, high = _panel(pen, EQUITY, list(curves), "equity", "{:,.0f}")
    for values, colour in zip(curves, (ORANGE, BLUE), strict=True):
        _curve(draw, EQUITY, values, colour, low, high, steps)
    drawdown = history.drawdown()
    low, high = _panel(pen, DRAWDOWN, [drawdown, np.zeros(1)], "drawdown", "{:.1%}")
    _curve(draw, DRAWDOWN, drawdown, BLUE, low, high, steps)
    return np.array(image.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))


def _title(pen: Pen, history: EpisodeHistory) -> None:
    moment = str(np.datetime64(int(history.tape.timestamps[history.row]), "ns").astype("datetime64[m]")).replace(
        "T", " "
    )
    segment = history.tape.segment_of(history.row)
    gained = history.equity[-1] / history.equity[0] - 1.0
    market = f"{segment.symbol} {segment.timeframe}"
    text = f"{market}  {moment} UTC  equity {history.equity[-1]:,.2f} ({gained:+.2%})  fills {len(history.fills)}"
    pen[0].text((8 * ZOOM, 7 * ZOOM), text, INK, pen[1])


def _panel(pen: Pen, panel: tuple[int, int], curves: list[np.ndarray], name: str, form: str) -> tuple[float, float]:
    """Frame, name and the axis that holds all `curves`; returns its least and greatest value."""
    draw, font = pen
    low = min(float(curve.min()) for curve in curves if len(curve))
    high = max(float(curve.max()) for curve in curves if len(curve))
    room = 0.06 * (high - low) or 0.01 * abs(high) or 0.01
    draw.rectangle([_x(0.0), panel[0] * ZOOM, _x(1.0), panel[1] * ZOOM], outline=GRID, width=2)
    for value in (low, high):
        y = _y(value, panel, low - room, high + room)
        draw.line([(_x(0.0), y), (_x(1.0), y)], GRID, width=2)
        draw.text((_x(0.0) - 6 * ZOOM, y), form.format(value), INK, font, anchor="rm")
    draw.text((_x(1.0), panel[0] * ZOOM - 2), name, INK, font, anchor="rd")
    return low - room, high + room


def _x(share: float) -> float:
    return ZOOM * (LEFT + share * (WIDTH - LEFT - RIGHT))


def _y(value: float, panel: tuple[int, int], low: float, high: float) -> float:
    return ZOOM * (panel[1] - (value - low) / (high - low) * (panel[1] - panel[0]))


def _curve(
    draw: ImageDraw.ImageDraw,
    panel: tuple[int, int],
    values: np.ndarray,
    colour: Colour,
    low: float,
    high: float,
    steps: int,
) -> None:
    points = [(_x(k / steps), _y(float(values[k]), panel, low, high)) for k in _shown(values)]
    if len(points) > 1:
        draw.line(points, colour, width=3, joint="curve")


def _shown(values: np.ndarray) -> np.ndarray:
    """Indices to draw: all, or the least and greatest value of each stretch of a long curve."""
    if len(values) <= MAX_POINTS:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), MAX_POINTS // 2, endpoint=False).astype(int)
    stretches = np.split(values, edges[1:])
    extremes = [edge + np.array([part.argmin(), part.argmax()]) for edge, part in zip(edges, stretches, strict=True)]
    return np.unique([0, *np.ravel(extremes), len(values) - 1])


def _marker(draw: ImageDraw.ImageDraw, x: float, y: float, is_buy: bool) -> None:
    """A triangle whose tip is the fill: from below for a buy, from above for a sale."""
    size = MARKER * ZOOM
    base = y + (2 * size if is_buy else -2 * size)
    draw.polygon([(x, y), (x - size, base), (x + size, base)], GREEN if is_buy else RED)


def has_display() -> bool:
    """Whether this machine seems able to open a window."""
    is_there = sys.platform in ("win32", "darwin") or "DISPLAY" in os.environ
    return is_there and find_spec("tkinter") is not None


class Window:
    """A window that shows frames.

    Raises:
        MachineError: this Python has no tkinter, or there is no display.
    """

    def __init__(self, title: str) -> None:
        try:
            import tkinter

            from PIL import ImageTk
        except ImportError as error:
            raise _no_window(f"this Python lacks {error.name}", "install Python's tkinter (python3-tk)") from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise _no_window(str(error), "run it where a display is") from error
        self._root.title(title)
        self._label = tkinter.Label(self._root)
        self._label.pack()
        self._photo: Any = None  # tkinter shows a picture only while somebody holds it
        self._to_photo = ImageTk.PhotoImage
        self._next = 0.0

    def show(self, frame: np.ndarray, frames_per_second: float) -> None:
        """Show (H, W, 3) uint8, not before the last frame has had its time."""
        time.sleep(max(0.0, self._next - time.perf_counter()))
        self._photo = self._to_photo(Image.fromarray(frame), master=self._root)
        self._label.configure(image=self._photo)
        self._root.update()
        self._next = time.perf_counter() + 1.0 / frames_per_second

    def close(self) -> None:
        """Close the window."""
        self._root.destroy()


def _no_window(reason: str, advice: str) -> MachineError:
    return MachineError(
        "no-window",
        f"render_mode 'human' needs a window, and none can be opened: {reason}",
        help=(f"{advice}, or use render_mode rgb_array",),
    )


def plot_episode(history: EpisodeHistory) -> Any:
    """The same three panels as a plotly Figure.

    Raises:
        MachineError: plotly is not installed.
    """
    try:
        from plotly import graph_objects
        from plotly.subplots import make_subplots
    except ImportError as error:
        raise MachineError(
            "missing-package", "episode_figure needs plotly", help=("pip install 'regime-gym[plot]'",)
        ) from error
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, row_heights=[0.5, 0.3, 0.2], vertical_spacing=0.04)
    times = history.tape.timestamps[history.rows].astype("datetime64[ns]")
    lines = (
        (1, "close", history.tape.close[history.rows], INK),
        (2, "buy & hold", np.array(history.hold_equity), ORANGE),
        (2, "equity", np.array(history.equity), BLUE),
        (3, "drawdown", history.drawdown(), BLUE),
    )
    for panel, name, values, colour in lines:
        line = {"color": f"rgb{colour}", "width": 1.5}
        figure.add_trace(graph_objects.Scatter(x=times, y=values, name=name, line=line), row=panel, col=1)
    for name, symbol, colour, side in (("buy", "triangle-up", GREEN, 1), ("sell", "triangle-down", RED, -1)):
        fills = [(row - history.first_row, price) for row, units, price in history.fills if units * side > 0]
        marker = {"symbol": symbol, "color": f"rgb{colour}", "size": 9}
        figure.add_trace(
            graph_objects.Scatter(
                x=times[[k for k, _ in fills]], y=[p for _, p in fills], name=name, mode="markers", marker=marker
            ),
            row=1,
            col=1,
        )
    for panel, title in enumerate(("price", "equity", "drawdown"), 1):
        figure.update_yaxes(title_text=title, row=panel, col=1)
    figure.update_yaxes(tickformat=".1%", row=3, col=1)
    figure.update_layout(template="plotly_white", title=history.tape.segment_of(history.row).symbol, height=640)
    return figure
