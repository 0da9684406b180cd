"""A reward rule of the user's own: trained with, refused in a folder from anybody, trusted by name."""

import sys

import pytest
from tiny_runs import TINY, read

from regimegym.cli.main import main

RULE = """
class Calm:
    def __init__(self, aversion):
        self.aversion = aversion

    def reward(self, step):
        return 100 * step.log_return - self.aversion * step.drawdown
"""
OWN = ["reward=custom", "reward.rule._target_=calm_rule.Calm", "+reward.rule.aversion=2.0"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """Folder of a finished run; the rule lies beside it, where the command was started."""
    start, before = tmp_path_factory.mktemp("own"), list(sys.path)
    (start / "calm_rule.py").write_text(RULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(start)
        assert main(["train", *TINY, "agent.learning_starts=64", "run_dir=run", *OWN]) == 0
    sys.path[:] = before
    sys.modules.pop("calm_rule")
    return start / "run"


@pytest.fixture
def beside(run_folder, monkeypatch):
    """The folder the command is started in, as a fresh process would see it."""
    monkeypatch.chdir(run_folder.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield run_folder
    sys.modules.pop("calm_rule", None)


def test_a_run_with_foreign_code_is_refused_and_says_what_to_type(beside, capsys):
    assert main(["evaluate", "run=run"]) == 2
    said = capsys.readouterr().err
    assert "config/foreign-target 'env.reward.rule._target_' of run/config.yaml names 'calm_rule.Calm'" in said
    assert "regime-gym evaluate run=run 'trust=[calm_rule.Calm]'" in said
    assert "calm_rule" not in sys.modules
    assert not (beside / "evaluations").exists()


def test_trust_in_another_name_opens_nothing(beside, capsys):
    assert main(["evaluate", "run=run", "trust=[calm_rule.Other]"]) == 2
    assert "trust=[calm_rule.Other,calm_rule.Calm]" in capsys.readouterr().err.replace("\n", "")
    assert "calm_rule" not in sys.modules
    assert main(["evaluate", "run=run", "trust=[1]"]) == 2
    assert "'trust' is a list of dotted names, got [1]" in capsys.readouterr().err


@pytest.mark.parametrize("trust", ["trust=[calm_rule.Calm]", "trust=calm_rule.Calm"])
def test_trusted_by_name_it_repeats_the_numbers_of_the_training(beside, trust):
    before = set((beside / "evaluations").glob("*/*"))
    assert main(["evaluate", "run=run", trust]) == 0
    (target,) = set((beside / "evaluations").glob("*/*")) - before
    assert read(target / "metrics.json")["test"] == read(beside / "metrics.json")["test"]
    report = read(target / "report.json")
    assert len(report["cost_curve"]["multiples"]) > 3


def test_a_rule_that_cannot_be_found_is_one_message(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["train", *TINY, "reward=custom", "reward.rule._target_=no_module.Rule"]) == 2
    said = capsys.readouterr().err
    assert "config/no-such-part 'no_module.Rule' cannot be imported: No module named 'no_module'" in said
    assert "found in the working folder, or on PYTHONPATH" in said
