"""Decision layers from the command line: fitted after training, saved with the model, on or off in evaluation."""

from dataclasses import replace

import pytest
from tiny_runs import TINY, read, train

from regimegym.agents.checkpoint import behind_gate, load_policy, with_saved_layers
from regimegym.agents.decision.layers import LayeredPolicy
from regimegym.agents.gate import FlatPolicy
from regimegym.cli.main import main


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Folder of a finished run with thresholds."""
    monkeypatch.chdir(tmp_path)
    assert train("decision=thresholds", "decision.thresholds.grid=[0.05,0.5]", "run_dir=runs/layered") == 0
    return tmp_path / "runs" / "layered"


def test_layers_are_fitted_saved_reported_and_can_be_left_out(run):
    policy, card = load_policy(run / "model")
    assert isinstance(policy, LayeredPolicy)
    assert not isinstance(load_policy(run / "model", with_layers=False)[0], LayeredPolicy)
    described = read(run / "decision.json")
    assert described["fitted"] == card.decision
    assert [row["threshold"] for row in described["parts"]["test"]["thresholds"]] == [0.05, 0.5]
    curve = described["parts"]["validation"]["thresholds"]
    best = max(curve, key=lambda row: row["log_return"])
    assert card.layers().base == best["threshold"]
    page = (run / "report.html").read_text()
    assert "Validation, log return" in page
    assert "<span class=mut>chosen</span>" in page
    found = read(run / "metrics.json")["validation"]["agent"]["log_return"]
    assert found == pytest.approx(best["log_return"], abs=1e-12)
    assert main(["evaluate", f"run={run}"]) == 0
    assert main(["evaluate", f"run={run}", "with_layers=false"]) == 0
    with_layers, without = sorted(path.parent for path in (run / "evaluations").rglob("metrics.json"))
    again = read(with_layers / "metrics.json")["test"]["agent"]
    assert again == read(run / "metrics.json")["test"]["agent"]
    assert read(with_layers / "report.json")["decision"] == described
    assert read(without / "report.json")["decision"] is None
    assert read(without / "metrics.json")["test"]["agent"] is not None


def test_a_closed_gate_stays_closed_without_layers(run):
    card = load_policy(run / "model")[1]
    shut = replace(card, gate={"threshold": 1.5, "t_statistic": 0.0})
    policy, _ = load_policy(run / "model", with_layers=False)
    assert isinstance(behind_gate(policy, shut), FlatPolicy)
    assert isinstance(with_saved_layers(policy, shut), FlatPolicy)
    assert behind_gate(policy, card) is policy


def test_what_is_no_flag_is_named(run, capsys):
    assert main(["evaluate", f"run={run}", "with_layers=of"]) == 2
    assert "'with_layers' must be true or false, got 'of'" in capsys.readouterr().err


def test_layers_need_discrete_actions(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *TINY, "decision=tiers", "agent=ppo", "env.action.mode=continuous"]) == 2
    assert "decision layers choose among discrete actions" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
