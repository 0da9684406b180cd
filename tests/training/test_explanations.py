"""Explanations: SHAP values add up to the answer, permutation and attention find what was planted."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from regimegym.supervised.importance_shift import can_tell
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.predictor_set import ALWAYS
from regimegym.supervised.registry import get_predictor
from regimegym.supervised.signals import CrossFit, OutOfFold, Serving
from regimegym.training.explanations import explanation_of, forest_trees, import_shap, node_counts
from regimegym.training.fit_figures import attention_figure, confusion_matrix
from regimegym.training.fitting import Fit, FitData

NAMES = ("noise", "planted", "other")
SHORT = {"sequence_length": 4, "epochs": 3, "batch_size": 32, "learning_rate": 1e-2, "device": "cpu", "width": 6}
SETTINGS = {
    "random_forest": {"n_estimators": 5, "n_jobs": 1, "max_features": 1.0},
    "xgboost": {"n_estimators": 10, "max_depth": 2, "n_threads": 1, "learning_rate": 0.3},
    "logistic": {},
    "gru": {"layers": 1, **SHORT},
}


@pytest.fixture(scope="module")
def lesson():
    rng, rows = np.random.default_rng(0), np.arange(400)
    features = rng.normal(size=(400, 3))
    labels = (features[:, 1] + 0.2 * rng.normal(size=400) > 0).astype(float)
    return Lesson(features, labels, rows, NAMES, rows, None, ("down", "up"))


def explained(name, lesson):
    """The explanation of a predictor on the lesson's last 100 rows, and the predictor."""
    make = partial(get_predictor, name, SETTINGS[name])
    model = make().fit(lesson.until(300), np.random.default_rng(1))
    later = replace(lesson, labels=np.where(np.arange(400) < 300, np.nan, lesson.labels))
    served = OutOfFold(np.empty((0, 1)), ("up",), np.empty(0), CrossFit((), (Serving(ALWAYS, ALWAYS, model),)))
    data = FitData("direction", None, None, lesson.until(300), later, 300)
    return explanation_of(Fit(name, make, data, served, served, {}), np.random.default_rng(2)), model


@pytest.mark.parametrize("name", SETTINGS)
def test_the_planted_feature_counts_most(name, lesson):
    found, _ = explained(name, lesson)
    assert found.method == ("shap" if name in ("random_forest", "xgboost") else "permutation")
    assert tuple(found.worth) == NAMES
    assert max(found.worth, key=found.worth.get) == "planted"


def test_of_single_rows_it_is_told_whether_the_importance_of_features_has_shifted(lesson):
    names = [shift.names for shift in explained("logistic", lesson)[0].shifts]
    assert names == [(name,) for name in NAMES]
    assert explained("gru", lesson)[0].shifts is None
    assert not can_tell(get_predictor("logistic"), lesson.until(290))


def test_shap_values_of_a_forest_add_up_to_its_answer(lesson):
    _, model = explained("random_forest", lesson)
    explainer = import_shap().TreeExplainer({"trees": forest_trees(model.forest, lesson.features[:300])})
    values = explainer.shap_values(lesson.features[:9].astype(np.float32), check_additivity=False)
    whole = values.sum(axis=1) + explainer.expected_value
    np.testing.assert_allclose(whole, model.predict_proba(lesson.features[:9]), atol=1e-6)


def test_every_row_comes_by_a_root_and_by_one_leaf_of_each_tree(lesson):
    _, model = explained("random_forest", lesson)
    counts = node_counts(model.forest, lesson.features.astype(np.float32))
    assert (counts[model.forest.roots] == 400).all()
    assert counts[model.forest.left < 0].sum() == 400 * len(model.forest.roots)
    inner = model.forest.left >= 0
    below = counts[model.forest.left[inner]] + counts[model.forest.right[inner]]
    np.testing.assert_array_equal(counts[inner], below)


def test_attention_is_a_weight_for_each_bar_of_the_window(lesson):
    found, _ = explained("gru", lesson)
    assert found.attention.shape == (4,)
    assert found.attention.sum() == pytest.approx(1.0, abs=1e-5)
    assert attention_figure(found.attention, "t") == attention_figure(found.attention, "t")


def test_a_confusion_matrix_counts_labels_down_and_answers_across():
    class Found:
        classes, labels = ("a", "b"), np.array([0.0, 0, 1, 1, 1])
        answers = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.1, 0.9], [0.3, 0.7]])

    assert confusion_matrix(Found).tolist() == [[1, 1], [1, 2]]
