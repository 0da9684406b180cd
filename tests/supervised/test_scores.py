"""Scores by hand and against scikit-learn; what is undefined is NaN."""

import numpy as np
import pytest
from sklearn import metrics

from regimegym.supervised.scores import auc, classification_scores, precision_and_recall, regression_scores

RNG = np.random.default_rng(4)


def test_two_classes_agree_with_scikit_learn():
    y = RNG.integers(0, 2, 300)
    p = np.round(np.clip(0.3 * y + RNG.random(300) * 0.7, 0.01, 0.99), 2)  # rounded, so that there are ties
    found = classification_scores(y, np.column_stack([1 - p, p]), ("no", "yes"))
    called = p > 0.5
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(y, p))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p))
    assert found["brier"] == pytest.approx(2 * metrics.brier_score_loss(y, p))
    for name, theirs in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        assert found[name] == pytest.approx(theirs(y, called))
    assert found["coverage"] == pytest.approx(called.mean())


def test_three_classes_have_a_precision_each():
    y = RNG.integers(0, 3, 200)
    p = RNG.dirichlet(np.ones(3), 200)
    found = classification_scores(y, p, ("a", "b", "c"))
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(y, p, multi_class="ovr"))
    theirs = metrics.precision_score(y, p.argmax(axis=1), average=None)
    assert [found[f"precision_{name}"] for name in "abc"] == pytest.approx(list(theirs))


def test_no_positive_call_has_no_precision_and_no_coverage():
    found = precision_and_recall(np.array([True, False]), np.array([False, False]))
    assert np.isnan(found["precision"])
    assert (found["recall"], found["f1"], found["coverage"]) == (0.0, 0.0, 0.0)


def test_a_single_class_has_no_auc():
    assert np.isnan(auc(np.ones(4, bool), np.arange(4.0)))
    assert np.isnan(classification_scores(np.ones(4), np.full((4, 2), 0.5), ("no", "yes"))["auc"])


def test_rows_without_an_answer_are_counted_and_not_scored():
    p = np.array([[0.2, 0.8], [np.nan, np.nan], [0.9, 0.1]])
    found = classification_scores(np.array([1.0, 1.0, 1.0]), p, ("no", "yes"))
    assert (found["rows"], found["answered"], found["accuracy"]) == (3.0, pytest.approx(2 / 3), 0.5)
    assert np.isnan(classification_scores(np.ones(1), p[1:2], ("no", "yes"))["accuracy"])


def test_a_regression_by_hand():
    found = regression_scores(np.array([1.0, 2.0, 0.0, 9.0]), np.array([2.0, 2.0, -1.0, np.nan]))
    assert (found["mse"], found["mae"], found["answered"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 0.75)
    assert found["r2"] == pytest.approx(0.0)
    assert found["mape"] == pytest.approx(0.5)  # the zero label has none
    assert found["direction"] == 1.0


def test_a_constant_label_has_no_r2_and_zero_labels_no_mape():
    found = regression_scores(np.zeros(3), np.ones(3))
    assert np.isnan(found["r2"])
    assert np.isnan(found["mape"])
