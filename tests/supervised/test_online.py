"""Learning while predicting: no label before its time, exact batches, drift is followed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lessons import lesson_with

from regimegym.common.errors import ConfigError, DataError, ModelError
from regimegym.supervised.online import LabelQueue, RowRing, prequential
from regimegym.supervised.registry import load_predictor
from regimegym.supervised.scores import classification_scores
from regimegym.supervised.sgd import SGD, SGDSettings


def drifting_lesson(n_rows: int, random_seed: int):
    """Up follows the first feature, and after half of the rows its opposite."""
    rng = np.random.default_rng(random_seed)
    features = rng.normal(size=(n_rows, 3))
    sign = np.where(np.arange(n_rows) < n_rows // 2, 1.0, -1.0)
    return lesson_with(features, sign * features[:, 0] > 0, horizon=4)


class Spy:
    """Remembers what it was taught, by the row number in the first feature."""

    task = "regression"

    def __init__(self):
        self.seen = []

    def predict(self, features):
        return features[:, 0]

    def partial_fit(self, features, labels):
        self.seen += features[:, 0].astype(int).tolist()


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 7))
def test_no_label_is_learned_before_it_is_known(random_seed, horizon, batch_size):
    rng = np.random.default_rng(random_seed)
    rows = np.arange(60)
    ends = np.minimum(rows + rng.integers(0, horizon + 1, 60), 59)
    market = lesson_with(np.column_stack([rows, rows]).astype(float), rng.normal(size=60), 1, ())
    market = replace(market, ends=ends)
    late = []
    spy = Spy()

    def on_update(clock, batch):
        late.extend(ends[batch.features[:, 0].astype(int)] > clock)
        assert batch.features.shape == (batch_size, 2)

    prequential(spy, market, batch_size, on_update=on_update)
    assert not any(late)
    assert spy.seen == list(range(len(spy.seen)))  # each once, oldest first
    assert len(spy.seen) >= 59 - horizon - batch_size


def test_a_queue_lets_nothing_go_early():
    queue = LabelQueue()
    for row in range(5):
        queue.push(row + 3, np.array([row]), float(row))
    assert [label for _, label in queue.known_at(2)] == []
    assert [label for _, label in queue.known_at(4)] == [0.0, 1.0]
    assert len(queue) == 3


def test_a_ring_gives_exact_batches_and_forgets_the_oldest():
    ring = RowRing(4)
    for row in range(6):
        ring.push(np.array([row, row]), float(row))
    assert len(ring) == 4
    batch = ring.take(3)
    assert batch.features.shape == (3, 2)
    np.testing.assert_array_equal(batch.labels, [2, 3, 4])
    np.testing.assert_array_equal(ring.take(1).features, [[5, 5]])


def test_an_empty_ring_says_so():
    with pytest.raises(DataError, match="the ring holds 0 rows"):
        RowRing().take(1)
    with pytest.raises(ConfigError, match="'n_rows'"):
        RowRing().take(0)


def test_a_learner_that_goes_on_follows_a_drift_that_a_frozen_one_misses():
    market = drifting_lesson(3000, 1)
    first, rest = market.until(1000), market.take(np.arange(1000, 3000))
    frozen = SGD().fit(first, np.random.default_rng(0))
    before = frozen.predict_proba(rest.features)
    found = prequential(SGD().fit(first, np.random.default_rng(0)), rest, batch_size=16)
    late = np.arange(2000) >= 1000
    late &= rest.is_known
    accuracy = [classification_scores(rest.labels[late], p[late], ("down", "up"))["accuracy"] for p in (before, found)]
    assert accuracy[0] < 0.2
    assert accuracy[1] > 0.8


def test_the_first_update_may_hold_one_class_only():
    model = SGD().fit(drifting_lesson(200, 2), np.random.default_rng(0))
    model.partial_fit(np.ones((4, 3)), np.ones(4))
    assert model.predict_proba(np.ones((1, 3))).shape == (1, 2)


def test_a_loaded_learner_goes_on_as_if_it_had_never_stopped(tmp_path):
    for settings in (SGDSettings(), SGDSettings("regression"), SGDSettings(learning_rate="invscaling")):
        market = drifting_lesson(300, 3)
        market = replace(market, classes=()) if settings.task == "regression" else market
        model = SGD(settings).fit(market.until(200), np.random.default_rng(0))
        model.save(tmp_path / "sgd")
        again = load_predictor(tmp_path / "sgd")
        for learner in (model, again):
            learner.partial_fit(market.features[200:250], np.nan_to_num(market.labels[200:250]))
        np.testing.assert_array_equal(model.predict(market.features), again.predict(market.features))


def test_three_classes_are_probabilities_as_scikit_learn_makes_them():
    rng = np.random.default_rng(4)
    features = rng.normal(size=(400, 3))
    market = lesson_with(features, np.digitize(features[:, 0], [-0.5, 0.5]), 1, ("a", "b", "c"))
    model = SGD().fit(market, np.random.default_rng(0))
    theirs = model.model.predict_proba(model.scaler.transform(features).astype(float))
    np.testing.assert_allclose(model.predict_proba(features), theirs, atol=1e-9)


def test_a_learner_of_one_class_cannot_go_on():
    market = drifting_lesson(100, 5)
    model = SGD().fit(replace(market, labels=np.where(market.is_known, 1.0, np.nan)), np.random.default_rng(0))
    with pytest.raises(ModelError, match="one class only"):
        model.partial_fit(np.ones((1, 3)), np.ones(1))
