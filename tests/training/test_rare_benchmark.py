"""The market with a rare regime, and the benchmark of replays on it."""

import numpy as np
import pytest
from rich.console import Console

from regimegym.common.regimes import Regime
from regimegym.training.benchmarks.rare_benchmark import benchmark_rare, rare_table
from regimegym.training.benchmarks.rare_world import FALL, RareSizes, rare_problem, rare_world

SIZES = RareSizes(n_train=2400, n_test=4000, episode=64)


def test_two_percent_of_the_bars_fall_and_that_is_well_paid():
    world = rare_world(200_000, np.random.default_rng(0))
    falls = world.truth.regimes == Regime.DOWNTREND
    assert falls.mean() == pytest.approx(0.02, abs=0.002)
    growth = np.diff(np.log(world.bars.close))
    assert growth[falls[1:]].mean() < -0.007
    assert abs(growth[~falls[1:]].mean()) < 0.0002


def test_what_a_short_would_earn_lies_in_the_falling_bars_alone():
    problem = rare_problem(1, 1, SIZES)
    assert len(problem.is_rare) == len(problem.paid) == SIZES.n_test - 1
    assert problem.is_rare.sum() >= FALL
    assert problem.paid[problem.is_rare].mean() > 0.006
    assert not problem.paid[~problem.is_rare].any()
    assert 0.01 < problem.labelled < 0.08


def test_the_benchmark_reports_every_replay():
    told = []
    found = benchmark_rare(1, 2048, SIZES, ("uniform", "regime, balanced, α 0"), told.append)
    uniform, balanced = found.runs
    assert told == ["seed 1 of 1: uniform", "seed 1 of 1: regime, balanced, α 0"]
    assert uniform.drawn < 0.1 < balanced.drawn
    assert found.mean("uniform", "rare").value == uniform.rare
    console = Console(width=80, record=True)
    console.print(rare_table(found))
    text = console.export_text()
    assert "balanced, α 0" in text
    assert max(map(len, text.splitlines())) <= 80
    assert found.to_json()["runs"][0]["replay"] == "uniform"
