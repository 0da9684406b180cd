"""Predictors through the whole way: trained with the agent, kept with it, asked again, audited."""

import json
import shutil
from contextlib import redirect_stderr
from io import StringIO

import numpy as np
import pytest

from regimegym.cli.main import main
from regimegym.supervised import signals
from regimegym.supervised.predictor_set import PredictorSet
from regimegym.training.experiment import build_experiment
from regimegym.training.model_at_work import load_policy
from regimegym.training.wiring import read_run_config
from tests.cli.tiny_runs import read, train

PREDICTORS = ["predictors=[last_value,majority]", "folds.n_splits=3", "target.horizon=5"]
AUDIT = ["data", "audit", "data.n_bars=900", "env.episode.length=32", "env.episode.window=8"]
AUDIT += ["features.names=[return_1,return_5]", "predictors=[last_value]", "folds.n_splits=2", "--cuts", "6"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished tiny run with two predictors."""
    folder = tmp_path_factory.mktemp("signals") / "run"
    told = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(told):
        patch.chdir(folder.parent)
        assert train(*PREDICTORS, f"run_dir={folder}") == 0
    assert "note  last_value: 3 forward folds of" in told.getvalue()
    return folder


def test_the_model_carries_its_predictors_and_their_names(run):
    card = read(run / "model" / "model.json")
    assert card["feature_names"][-2:] == ["last_value_up", "majority_up"]
    kept = PredictorSet.load(run / "model" / "predictors")
    assert kept.names == ("last_value_up", "majority_up")
    assert list(kept.inputs) == card["feature_names"][:-2]
    assert kept.target["horizon"] == 5
    assert len(kept.about["last_value"]["folds"]) == 3


def test_evaluating_again_asks_the_saved_models_and_finds_the_same(run, monkeypatch, capsys):
    monkeypatch.chdir(run.parent)
    assert main(["evaluate", f"run={run}"]) == 0
    (again,) = (run / "evaluations").glob("*/*")
    first, second = read(run / "metrics.json"), read(again / "metrics.json")
    assert second["test"]["agent"] == first["test"]["agent"]


def test_behind_the_training_rows_the_saved_models_show_what_the_training_showed(run):
    config = read_run_config(run / "config.yaml")
    experiment = build_experiment(config)
    tape = load_policy(run).tape(experiment.market.bars)
    rows = slice(experiment.split.train.stop, None)
    assert tape.feature_names == experiment.tape.feature_names
    np.testing.assert_array_equal(tape.features[rows], experiment.tape.features[rows])
    assert np.ptp(tape.features[rows, -2]) > 0
    before = slice(experiment.split.train.start, experiment.split.train.stop)
    assert (tape.features[before, -2] != experiment.tape.features[before, -2]).any()


def test_new_data_is_answered_by_the_last_models(run, monkeypatch, capsys):
    monkeypatch.chdir(run.parent)
    assert main(["evaluate", f"run={run}", "data=synthetic", "data.n_bars=900", "data.market_seed=77"]) == 0
    assert "not finite" not in capsys.readouterr().err


def test_a_model_without_its_predictors_is_refused(run, tmp_path, monkeypatch, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "model" / "predictors")
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", f"run={copy}"]) == 2
    assert "missing: last_value_up, majority_up" in capsys.readouterr().err


def test_a_run_goes_on_with_the_signals_it_was_begun_with(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    manifest = read(copy / "manifest.json") | {"status": "interrupted"}
    (copy / "manifest.json").write_text(json.dumps(manifest))

    def refuse(*arguments, **settings):
        raise AssertionError("fitted again")

    monkeypatch.setattr(signals, "fit_folds", refuse)
    assert main(["train", f"resume={copy}"]) == 0
    assert read(copy / "metrics.json")["test"]["agent"] == read(run / "metrics.json")["test"]["agent"]


def test_the_audit_fits_the_predictors_again_and_finds_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*AUDIT, "--json", "audit.json"]) == 0
    columns = read(tmp_path / "audit.json")["columns"]
    assert {"fitted signal last_value_up", "feature last_value_up", "observed last_value_up"} <= set(columns)


def test_the_audit_covers_what_a_hidden_markov_model_tells_beside_its_probabilities(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    small = ["features=[return_1,return_5]", "n_states=2", "n_restarts=1", "n_iter=3"]
    words = [f"predictors.hmm.{word}" for word in (*small, "state_signals=[next,leaving,bars_in_state,change]")]
    chosen = ["predictors=[hmm]" if word.startswith("predictors=") else word for word in AUDIT]
    assert main([*chosen, *words, "--json", "audit.json"]) == 0
    columns = read(tmp_path / "audit.json")["columns"]
    for name in ("state_2", "next_state_1", "leaving", "bars_in_state", "change"):
        assert {f"fitted signal hmm_{name}", f"feature hmm_{name}", f"observed hmm_{name}"} <= set(columns)


def test_a_label_that_is_not_purged_is_found(monkeypatch, tmp_path, capsys):
    """The audit must be able to fail: models learn labels that were known only after they began to answer."""
    purged = signals.lesson_before

    def unpurged(lesson, learned_from, since, embargo=0):
        start, stop = np.searchsorted(lesson.timestamps, [learned_from, since])
        part = purged(lesson, learned_from, since, embargo)
        return type(part)(**{**vars_of(part), "labels": lesson.labels[start:stop], "ends": np.arange(len(part))})

    monkeypatch.setattr(signals, "lesson_before", unpurged)
    monkeypatch.setattr("regimegym.training.predictor_audit.lesson_before", unpurged)
    monkeypatch.chdir(tmp_path)
    assert main(AUDIT) == 2
    assert "fitted signal last_value_up" in capsys.readouterr().err


def vars_of(lesson) -> dict:
    names = ("features", "labels", "ends", "names", "timestamps", "closes", "classes")
    return {name: getattr(lesson, name) for name in names}


def test_a_wrong_setting_of_a_chosen_predictor_names_the_nearest(capsys):
    assert main(["train", "predictors=[last_value,majority]", "predictors.last_value.featur=rsi"]) == 2
    assert "predictors.last_value.feature (now None)" in capsys.readouterr().err


def test_a_target_without_classes_is_no_lesson_for_a_classifier(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train("predictors=[majority]", "target=forward_return") == 2
    assert "config/wrong-task" in capsys.readouterr().err
    assert not list(tmp_path.rglob("config.yaml"))


def test_three_predictors_play_three_roles(tmp_path, monkeypatch):
    """SU39: one run trains direction by stacking, price and risk by averages, and the agent sees each."""
    small = "{random_forest: {n_estimators: 5}, xgboost: {n_estimators: 5, early_stopping_rounds: 0, n_threads: 1}}"
    roles = [f"++predictors.{name}.base_settings={small}" for name in ("signal", "price", "risk")]
    monkeypatch.chdir(tmp_path)
    words = [*roles, "predictors.signal.n_splits=2", "folds.n_splits=2", "data.n_bars=2000", f"run_dir={tmp_path}/run"]
    assert train("experiment=three_roles", *words) == 0
    kept = PredictorSet.load(tmp_path / "run" / "model" / "predictors")
    assert kept.names == ("signal_up", "price_value", "risk_value")
    assert [kept.models[name][0].predictor.task for name in kept.models] == ["classification", *2 * ["regression"]]
    assert read(tmp_path / "run" / "model" / "model.json")["feature_names"][-3:] == list(kept.names)
    assert kept.target["own"]["risk"]["_target_"].endswith("ForwardVolatility")
    assert all(np.isfinite(fold["scores"]["r2"]) for fold in kept.about["risk"]["folds"])


def test_a_target_of_nobody_is_refused(capsys):
    assert main(["train", "predictors=[majority]", "+target@targets.majorty=jumps", "data.n_bars=3000"]) == 2
    assert "was not chosen" in capsys.readouterr().err
