"""With and without a curriculum at equal steps: the same learners, markets and random seeds."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import product
from multiprocessing import get_context
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from regimegym.training.benchmarks.curriculum_run import CURRICULA, LOOKS, CurriculumRun, run_curriculum
from regimegym.training.benchmarks.machine import describe_machine
from regimegym.training.benchmarks.record import described
from regimegym.training.benchmarks.world_benchmark import LEVEL, Mean, mean_of
from regimegym.training.formatting import percent

FORMAT = 1
WITHOUT = "none"
LEARNERS = {
    "enhanced_dqn": ("agent=enhanced_dqn",),
    "ppo": ("agent=ppo",),
}
MARKETS = {
    "synthetic": ("data=synthetic", "network=mlp"),
    "regime": ("data=world_regime", "features=trend", "reward=log_return", "network=mlp"),
}


@dataclass(frozen=True)
class CurriculumBenchmark:
    """What was measured: `bars` environment steps in every run, on the random seeds 1 … `seeds`."""

    started: datetime
    bars: int
    seeds: int
    runs: list[CurriculumRun]

    def of(self, market: str, learner: str, curriculum: str) -> list[CurriculumRun]:
        """The runs of one line, by random seed."""
        found = [run for run in self.runs if (run.market, run.learner, run.curriculum) == (market, learner, curriculum)]
        return sorted(found, key=lambda run: run.random_seed)

    def lines(self) -> Iterator[tuple[str, str, str]]:
        """(market, learner, curriculum) in the order in which they ran."""
        yield from dict.fromkeys((run.market, run.learner, run.curriculum) for run in self.runs)

    def mean(self, line: tuple[str, str, str], field: str) -> Mean:
        """Mean and interval of a field of CurriculumRun over the random seeds."""
        return mean_of([getattr(run, field) for run in self.of(*line)])

    def difference(self, line: tuple[str, str, str], field: str) -> Mean:
        """The same of the differences to no curriculum, seed by seed."""
        pairs = zip(self.of(*line), self.of(*line[:2], WITHOUT), strict=True)
        return mean_of([getattr(run, field) - getattr(other, field) for run, other in pairs])

    def to_json(self) -> dict[str, Any]:
        """Every run, versions and machine."""
        return described("curriculum", FORMAT, self.started) | {
            "bars": self.bars,
            "seeds": self.seeds,
            "level": LEVEL,
            "markets": MARKETS,
            "learners": LEARNERS,
            "curricula": CURRICULA,
            "runs": [asdict(run) for run in self.runs],
        }


def benchmark_curriculum(
    seeds: int,
    bars: int,
    jobs: int = 1,
    markets: Sequence[str] = tuple(MARKETS),
    learners: Sequence[str] = tuple(LEARNERS),
    curricula: Sequence[str] = tuple(CURRICULA),
    overrides: Sequence[str] = (),
    on_progress: Callable[[str], None] = lambda _: None,
) -> CurriculumBenchmark:
    """Train every learner with every curriculum on every market.

    Args:
        seeds: random seeds of market and learner, from 1.
        bars: environment steps of each run.
        jobs: processes side by side; one thread each.
        overrides: further settings of all runs.
        on_progress: told of every run that ended.
    """
    started = datetime.now(UTC)
    cases = [
        (market, learner, curriculum, seed + 1, bars, (*MARKETS[market], *LEARNERS[learner], *overrides))
        for market, learner, curriculum, seed in product(markets, learners, curricula, range(seeds))
    ]
    done: dict[int, CurriculumRun] = {}

    def file(i: int, run: CurriculumRun) -> None:
        done[i] = run
        what = f"{run.curriculum}, {run.learner} on {run.market}, seed {run.random_seed}"
        on_progress(f"{len(done)} of {len(cases)}: {what}: {run.selected:+.3f}")

    if jobs == 1:
        for i, case in enumerate(cases):
            file(i, run_curriculum(*case))
    else:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            futures = {pool.submit(run_curriculum, *case): i for i, case in enumerate(cases)}
            for future in as_completed(futures):
                file(futures[future], future.result())
    return CurriculumBenchmark(started, bars, seeds, [done[i] for i in range(len(cases))])


def curriculum_table(benchmark: CurriculumBenchmark) -> RenderableType:
    """A line per market, learner and curriculum, and below them how it was measured."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("curriculum", no_wrap=True)
    for heading in ("selected,\nlog growth", "against\nnone", "last\nweights", "against\nnone", "draw-\ndown", "CPU-s"):
        table.add_column(heading, justify="right", no_wrap=True)
    shown: tuple[str, str] | None = None
    for line in benchmark.lines():
        if line[:2] != shown:
            shown = line[:2]
            hold = benchmark.mean(line, "buy_and_hold").value
            table.add_row(Text(f"{line[0]} · {line[1]}", style="bold"), "", "", "", "", "", "")
            table.add_row("  buy and hold", _number(hold), "", "", "", "", "")
        table.add_row(
            f"  {line[2]}",
            _cell(benchmark.mean(line, "selected")),
            _difference(benchmark, line, "selected"),
            _cell(benchmark.mean(line, "last")),
            _difference(benchmark, line, "last"),
            percent(benchmark.mean(line, "drawdown").value, 0),
            f"{benchmark.mean(line, 'seconds').value:.0f}",
        )
    return Group(table, Text(), *(Text(line) for line in _notes(benchmark)))


def _difference(benchmark: CurriculumBenchmark, line: tuple[str, str, str], field: str) -> str:
    has_none = bool(benchmark.of(*line[:2], WITHOUT))
    return "" if line[2] == WITHOUT or not has_none else _cell(benchmark.difference(line, field))


def _cell(mean: Mean) -> str:
    half = "" if math.isnan(mean.high) else f" ±{mean.high - mean.value:.2f}"
    return f"{_number(mean.value)}{half}"


def _number(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _notes(benchmark: CurriculumBenchmark) -> list[str]:
    machine = describe_machine()
    return [
        f"log growth on the test bars after the venue's costs, mean of {benchmark.seeds} random seeds of market",
        f"and learner ± half of the {percent(LEVEL, 0)} interval; differences seed by seed",
        f"{benchmark.bars:,} environment steps each, {LOOKS} looks at validation",
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}",
    ]
