"""`evaluation.sb3=true`: a plain DQN on the same rows stands in every table, and stays the same afterwards."""

from pathlib import Path

import pytest
from tiny_runs import read, train

from regimegym.agents.checkpoint import load_policy
from regimegym.cli.main import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("sb3"))
        words = ("run_dir=runs/one", "evaluation.sb3=true", "trainer.total_steps=200", "features=minimal")
        assert train(*words) == 0
        yield


def test_the_baseline_is_measured_and_kept_with_the_run(run):
    metrics = read_metrics("runs/one")
    assert {"agent", "sb3_dqn"} < set(metrics["test"])
    _, card = load_policy(Path("runs/one/baselines/sb3_dqn"))
    assert card.algorithm == "dqn"
    assert card.trained_steps == 200


def test_evaluate_meets_the_same_weights_again(run):
    assert main(["evaluate", "run=runs/one", "suite=blocks", "suite.families.blocks.count=3"]) == 0
    (target,) = Path("runs/one/evaluations").glob("*/*")
    assert read(target / "metrics.json")["test"] == read_metrics("runs/one")["test"]
    content = read(target / "scenarios.json")
    assert all("sb3_dqn" in one["baselines"] for one in content["scenarios"])
    whole = next(one for one in content["scenarios"] if one["group"] == "as measured")
    assert whole["baselines"]["sb3_dqn"]["log_return"] == read_metrics("runs/one")["test"]["sb3_dqn"]["log_return"]


def test_continuous_actions_are_refused_before_anything_is_written(run, capsys):
    words = ("run_dir=runs/other", "evaluation.sb3=true", "env.action.mode=continuous", "agent=sac")
    assert main(["train", "data.n_bars=1600", "env.episode.length=64", "features=minimal", *words]) == 2
    assert "the DQN of evaluation.sb3 chooses among discrete actions" in capsys.readouterr().err
    assert not Path("runs/other").exists()


def read_metrics(name):
    return read(Path(name) / "metrics.json")
