"""XGBoost: finds what is planted, finds nothing in noise, stops on later rows, weighs by the fold, grows on."""

import json
from dataclasses import replace

import numpy as np
import pytest
from lessons import accuracy_interval, lesson_with, noise_lesson, nonlinear_lesson
from omegaconf import OmegaConf
from small_predictors import FOLDER

from regimegym.common.errors import ConfigError, MachineError, ModelError
from regimegym.supervised.boosting_settings import XGBoostSettings, device_of, parameters_of
from regimegym.supervised.gradient_boosting import XGBoost, gains
from regimegym.supervised.registry import load_predictor
from regimegym.supervised.weights import balanced_weights, positive_weight
from regimegym.training.wiring import build

QUICK = XGBoostSettings(n_estimators=150, max_depth=3, learning_rate=0.2, early_stopping_rounds=10, n_threads=1)


def fitted(lesson, **changes) -> XGBoost:
    return XGBoost(replace(QUICK, **changes)).fit(lesson, np.random.default_rng(1))


def test_a_planted_nonlinear_signal_is_found():
    market = nonlinear_lesson(3000, 1)
    model = fitted(market.until(2000))
    scores = model.validate(market.take(np.arange(2000, 3000)))
    low, high = accuracy_interval(scores["accuracy"], 999)
    assert low > 0.75
    assert high < 0.95  # a tenth of the labels is flipped
    importance = model.feature_importance()
    assert importance["x0"] + importance["x1"] > 0.6


def test_nothing_is_found_in_noise():
    market = noise_lesson(3000, 2)
    scores = fitted(market.until(2000)).validate(market.take(np.arange(2000, 3000)))
    low, high = accuracy_interval(scores["accuracy"], 999)
    assert low < 0.5 < high


def test_training_stops_on_later_purged_rows_and_keeps_the_best_trees():
    market = noise_lesson(1500, 3)
    model = fitted(market)
    assert 1 <= model.booster.num_boosted_rounds() < QUICK.n_estimators
    # The latest fifth says when to stop and is never fitted: other features there change the number of trees at most.
    features = market.features.copy()
    features[market.tail_fold(0.2).test] = np.random.default_rng(9).normal(size=(1, 6))
    other = fitted(replace(market, features=features))
    rounds = min(model.booster.num_boosted_rounds(), other.booster.num_boosted_rounds())
    assert model.booster[:rounds].get_dump() == other.booster[:rounds].get_dump()


def test_the_booster_has_the_parameters_of_the_recipe():
    model = XGBoost(replace(XGBoostSettings(), n_estimators=5, n_threads=1)).fit(
        nonlinear_lesson(300, 4), np.random.default_rng(0)
    )
    learner = json.loads(model.booster.save_config())["learner"]
    trees = learner["gradient_booster"]["tree_train_param"]
    expected = {"max_depth": 8, "learning_rate": 0.05, "subsample": 0.8, "colsample_bytree": 0.8}
    expected |= {"reg_alpha": 0.1, "reg_lambda": 1.0}
    assert {name: float(trees[name]) for name in expected} == pytest.approx(expected)
    assert learner["gradient_booster"]["gbtree_train_param"]["tree_method"] == "hist"
    settings = XGBoostSettings()
    assert (settings.n_estimators, settings.early_stopping_rounds, settings.scale_pos_weight) == (500, 50, "auto")


def test_the_plain_recipe_has_its_numbers():
    plain = build(OmegaConf.load(FOLDER / "xgboost_plain.yaml"))
    assert (plain.n_estimators, plain.max_depth, plain.learning_rate) == (200, 10, 0.1)
    assert (plain.subsample, plain.colsample_bytree, plain.device) == (0.8, 0.8, "cpu")


def test_the_weight_of_class_1_comes_from_the_rows_that_are_fitted():
    labels = np.r_[np.zeros(150), np.ones(50), np.ones(200)]
    market = lesson_with(np.random.default_rng(5).normal(size=(400, 3)), labels)
    earlier, _ = market.split_tail(0.5)
    model = fitted(market, validation_share=0.5, n_estimators=3)
    known = earlier.labels[earlier.is_known]
    assert model.parameters["scale_pos_weight"] == (known == 0).sum() / (known == 1).sum() != 1.0
    booster = json.loads(model.booster.save_config())["learner"]["objective"]["reg_loss_param"]
    assert float(booster["scale_pos_weight"]) == pytest.approx(model.parameters["scale_pos_weight"])


def test_a_fold_without_positives_has_nothing_to_balance():
    assert positive_weight(np.zeros(5), "auto") == 1.0
    assert positive_weight(np.array([0.0, 0.0, 0.0, 1.0]), "auto") == 3.0
    assert positive_weight(np.zeros(5), 2.5) == 2.5


def test_balanced_classes_weigh_the_same():
    labels = np.array([0.0, 0.0, 0.0, 2.0])
    weights = balanced_weights(labels, 3)
    assert weights.mean() == pytest.approx(1.0)
    assert weights[labels == 0].sum() == pytest.approx(weights[labels == 2].sum())


