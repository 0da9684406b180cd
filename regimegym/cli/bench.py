"""regime-gym bench: measured speed and memory, side by side with other projects."""

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

BENCHMARKS = ("envs", "features", "replay")


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
    from regimegym.training.benchmarks.env_benchmark import benchmark_envs
    from regimegym.training.benchmarks.table import benchmark_table

    envs = benchmark_envs(options.repeats, options.seconds, on_progress=told)
    return envs, benchmark_table(envs)


def _options(words: list[str]) -> argparse.Namespace:
    parser = Parser("bench", __doc__.partition(": ")[2])
    parser.add_argument("benchmark", nargs="?", default="envs", help=f"one of {', '.join(BENCHMARKS)} (default envs)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; every figure is a median over them (5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU-seconds of one turn (1.0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to FILE")
    options = parser.parse_args(words)
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
