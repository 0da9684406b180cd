"""The benchmark as a table of at most 80 columns."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from regimegym.training.benchmarks.env_benchmark import EnvBenchmark
from regimegym.training.benchmarks.machine import describe_machine
from regimegym.training.benchmarks.market import Sizes
from regimegym.training.benchmarks.rows import ANYTRADING, BEST, PEERS, TRADING_ENV, Row
from regimegym.training.formatting import UNDEFINED, count, decimals, number, percent, size

WIDTH = 80
VERDICTS = {True: "pass", False: "MISS", None: ""}
HEADINGS = {ANYTRADING: "gym-any-\ntrading", TRADING_ENV: "gym-trad-\ning-env"}


def benchmark_table(benchmark: EnvBenchmark) -> RenderableType:
    """The rows, and below them how they were measured and which peers are missing."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("steps or bytes per CPU-s,\nseconds, bytes", no_wrap=True)
    for heading in ("regime-\ngym", *(HEADINGS[peer] for peer in PEERS), "ratio", "target", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in benchmark.rows:
        table.add_row(*_cells(row), style="bold" if row.is_met is False else "")
    return Group(table, Text(), *(Text(line) for line in _notes(benchmark)))


def _cells(row: Row) -> list[str]:
    peers = [_figure(row.peers[peer], row.unit) if peer in row.peers else "" for peer in PEERS]
    compared = _ratio(row.ratio, row.against) if row.against else ""
    return [row.name, _figure(row.ours, row.unit), *peers, compared, _target(row), VERDICTS[row.is_met]]


def _figure(value: float | None, unit: str) -> str:
    if value is None or value != value:
        return UNDEFINED
    if unit == "s":
        return f"{number(value, decimals(value))} s"
    return count(value) if unit == "steps/s" else size(value) + unit.removeprefix("bytes")


def _ratio(value: float | None, against: str | None) -> str:
    if value is None or value != value:
        return UNDEFINED
    if against == "memcpy":
        return percent(value, 0)
    return f"{number(value, decimals(value))}×"


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    sign = "≥" if row.target.at_least else "≤"
    limit = row.target.limit
    if row.against is None:
        return f"{sign} {limit:g} s"
    return f"{sign} {percent(limit, 0)}" if row.against == "memcpy" else f"{sign} {limit:g}×"


def _market(sizes: Sizes) -> str:
    return f"window {sizes.window}×{sizes.n_features}, {sizes.n_bars:,} bars"


def _notes(benchmark: EnvBenchmark) -> list[str]:
    machine = describe_machine()
    lines = [
        f"medians of {benchmark.repeats} turns of {benchmark.seconds:g} CPU-s; {_market(benchmark.sizes)}",
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}",
    ]
    wrappers = next((row.wrappers for row in benchmark.rows if row.against == BEST), {})
    for peer, state in benchmark.peers.items():
        best = wrappers.get(peer)
        lines.append(f"{peer} {state}" + (f", best wrapper {best}" if best else ""))
    return [line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…" for line in lines]
