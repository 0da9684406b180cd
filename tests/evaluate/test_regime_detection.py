"""Detected regimes against known ones: names do not matter, delay does."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from regimegym.common.errors import DataError
from regimegym.common.seeding import generator
from regimegym.evaluate.regime_detection import detection
from regimegym.features.regimes import classify_regimes
from regimegym.features.synthetic.catalogue import draw_world


def test_the_same_regimes_under_other_names_are_found_at_once():
    truth = np.repeat([0, 1, 2, 0, 3], 50)
    found = detection(np.array([2, 3, 0, 1])[truth], truth)
    assert (found.adjusted_rand, found.accuracy, found.plain_accuracy) == (1.0, 1.0, 0.0)
    assert found.delays.tolist() == [0, 0, 0, 0]
    assert (found.missed, found.median_delay, found.false_changes) == (0.0, 0.0, 1.0)


def test_a_late_label_is_late_by_as_many_bars():
    truth = np.repeat([0, 1, 0, 1], 50)
    found = detection(np.concatenate([np.zeros(7, np.int64), truth[:-7]]), truth)
    assert found.delays.tolist() == [7, 7, 7]
    assert found.accuracy == pytest.approx(1 - 21 / 200)
    assert found.confusion.sum() == found.n_bars == 200


def test_a_change_that_is_never_seen_counts_as_missed():
    truth = np.repeat([0, 1, 0, 1], 50)
    labels = np.repeat([0, 0, 0, 1], 50)
    found = detection(labels, truth)
    assert np.isnan(found.delays).tolist() == [True, False, False]
    assert found.missed == pytest.approx(1 / 3)
    assert found.delays[1:].tolist() == [0, 0]


def test_random_labels_agree_by_chance_only():
    rng = np.random.default_rng(0)
    truth, labels = np.repeat(rng.integers(4, size=40), 50), rng.integers(4, size=2000)
    found = detection(labels, truth)
    assert found.adjusted_rand == pytest.approx(adjusted_rand_score(truth, labels))
    assert abs(found.adjusted_rand) < 0.02
    assert found.accuracy < 0.4


def test_unknown_bars_are_left_out():
    found = detection(np.array([-1, 0, 0, 1, 1]), np.array([0, 0, 0, 1, -1]))
    assert found.n_bars == 3
    assert found.accuracy == 1.0
    with pytest.raises(DataError, match="no bar on which both"):
        detection(np.array([-1, -1]), np.array([0, 1]))
    with pytest.raises(DataError, match="3 labels cannot be judged by 2"):
        detection(np.zeros(3, np.int64), np.zeros(2, np.int64))


def test_a_steady_truth_has_no_delay_to_speak_of():
    found = detection(np.zeros(10, np.int64), np.zeros(10, np.int64))
    assert len(found.delays) == 0
    assert np.isnan([found.median_delay, found.missed, found.false_changes]).all()


def test_rule_labels_find_most_of_a_world_with_planted_regimes():
    bars, truth = draw_world("regime_switches", 6000, generator(0, "detection"))
    found = detection(classify_regimes(bars.close).labels, truth.regimes)
    assert found.accuracy > 0.55
    assert found.adjusted_rand > 0.2
    assert 0 < found.median_delay < 40