def test_three_classes_and_numbers_are_learned_too():
    rng = np.random.default_rng(6)
    features = rng.normal(size=(900, 3))
    total = features[:, 0] + features[:, 1] ** 2
    three = lesson_with(features, np.digitize(total, [0.0, 1.5]), classes=("low", "middle", "high"))
    assert fitted(three.until(600)).validate(three.take(np.arange(600, 900)))["accuracy"] > 0.7
    number = lesson_with(features, total, classes=())
    scores = fitted(number.until(600), task="regression").validate(number.take(np.arange(600, 900)))
    assert scores["r2"] > 0.7


def test_focal_loss_learns_and_survives_a_fresh_load(tmp_path):
    market = nonlinear_lesson(1500, 7)
    model = fitted(market.until(1000), loss="focal", focal_alpha="auto")
    assert model.alpha == pytest.approx(0.5, abs=0.1)
    later = market.take(np.arange(1000, 1500))
    assert model.validate(later)["accuracy"] > 0.75
    model.save(tmp_path / "focal")
    again = load_predictor(tmp_path / "focal")
    assert (again.settings.loss, again.alpha) == ("focal", model.alpha)
    np.testing.assert_array_equal(again.predict_proba(later.features), model.predict_proba(later.features))
    again.update(market)  # the loss goes on with it
    assert again.booster.num_boosted_rounds() == model.booster.num_boosted_rounds() + 10


def test_an_update_grows_ten_trees_and_keeps_the_parameters():
    market = nonlinear_lesson(800, 8)
    model = fitted(market.until(500))
    before, first = model.booster.num_boosted_rounds(), model.booster.get_dump()
    config = json.loads(model.booster.save_config())["learner"]["gradient_booster"]["tree_train_param"]
    model.update(market.take(np.arange(500, 800)))
    assert model.booster.num_boosted_rounds() == before + 10
    assert model.booster.get_dump()[:before] == first
    assert json.loads(model.booster.save_config())["learner"]["gradient_booster"]["tree_train_param"] == config


def test_an_update_with_other_features_is_refused():
    model = fitted(nonlinear_lesson(300, 9))
    other = lesson_with(np.zeros((20, 2)), np.arange(20) % 2)
    with pytest.raises(ModelError, match="features and classes that the first ones were grown for"):
        model.update(other)


def test_shapley_values_and_the_mean_sum_to_the_log_odds():
    import xgboost

    market = nonlinear_lesson(600, 10)
    model = fitted(market)
    added = model.explain_prediction(market.features, 7)
    p = model.predict_proba(market.features[7:8])[0, 1]
    base = model.booster.predict(xgboost.DMatrix(market.features[7:8]), pred_contribs=True)[0, -1]
    assert sum(added.values()) + base == pytest.approx(np.log(p / (1 - p)), abs=1e-4)


def test_gains_know_named_and_unnamed_boosters():
    import xgboost

    market = nonlinear_lesson(400, 11)
    known = market.is_known
    features = np.column_stack([market.features, np.full(len(market), 3.0)])[known]
    found = []
    for names in (None, ["f_rsi", "of", "rsi", "f0", "3", "adx", "never"]):
        rows = xgboost.DMatrix(features, market.labels[known], feature_names=names)
        parameters = {"max_depth": 2, "objective": "binary:logistic", "nthread": 1}
        booster = xgboost.train(parameters, rows, 5)
        found.append(gains(booster, names or ("f_rsi", "of", "rsi", "f0", "3", "adx", "never")))
    np.testing.assert_allclose(found[0], found[1])
    assert found[0][-1] == 0.0
    assert found[0].sum() > 0


def test_cuda_is_refused_where_there_is_none_and_auto_does_without(monkeypatch):
    monkeypatch.setattr("regimegym.supervised.boosting_settings._lacks_cuda", lambda: "no GPU was found")
    assert device_of("auto") == "cpu"
    with pytest.raises(MachineError, match="no GPU was found"):
        device_of("cuda")
    monkeypatch.setattr("regimegym.supervised.boosting_settings._lacks_cuda", lambda: None)
    parameters = parameters_of(XGBoostSettings(device="cuda"), nonlinear_lesson(50, 1), 1)
    assert (parameters["tree_method"], parameters["device"]) == ("hist", "cuda")


@pytest.mark.skipif(device_of("auto") == "cpu", reason="no GPU, or an XGBoost built without CUDA")
def test_trees_grown_on_a_gpu_find_the_same_signal():
    market = nonlinear_lesson(3000, 1)
    model = fitted(market.until(2000), device="cuda")
    assert model.validate(market.take(np.arange(2000, 3000)))["accuracy"] > 0.75


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"scale_pos_weight": "some"}, "must be auto or a positive number"),
        ({"focal_alpha": 2.0}, "focal_alpha"),
        ({"loss": "focal", "task": "regression"}, "needs a classification"),
        ({"subsample": 0.0}, r"in \(0, 1\]"),
    ],
)
def test_settings_out_of_range_are_refused(changes, what):
    with pytest.raises(ConfigError, match=what):
        XGBoostSettings(**changes)


def test_focal_loss_wants_two_classes():
    three = lesson_with(np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 3, classes=("a", "b", "c"))
    with pytest.raises(ConfigError, match="focal loss is for two classes"):
        fitted(three, loss="focal")
