"""The comparison on the worlds as a table of at most 80 columns."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from regimegym.training.benchmarks.machine import describe_machine
from regimegym.training.benchmarks.world_benchmark import GATE, LEVEL, TARGETS, Mean, WorldBenchmark, mean_of
from regimegym.training.formatting import percent


def world_table(benchmark: WorldBenchmark) -> RenderableType:
    """A line per learner, a column per world, and below them how it was measured."""
    worlds = list(dict.fromkeys(run.world for run in benchmark.runs))
    learners = list(dict.fromkeys(run.learner for run in benchmark.runs))
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("share of hindsight's\nlog growth", no_wrap=True)
    for world in worlds:
        table.add_column(f"{world}\n≥ {TARGETS[world]:g}" if world in TARGETS else world, justify="right")
    table.add_column("CPU-s", justify="right")
    for learner in learners:
        seconds = mean_of([run.seconds for run in benchmark.runs if run.learner == learner])
        cells = [_cell(benchmark.share(world, learner), TARGETS.get(world)) for world in worlds]
        table.add_row(learner, *cells, f"{seconds.value:.1f}")
    return Group(table, Text(), *(Text(line) for line in _notes(benchmark)))


def _cell(mean: Mean, target: float | None) -> Text:
    """Mean and half-width; bold where the target is missed."""
    half = "" if mean.high != mean.high else f" ±{mean.high - mean.value:.3f}"
    text = f"{mean.value:.3f}{half}".replace("-", "−")
    return Text(text, style="bold" if target is not None and mean.value < target else "")


def _notes(benchmark: WorldBenchmark) -> list[str]:
    machine, sizes = describe_machine(), benchmark.sizes
    seeds = len({run.random_seed for run in benchmark.runs})
    budget = (
        f"{benchmark.bars:,} environment steps each"
        if benchmark.seconds is None
        else f"{benchmark.seconds:g} CPU-seconds of learning each"
    )
    return [
        f"mean of {seeds} random seeds ± half of the {percent(LEVEL, 0)} interval; bold: below the target",
        f"{sizes.n_train:,} bars to learn from, {sizes.n_test:,} fresh ones; {budget}",
        f"flat where the validation t-statistic is not above {GATE:g}",
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}",
    ]
