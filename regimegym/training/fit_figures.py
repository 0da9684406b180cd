"""Figures of fitted predictors as SVG text, drawn with matplotlib: importance, calibration, confusion, states."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import numpy as np

from regimegym.common.errors import MachineError
from regimegym.supervised.calibration import reliability
from regimegym.supervised.comparison import CrossValidation
from regimegym.training.fit_states import StateReport

COLOURS = ("#1f62bd", "#dd780f", "#2e9e5b", "#a03fb3", "#c0392b", "#5d6d7e", "#b7950b", "#148f9c")
STATE_COLOURS = ("#c0392b", "#dd780f", "#2e9e5b", "#1f62bd")  # of four states, from the worst to the best
SHOWN = 20  # features of an importance figure
WHOLE = (-0.02, 1.02)  # an axis of shares, with room for a mark at either end
POINTS = 2_000  # bars of a line, at most
SPELLS = 250  # means of probabilities that can still be told apart
STYLE: Any = {
    "svg.hashsalt": "regime-gym",
    "svg.fonttype": "none",
    "font.size": 9.0,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
}


def check_matplotlib() -> None:
    """Raise MachineError without the extra `plot`."""
    if find_spec("matplotlib") is None:
        raise MachineError(
            "missing-extra",
            "figures need matplotlib, which is not installed",
            help=('pip install "regime-gym[plot]"', "or figures=false"),
            kept="nothing was written",
        )


def importance_figure(worth: Mapping[str, float], title: str, unit: str) -> str:
    """A bar for each of the features that count most; `unit` says what its length is."""
    ordered = sorted(worth.items(), key=lambda pair: pair[1])[-SHOWN:]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.barh([name for name, _ in ordered], [value for _, value in ordered], color=COLOURS[0])
        axes.grid(False, axis="y")
        axes.set(title=title, xlabel=unit)
        if not any(value for _, value in ordered):
            axes.set_xlim(0, 1)
            axes.text(0.5, 0.5, "no feature counts", ha="center", va="center", transform=axes.transAxes)

    return _svg(draw, 7.0, 1.0 + 0.22 * len(ordered))


def calibration_figure(found: Sequence[CrossValidation], title: str) -> str:
    """The reliability diagram: what was predicted, and what share of it came; the area of a mark is its rows."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="#999999", linestyle="--", linewidth=1)
        for i, one in enumerate(found):
            curve = reliability(one.labels, one.answers)
            there = curve.counts > 0
            colour, label = COLOURS[i % len(COLOURS)], f"{one.name} (ECE {curve.ece:.3f})"
            axes.plot(curve.predicted[there], curve.observed[there], color=colour, linewidth=1.2, label=label)
            size = 120.0 * curve.counts[there] / max(1, curve.counts.max())
            axes.scatter(curve.predicted[there], curve.observed[there], s=size, color=colour)
        said = found[0].classes[1] if len(found[0].classes) == 2 else "the predicted class"
        axes.set(title=title, xlabel=f"probability of {said}", ylabel="share that came true", xlim=WHOLE, ylim=WHOLE)
        axes.legend(loc="upper left")

    return _svg(draw, 6.0, 5.4)


def confusion_matrix(found: CrossValidation) -> np.ndarray:
    """(C, C) int64 rows of each class (down) by predicted class (across)."""
    n_classes = len(found.classes)
    cells = found.labels.astype(np.int64) * n_classes + found.answers.argmax(axis=1)
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def confusion_figure(found: CrossValidation, title: str) -> str:
    """Counts of label against predicted class, shaded by the share of the label's rows."""
    counts = confusion_matrix(found)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        words = [
            [f"{n:,}\n{share:.0%}" for n, share in zip(*rows, strict=True)] for rows in zip(counts, shares, strict=True)
        ]
        _matrix(axes, shares, words, found.classes)
        axes.set(title=title, xlabel="predicted", ylabel="came")

    return _svg(draw, 1.6 + 1.1 * len(counts), 1.4 + 0.9 * len(counts))


def attention_figure(attention: np.ndarray, title: str) -> str:
    """Mean weight of each bar of the window, the newest at the right."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot(np.arange(1 - len(attention), 1), attention, color=COLOURS[0])
        axes.set(title=title, xlabel="bars before the answer", ylabel="mean weight", ylim=(0, None))

    return _svg(draw, 7.0, 3.2)


def states_figure(report: StateReport) -> str:
    """The price, coloured by the most probable state; below it the filtered probabilities, averaged where many."""
    rows = np.unique(np.linspace(0, len(report.closes) - 1, POINTS).astype(np.int64))
    days = report.timestamps[rows].astype("datetime64[ns]")
    states = report.probabilities[rows].argmax(axis=1)
    each = -(-len(report.closes) // SPELLS)
    starts = np.arange(0, len(report.closes), each)
    means = np.add.reduceat(report.probabilities, starts) / np.diff(starts, append=len(report.closes))[:, None]

    def draw(figure: Any) -> None:
        price, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
        price.plot(days, report.closes[rows], color="#999999", linewidth=0.6)
        colours = _state_colours(len(report.names))
        for k, name in enumerate(report.names):
            here = states == k
            price.scatter(days[here], report.closes[rows][here], s=4, color=colours[k], label=name)
        price.legend(loc="upper left", markerscale=3)
        price.set(title=f"{report.predictor}: states on validation, filtered", ylabel="close", yscale="log")
        _plain_numbers(price.yaxis)
        below.stackplot(report.timestamps[starts].astype("datetime64[ns]"), means.T, colors=colours)
        below.set(ylabel="probability" if each == 1 else f"probability,\nmean of {each} bars", ylim=(0, 1))

    return _svg(draw, 10.0, 6.0)


def _state_colours(n_states: int) -> list[str]:
    chosen = STATE_COLOURS if n_states == len(STATE_COLOURS) else COLOURS
    return [chosen[k % len(chosen)] for k in range(n_states)]


def _plain_numbers(axis: Any) -> None:
    """Ticks such as 42,000 on a logarithmic axis, also where it spans less than a decade."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    axis.set_major_locator(MaxNLocator(6))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def transition_figure(report: StateReport) -> str:
    """The transition matrix."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        _matrix(axes, report.transition, [[f"{p:.3f}" for p in row] for row in report.transition], report.names)
        axes.set(title=f"{report.predictor}: from one bar to the next", xlabel="to", ylabel="from")

    return _svg(draw, 2.0 + 1.1 * len(report.names), 1.4 + 0.9 * len(report.names))


def _matrix(axes: Any, shares: np.ndarray, words: Sequence[Sequence[str]], names: Sequence[str]) -> None:
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    axes.grid(False)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    for i, row in enumerate(words):
        for j, text in enumerate(row):
            colour = "white" if shares[i, j] > 0.6 else "black"
            axes.text(j, i, text, ha="center", va="center", color=colour)


def _svg(draw: Callable[[Any], None], width: float, height: float) -> str:
    """What `draw` puts on a figure of so many inches; the same figure is the same text."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):  # no pyplot: it would keep every figure and choose a window
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        file = BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue().decode()
