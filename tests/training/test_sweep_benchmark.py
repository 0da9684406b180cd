"""The sweep benchmark measures what it says: tiny jobs, real commands."""

from io import StringIO

from rich.console import Console

from regimegym.training.benchmarks.sweep_benchmark import SweepBenchmark, Timing, sweep_table, time_sweep

TINY_COMMAND = [
    "train",
    "-m",
    "data.n_bars=1600",
    "env.episode.length=64",
    "trainer.total_steps=200",
    "trainer.validate_every=100",
    "trainer.n_accounts=4",
    "network=mlp",
    "agent.learning_starts=64",
    "evaluation.random_accounts=3",
    "evaluation.intervals.n_resamples=200",
    "run_dir=jobs",
]


def test_a_timed_sweep_accounts_for_every_job():
    timing = time_sweep(2, ["hydra/launcher=basic"], TINY_COMMAND)
    assert len(timing.learning) == 2
    assert len(timing.overheads) == 1
    assert timing.overheads[0] > 0
    assert sum(timing.learning) + sum(timing.overheads) < timing.seconds


def test_ratio_and_overhead_are_medians_and_a_miss_is_said():
    basic = [Timing(80.0, [9.0] * 8, [0.5] * 6 + [9.0]), Timing(100.0, [9.0] * 8, [0.7] * 7)]
    joblib = [Timing(50.0, [9.0] * 8, []), Timing(80.0, [9.0] * 8, [])]
    found = SweepBenchmark(basic, joblib)
    assert found.ratio == (80 / 50 + 100 / 80) / 2
    assert found.overhead == 0.7
    console = Console(file=StringIO(), width=100)
    console.print(sweep_table(found))
    text = console.file.getvalue()
    assert "MISS" in text
    assert "pass" in text
