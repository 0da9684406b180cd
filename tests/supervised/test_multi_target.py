"""Nested targets: one model each, probabilities that never rise with the size of the move, folders of three models."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from lessons import lesson_with

from regimegym.common.errors import ConfigError, ModelError
from regimegym.supervised.model_folder import folder_files, read_folder, write_folder
from regimegym.supervised.multi_target import MultiTarget, MultiTargetSettings
from regimegym.supervised.registry import load_predictor
from regimegym.supervised.targets import Moves, nested_probabilities

CLASSES = Moves().classes
QUICK = {"n_estimators": 12, "min_samples_leaf": 5, "max_features": 1.0}


def moves(n_rows: int, random_seed: int):
    rng = np.random.default_rng(random_seed)
    features = rng.normal(size=(n_rows, 3))
    return lesson_with(features, np.digitize(features[:, 0] + rng.normal(size=n_rows), [0.0, 1.0, 2.0]), 2, CLASSES)


@pytest.fixture(scope="module")
def fitted():
    return MultiTarget(MultiTargetSettings(settings=QUICK)).fit(moves(800, 1), np.random.default_rng(0))


def test_a_larger_move_is_never_likelier_than_a_smaller_one(fitted):
    later = moves(400, 2)
    nested = fitted.nested_probabilities(later.features)
    for smaller, larger in pairwise(nested.T):
        assert (larger <= smaller).all()
    raw = np.column_stack([model.predict_proba(later.features)[:, 1] for model in fitted.models])
    assert (raw[:, 1:] > raw[:, :-1]).any()  # left alone, the models would say otherwise somewhere
    classes = fitted.predict_proba(later.features)
    assert (classes >= 0).all()
    np.testing.assert_allclose(nested_probabilities(classes), nested, atol=1e-12)


def test_the_models_are_three_and_say_what_they_are(fitted, tmp_path):
    fitted.save(tmp_path / "moves")
    assert sorted(path.name for path in (tmp_path / "moves").iterdir() if path.is_dir()) == sorted(CLASSES[1:])
    assert [load_predictor(tmp_path / "moves" / name).name for name in CLASSES[1:]] == ["random_forest"] * 3
    assert read_folder(tmp_path / "moves")[0].values == {"model_type": "random_forest"}


@pytest.mark.parametrize(("values", "is_read"), [({}, True), ({"model_type": "xgboost"}, False)])
def test_folders_that_say_no_model_type_hold_random_forests(fitted, tmp_path, values, is_read):
    fitted.save(tmp_path / "moves")
    card, files = read_folder(tmp_path / "moves")
    write_folder(tmp_path / "older", folder_files(replace(card, values=values), files))
    if not is_read:
        with pytest.raises(ModelError, match="is a 'random_forest' and should be a 'xgboost'"):
            load_predictor(tmp_path / "older")
        return
    features = moves(50, 3).features
    found = load_predictor(tmp_path / "older").predict_proba(features)
    np.testing.assert_array_equal(found, fitted.predict_proba(features))


def test_a_target_can_have_settings_of_its_own():
    settings = MultiTargetSettings("random_forest", QUICK, {"5_percent": {"n_estimators": 3}})
    model = MultiTarget(settings).fit(moves(300, 4), np.random.default_rng(0))
    assert [len(each.forest.roots) for each in model.models] == [12, 12, 3]
    with pytest.raises(ConfigError, match="'9_percent', which is no target"):
        MultiTarget(MultiTargetSettings(per_target={"9_percent": {}})).fit(moves(60, 1), np.random.default_rng(0))


def test_a_target_that_never_came_has_probability_0():
    market = moves(300, 5)
    market = replace(market, labels=np.minimum(market.labels, 2.0))
    model = MultiTarget(MultiTargetSettings(settings=QUICK)).fit(market, np.random.default_rng(0))
    assert (model.predict_proba(market.features)[:, 3] == 0).all()


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: MultiTargetSettings("hmm"), "must classify row by row from labels"),
        (lambda: MultiTargetSettings("random_forest", {"task": "regression"}), "must classify row by row"),
        (lambda: MultiTargetSettings("random_forest", {"depth": 3}), "no setting 'depth'"),
        (lambda: MultiTargetSettings("multi_target"), "cannot be multi_target itself"),
    ],
)
def test_models_that_cannot_do_it_are_refused(make, what):
    with pytest.raises(ConfigError, match=what):
        make()
