"""The forest's own walk answers as scikit-learn's does, and a damaged one is refused."""

import numpy as np
import pytest
from lessons import lesson_with, nonlinear_lesson

from regimegym.common.errors import ModelError
from regimegym.supervised.model_folder import Card, folder_files, write_folder
from regimegym.supervised.random_forest import ARRAYS, RandomForest, RandomForestSettings, _grower, forest_of
from regimegym.supervised.registry import load_predictor

QUICK = RandomForestSettings(n_estimators=25, min_samples_leaf=5, max_features=0.6)


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c"), ()])
def test_answers_equal_those_of_scikit_learn(classes):
    rng = np.random.default_rng(3)
    features = rng.normal(size=(400, 5))
    labels = np.digitize(features[:, 0] + features[:, 1] ** 2, [0.0, 1.5][: max(1, len(classes) - 1)]).astype(float)
    settings = RandomForestSettings(
        "classification" if classes else "regression", n_estimators=25, min_samples_leaf=5, max_features=0.6
    )
    model = RandomForest(settings).fit(lesson_with(features, labels, 0, classes), np.random.default_rng(8))
    theirs = _grower(settings, int(np.random.default_rng(8).integers(2**31))).fit(features, labels)
    asked = rng.normal(size=(200, 5))
    if classes:
        np.testing.assert_allclose(model.predict_proba(asked), theirs.predict_proba(asked), rtol=1e-12)
    else:
        np.testing.assert_allclose(model.predict(asked), theirs.predict(asked), rtol=1e-12)
    np.testing.assert_allclose(list(model.feature_importance().values()), theirs.feature_importances_)


def test_a_class_without_rows_keeps_its_column():
    labels = np.where(np.arange(200) % 2, 2.0, 0.0)
    model = RandomForest(QUICK).fit(
        lesson_with(np.random.default_rng(1).normal(size=(200, 3)), labels, 0, ("a", "b", "c")),
        np.random.default_rng(0),
    )
    found = model.predict_proba(np.zeros((4, 3)))
    assert (found[:, 1] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_a_planted_nonlinear_signal_is_found():
    market = nonlinear_lesson(2000, 1)
    model = RandomForest(QUICK).fit(market.until(1500), np.random.default_rng(2))
    assert model.validate(market.take(np.arange(1500, 2000)))["accuracy"] > 0.75


@pytest.mark.parametrize("damage", ["left", "feature", "roots"])
def test_a_forest_whose_walk_would_go_astray_is_refused(tmp_path, damage):
    from regimegym.supervised.model_folder import tensors_from_bytes, tensors_to_bytes

    market = nonlinear_lesson(300, 1)
    model = RandomForest(QUICK).fit(market, np.random.default_rng(2))
    state = model._state()
    arrays = tensors_from_bytes(state.files[ARRAYS])
    arrays[damage][0] = {"left": 0, "feature": 99, "roots": 10**6}[damage]
    card = Card(
        *("random_forest", model.hyperparameters(), model.task, model.names, model.classes, 1, 0, None),
        *(tuple(model.typical), {}, {}),
    )
    write_folder(tmp_path / "forest", folder_files(card, {ARRAYS: tensors_to_bytes(arrays)}))
    with pytest.raises(ModelError, match="does not describe a 'random_forest': "):
        load_predictor(tmp_path / "forest")


def test_the_arrays_of_a_forest_hold_every_tree():
    market = nonlinear_lesson(200, 5)
    theirs = _grower(QUICK, 1).fit(market.features, np.nan_to_num(market.labels))
    forest = forest_of(theirs, np.array([0, 1]), 2)
    assert len(forest.roots) == 25
    assert len(forest.left) == sum(tree.tree_.node_count for tree in theirs.estimators_)
