"""The comparison with and without a curriculum: equal steps, equal seeds, differences seed by seed."""

import math
from datetime import UTC, datetime

import pytest
from rich.console import Console

from regimegym.training.benchmarks.curriculum_benchmark import (
    LEARNERS,
    MARKETS,
    CurriculumBenchmark,
    benchmark_curriculum,
    curriculum_table,
)
from regimegym.training.benchmarks.curriculum_run import CURRICULA, CurriculumRun
from regimegym.training.compose import compose_config
from regimegym.training.curriculum import curriculum_settings

TINY = (
    "data.n_bars=1600",
    "env.episode.length=64",
    "features=minimal",
    "trainer.n_accounts=4",
    "agent.learning_starts=64",
    "curriculum.n_tapes=1",
)


def test_every_curriculum_is_what_its_name_says():
    found = {name: curriculum_settings(compose_config("train", words)) for name, words in CURRICULA.items()}
    assert found["none"].is_empty
    assert (found["staged"].gate is None, found["gated"].gate is None) == (True, False)
    assert {stage.cost_rate for stage in found["staged-own-costs"].stages.values()} == {None}
    assert not found["staged-no-noise"].has_noise
    assert found["staged-no-noise"].stages == found["staged"].stages
    alone = found["staged-episodes-alone"]
    assert (alone.has_noise, alone.stages) == (False, found["staged-own-costs"].stages)
    for words in (*MARKETS.values(), *LEARNERS.values()):
        compose_config("train", words)


def run(curriculum, seed, selected):
    return CurriculumRun("m", "l", curriculum, seed, selected, 0.0, 0.1, 3, 0.0, 100, 0.05, 1, 2.0)


def test_differences_are_taken_seed_by_seed():
    runs = [run("none", 1, 0.1), run("none", 2, 0.5), run("staged", 2, 0.7), run("staged", 1, 0.2)]
    benchmark = CurriculumBenchmark(datetime.now(UTC), 100, 2, runs)
    difference = benchmark.difference(("m", "l", "staged"), "selected")
    assert difference.value == pytest.approx(0.15)
    assert difference.high - difference.value == pytest.approx(12.706 * 0.05, rel=1e-3)


def test_a_tiny_comparison_runs_and_prints():
    told = []
    found = benchmark_curriculum(
        1, 1_200, 1, ("synthetic",), ("enhanced_dqn",), ("none", "staged"), TINY, on_progress=told.append
    )
    none, staged = found.runs
    assert (none.stages, staged.stages >= 3) == (0, True)
    assert none.buy_and_hold == staged.buy_and_hold != 0.0
    assert all(math.isfinite(value) for one in found.runs for value in (one.selected, one.last, one.drawdown))
    assert len(told) == 2
    console = Console(width=90, record=True)
    console.print(curriculum_table(found))
    text = console.export_text()
    assert "synthetic · enhanced_dqn" in text
    assert max(map(len, text.splitlines())) <= 90
    assert found.to_json()["runs"][1]["curriculum"] == "staged"
