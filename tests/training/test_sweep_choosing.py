"""What all trials together say of the best: does choosing carry over, and does any beat buy and hold?"""

import math

import numpy as np
import pandas as pd
import pytest
from searching import search

from regimegym.training.sweeps import choosing, results
from regimegym.training.sweeps.choosing import judge_choice
from regimegym.training.sweeps.table import remarks

N_BARS = 480


def unskilled(random_seed, n_trials=8):
    return list(np.random.default_rng(random_seed).normal(0.0, 0.01, (n_trials, N_BARS)))


def test_luck_carries_over_as_often_as_not_and_skill_always():
    chance = [judge_choice(unskilled(seed), np.zeros(0)).overfitting for seed in range(40)]
    assert 0.35 < np.mean(chance) < 0.65
    skilled = unskilled(1)
    skilled[0] = skilled[0] + 0.004
    found = judge_choice(skilled, np.zeros(0))
    assert found.overfitting < 0.02
    assert found.n_trials == 8


def test_whether_any_trial_beats_buy_and_hold_counts_the_search():
    pytest.importorskip("arch", reason="the SPA test needs the extra 'stats'")
    held = np.random.default_rng(9).normal(0.0, 0.01, N_BARS)
    better = [held + 0.002 + 0.2 * one for one in unskilled(2)]
    assert judge_choice(better, held).superiority < 0.05
    assert judge_choice(unskilled(3), held).superiority > 0.05


def test_trials_on_other_bars_are_no_evidence_and_too_few_of_them_say_nothing(monkeypatch):
    trials = unskilled(4, 3)
    assert judge_choice([trials[0], trials[1], trials[2][:-1], np.empty(0)], np.zeros(0)).n_trials == 2
    assert math.isnan(judge_choice(trials[:1], np.zeros(0)).overfitting)
    assert math.isnan(judge_choice([one[:20] for one in trials], np.zeros(0)).overfitting)
    assert judge_choice([np.empty(0)], np.empty(0)).n_trials == 0
    monkeypatch.setattr(choosing, "find_spec", lambda name: None)  # a machine without arch
    assert math.isnan(judge_choice(trials, trials[0]).superiority)


def test_a_sweep_says_so_from_the_runs_of_its_trials(tmp_path, monkeypatch):
    pytest.importorskip("arch", reason="the SPA test needs the extra 'stats'")
    rng = np.random.default_rng(5)
    for k in range(4):
        (tmp_path / f"run-{k}").mkdir()
        curves = {f"{name}_equity": np.cumprod(1 + rng.normal(0, 0.01, 300)) for name in ("agent", "buy_and_hold")}
        frame = pd.DataFrame({"part": np.repeat(["validation", "test"], 150), **curves})
        frame.to_parquet(tmp_path / f"run-{k}" / "equity.parquet")
    row_of = results.row_of
    monkeypatch.setattr(
        results,
        "row_of",
        lambda trial, objectives: row_of(trial, objectives)._replace(
            metrics={"run": str(tmp_path / f"run-{trial.number}")}
        ),
    )
    found = search(tmp_path / "sweep", n_trials=4)
    curves = [results.bar_returns(found.row(k)) for k in [found.best[0], *({0, 1, 2, 3} - set(found.best))]]
    assert {len(curve) for curve in curves} == {149}  # of validation alone
    assert found.choosing == judge_choice(curves, results.bar_returns(found.row(found.best[0]), "buy_and_hold"))
    said = " ".join(remarks(found))
    assert "(probability of backtest overfitting; 50 % is luck)" in said
    assert "(SPA test, p = " in said
