"""Runs side by side: equal runs are not told apart, a planted difference is, and only common evidence counts."""

import sys

import numpy as np
import pytest

from regimegym.common.errors import DataError
from regimegym.evaluate.comparison import ComparedRun, comparison_content
from regimegym.evaluate.intervals import IntervalSettings
from regimegym.evaluate.metrics import METRICS
from regimegym.evaluate.report.compare import render_comparison
from regimegym.evaluate.report.markdown import markdown_of

HOUR = 3_600_000_000_000
SETTINGS = IntervalSettings(n_resamples=400)


def scenario(k, log_return, **changes):
    place = {"symbol": "X", "start_ms": k, "end_ms": k + 1, "n_bars": 9, "cost_multiple": 1.0, "delay": 0}
    return {
        "name": f"block {k}", "group": "held-out blocks", "seen": "test", "per_seed": [{"log_return": log_return}],
        **place, **changes,
    }  # fmt: skip


def run(name, drift, seed, first=0, n=1500, scenarios=None):
    noise = np.random.default_rng(seed).normal(0, 0.005, n)
    equity = np.exp(np.cumsum(np.concatenate([[0.0], drift + noise])))
    held = np.exp(np.cumsum(np.concatenate([[0.0], np.random.default_rng(99).normal(0, 0.005, n)])))
    times = (first + np.arange(n + 1)) * HOUR
    content = None if scenarios is None else {"scenarios": scenarios}
    metrics = dict.fromkeys(METRICS, 1.0)
    return ComparedRun(name, "agent", seed, times, equity, held, metrics, 200, "Not distinguishable", content)


def compare(*runs):
    return comparison_content(runs, "test", "f", np.random.default_rng(0), SETTINGS)


def test_a_planted_difference_is_found_and_none_is_not():
    found = compare(run("a", 0.001, 1), run("b", 0.0, 1), run("c", 0.001, 1))
    better, same, _ = found["against"]
    assert better["difference"] == pytest.approx(1.5)
    assert better["p_holm"] < 0.01
    assert same["difference"] == pytest.approx(0.0, abs=1e-12)
    assert same["p"] is None
    assert "a is better than b" in markdown_of(render_comparison(found))


def test_only_common_bars_count_and_equity_starts_there():
    found = compare(run("a", 0.0, 1), run("b", 0.0, 2, first=500))
    assert found["n_bars"] == 1000
    assert found["equity"]["a"][0] == found["equity"]["b"][0] == 1.0
    with pytest.raises(DataError, match="did not trade the same bars"):
        compare(run("a", 0.0, 1), run("b", 0.0, 2, first=1490))


def test_scenarios_of_one_name_are_the_same_only_on_the_same_bars():
    own = [scenario(k, 0.1 + 0.01 * k) for k in range(8)]
    other = [scenario(k, 0.0) for k in range(8)]
    found = compare(run("a", 0.0, 1, scenarios=own), run("b", 0.0, 2, scenarios=other))
    assert found["scenarios"]["n_scenarios"] == 8
    (row,) = found["scenarios"]["against"]
    assert row["difference"] == pytest.approx(0.135)
    assert row["p"] == pytest.approx(2 / 256)
    assert row["improvement"] == 1.0
    moved = [scenario(k, 0.0, start_ms=k + 5) for k in range(8)]
    assert compare(run("a", 0.0, 1, scenarios=own), run("b", 0.0, 2, scenarios=moved))["scenarios"] is None
    seen = [scenario(k, 0.0, seen="train") for k in range(8)]
    assert compare(run("a", 0.0, 1, scenarios=own), run("b", 0.0, 2, scenarios=seen))["scenarios"] is None


def test_names_of_runs_cannot_become_markup():
    attack = "<img src=x onerror=alert(1)>"
    page = render_comparison(compare(run(attack, 0.0, 1), run("b", 0.0, 2)))
    assert attack not in page


def test_what_choosing_the_best_is_worth_is_said_and_known_to_the_test_of_skill():
    skilled = compare(run("a", 0.002, 1), run("b", 0.0, 2), run("c", 0.0, 3))["selection"]
    assert skilled["probability_of_overfitting"] == 0.0  # the best in one half is the best in the other
    assert skilled["spa_p"] < 0.05
    lucky = compare(*(run(name, 0.0, seed) for seed, name in enumerate("abcdef", 1)))
    assert lucky["selection"]["probability_of_overfitting"] > 0.2
    assert lucky["selection"]["spa_p"] > 0.05
    text = markdown_of(render_comparison(lucky))
    assert "Choosing the best of these 6: in " in text
    assert "earns more than buy and hold has p = " in render_comparison(lucky)


def test_without_the_extra_the_comparison_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "arch.bootstrap", None)
    found = compare(run("a", 0.0, 1), run("b", 0.0, 2))
    assert found["selection"]["spa_p"] is None
    assert "needs the extra stats" in markdown_of(render_comparison(found))
