"""A reward and a feature of the user's own: trained with, refused in a folder from anybody, trusted by name."""

import sys

import pytest
from tiny_runs import TINY, read

import regimegym
from regimegym.cli.main import main
from regimegym.features.sets import FEATURES
from regimegym.features.synthetic.worlds import random_walk_bars

CODE = """
import numpy as np
from regimegym.features.feature import feature

class Calm:
    def __init__(self, aversion):
        self.aversion = aversion

    def reward(self, step):
        return 100 * step.log_return - self.aversion * step.drawdown

@feature("calmness", warm_up=0, memory=1)
def calmness(inputs):
    return 1.0 / (1.0 + np.log(inputs.bars.high / inputs.bars.low))
"""
OWN = ["reward=custom", "reward.rule._target_=calm_rule.Calm", "+reward.rule.aversion=2.0"]
OWN += ["features.own=[calm_rule.calmness]", "features.drop=[rsi]", "features.add=[momentum_10]"]
TRUST = "trust=[calm_rule.calmness,calm_rule.Calm]"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """Folder of a finished run; the rule lies beside it, where the command was started."""
    start, before = tmp_path_factory.mktemp("own"), list(sys.path)
    (start / "calm_rule.py").write_text(CODE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(start)
        patch.setattr(FEATURES, "_parts", dict(FEATURES._parts))
        assert main(["train", *TINY, "agent.learning_starts=64", "run_dir=run", *OWN]) == 0
    sys.path[:] = before
    sys.modules.pop("calm_rule")
    return start / "run"


@pytest.fixture
def beside(run_folder, monkeypatch):
    """The folder the command is started in, as a fresh process would see it."""
    monkeypatch.chdir(run_folder.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(FEATURES, "_parts", dict(FEATURES._parts))
    yield run_folder
    sys.modules.pop("calm_rule", None)


def test_a_run_with_foreign_code_is_refused_and_says_what_to_type(beside, capsys):
    assert main(["evaluate", "run=run"]) == 2
    said = capsys.readouterr().err
    assert "config/foreign-target 'features.own.0' of run/config.yaml names 'calm_rule.calmness'" in said
    assert f"regime-gym evaluate run=run '{TRUST}'" in said
    assert "calm_rule" not in sys.modules
    assert not (beside / "evaluations").exists()


@pytest.mark.parametrize("trust", ["calm_rule.Other", "calm_rule.Calm", "calm_rule.calmness"])
def test_trust_in_another_name_opens_nothing(beside, capsys, trust):
    assert main(["evaluate", "run=run", f"trust=[{trust}]"]) == 2
    said = capsys.readouterr().err.replace("\n", "")
    assert "config/foreign-target" in said
    assert f"trust=[{trust}," in said
    assert "calm_rule" not in sys.modules


def test_trust_is_a_list_of_names(beside, capsys):
    assert main(["evaluate", "run=run", "trust=[1]"]) == 2
    assert "'trust' is a list of dotted names, got [1]" in capsys.readouterr().err


def test_trusted_by_name_it_repeats_the_numbers_of_the_training(beside):
    before = set((beside / "evaluations").glob("*/*"))
    assert main(["evaluate", "run=run", TRUST]) == 0
    (target,) = set((beside / "evaluations").glob("*/*")) - before
    assert read(target / "metrics.json")["test"] == read(beside / "metrics.json")["test"]
    report = read(target / "report.json")
    assert len(report["cost_curve"]["multiples"]) > 3
    assert f"regime-gym evaluate run=run '{TRUST}' suite=default" in (beside / "report.json").read_text()


def test_the_model_sees_the_chosen_features_and_meets_new_bars_in_python(beside, monkeypatch):
    monkeypatch.syspath_prepend(beside.parent)
    names = read(beside / "model" / "model.json")["feature_names"]
    assert names[-2:] == ["momentum_10", "calmness"]
    assert "rsi" not in names
    with pytest.raises(ValueError, match="which is no part of this package"):
        regimegym.load_policy(beside)
    trader = regimegym.load_policy(beside, trust=["calm_rule.Calm", "calm_rule.calmness"])
    assert trader.tape(random_walk_bars(600, 1)).feature_names[-1] == "calmness"


def test_a_finished_run_of_ones_own_code_cannot_be_resumed_but_one_is_told_so_after_the_trust(beside, capsys):
    manifest = (beside / "manifest.json").read_text()
    (beside / "manifest.json").write_text(manifest.replace('"finished"', '"interrupted"'))
    try:
        assert main(["train", "resume=run"]) == 2
    finally:
        (beside / "manifest.json").write_text(manifest)
    assert f"regime-gym train resume=run '{TRUST}'" in capsys.readouterr().err
    assert main(["train", "resume=run", TRUST]) == 2
    assert "is finished" in capsys.readouterr().err


def test_a_rule_that_cannot_be_found_is_one_message(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["train", *TINY, "reward=custom", "reward.rule._target_=no_module.Rule"]) == 2
    said = capsys.readouterr().err
    assert "config/no-such-part 'no_module.Rule' cannot be imported: No module named 'no_module'" in said
    assert "found in the working folder, or on PYTHONPATH" in said
