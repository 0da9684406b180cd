"""Does replay that draws regimes alike learn a rare one? One learner, three replays, several random seeds."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from regimegym.agents.build import build_agent
from regimegym.agents.enhanced_dqn_settings import EnhancedDQNSettings
from regimegym.agents.policy import policy_of
from regimegym.common.seeding import integer_seed
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.evaluate.rollout import rollout
from regimegym.replay.settings import ReplaySettings
from regimegym.training.benchmarks.machine import describe_machine
from regimegym.training.benchmarks.rare_world import RareProblem, RareSizes, rare_problem
from regimegym.training.benchmarks.record import described
from regimegym.training.benchmarks.world_benchmark import LEVEL, Mean, mean_of
from regimegym.training.benchmarks.world_learners import MLP
from regimegym.training.formatting import percent

FORMAT = 1
REPLAYS = {
    "uniform": ReplaySettings(),
    "regime, balanced": ReplaySettings(kind="regime", is_target="balanced"),
    "regime, balanced, α 0": ReplaySettings(kind="regime", is_target="balanced", alpha=0.0),
}
AGENT = EnhancedDQNSettings(learning="sampled", updates_per_bar=1 / 16)
ACCOUNTS = 16


@dataclass(frozen=True)
class RareRun:
    """What one run ended with, on fresh bars, by its last weights.

    Attributes:
        replay: key of REPLAYS.
        random_seed: of bars and learner.
        rare: log growth in the bars of the rare regime over that of a short through all of them.
        exposure: mean exposure there; −1 is right.
        common: log growth in a thousand bars of the common regime.
        drawn: share of the rare regime's label among the transitions that were learned from.
        labelled, label_precision: of RareProblem.
        seconds: CPU-seconds of learning.
    """

    replay: str
    random_seed: int
    rare: float
    exposure: float
    common: float
    drawn: float
    labelled: float
    label_precision: float
    seconds: float


@dataclass(frozen=True)
class RareBenchmark:
    """What was measured: `bars` environment steps in every run."""

    started: datetime
    bars: int
    sizes: RareSizes
    runs: list[RareRun]

    def mean(self, replay: str, field: str) -> Mean:
        """Mean and interval of one field of RareRun over the random seeds."""
        return mean_of([getattr(run, field) for run in self.runs if run.replay == replay])

    def to_json(self) -> dict[str, Any]:
        """Every run, versions and machine."""
        return described("rare", FORMAT, self.started) | {
            "bars": self.bars,
            "level": LEVEL,
            "sizes": asdict(self.sizes),
            "runs": [asdict(run) for run in self.runs],
        }


def benchmark_rare(
    seeds: int,
    bars: int,
    sizes: RareSizes | None = None,
    replays: Sequence[str] = tuple(REPLAYS),
    on_progress: Callable[[str], None] = lambda _: None,
) -> RareBenchmark:
    """Train with every replay on the random seeds 1 … `seeds`, `bars` environment steps each."""
    sizes = RareSizes() if sizes is None else sizes
    started, runs = datetime.now(UTC), []
    for seed in range(1, seeds + 1):
        problem = rare_problem(seed, 1, sizes)
        for replay in replays:
            on_progress(f"seed {seed} of {seeds}: {replay}")
            runs.append(run_replay(problem, replay, seed, bars))
    return RareBenchmark(started, bars, sizes, runs)


def run_replay(problem: RareProblem, replay: str, random_seed: int, bars: int) -> RareRun:
    """One learner with one replay, judged on the fresh bars."""
    torch.set_num_threads(1)
    seed = integer_seed(random_seed, "world-episodes")
    env = TradingVecEnv(ACCOUNTS, problem.tape, problem.settings, problem.train, seed)
    algorithm = build_agent(AGENT, env, MLP, random_seed, replay=REPLAYS[replay])
    began = time.process_time()
    algorithm.learn(bars)
    seconds = time.process_time() - began
    (found,) = rollout(policy_of(algorithm.policy), problem.test_tape, problem.settings, problem.test)
    is_rare = problem.is_rare
    return RareRun(
        replay,
        random_seed,
        rare=float(found.log_returns[is_rare].sum() / problem.paid.sum()),
        exposure=float(found.exposure[1:][is_rare].mean()),
        common=float(found.log_returns[~is_rare].mean() * 1000),
        drawn=float(algorithm.replay_buffer.regime_use().sampled[1]),  # type: ignore[attr-defined]
        labelled=problem.labelled,
        label_precision=problem.label_precision,
        seconds=seconds,
    )


def rare_table(benchmark: RareBenchmark) -> RenderableType:
    """A line per replay, and below them how it was measured."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("replay", no_wrap=True)
    for heading in ("rare regime,\nof a short", "exposure\nthere", "common regime,\nper 1000 bars", "drawn", "CPU-s"):
        table.add_column(heading, justify="right")
    for replay in dict.fromkeys(run.replay for run in benchmark.runs):
        rare, exposure, common = (benchmark.mean(replay, field) for field in ("rare", "exposure", "common"))
        drawn, seconds = (benchmark.mean(replay, field).value for field in ("drawn", "seconds"))
        table.add_row(replay, _cell(rare), _cell(exposure), _cell(common), percent(drawn, 0), f"{seconds:.1f}")
    return Group(table, Text(), *(Text(line) for line in _notes(benchmark)))


def _cell(mean: Mean) -> str:
    half = "" if np.isnan(mean.high) else f" ±{mean.high - mean.value:.2f}"
    return f"{mean.value:+.2f}{half}".replace("-", "−")


def _notes(benchmark: RareBenchmark) -> list[str]:
    machine, sizes, runs = describe_machine(), benchmark.sizes, benchmark.runs
    labelled = float(np.mean([run.labelled for run in runs]))
    right = float(np.mean([run.label_precision for run in runs]))
    return [
        f"mean of {len({run.random_seed for run in runs})} random seeds ± half of the {percent(LEVEL, 0)} interval",
        f"{sizes.n_train:,} bars to learn from, {sizes.n_test:,} fresh ones; {benchmark.bars:,} environment steps each",
        f"the causal label calls {percent(labelled, 1)} of the bars a downtrend, {percent(right, 0)} of them rightly",
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}",
    ]
