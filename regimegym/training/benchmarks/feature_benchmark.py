"""The feature benchmark: throughput, memory, streaming and loading, with plain pandas beside it."""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from regimegym.training.benchmarks import feature_cases as cases
from regimegym.training.benchmarks.machine import describe_machine
from regimegym.training.benchmarks.pandas_features import NAMES
from regimegym.training.benchmarks.record import Judged, described
from regimegym.training.benchmarks.table import VERDICTS
from regimegym.training.benchmarks.target import Target
from regimegym.training.formatting import count, number, size

FORMAT = 1
N_BARS = 1_000_000
PANDAS_TARGET = Target(5.0, at_least=True)
MEMORY_TARGET = Target(3.0, at_least=False)
STREAM_TARGET = Target(2.0, at_least=False)  # milliseconds
LOAD_TARGET = Target(0.5, at_least=False)  # seconds


@dataclass(frozen=True)
class FeatureRow(Judged):
    """One line: what, the figure as text, pandas' figure if any, the value that the target judges."""

    name: str
    ours: str
    pandas: str
    value: float
    unit: str
    target: Target | None = None


@dataclass(frozen=True)
class FeatureBenchmark:
    """What one run measured: medians of `repeats`, on `n_bars` one-minute bars."""

    started: datetime
    repeats: int
    n_bars: int
    rows: list[FeatureRow]

    def to_json(self) -> dict[str, Any]:
        """The whole record: rows with their verdicts, versions, machine."""
        return described("features", FORMAT, self.started) | {
            "repeats": self.repeats,
            "n_bars": self.n_bars,
            "rows": [asdict(row) | {"met": row.is_met} for row in self.rows],
        }


def benchmark_features(
    repeats: int, n_bars: int = N_BARS, on_progress: Callable[[str], None] = lambda _: None
) -> FeatureBenchmark:
    """Measure the xgboost set on `n_bars` one-minute bars; every figure is a median over `repeats`.

    Raises:
        MachineError: the disk refuses the file that is loaded.
    """
    started = datetime.now(UTC)
    on_progress("kernels are compiled")
    n_features = len(cases.full_set(cases.minute_bars(5_000)).names)
    taken: dict[str, list[float]] = {"full": [], "ours": [], "pandas": []}
    for i in range(repeats):
        on_progress(f"round {i + 1} of {repeats}")
        for kind, seconds in taken.items():
            seconds.append(cases.cpu_seconds(n_bars, kind))
    on_progress("memory of a fresh process")
    peak, output = cases.peak_memory(n_bars)
    on_progress("stream and loading")
    streamed = 1e3 * np.array(cases.stream_seconds())
    with TemporaryDirectory() as folder:
        loaded, loaded_cpu = np.median(cases.load_seconds(n_bars, Path(folder), max(repeats, 3)), axis=0).tolist()
    full, ours, pandas = (statistics.median(taken[kind]) for kind in ("full", "ours", "pandas"))
    rows = [
        FeatureRow(f"{n_features} features, bars per CPU-s", count(n_bars / full), "", n_bars / full, "bars/s"),
        FeatureRow(
            f"{len(NAMES)} of them / pandas",
            count(n_bars / ours),
            count(n_bars / pandas),
            pandas / ours,
            "×",
            PANDAS_TARGET,
        ),
        FeatureRow("peak memory / output", size(peak), "", peak / output, "×", MEMORY_TARGET),
        FeatureRow(
            "one bar more, median", _ms(np.median(streamed)), "", float(np.median(streamed)), "ms", STREAM_TARGET
        ),
        FeatureRow(
            "one bar more, 99 %", _ms(np.quantile(streamed, 0.99)), "", float(np.quantile(streamed, 0.99)), "ms"
        ),
        FeatureRow(f"{count(n_bars)} bars from Parquet", f"{loaded:.2f} s", "", loaded, "s", LOAD_TARGET),
        FeatureRow("… of which CPU", f"{loaded_cpu:.2f} s", "", loaded_cpu, "s"),
    ]
    return FeatureBenchmark(started, repeats, n_bars, rows)


def _ms(value: float) -> str:
    return f"{value:.2f} ms"


def feature_table(benchmark: FeatureBenchmark) -> RenderableType:
    """The rows, and below them how they were measured."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("features of one-minute bars", no_wrap=True)
    for heading in ("regime-gym", "pandas", "figure", "target", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in benchmark.rows:
        sign = "" if row.target is None else "≥" if row.target.at_least else "≤"
        target = "" if row.target is None else f"{sign} {row.target.limit:g} {row.unit}"
        figure = "" if row.unit == "bars/s" else f"{number(row.value, 2)} {row.unit}"
        style = "bold" if row.is_met is False else ""
        table.add_row(row.name, row.ours, row.pandas, figure, target, VERDICTS[row.is_met], style=style)
    machine = describe_machine()
    notes = [
        f"medians of {benchmark.repeats} rounds on {benchmark.n_bars:,} bars, one thread, CPU time but for loading",
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}",
    ]
    return Group(table, Text(), *(Text(note) for note in notes))
