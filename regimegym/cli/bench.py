"""regime-gym bench: measured speed, memory and learning, side by side with other projects."""

import argparse
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from regimegym.cli.arguments import Parser
from regimegym.common.checks import check_at_least, check_choice, check_positive
from regimegym.common.errors import ConfigError
from regimegym.common.plain import plain

BENCHMARKS = ("curriculum", "envs", "evaluate", "features", "rare", "replay", "supervised", "sweep", "train", "worlds")


def run(words: list[str]) -> None:
    """Measure, print the table and write the JSON.

    Raises:
        ConfigError: an unknown benchmark, or an argument out of its range.
        MachineError: the disk refuses.
    """
    options = _options(words)
    # Everything heavy is imported once the arguments are known to be right.
    from regimegym.training.benchmarks.table import WIDTH
    from regimegym.training.run_folder import refused_by_machine

    with _progress() as told:
        benchmark, table = _measure(options, told)
    console = Console()
    console.print(table, width=min(console.width, WIDTH), highlight=False)
    if options.json is not None:
        text = json.dumps(plain(benchmark.to_json()), indent=2, ensure_ascii=False) + "\n"
        with refused_by_machine(options.json, len(text), kept="nothing; the table above is all that is left"):
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(text)
        console.print(f"written to {options.json}", markup=False, highlight=False, soft_wrap=True)


def _measure(options: argparse.Namespace, told: Callable[[str], None]) -> tuple[Any, RenderableType]:
    """The benchmark that was asked for, and its table."""
    if options.benchmark == "replay":
        from regimegym.training.benchmarks.replay_benchmark import benchmark_replay, replay_table

        replay = benchmark_replay(options.repeats, options.seconds, on_progress=told)
        return replay, replay_table(replay)
    if options.benchmark == "features":
        from regimegym.training.benchmarks.feature_benchmark import benchmark_features, feature_table

        features = benchmark_features(options.repeats, on_progress=told)
        return features, feature_table(features)
    if options.benchmark == "train":
        from regimegym.training.benchmarks.train_benchmark import benchmark_train
        from regimegym.training.benchmarks.train_table import train_table

        trained = benchmark_train(options.repeats, on_progress=told)
        return trained, train_table(trained)
    if options.benchmark == "rare":
        from regimegym.training.benchmarks.rare_benchmark import benchmark_rare, rare_table

        rare = benchmark_rare(options.seeds, options.bars, on_progress=told)
        return rare, rare_table(rare)
    if options.benchmark == "sweep":
        from regimegym.training.benchmarks.sweep_benchmark import benchmark_sweep, sweep_table

        sweeps = benchmark_sweep(options.repeats, on_progress=told)
        return sweeps, sweep_table(sweeps)
    if options.benchmark == "curriculum":
        return _measure_curricula(options, told)
    if options.benchmark == "evaluate":
        from regimegym.training.benchmarks.evaluate_benchmark import benchmark_evaluate, evaluate_table

        evaluated = benchmark_evaluate(options.repeats, on_progress=told)
        return evaluated, evaluate_table(evaluated)
    if options.benchmark == "supervised":
        from regimegym.training.benchmarks.supervised_benchmark import benchmark_supervised, supervised_table

        names = options.predictor.split(",") if options.predictor else []
        budget = 60.0 if options.budget is None else options.budget
        predictors = benchmark_supervised(options.repeats, budget, names, options.rows, on_progress=told)
        return predictors, supervised_table(predictors)
    if options.benchmark == "worlds":
        return _measure_worlds(options, told)
    from regimegym.training.benchmarks.env_benchmark import benchmark_envs
    from regimegym.training.benchmarks.table import benchmark_table

    envs = benchmark_envs(options.repeats, options.seconds, on_progress=told)
    return envs, benchmark_table(envs)


