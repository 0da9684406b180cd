"""The sweep benchmark: equal jobs one after the other and side by side, and what a job costs beyond its training."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from regimegym.common.errors import MachineError
from regimegym.training.benchmarks.machine import describe_machine
from regimegym.training.manifest import code_version, package_versions
from regimegym.training.run_folder import RunFolder

FORMAT = 1
LEAST_RATIO = 1.6
MOST_OVERHEAD = 3.0  # seconds
N_JOBS, N_PROCESSES = 8, 2
COMMAND = [
    "train",
    "-m",
    "network=mlp",
    "data.n_bars=8000",
    "env.episode.length=256",
    "trainer.total_steps=20_000",
    "trainer.validate_every=5_000",
    "run_dir=jobs",
]


@dataclass(frozen=True)
class Timing:
    """One sweep.

    Attributes:
        seconds: wall time of the whole command.
        learning: wall time of the learning in each job, seconds.
        overheads: wall time of each job after the first beyond its learning, seconds; of basic alone.
    """

    seconds: float
    learning: list[float]
    overheads: list[float]


@dataclass(frozen=True)
class SweepBenchmark:
    """Rounds of both launchers, side by side."""

    basic: list[Timing]
    joblib: list[Timing]

    @property
    def ratio(self) -> float:
        """Median over rounds of basic's wall time over joblib's."""
        return statistics.median(a.seconds / b.seconds for a, b in zip(self.basic, self.joblib, strict=True))

    @property
    def overhead(self) -> float:
        """Median over all jobs after the first, seconds."""
        return statistics.median(seconds for timing in self.basic for seconds in timing.overheads)

    def to_json(self) -> dict[str, Any]:
        """Everything that was measured."""
        return {
            "format": FORMAT,
            "machine": describe_machine(),
            "code": code_version(),
            "packages": package_versions(),
            "command": COMMAND,
            "ratio": self.ratio,
            "overhead_s": self.overhead,
            **asdict(self),
        }


def benchmark_sweep(repeats: int, n_jobs: int = N_JOBS, on_progress: Callable[[str], None] = print) -> SweepBenchmark:
    """Run `n_jobs` equal trainings with both launchers, `repeats` times.

    Raises:
        MachineError: a sweep failed, with its last words.
    """
    basic, joblib = [], []
    for k in range(repeats):
        on_progress(f"round {k + 1} of {repeats}: {n_jobs} jobs one after the other")
        basic.append(time_sweep(n_jobs, ["hydra/launcher=basic"]))
        on_progress(f"round {k + 1} of {repeats}: {n_jobs} jobs in {N_PROCESSES} processes")
        joblib.append(time_sweep(n_jobs, ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={N_PROCESSES}"]))
    return SweepBenchmark(basic, joblib)


def time_sweep(n_jobs: int, words: list[str], command: list[str] = COMMAND) -> Timing:
    """Wall times of one sweep in a process of its own, in an empty folder."""
    seeds = "random_seed=" + ",".join(map(str, range(1, n_jobs + 1)))
    with TemporaryDirectory() as folder:
        begun = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-m", "regimegym.cli.main", *command, seeds, *words],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - begun
        if ended.returncode:
            last = (ended.stderr.strip().splitlines() or ["no word"])[-1]
            raise MachineError("sweep-failed", f"a sweep of the benchmark ended with {ended.returncode}", found=last)
        runs = [RunFolder(Path(folder) / "jobs" / str(job)) for job in range(n_jobs)]
        learning = [float(run.read_manifest()["learning_s"]) for run in runs]
        ends = [run.manifest.stat().st_mtime for run in runs]
    is_basic = "hydra/launcher=basic" in words
    overheads = [ends[i] - ends[i - 1] - learning[i] for i in range(1, n_jobs)] if is_basic else []
    return Timing(seconds, learning, overheads)


def sweep_table(benchmark: SweepBenchmark) -> RenderableType:
    """Both targets, and the times behind them."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in ("measured", "target", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    n_jobs = len(benchmark.basic[0].learning)
    for name, shown, target, is_met in (
        (
            f"{n_jobs} jobs, joblib in {N_PROCESSES} processes / basic",
            f"{benchmark.ratio:.2f}×",
            f"≥ {LEAST_RATIO:g}×",
            benchmark.ratio >= LEAST_RATIO,
        ),
        (
            "a job beyond its learning, after the first",
            f"{benchmark.overhead:.2f} s",
            f"< {MOST_OVERHEAD:g} s",
            benchmark.overhead < MOST_OVERHEAD,
        ),
    ):
        table.add_row(name, shown, target, "pass" if is_met else "MISS", style="" if is_met else "bold")
    basic, joblib = ([timing.seconds for timing in found] for found in (benchmark.basic, benchmark.joblib))
    learning = statistics.median(seconds for timing in benchmark.basic for seconds in timing.learning)
    machine = describe_machine()
    times = f"basic {statistics.median(basic):.1f} s, joblib {statistics.median(joblib):.1f} s"
    notes = [
        f"wall time: {times}; learning {learning:.1f} s a job; medians of {len(basic)}",
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}",
    ]
    return Group(table, Text(), *map(Text, notes))
