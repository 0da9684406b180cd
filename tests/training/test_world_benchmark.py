"""Learners on the worlds: what a run reports, and how several of them are summed up."""

import math

import numpy as np
import pytest
from rich.console import Console

from regimegym.training.benchmarks.world_benchmark import benchmark_worlds, mean_of
from regimegym.training.benchmarks.world_problem import WorldSizes, world_problem
from regimegym.training.benchmarks.world_table import world_table

TINY = WorldSizes(n_train=1200, n_test=600, episode=64)


def test_the_parts_of_a_problem_follow_one_another_and_share_no_bar():
    problem = world_problem("ou", 1, window=5, sizes=TINY)
    assert problem.train.stop == problem.validation.start
    assert (problem.train.count, problem.validation.count, problem.test.count) == (960, 240, 600)
    assert not np.array_equal(problem.tape.close[:600], problem.test_tape.close[:600])
    assert problem.test_tape.segments[0].first_row <= problem.test.start - 5 + 1
    assert problem.hindsight > 0


def test_the_same_seed_draws_the_same_problem_and_another_does_not():
    first, second, other = (world_problem("regime", seed, window=1, sizes=TINY) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.test_tape.close, second.test_tape.close)
    assert first.hindsight == second.hindsight
    assert first.hindsight != other.hindsight


def test_a_mean_comes_with_students_interval():
    found = mean_of([1.0, 2.0, 3.0])
    assert found.value == 2.0
    assert found.high - found.value == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)  # t of two degrees
    assert math.isnan(mean_of([1.0]).low)


def test_a_run_is_judged_on_fresh_bars_and_gated_by_validation():
    told = []
    found = benchmark_worlds(
        ["sine"],
        ["afterstate-mlp"],
        1,
        2048,
        sizes=TINY,
        on_run=lambda run, i, n: told.append((run.world, i, n)),
        first_seed=7,
    )
    (run,) = found.runs
    assert run.random_seed == 7
    assert told == [("sine", 1, 1)]
    assert run.bars == 2048
    assert run.share == pytest.approx(run.log_growth / run.hindsight)
    assert run.gated_share == (run.share if run.t_statistic > 1.5 else 0.0)
    assert run.selected_at <= run.bars
    console = Console(width=80, record=True)
    console.print(world_table(found))
    text = console.export_text()
    assert "afterstate-mlp" in text
    assert max(map(len, text.splitlines())) <= 80
    assert found.to_json()["runs"][0]["learner"] == "afterstate-mlp"


def test_what_is_told_of_hidden_states_stands_beside_the_features_on_both_tapes():
    plain, truth, hmm = (world_problem("regime", 1, 1, sizes=TINY, signals=told) for told in ("none", "truth", "hmm"))
    n_features = plain.tape.n_features
    assert (truth.train, truth.validation, truth.test) == (plain.train, plain.validation, plain.test)
    for problem in (truth, hmm):
        assert problem.tape.feature_names[:n_features] == plain.tape.feature_names
        assert problem.tape.n_features == problem.test_tape.n_features == n_features + 4
        assert problem.hindsight == plain.hindsight
    # Two values each: the state is there or not.
    assert all(len(np.unique(column)) == 2 for column in truth.tape.features[truth.train.start :, n_features:].T)
    # A filter is known behind the first fold only, and there agents are trained.
    assert plain.train.start < hmm.train.start == hmm.tape.segments[0].first_row + 1
    assert hmm.train.stop == plain.train.stop
    assert np.isfinite(hmm.test_tape.features).all()
