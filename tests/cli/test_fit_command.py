"""`regime-gym fit`: predictors alone, from the command line to the run folder."""

import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from tiny_runs import read

from regimegym.cli.fit import one_predictor
from regimegym.cli.main import main
from regimegym.common.errors import ConfigError
from regimegym.supervised.predictor_set import PredictorSet
from regimegym.supervised.signals import all_answers
from regimegym.training.compose import compose_config
from regimegym.training.fitting import fit_data, groups_of
from regimegym.training.ledger import Ledger
from regimegym.training.predictions import fit_predictions

TINY = [
    "data.n_bars=1500",
    "env.episode.length=64",
    "features=minimal",
    "folds.n_splits=2",
    "intervals.n_resamples=100",
]
FOREST = ["predictors.random_forest.n_estimators=5", "predictors.random_forest.n_jobs=1"]
HMM = ["predictors.hmm.n_states=2", "predictors.hmm.n_restarts=1", "predictors.hmm.n_iter=5"]
CHOSEN = ["predictors=[logistic,random_forest,hmm]", *FOREST, *HMM]
FIXED = "search.fixed=[learning_rate,n_estimators,subsample,colsample_bytree,min_child_weight]"
SEARCH = ["search=xgboost", "search.parameters.max_depth.low=1", "search.sampler=random", FIXED]
XGBOOST = ["predictor=xgboost", "predictor.n_estimators=3", "predictor.n_threads=1"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The working folder of a fit of three predictors in `f`."""
    start, before = tmp_path_factory.mktemp("fitted"), Path.cwd()
    os.chdir(start)
    try:
        assert main(["fit", *CHOSEN, *TINY, "explain=true", "run_dir=f"]) == 0
    finally:
        os.chdir(before)
    return start


def test_every_predictor_is_scored_beside_the_floors_on_both_parts(fitted):
    found = read(fitted / "f" / "metrics.json")
    assert set(found["predictors"]) == {"logistic", "random_forest", "hmm", "majority", "last_value"}
    for name in ("logistic", "random_forest", "majority", "last_value"):
        for part in ("out of fold", "validation"):
            interval = found["predictors"][name][part]["intervals"]["log_loss"]
            assert interval["low"] <= interval["value"] <= interval["high"]
    assert {"log_likelihood", "bic", "ari"} <= set(found["predictors"]["hmm"]["validation"]["scores"])


def test_the_folds_are_told_with_their_dates(fitted):
    page = (fitted / "f" / "comparison.md").read_text()
    table = page.split("forward folds of the training rows\n")[1].split("\n\n")[0].splitlines()
    lesson = fit_data(compose_config("fit", [*CHOSEN, *TINY])).lesson
    days = np.datetime_as_string(lesson.timestamps[[0, -1]].astype("datetime64[ns]"), unit="D")
    assert [line.split()[:2] for line in table[1:]] == [["fold", "1"], ["fold", "2"]]
    assert days[0] in table[1]
    assert days[1] in table[2]


def test_each_predictor_is_paired_with_each_floor_and_with_the_others(fitted):
    pairs = read(fitted / "f" / "metrics.json")["pairs"]
    for part in ("out of fold", "validation"):
        names = {(pair["a"], pair["b"]) for pair in pairs if pair["part"] == part}
        floors = {(name, floor) for name in ("logistic", "random_forest") for floor in ("majority", "last_value")}
        assert names == floors | {("logistic", "random_forest")}
    assert all(pair["p"] <= pair["p_holm"] <= 1 for pair in pairs)


def test_a_difference_is_that_of_the_scores(fitted):
    found = read(fitted / "f" / "metrics.json")
    for pair in found["pairs"]:
        loss = [found["predictors"][pair[side]][pair["part"]]["scores"]["log_loss"] for side in "ab"]
        assert pair["difference"]["value"] == pytest.approx(loss[0] - loss[1], abs=1e-12)


def test_the_models_are_those_of_a_training_with_the_same_settings(fitted):
    data = fit_data(compose_config("fit", [*CHOSEN, *TINY]))
    ours = PredictorSet.load(fitted / "f" / "predictors").models
    theirs = fit_predictions(compose_config("train", [*CHOSEN, *TINY[:-1]]), data.market, data.split)
    for name, models in theirs.fitted.models.items():
        answers = [all_answers(one[-1].predictor, data.later.features) for one in (ours[name], models)]
        np.testing.assert_array_equal(*answers)


def test_validation_is_answered_by_the_last_model_and_test_is_not_even_labelled(fitted):
    data = fit_data(compose_config("fit", [*CHOSEN, *TINY]))
    stamps = data.market.table.timestamps
    assert data.later.timestamps[-1] == stamps[data.split.validation.stop - 1]
    assert data.later.timestamps[data.first] == stamps[data.split.validation.start]
    assert not data.later.is_known[: data.first].any()
    assert data.lesson.timestamps[-1] == stamps[data.split.train.stop - 1]
    scores = read(fitted / "f" / "metrics.json")["predictors"]["logistic"]["validation"]["scores"]
    model = PredictorSet.load(fitted / "f" / "predictors").models["logistic"][-1].predictor
    asked = model.validate(data.later)
    assert scores["rows"] == asked["rows"]
    assert scores["log_loss"] == pytest.approx(asked["log_loss"])


def test_every_figure_is_well_formed_and_named_after_its_predictor(fitted):
    files = {path.stem for path in (fitted / "f" / "figures").glob("*.svg")}
    states = {"importance-hmm", "states-hmm", "transition-hmm"}
    parts = ("out-of-fold", "validation")
    of_classes = {f"confusion-{name}-{part}" for name in ("logistic", "random_forest") for part in parts}
    others = {"importance-logistic", "importance-random_forest", "permutation-logistic", "shap-random_forest"}
    assert files == states | of_classes | others | {f"calibration-{part}" for part in parts}
    for name in files:
        assert ElementTree.parse(fitted / "f" / "figures" / f"{name}.svg").getroot().tag.endswith("svg")


def test_pages_hold_both_tables_and_the_states(fitted):
    page = (fitted / "f" / "comparison.md").read_text()
    assert page.count("| majority |") == 2
    assert page.count("| logistic − majority |") == 2
    states = (fitted / "f" / "states-hmm.md").read_text()
    shares = [float(line.split("|")[2].strip().removesuffix(" %")) for line in states.splitlines()[4:6]]
    assert sum(shares) == pytest.approx(100, abs=0.2)


def test_explanations_say_where_the_importance_of_features_has_shifted(fitted):
    found = read(fitted / "f" / "explanations.json")
    assert set(found) == {"logistic", "random_forest"}
    for why in found.values():
        told = [name for shift in why["shifts"] for name in shift["names"]]
        assert sorted(told) == sorted(why["worth"])
        assert all(0.0 < shift["p"] <= 1.0 and shift["shifted"] == (shift["p"] <= 0.05) for shift in why["shifts"])
    page = (fitted / "f" / "comparison.md").read_text().partition("## Shifts of importance")[2]
    n_sure = sum(shift["shifted"] for why in found.values() for shift in why["shifts"])
    n_none = sum(not any(shift["shifted"] for shift in why["shifts"]) for why in found.values())
    assert page.count("\n- ") == n_sure + n_none


def test_a_scored_predictor_is_a_trial_on_the_data_and_no_look_at_test(fitted):
    manifest = read(fitted / "f" / "manifest.json")
    ledger = Ledger(fitted / "runs" / "ledger.jsonl")
    assert ledger.count_trials(manifest["data_fingerprint"]) == 2  # regimes without labels have no score
    assert ledger.count_looks(manifest["data_fingerprint"], (0, 2**62)) == 0


def test_a_fit_is_not_the_last_run_of_an_agent(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "predictor=logistic", *TINY, "figures=false"]) == 0
    assert len(list(tmp_path.glob("runs/*/*-fit-logistic/manifest.json"))) == 1
    assert main(["evaluate", "run=last"]) == 2
    assert "no-run-folder" in capsys.readouterr().err


def test_numbers_have_floors_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["predictor=random_forest", "predictor.task=regression", "predictor.n_estimators=3", "predictor.n_jobs=1"]
    assert main(["fit", *words, *TINY, "target=forward_return", "run_dir=f", "figures=false"]) == 0
    pairs = read(tmp_path / "f" / "metrics.json")["pairs"]
    assert {(pair["b"], pair["score"]) for pair in pairs} == {("majority", "mse"), ("last_value", "mse")}
    assert not (tmp_path / "f" / "figures").exists()


@pytest.fixture(scope="module")
def of_two_targets(tmp_path_factory):
    """A run folder of two predictors that learn different targets, and of one without labels."""
    start = tmp_path_factory.mktemp("targets")
    words = [*CHOSEN, *TINY, "targets.random_forest=triple_barrier", "targets.random_forest.horizon=6"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(start)
        assert main(["fit", *words, "run_dir=f"]) == 0
    return start / "f", words


def test_predictors_of_other_targets_meet_their_own_floors_and_nobody_else(of_two_targets):
    found = read(of_two_targets[0] / "metrics.json")
    others = {"random_forest", "majority_triple_barrier", "last_value_triple_barrier"}
    assert {name for name, target in found["targets"].items() if target == "triple_barrier"} == others
    assert set(found["targets"]) == others | {"logistic", "hmm", "majority", "last_value"}
    assert "precision_loss" in found["predictors"]["random_forest"]["validation"]["scores"]
    pairs = {(pair["a"], pair["b"]) for pair in found["pairs"]}
    of_forest = {("random_forest", f"{floor}_triple_barrier") for floor in ("majority", "last_value")}
    assert pairs == of_forest | {("logistic", "majority"), ("logistic", "last_value")}


def test_pages_and_figures_say_which_target_they_speak_of(of_two_targets):
    page = (of_two_targets[0] / "comparison.md").read_text()
    assert page.count("(target direction)") == page.count("(target triple_barrier)") == 3  # two tables and the folds
    names = {path.stem for path in (of_two_targets[0] / "figures").glob("calibration*")}
    parts = ("out-of-fold", "validation")
    assert names == {f"calibration-{target}-{part}" for target in ("direction", "triple_barrier") for part in parts}


def test_a_predictor_of_its_own_target_is_the_one_that_a_training_fits(of_two_targets):
    folder, words = of_two_targets
    config = compose_config("train", [word for word in words if not word.startswith("intervals")])
    data = fit_data(config, "random_forest")
    assert data.lesson.classes == ("loss", "time", "profit")
    kept = PredictorSet.load(folder / "predictors")
    assert kept.target["own"]["random_forest"]["horizon"] == 6
    theirs = fit_predictions(config, data.market, data.split).fitted.models["random_forest"][-1].predictor
    ours = kept.models["random_forest"][-1].predictor
    np.testing.assert_array_equal(*(all_answers(one, data.later.features) for one in (ours, theirs)))


def test_two_targets_of_one_kind_are_told_apart():
    words = ["predictors=[logistic,majority]", "targets.logistic=direction", "targets.logistic.horizon=3"]
    groups = groups_of(compose_config("fit", words))
    assert [(group.target, *group.makers) for group in groups] == [
        ("direction", "logistic", "majority_direction", "last_value"),
        ("direction_2", "majority", "last_value_direction_2"),
    ]


def test_a_search_goes_on_and_fits_the_best_settings(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["fit", *SEARCH, *XGBOOST, *TINY, "sweep_dir=s", "figures=false"]
    assert main([*words, "n_trials=1"]) == 0
    assert main([*words, "n_trials=2"]) == 0
    found = read(tmp_path / "s" / "sweep.json")
    assert [row["number"] for row in sorted(found["trials"], key=lambda row: row["number"])] == [0, 1]
    best = min(found["trials"], key=lambda row: row["values"]["log_loss"])
    assert found["best"][0]["number"] == best["number"]
    config = yaml.safe_load((tmp_path / "s" / "best-2" / "config.yaml").read_text())
    assert config["predictors"]["xgboost"]["max_depth"] == best["parameters"]["max_depth"]
    assert "regime-gym train 'predictors=[xgboost]'" in capsys.readouterr().out


def test_a_search_weighs_the_score_against_the_latency(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["fit", "search=logistic", "latency=true", "search.sampler=nsga2", *TINY, "sweep_dir=s", "figures=false"]
    assert main([*words, "n_trials=3"]) == 0
    found = read(tmp_path / "s" / "sweep.json")
    values = {row["number"]: row["values"] for row in found["trials"]}
    assert all(0.0 < value["latency"] < 1_000.0 for value in values.values())
    front = {row["number"] for row in found["best"]}
    for number, value in values.items():
        beaten = [o for o in values.values() if o != value and all(o[name] <= value[name] for name in value)]
        assert (number in front) == (not beaten)
    assert "log_loss against latency" in capsys.readouterr().out


def test_states_are_searched_by_their_likelihood_out_of_fold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fixed = ["search.parameters.n_states.high=3", "search.fixed=[covariance,least_variance]"]
    words = [
        "fit",
        "search=hmm",
        "predictors=[hmm]",
        *fixed,
        *HMM[1:],
        *TINY,
        "sweep_dir=s",
        "figures=false",
        "n_trials=2",
    ]
    assert main([*words, "search.sampler=grid"]) == 0
    found = read(tmp_path / "s" / "sweep.json")
    assert sorted(row["parameters"]["n_states"] for row in found["trials"]) == [2, 3]
    best = max(found["trials"], key=lambda row: row["values"]["log_likelihood"])
    assert found["best"][0]["number"] == best["number"]


@pytest.mark.parametrize(
    ("words", "slug"),
    [
        ([], "no-predictor"),
        (["predictor=xgboost", "target=forward_return"], "wrong-task"),
        (["predictors=[xgboost,sgd]", "targets.sgd=forward_return"], "'sgd' is a classification, and its target"),
        (["predictor=logistic", "targets.logistc=jumps"], "unknown-predictor"),
        (["predictor=logistic", "search=xgboost", "score=r2"], "'score' must"),
        (["search=hmm", "score=auc"], "'score' must be one of log_likelihood"),
        (["search=logistic", "latency=perhaps"], "'latency' must"),
        (["search=xgboost", "latency=true", "search.sampler=gp"], "several objectives need"),
        (["predictor=logistic", "predictors=[hmm]"], "two-choices"),
        (["predictor.max_depth=3"], "no-predictor"),
        (["predictor=xgbost"], "unknown-option"),
        (["predictor=logistic", "explain=perhaps"], "'explain' must"),
    ],
)
def test_mistakes_are_told_before_anything_is_computed_or_written(words, slug, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("regimegym.training.fitting.load_data", lambda config: pytest.fail("too late"))
    assert main(["fit", *words]) == 2
    assert slug in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_taken_is_told_before_anything_is_computed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("regimegym.training.fitting.load_data", lambda config: pytest.fail("too late"))
    (tmp_path / "mine.txt").touch()
    assert main(["fit", "predictor=logistic", f"run_dir={tmp_path}", "figures=false"]) == 2
    assert "run/not-empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("module", "words", "extra"),
    [("shap", ["explain=true", "figures=false"], "explain"), ("matplotlib", [], "plot")],
)
def test_a_missing_extra_is_named_at_once(module, words, extra, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["fit", "predictor=xgboost", *TINY, *words]) == 3
    assert f"regime-gym[{extra}]" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_one_predictor_is_a_list_of_one():
    given = ["predictor=xgboost_plain", "predictor.max_depth=3", "++predictor.x=1", "data=file"]
    said = ["predictors=[xgboost_plain]", "predictors.xgboost_plain.max_depth=3", "++predictors.xgboost_plain.x=1"]
    assert one_predictor(given) == [*said, "data=file"]
    with pytest.raises(ConfigError):
        one_predictor(["predictor=a", "predictors=[b]"])
