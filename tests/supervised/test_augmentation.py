"""Added rows: made inside a fold from rows that may be looked at, never tested on, and none when switched off."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lessons import lesson_with
from small_predictors import SMALL

from regimegym.common.errors import ConfigError, DataError
from regimegym.supervised import prepared
from regimegym.supervised.augmentation import AugmentationSettings, augmented
from regimegym.supervised.cross_validation import ForwardFolds
from regimegym.supervised.gan import statistics_distance
from regimegym.supervised.prepared import Prepared, PreparedSettings
from regimegym.supervised.resampling import block_rows
from regimegym.supervised.signals import cross_fit

RNG = np.random.default_rng


def rare_lesson(n_rows: int, share: float = 0.1, random_seed: int = 0):
    rng = RNG(random_seed)
    up = rng.random(n_rows) < share
    features = rng.normal(size=(n_rows, 3)) + 2.0 * up[:, None]
    return lesson_with(features, up, horizon=2)


@given(st.integers(1, 60), st.integers(1, 200), st.integers(1, 15), st.integers(0, 99))
def test_a_block_bootstrap_has_exactly_so_many_rows_in_contiguous_blocks(n_rows, n_samples, size, seed):
    rows = block_rows(n_rows, n_samples, size, RNG(seed))
    assert len(rows) == n_samples
    assert rows.min() >= 0
    assert rows.max() < n_rows
    size = min(size, n_rows)
    inside = np.arange(1, n_samples) % size != 0
    assert (np.diff(rows)[inside] == 1).all()


def test_switched_off_the_lesson_is_the_same_object():
    lesson = rare_lesson(100)
    assert augmented(lesson, AugmentationSettings(), RNG(0)) is lesson


def test_smote_makes_the_rare_class_as_frequent_from_rows_before_the_tail():
    lesson = rare_lesson(400)
    found = augmented(lesson, AugmentationSettings("smote", held_out=0.25), RNG(42))
    n_made = len(found) - len(lesson)
    earlier, later = lesson.split_tail(0.25)
    counts = np.bincount(earlier.labels[earlier.is_known].astype(int))
    assert n_made == counts[0] - counts[1]
    assert (found.labels[:n_made] == 1).all()
    np.testing.assert_array_equal(found.features[n_made:], lesson.features)
    np.testing.assert_array_equal(found.labels[n_made:], lesson.labels)
    np.testing.assert_array_equal(found.ends[n_made:], lesson.ends + n_made)
    # Between rows of the rare class: inside the box that the earlier ones span.
    own = earlier.features[earlier.labels == 1]
    made = found.features[:n_made]
    assert (made >= own.min(axis=0)).all()
    assert (made <= own.max(axis=0)).all()
    # What stops a training is as it was.
    np.testing.assert_array_equal(found.split_tail(0.2)[1].features[-50:], later.features[-50:])
    np.testing.assert_array_equal(
        augmented(lesson, AugmentationSettings("smote"), RNG(42)).features[:5],
        augmented(lesson, AugmentationSettings("smote"), RNG(42)).features[:5],
    )


def test_too_few_rare_rows_are_repeated_and_told(caplog):
    lesson = rare_lesson(200)
    labels = np.zeros(200)
    labels[[20, 40, 60]] = 1
    labels[-2:] = np.nan
    with caplog.at_level(logging.WARNING):
        found = augmented(replace(lesson, labels=labels), AugmentationSettings("smote"), RNG(0))
    assert "class 'up' has 3 rows, too few for SMOTE" in caplog.text
    n_made = len(found) - 200
    assert n_made > 100
    assert {tuple(row) for row in found.features[:n_made]} == {tuple(row) for row in lesson.features[[20, 40, 60]]}


def test_a_regression_and_a_network_of_windows_have_nothing_to_balance():
    rng = RNG(0)
    numbers = lesson_with(rng.normal(size=(60, 2)), rng.normal(size=60), classes=())
    with pytest.raises(DataError, match="labels are numbers"):
        augmented(numbers, AugmentationSettings("smote"), RNG(0))
    settings = PreparedSettings("gru", vars(SMALL["gru"]), augmentation=AugmentationSettings("smote"))
    with pytest.raises(ConfigError, match="synthetic rows have no bars before them"):
        Prepared(settings).fit(rare_lesson(100), RNG(0))


def test_no_synthetic_row_is_in_a_test_fold_and_none_is_made_from_one(monkeypatch):
    made, real = [], prepared.augmented

    def spying(lesson, settings, generator):
        found = real(lesson, settings, generator)
        made.append((int(lesson.timestamps[-1]), len(found) - len(lesson)))
        return found

    monkeypatch.setattr(prepared, "augmented", spying)
    lesson = rare_lesson(300)
    settings = PreparedSettings("logistic", augmentation=AugmentationSettings("smote"))
    found = cross_fit(lambda: Prepared(settings), lesson, ForwardFolds(3), lambda k: RNG(k))
    assert len(found.columns) == 300
    for (last, n_made), fold in zip(made, found.fitted.folds, strict=False):
        assert last < fold.test_span[0]
        assert n_made > 0


def test_a_rare_class_is_called_more_often_with_smote():
    lesson, later = rare_lesson(600, 0.08, 1), rare_lesson(600, 0.08, 2)
    recall = {}
    for method in ("none", "smote"):
        settings = PreparedSettings("logistic", augmentation=AugmentationSettings(method))
        recall[method] = Prepared(settings).fit(lesson, RNG(0)).validate(later)["recall"]
    assert recall["smote"] > recall["none"] + 0.1


def test_the_gan_learns_moments_and_neighbours_and_its_gate_can_close(caplog):
    rng = RNG(5)
    walk = np.zeros((300, 2))
    for t in range(1, 300):
        walk[t] = 0.8 * walk[t - 1] + rng.normal(size=2)
    lesson = lesson_with(walk, walk[:, 0] > 0)
    settings = AugmentationSettings("gan", n_samples=203, epochs=150, block_size=6, latent=8, largest_distance=0.9)
    with caplog.at_level(logging.INFO):
        found = augmented(lesson, settings, RNG(1))
    assert len(found) - 300 == 203
    assert "deviations from the real ones" in caplog.text
    assert set(np.unique(found.labels[:203])) <= {0.0, 1.0}
    np.testing.assert_array_equal(augmented(lesson, settings, RNG(1)).features, found.features)
    with caplog.at_level(logging.WARNING):
        nothing = augmented(lesson, replace(settings, epochs=1), RNG(1))
    assert len(nothing) == 300
    assert "none is used" in caplog.text


def test_the_distance_sees_means_deviations_and_neighbours():
    rng = RNG(0)
    real = rng.normal(size=(4000, 5, 1))
    assert statistics_distance(real, rng.normal(size=(4000, 5, 1))) < 0.05
    assert statistics_distance(real, real + 0.5) == pytest.approx(0.5)
    assert statistics_distance(real, 2 * real) == pytest.approx(1.0, abs=0.05)
    assert statistics_distance(real, np.repeat(real[:, :1], 5, axis=1)) == pytest.approx(1.0, abs=0.05)
