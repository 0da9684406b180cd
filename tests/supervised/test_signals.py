"""Signals: out-of-fold columns by hand, no column ever sees its future, what is kept is what was fitted."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError, DataError, ModelError
from regimegym.features.market import prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.segments import Piece
from regimegym.features.synthetic.worlds import regime_switching_market
from regimegym.supervised.base import Predictor, State
from regimegym.supervised.cross_validation import ForwardFolds
from regimegym.supervised.floors import LastValue
from regimegym.supervised.hidden_markov import HiddenMarkov, HMMSettings
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.predictor_set import PredictorSet, fit_predictors
from regimegym.supervised.signals import (
    Serving,
    cross_fit,
    joined,
    lesson_before,
    row_intervals,
    served,
    signal_columns,
)

BAR = 3_600_000_000_000


@dataclass(frozen=True)
class RunningSettings:
    """Nothing to set."""


class Running(Predictor):
    """Share of rises among all rows so far, shifted by the share of the lesson: it remembers everything."""

    settings_type = RunningSettings
    row_wise = False

    def _fit(self, lesson, generator):
        self.base = float(np.nanmean(lesson.labels)) + 1e-3 * generator.random()

    def _probabilities(self, features):
        up = (self.base + np.cumsum(features[:, 0] > 0) / np.arange(1, len(features) + 1)) / 3
        return np.stack([1 - up, up], axis=1)

    def _state(self):
        return State({"base": self.base})

    def _restore(self, state):
        self.base = state.values["base"]


def lesson_of_rows(n_rows: int, horizon: int, seed: int = 0) -> Lesson:
    rng = np.random.default_rng(seed)
    rows = np.arange(n_rows)
    labels = rng.integers(0, 2, n_rows).astype(float)
    labels[n_rows - horizon :] = np.nan
    ends = np.minimum(rows + horizon, n_rows - 1)
    return Lesson(rng.normal(size=(n_rows, 2)), labels, ends, ("move", "other"), rows * BAR, None, ("down", "up"))


def generator_of(k: int) -> np.random.Generator:
    return np.random.default_rng([7, k])


def test_out_of_fold_columns_are_those_computed_by_hand():
    lesson, horizon = lesson_of_rows(30, horizon=2), 2
    found = cross_fit(LastValue, lesson, ForwardFolds(3, initial_train_size=9), generator_of)
    assert found.names == ("up",)
    expected, fold = np.full(30, np.nan), np.full(30, -1)
    for k, (start, stop) in enumerate([(9, 16), (16, 23), (23, 30)]):
        for t in range(start, stop):
            counts = [1, 1]  # as the predictor begins to count
            for i in range(start):
                if i + horizon < start and np.sign(lesson.features[i, 0]) == np.sign(lesson.features[t, 0]):
                    counts[int(lesson.labels[i])] += 1
            expected[t], fold[t] = counts[1] / sum(counts), k
    np.testing.assert_array_equal(found.fold, fold)
    np.testing.assert_allclose(found.columns[:, 0], expected, rtol=1e-15)
    assert np.isfinite(expected).sum() == 21


def test_the_last_model_has_learned_the_whole_lesson():
    lesson = lesson_of_rows(30, 2)
    found = cross_fit(LastValue, lesson, ForwardFolds(3), generator_of).fitted.last
    whole = LastValue().fit(lesson, generator_of(3))
    np.testing.assert_array_equal(found.shares, whole.shares)


@given(st.lists(st.integers(0, 9), min_size=50, max_size=70), st.integers(0, 4), st.booleans())
def test_a_model_learns_the_labels_that_the_splitter_left_it(horizons, embargo, anchored):
    rows = np.arange(len(horizons))
    ends = np.minimum(rows + horizons, len(rows) - 1)
    labels = np.where(rows % 3, 1.0, 0.0)
    lesson = Lesson(np.zeros((len(rows), 1)), labels, ends, ("x",), rows * BAR, None, ("down", "up"))
    plan = ForwardFolds(3, initial_train_size=25, embargo_size=embargo, anchored=anchored)
    for fold in plan.folds(row_intervals(lesson)):
        part = lesson_before(lesson, fold.train_span[0], fold.test_span[0], embargo)
        np.testing.assert_array_equal(fold.train[0] + np.flatnonzero(part.is_known), fold.train)


@pytest.mark.parametrize("make", [LastValue, Running, lambda: states_and_more()])
def test_another_future_changes_no_column_until_then(make):
    lesson, plan, rng = lesson_of_rows(60, 3), ForwardFolds(4, initial_train_size=20), np.random.default_rng(1)
    truth = cross_fit(make, lesson, plan, generator_of).columns
    for cut in (21, 29, 30, 31, 45, 50):
        features, labels = lesson.features.copy(), lesson.labels.copy()
        features[cut + 1 :] = rng.normal(size=(59 - cut, 2))
        later = lesson.is_known & (lesson.ends > cut)
        labels[later] = 1.0 - labels[later]
        other = cross_fit(make, replace(lesson, features=features, labels=labels), plan, generator_of).columns
        np.testing.assert_array_equal(truth[: cut + 1], other[: cut + 1])
        assert not np.array_equal(truth, other, equal_nan=True)


def states_and_more() -> HiddenMarkov:
    signals = ("next", "leaving", "bars_in_state", "change")
    return HiddenMarkov(HMMSettings(("move", "other"), 2, n_restarts=1, n_iter=5, state_signals=signals))


def test_states_signals_are_cross_fitted_and_the_answers_among_them_are_probabilities():
    lesson, plan = lesson_of_rows(120, 3), ForwardFolds(2, initial_train_size=40)
    found = cross_fit(states_and_more, lesson, plan, generator_of)
    assert found.names == ("state_2", "next_state_1", "next_state_2", "leaving", "bars_in_state", "change")
    for k, (start, stop) in enumerate([(40, 80), (80, 120)]):
        model = states_and_more().fit(lesson_before(lesson, 0, start * BAR), generator_of(k))
        told = model.state_features(lesson.features[:stop])
        expected = np.column_stack([told["probability_state_2"], *(told[name] for name in found.names[1:])])
        np.testing.assert_array_equal(found.columns[start:stop], expected[start:stop])
    assert found.answers.shape == (120, 2)
    np.testing.assert_allclose(found.answers[40:].sum(axis=1), 1.0)


def test_nothing_is_remembered_from_one_piece_into_the_next():
    lesson = lesson_of_rows(40, 2)
    model = Serving(0, 0, Running().fit(lesson, generator_of(0)))
    columns, fold = served(
        [model], lesson.features, lesson.names, lesson.timestamps, [Piece(0, 15, 4), Piece(15, 40, 20)]
    )
    for first, stop in ((4, 15), (20, 40)):
        alone = signal_columns(model.predictor, lesson.features[first:stop], lesson.names)
        np.testing.assert_array_equal(columns[first:stop], alone)
    assert np.isnan(columns[[0, 3, 15, 19]]).all()
    assert fold[[3, 4, 19, 20]].tolist() == [-1, 0, -1, 0]


@pytest.fixture(scope="module")
def market():
    return prepare_market(regime_switching_market(900, 3).bars, None, FeatureSettings(("return_1", "rsi")))


@pytest.fixture(scope="module")
def signals(market):
    table = market.table
    rows = np.arange(table.warm_up, 700)
    closes = market.bars.close[rows]
    labels = np.append(closes[5:] > closes[:-5], [np.nan] * 5).astype(float)
    ends = np.minimum(np.arange(len(rows)) + 5, len(rows) - 1)
    lesson = Lesson(table.values[rows], labels, ends, table.names, table.timestamps[rows], closes, ("down", "up"))
    return fit_predictors({"last": LastValue, "again": LastValue}, lesson, ForwardFolds(3), 1)


def test_a_market_begins_where_all_its_signals_are_known(market, signals):
    richer = signals.join(market)
    assert richer.table.names == ("return_1", "rsi", "last_up", "again_up")
    first = int(np.searchsorted(market.table.timestamps, signals.models["last"][0].since))
    assert richer.table.warm_up == richer.table.pieces[0].first_row == first > market.table.warm_up
    assert np.isnan(richer.table.values[:first]).all()
    assert np.isfinite(richer.table.values[first:]).all()
    np.testing.assert_array_equal(richer.table.values[first:, :2], market.table.values[first:])


def test_a_hole_in_a_signal_is_refused_with_its_row(market):
    columns = np.zeros((900, 1))
    columns[600] = np.nan
    with pytest.raises(DataError, match="signal 'x_up' is nan on row 600"):
        joined(market, columns, ["x_up"])
    with pytest.raises(DataError, match="no row has all signals"):
        joined(market, columns * np.nan, ["x_up"])


def test_the_last_models_come_back_as_they_were(market, signals, tmp_path):
    signals.save(tmp_path / "signals")
    back = PredictorSet.load(tmp_path / "signals")
    assert (back.names, back.inputs) == (signals.names, signals.inputs)
    last = signals.models["last"][-1].since
    served_by_last = market.table.timestamps >= last
    assert served_by_last.sum() == 200
    np.testing.assert_array_equal(back.columns(market)[served_by_last], signals.columns(market)[served_by_last])
    scored = [fold["scores"]["rows"] for fold in back.about["last"]["folds"]]
    assert scored == [fold["test_rows"] - 5 * (k == 2) for k, fold in enumerate(back.about["last"]["folds"])]


def test_edited_signals_are_refused(signals, tmp_path):
    signals.save(tmp_path)
    path = tmp_path / "predictors.json"
    path.write_text(path.read_text().replace("last_up", "lost_up"))
    with pytest.raises(ModelError, match="was changed after it was written"):
        PredictorSet.load(tmp_path)
    path.write_text(json.dumps([1]))
    with pytest.raises(ModelError, match="does not describe predictors"):
        PredictorSet.load(tmp_path)
    with pytest.raises(ModelError, match=r"holds no predictors\.json"):
        PredictorSet.load(tmp_path / "nowhere")


def test_a_signal_with_the_name_of_a_feature_is_refused():
    lesson = lesson_of_rows(40, 2)
    lesson = replace(lesson, names=("move", "last_up"))
    with pytest.raises(ConfigError, match="'last_up' has the name of another column"):
        fit_predictors({"last": LastValue}, lesson, ForwardFolds(2), 0)


def test_models_that_disagree_on_their_classes_are_refused():
    class Unsteady(Running):
        """As many classes as it likes."""

        def _classes_of(self, lesson):
            return ("down", "up") if len(lesson) < 25 else ("down", "flat", "up")

    with pytest.raises(DataError, match="other classes in one fold"):
        cross_fit(Unsteady, lesson_of_rows(40, 2), ForwardFolds(3), generator_of)
