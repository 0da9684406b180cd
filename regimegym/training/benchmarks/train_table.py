"""The training benchmark as tables of at most 80 columns."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from regimegym.training.benchmarks.machine import describe_machine
from regimegym.training.benchmarks.train_benchmark import PEER, TrainBenchmark
from regimegym.training.formatting import UNDEFINED, count, percent, size


def train_table(benchmark: TrainBenchmark) -> RenderableType:
    """Ratios with their targets, then the LSTM's sizes."""
    machine = describe_machine()
    notes = [
        f"CPU-seconds, one thread; {benchmark.sizes.steps:,} steps, the same number of gradient steps and batch size",
        f"{PEER} {benchmark.peer_state}",
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}",
    ]
    return Group(_ratios(benchmark), Text(), _lstm(benchmark), Text(), *map(Text, notes))


def _ratios(benchmark: TrainBenchmark) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in ("ours", "against", "ratio", "target", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    b = benchmark
    _add(table, "DQN with an MLP / SB3's DQN", b.ours, b.peer, 1.7)
    _add(table, "  with dropout and a loss on the regime", b.whole, b.peer, None)
    _add(table, "full network, bf16 / float32", b.bf16, b.float32, 1.9)
    for time in b.evaluation:
        _add(table, f"a bar of evaluation, table / by hand, {time.network}", time.cached, time.stepwise, 20.0)
    verdict = "pass" if b.agreement >= 0.99 else "MISS"
    table.add_row("greedy agreement of bf16", percent(b.agreement), "", "", "≥ 99 %", verdict)
    return table


def _add(table: Table, name: str, ours: float, other: float | None, target: float | None) -> None:
    """One row; without a `target` nothing is judged."""
    wanted = "" if target is None else f"≥ {target:g}×"
    if other is None:
        table.add_row(name, _time(ours), UNDEFINED, UNDEFINED, wanted, "")
        return
    ratio = other / ours
    misses = target is not None and ratio < target
    verdict = "" if target is None else "MISS" if misses else "pass"
    style = "bold" if misses else ""
    table.add_row(name, _time(ours), _time(other), f"{ratio:.3g}×", wanted, verdict, style=style)


def _lstm(benchmark: TrainBenchmark) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    for heading in ("LSTM layers", "width", "weights", "per batch", "peak memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in benchmark.lstm:
        peak = UNDEFINED if row.peak_bytes is None else size(row.peak_bytes)
        table.add_row(str(row.layers), str(row.width), count(row.weights), _time(row.seconds), peak)
    return table


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{1e3 * seconds:.1f} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.0f} µs"
