"""Runs side by side: from their folders to differences with intervals and p-values."""

import json

import numpy as np
import pandas as pd
import pytest

from regimegym.common.errors import DataError, RunError
from regimegym.training.comparison import compare_runs

RNG = np.random.default_rng


def write_run(folder, returns, part="test", scenarios=None, begin="2024-01-01"):
    """A folder with the files that a comparison reads."""
    folder.mkdir(parents=True)
    equity = 10_000 * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))
    stamps = pd.date_range(begin, periods=len(equity), freq="1h", tz="UTC")
    table = pd.DataFrame({"timestamp": stamps, "agent_equity": equity, "agent_exposure": 1.0, "part": part})
    table["agent_exposure"] = (np.arange(len(equity)) // 10 % 2).astype(float)
    table.to_parquet(folder / "equity.parquet")
    metrics = {part: {"agent": {"log_return": float(np.sum(returns)), "sharpe_ratio": None}}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    if scenarios is not None:
        below = folder / "evaluations" / "suite"
        below.mkdir(parents=True)
        (below / "scenarios.json").write_text(json.dumps({"scenarios": scenarios}))
    return folder


def suite(scores):
    """scenarios.json of (seeds, scenarios) log returns."""
    return [
        {
            "name": f"block {k}", "symbol": "A", "start_ms": k, "end_ms": k + 1, "n_bars": 100, "cost_multiple": 1.0,
            "delay": 0, "per_seed": [{"random_seed": r, "log_return": float(v)} for r, v in enumerate(column)],
        }
        for k, column in enumerate(np.asarray(scores).T)
    ]  # fmt: skip


@pytest.fixture
def market():
    return RNG(0).normal(0, 0.01, 1500)


def test_a_better_run_is_found_on_the_path_and_over_scenarios(tmp_path, market):
    rng = RNG(1)
    level = rng.normal(0, 0.2, 24)
    a = write_run(tmp_path / "one" / "a", market, scenarios=suite(level + rng.normal(0, 0.02, (3, 24))))
    better = market + 0.001 + rng.normal(0, 0.002, 1500)
    b = write_run(tmp_path / "one" / "b", better, scenarios=suite(level + 0.05 + rng.normal(0, 0.02, (3, 24))))
    found = compare_runs([a, b])
    assert found.names == ["a", "b"]
    (path,) = found.paths
    assert (path.name, path.other, path.part, path.n_bars) == ("b", "a", "test", 1500)
    assert path.difference.low > 0
    assert path.p_holm < 0.05
    (scenario,) = found.scenarios
    assert scenario.difference.value == pytest.approx(0.05, abs=0.01)
    assert scenario.p_holm < 0.01
    assert len(found.scenario_names) == 24
    assert found.interquartile_mean["b"].value > found.interquartile_mean["a"].value
    assert 0 < found.detectable["b"] < 0.05
    assert found.probabilistic_sharpe["b"] > found.probabilistic_sharpe["a"]
    assert "24 scenarios show a difference" in found.power
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["paths"][0]["difference"]["low"] > 0
    assert plain["metrics"]["a"]["sharpe_ratio"] is None


def test_a_run_beside_itself_shows_no_difference(tmp_path, market):
    a = write_run(tmp_path / "a", market, scenarios=suite(RNG(2).normal(size=(2, 9))))
    found = compare_runs([a, a])
    assert found.names == [f"{a} (1)", f"{a} (2)"]
    assert found.paths[0].difference == (0.0, 0.0, 0.0)
    assert np.isnan(found.paths[0].p_value)
    assert found.scenarios[0].p_holm == 1.0


def test_only_common_bars_and_equal_scenarios_are_compared(tmp_path, market):
    a = write_run(tmp_path / "x" / "run", market, scenarios=suite(np.zeros((1, 5))))
    other = suite(np.ones((1, 5)))
    other[4]["end_ms"] = 99  # the same name on other bars
    b = write_run(tmp_path / "y" / "run", market, begin="2024-01-11", scenarios=other)
    found = compare_runs([a, b])
    assert found.names == ["x/run", "y/run"]
    assert found.paths[0].n_bars == 1500 - 240
    assert found.scenario_names == [f"block {k}" for k in range(4)]


def test_without_a_suite_the_path_alone_speaks(tmp_path, market):
    runs = [write_run(tmp_path / name, market * k) for k, name in enumerate(("a", "b", "c"), start=1)]
    found = compare_runs(runs)
    assert found.scenarios == []
    assert found.interquartile_mean == {}
    assert [path.name for path in found.paths] == ["b", "c"]
    assert found.power.endswith("years.")


def test_what_cannot_be_compared_is_said(tmp_path, market):
    a = write_run(tmp_path / "a", market)
    with pytest.raises(RunError, match="two runs or more"):
        compare_runs([a])
    with pytest.raises(RunError, match="holds no results to compare"):
        compare_runs([a, tmp_path])
    with pytest.raises(DataError, match="have 0 bars in common"):
        compare_runs([a, write_run(tmp_path / "late", market, begin="2030-01-01")])
    with pytest.raises(DataError, match="judged on different parts"):
        compare_runs([a, write_run(tmp_path / "new", market, part="new")])
