"""Learners compared on the worlds: share of hindsight's log growth on fresh bars, over several seeds."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import product
from multiprocessing import get_context
from typing import Any

import numpy as np
from scipy.stats import t as student

from regimegym.training.benchmarks.record import described
from regimegym.training.benchmarks.world_learners import WorldRun, run_learner
from regimegym.training.benchmarks.world_problem import WorldSizes

FORMAT = 1
GATE = 1.5
LEVEL = 0.95
TARGETS = {"sine": 0.96, "regime": 0.14, "ou": 0.11, "gbm": -0.01}  # least share; of gbm behind the gate


@dataclass(frozen=True)
class Mean:
    """Mean over random seeds and its interval of level LEVEL by Student's t; NaN bounds of a single one."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class WorldBenchmark:
    """What was measured.

    Attributes:
        started: when.
        bars, seconds: the budget of every run: environment steps, or CPU-seconds of learning.
        sizes: of the worlds.
        runs: one by one, in the order of worlds, learners and seeds.
    """

    started: datetime
    bars: int
    seconds: float | None
    sizes: WorldSizes
    runs: list[WorldRun]

    def of(self, world: str, learner: str) -> list[WorldRun]:
        """The runs of one learner on one world."""
        return [run for run in self.runs if (run.world, run.learner) == (world, learner)]

    def share(self, world: str, learner: str, gated: bool = True) -> Mean:
        """Mean share of hindsight's log growth, behind the gate or not."""
        return mean_of([run.gated_share if gated else run.share for run in self.of(world, learner)])

    def to_json(self) -> dict[str, Any]:
        """Every run, the means, versions and machine."""
        return described("worlds", FORMAT, self.started) | {
            "bars": self.bars,
            "seconds": self.seconds,
            "gate": GATE,
            "level": LEVEL,
            "sizes": asdict(self.sizes),
            "runs": [asdict(run) for run in self.runs],
        }


def benchmark_worlds(
    worlds: Sequence[str],
    learners: Sequence[str],
    seeds: int,
    bars: int,
    seconds: float | None = None,
    jobs: int = 1,
    sizes: WorldSizes | None = None,
    on_run: Callable[[WorldRun, int, int], None] = lambda *_: None,
    first_seed: int = 1,
) -> WorldBenchmark:
    """Run every learner on every world with the random seeds `first_seed` … `first_seed` + `seeds` − 1.

    Args:
        worlds, learners: names.
        seeds: random seeds of bars and learners.
        bars: environment steps of each run.
        seconds: CPU-seconds of learning of each run, instead of `bars`.
        jobs: processes side by side; one thread each.
        sizes: of the worlds.
        on_run: told of every run that ended, how many have, and how many there are.
        first_seed: seeds that no choice was made on give a figure that no choice flatters.
    """
    sizes = WorldSizes() if sizes is None else sizes
    started = datetime.now(UTC)
    cases = [
        (world, learner, first_seed + i, bars, GATE, seconds, sizes)
        for learner, world, i in product(learners, worlds, range(seeds))
    ]
    done: dict[int, WorldRun] = {}
    if jobs == 1:
        for i, case in enumerate(cases):
            done[i] = run_learner(*case)
            on_run(done[i], len(done), len(cases))
    else:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            futures = {pool.submit(run_learner, *case): i for i, case in enumerate(cases)}
            for future in as_completed(futures):
                done[futures[future]] = future.result()
                on_run(done[futures[future]], len(done), len(cases))
    runs = sorted(done.values(), key=lambda run: (worlds.index(run.world), learners.index(run.learner)))
    return WorldBenchmark(started, bars, seconds, sizes, runs)


def mean_of(values: Sequence[float]) -> Mean:
    """Mean and Student interval of the values of several random seeds."""
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Mean(mean, math.nan, math.nan, n)
    half = float(student.ppf(0.5 + LEVEL / 2, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Mean(mean, mean - half, mean + half, n)