def _measure_worlds(options: argparse.Namespace, told: Callable[[str], None]) -> tuple[Any, RenderableType]:
    """Learners on the worlds."""
    from regimegym.features.synthetic.learning import LEARNING_WORLDS
    from regimegym.training.benchmarks.world_benchmark import benchmark_worlds
    from regimegym.training.benchmarks.world_learners import DEFAULT_LEARNERS, LEARNERS, WorldRun
    from regimegym.training.benchmarks.world_table import world_table

    worlds = _chosen(options, "world", tuple(LEARNING_WORLDS))
    learners = _chosen(options, "learner", tuple(LEARNERS)) if options.learner else tuple(DEFAULT_LEARNERS)

    def on_run(run: WorldRun, done: int, all_runs: int) -> None:
        told(f"{done} of {all_runs}: {run.learner} on {run.world}, seed {run.random_seed}: {run.gated_share:.3f}")

    told("the first world is drawn")
    worlds_found = benchmark_worlds(
        worlds,
        learners,
        options.seeds,
        options.bars,
        options.budget,
        options.jobs,
        on_run=on_run,
        first_seed=options.first_seed,
    )
    return worlds_found, world_table(worlds_found)


def _measure_curricula(options: argparse.Namespace, told: Callable[[str], None]) -> tuple[Any, RenderableType]:
    """Learners with and without stages."""
    from regimegym.training.benchmarks.curriculum_benchmark import (
        LEARNERS,
        MARKETS,
        benchmark_curriculum,
        curriculum_table,
    )
    from regimegym.training.benchmarks.curriculum_run import CURRICULA

    staged = benchmark_curriculum(
        options.seeds,
        options.bars,
        options.jobs,
        markets=_chosen(options, "market", tuple(MARKETS)),
        learners=_chosen(options, "learner", tuple(LEARNERS)),
        curricula=_chosen(options, "curriculum", tuple(CURRICULA)),
        on_progress=told,
    )
    return staged, curriculum_table(staged)


def _chosen(options: argparse.Namespace, option: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The names given behind --`option`, or all that are known. Raises ConfigError."""
    given = getattr(options, option)
    names = tuple(given.split(",")) if given else known
    for name in names:
        check_choice(f"--{option}", name, known)
    return names


def _options(words: list[str]) -> argparse.Namespace:
    parser = Parser("bench", __doc__.partition(": ")[2])
    parser.add_argument("benchmark", nargs="?", default="envs", help=f"one of {', '.join(BENCHMARKS)} (default envs)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; every figure is a median over them (5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU-seconds of one turn (1.0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to FILE")
    worlds = parser.add_argument_group("worlds", "which learners meet which worlds; docs/learning.md")
    worlds.add_argument("--world", metavar="NAMES", help="comma-separated: sine, regime, ou, gbm (all)")
    worlds.add_argument("--learner", metavar="NAMES", help="comma-separated; a wrong name lists them")
    worlds.add_argument("--seeds", type=int, default=5, help="random seeds of bars and learners (5)")
    worlds.add_argument("--first-seed", type=int, default=1, help="the first of these seeds (1)")
    worlds.add_argument("--bars", type=int, default=64_000, help="environment steps of each run (64000)")
    worlds.add_argument("--budget", type=float, metavar="SECONDS", help="CPU-seconds of learning instead of --bars")
    worlds.add_argument("--jobs", type=int, default=1, help="processes side by side (1)")
    curricula = parser.add_argument_group("curriculum", "with and without stages; --learner, --seeds, --bars, --jobs")
    curricula.add_argument("--market", metavar="NAMES", help="comma-separated: synthetic, regime (both)")
    curricula.add_argument("--curriculum", metavar="NAMES", help="comma-separated; a wrong name lists them (all)")
    supervised = parser.add_argument_group(
        "supervised", "which predictors; docs/predictors.md; --budget is of one fit (60)"
    )
    supervised.add_argument("--predictor", metavar="NAMES", help="comma-separated; a wrong name lists them (all)")
    supervised.add_argument("--rows", type=int, default=50_000, help="rows of 178 features (50000)")
    options = parser.parse_args(words)
    check_at_least("--rows", options.rows, 1000)
    for name in ("seeds", "first_seed", "bars", "jobs"):
        check_at_least(f"--{name.replace('_', '-')}", getattr(options, name), 1)
    if options.budget is not None:
        check_positive("--budget", options.budget)
    check_choice("benchmark", options.benchmark, BENCHMARKS)
    check_at_least("--repeats", options.repeats, 1)
    check_positive("--seconds", options.seconds)
    if options.json is not None and options.json.is_dir():
        raise ConfigError("not-a-file", f"'--json' must be a file, got the folder {options.json}")
    return options


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """What is being measured: one line that changes in a terminal, a line each anywhere else."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda text: console.print(text, markup=False, soft_wrap=True)
        return
    with console.status("starting") as status:
        yield status.update
