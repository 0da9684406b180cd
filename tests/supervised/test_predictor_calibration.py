"""Calibration: on later rows, better there, the ranking kept, and numbers that say how much."""

import numpy as np
import pytest
from lessons import lesson_with, nonlinear_lesson
from scipy.special import expit, softmax

from regimegym.common.errors import ConfigError, DataError
from regimegym.supervised.calibration import (
    METHODS,
    Calibrated,
    CalibratedSettings,
    Calibrator,
    fit_calibrator,
    reliability,
)


def overconfident(n_rows: int, random_seed: int, n_classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(z), and probabilities that say softmax(3z)."""
    rng = np.random.default_rng(random_seed)
    z = rng.normal(size=(n_rows, n_classes))
    labels = (softmax(z, axis=1).cumsum(axis=1) < rng.random((n_rows, 1))).sum(axis=1)
    return labels.astype(float), softmax(3.0 * z, axis=1)


def test_the_temperature_is_the_one_that_was_planted():
    labels, said = overconfident(6000, 1)
    assert fit_calibrator(labels, said, "temperature").parameters == pytest.approx(3.0, rel=0.15)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_later_rows_are_better_calibrated(method, n_classes):
    calibrator = fit_calibrator(*overconfident(4000, 2, n_classes), method)
    labels, said = overconfident(4000, 3, n_classes)
    found = calibrator.apply(said)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    before, after = reliability(labels, said).ece, reliability(labels, found).ece
    assert before > 0.1
    assert after < 0.4 * before


@pytest.mark.parametrize("method", ["temperature", "platt"])
def test_the_ranking_inside_a_class_is_kept(method):
    labels, said = overconfident(500, 4)
    found = fit_calibrator(labels, said, method).apply(said)
    np.testing.assert_array_equal(np.argsort(found[:, 1]), np.argsort(said[:, 1]))


def test_rows_without_an_answer_stay_without_one():
    labels, said = overconfident(300, 5)
    said[7] = np.nan
    for method in METHODS:
        found = fit_calibrator(labels, said, method).apply(said)
        assert np.isnan(found[7]).all()
        assert np.isfinite(np.delete(found, 7, axis=0)).all()


def test_a_reliability_diagram_by_hand():
    p = np.array([0.05, 0.15, 0.15, 0.95, np.nan])
    found = reliability(np.array([0.0, 0.0, 1.0, 1.0, 1.0]), np.column_stack([1 - p, p]))
    np.testing.assert_array_equal(found.counts, [1, 2, 0, 0, 0, 0, 0, 0, 0, 1])
    np.testing.assert_allclose(found.predicted[[0, 1, 9]], [0.05, 0.15, 0.95])
    np.testing.assert_allclose(found.observed[[0, 1, 9]], [0.0, 0.5, 1.0])
    assert found.ece == pytest.approx((0.05 + 2 * 0.35 + 0.05) / 4)
    assert np.isnan(reliability(np.zeros(0), np.zeros((0, 2))).ece)


def test_one_class_alone_gives_finite_probabilities():
    said = np.column_stack([np.full(20, 0.4), np.full(20, 0.6)])
    for method in METHODS:
        assert np.isfinite(fit_calibrator(np.ones(20), said, method).apply(said)).all()


def test_platt_is_the_logistic_curve_it_was_drawn_from():
    rng = np.random.default_rng(6)
    z = rng.normal(size=8000)
    labels = (rng.random(8000) < expit(0.5 * z - 0.7)).astype(float)
    slope, offset = fit_calibrator(labels, np.column_stack([expit(-z), expit(z)]), "platt").parameters[1]
    assert (slope, offset) == (pytest.approx(0.5, abs=0.08), pytest.approx(-0.7, abs=0.08))


def test_isotonic_is_a_step_line_by_hand():
    line = Calibrator("isotonic", [[[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.1, 0.9]]])
    found = line.apply(np.array([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9]]))
    np.testing.assert_allclose(found[:, 1], [0.1, 0.5, 0.9])


def test_the_model_never_sees_the_rows_it_is_corrected_on():
    market = nonlinear_lesson(600, 7)
    changed = market.features.copy()
    changed[market.tail_fold(0.2).test] *= -1.0
    forest = {"n_estimators": 8, "min_samples_leaf": 5}
    other = lesson_with(changed, np.nan_to_num(market.labels))
    models = [
        Calibrated(CalibratedSettings("random_forest", forest)).fit(lesson, np.random.default_rng(0))
        for lesson in (market, other)
    ]
    asked = nonlinear_lesson(50, 8).features
    answers = [model.inner.predict_proba(asked) for model in models]
    np.testing.assert_array_equal(answers[0], answers[1])


def test_validation_says_how_much_was_gained():
    market = nonlinear_lesson(3000, 9, flipped=0.3)
    deep = {"n_estimators": 30, "min_samples_leaf": 1, "max_depth": 30, "max_features": 1.0}
    settings = CalibratedSettings("random_forest", deep, "platt")
    model = Calibrated(settings).fit(market.until(2000), np.random.default_rng(0))
    scores = model.validate(market.take(np.arange(2000, 3000)))
    assert scores["ece"] < scores["ece_before"]


def test_what_cannot_be_calibrated_is_refused():
    with pytest.raises(ConfigError, match="must classify from labels"):
        CalibratedSettings("hmm")
    with pytest.raises(ConfigError, match="cannot be calibrated itself"):
        CalibratedSettings("calibrated")
    with pytest.raises(DataError, match="no later row"):
        fit_calibrator(np.full(3, np.nan), np.full((3, 2), 0.5), "platt")
