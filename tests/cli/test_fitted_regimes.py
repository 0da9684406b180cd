"""Thresholds of the regimes fitted on training rows: frozen, saved with the model, used again by evaluate."""

from dataclasses import replace

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from tiny_runs import read, train

from regimegym.agents.checkpoint import load_policy
from regimegym.cli.main import main
from regimegym.features.regimes import RegimeSettings, classify_regimes
from regimegym.training.experiment import build_experiment

WORDS = ("regime=settled", "data=world_regime", "data.n_bars=1600", "env.episode.length=64")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    start = tmp_path_factory.mktemp("settled")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(start)
        assert train(*WORDS, "run_dir=runs/first", "trainer.total_steps=200") == 0
        assert main(["evaluate", "run=runs/first"]) == 0
    return start / "runs" / "first"


def test_labels_of_a_run_are_those_of_its_fitted_thresholds():
    with initialize_config_module("regimegym.conf", version_base="1.3"):
        experiment = build_experiment(compose("train", overrides=list(WORDS)))
    fitted = experiment.regime_settings
    assert fitted.hysteresis
    assert fitted.fit == "none"
    assert fitted.v_lo != RegimeSettings().v_lo
    wanted = classify_regimes(experiment.market.bars.close, fitted).labels
    np.testing.assert_array_equal(experiment.tape.regimes, wanted)
    hard = replace(fitted, hysteresis=False)
    labels = classify_regimes(experiment.market.bars.close, hard).labels[slice(*experiment.split.train)]
    assert np.isin(labels, (0, 1)).mean() == pytest.approx(0.3, abs=0.01)
    shares = experiment.regime_shares()
    assert list(shares) == ["train", "validation", "test"]
    assert all(sum(part.values()) == pytest.approx(1.0) for part in shares.values())


def test_model_manifest_and_report_tell_the_thresholds_and_the_shares(run):
    _, card = load_policy(run / "model")
    manifest = read(run / "manifest.json")
    assert card.regime_rule() == RegimeSettings(**manifest["regimes"]["settings"])
    assert card.regime_rule().z_threshold != 1.5
    assert set(manifest["regimes"]["shares"]["train"]) == {"UPTREND", "DOWNTREND", "PLATEAU", "OSCILLATING"}
    assert manifest["regimes"] == read(run / "report.json")["run_card"]["manifest"]["regimes"]


def test_evaluate_labels_with_the_thresholds_of_the_training(run):
    """Other thresholds give other stretches of regimes in the report."""
    (again,) = (run / "evaluations").glob("*/*/report.json")
    assert read(again)["regimes"] == read(run / "report.json")["regimes"]
    assert read(again)["per_regime"] == read(run / "report.json")["per_regime"]
    assert sum(row["share"] > 0 for row in read(again)["per_regime"]) >= 2
