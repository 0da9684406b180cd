"""Lorentzian neighbours: a metric, equal to the slow search, none too near in time, recall as measured."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lessons import accuracy_interval, lesson_with, noise_lesson, nonlinear_lesson

from regimegym.common.errors import ConfigError, ModelError
from regimegym.supervised.lorentzian import Lorentzian, LorentzianSettings
from regimegym.supervised.lorentzian_scaler import LorentzianScaler, fit_lorentzian_scaler
from regimegym.supervised.lorentzian_search import NO_CLOCK, build_index, lorentzian_distance, search


def slow_search(points, known, query, clock, k):
    """Sort them all."""
    near = sorted((sum(np.log(1 + abs(a - b)) for a, b in zip(p, query, strict=True)), i) for i, p in enumerate(points))
    return [i for _, i in near if known[i] < clock][:k]


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 90), st.integers(1, 12))
def test_the_search_equals_the_slow_one_with_ties_and_clocks(random_seed, n_features, n_rows, k):
    rng = np.random.default_rng(random_seed)
    points = rng.integers(-3, 4, (n_rows, n_features)).astype(float)  # many ties
    known, clocks = rng.integers(0, 50, n_rows), rng.integers(0, 60, 20)
    queries = rng.integers(-3, 4, (20, n_features)).astype(float)
    index = build_index(points, known, 10.0)
    found = search(index._replace(group=2), queries, clocks, k)
    for q in range(20):
        expected = slow_search(points, known, queries[q], clocks[q], k)
        at = found.rows[q][found.rows[q] >= 0]
        distances = lorentzian_distance(points[at], queries[q])
        np.testing.assert_allclose(found.distances[q][: len(at)], distances, atol=1e-12)
        np.testing.assert_allclose(distances, lorentzian_distance(points[expected], queries[q]), atol=1e-12)
        assert (known[at] < clocks[q]).all()
        assert len(at) == len(expected)
        assert (found.rows[q][len(at) :] == -1).all()


def test_of_equally_near_rows_the_earlier_comes_first():
    index = build_index(np.array([[1.0], [0.0], [1.0], [0.0]]), np.zeros(4), 10.0)
    found = search(index, np.array([[0.0]]), np.array([NO_CLOCK]), 3)
    np.testing.assert_array_equal(found.rows, [[1, 3, 0]])


@given(st.integers(0, 100_000))
def test_the_distance_is_a_metric(random_seed):
    a, b, c = np.random.default_rng(random_seed).standard_t(2, size=(3, 6))
    assert lorentzian_distance(a, b) == lorentzian_distance(b, a) > 0
    assert lorentzian_distance(a, a) == 0
    assert lorentzian_distance(a, c) <= lorentzian_distance(a, b) + lorentzian_distance(b, c) + 1e-12


def test_many_features_do_not_overflow_the_product():
    points = np.tile([[10.0], [-9.5]], (1, 1000))
    found = search(build_index(points, np.zeros(2), 10.0), np.full((1, 1000), -10.0), np.array([NO_CLOCK]), 2)
    np.testing.assert_array_equal(found.rows, [[1, 0]])
    np.testing.assert_allclose(found.distances, [[1000 * np.log(1.5), 1000 * np.log(21)]])


def test_no_neighbour_lies_inside_the_embargo():
    market = nonlinear_lesson(400, 1)
    market = replace(market, ends=np.minimum(np.arange(400) + 1, 399))
    model = Lorentzian(LorentzianSettings(embargo=20)).fit(market, np.random.default_rng(0))
    found = model.neighbours(market.features, market.timestamps)
    rows = np.arange(400)[:, None]
    there = found.rows >= 0
    assert (np.where(there, model.ends[found.rows], -100) + 20 < rows)[there].all()
    assert (found.rows[:22] == -1).all()
    assert there[30:].all()
    nearest = model.neighbours(market.features).rows[:, 0]
    np.testing.assert_array_equal(nearest[:-1], np.arange(399))  # without a time, each row finds itself


def test_rows_after_the_lesson_are_counted_on_in_bars():
    market = nonlinear_lesson(100, 2)
    model = Lorentzian(LorentzianSettings(embargo=20, n_neighbors=100)).fit(market, np.random.default_rng(0))
    hour = int(market.timestamps[1] - market.timestamps[0])
    later = market.timestamps[-1] + hour * np.array([1, 11, 40])
    found = model.neighbours(np.zeros((3, 6)), later)
    assert [row.max() for row in found.rows] == [100 - 20 - 2, 110 - 20 - 2, 98]


def test_on_its_own_lesson_no_row_sees_its_own_label():
    market = noise_lesson(2000, 3)
    model = Lorentzian(LorentzianSettings(n_neighbors=1, prior=0.0)).fit(market, np.random.default_rng(0))
    low, high = accuracy_interval(model.validate(market)["accuracy"], 1999)
    assert low < 0.5 < high
    assert (model.predict(market.features)[:-1] == market.labels[:-1]).all()  # asked without a time, it would


def test_a_planted_nonlinear_signal_is_found():
    market = nonlinear_lesson(3000, 4)
    model = Lorentzian(LorentzianSettings(n_neighbors=25)).fit(market.until(2500), np.random.default_rng(0))
    assert model.validate(market.take(np.arange(2500, 3000)))["accuracy"] > 0.65


@pytest.mark.parametrize("k", [40, 100])
def test_more_neighbours_than_rows_are_all_rows(k):
    market = noise_lesson(30, 5)
    model = Lorentzian(LorentzianSettings(n_neighbors=k)).fit(market, np.random.default_rng(0))
    share = market.labels[market.is_known].mean()
    np.testing.assert_allclose(model.predict_proba(np.zeros((3, 6)))[:, 1], share)


def test_the_approximate_search_has_the_recall_it_says():
    rng = np.random.default_rng(6)
    centres = 3.0 * rng.normal(size=(30, 8))
    features = centres[rng.integers(0, 30, 3000)] + 0.5 * rng.normal(size=(3000, 8))
    market = lesson_with(features, rng.integers(0, 2, 3000))
    models = [
        Lorentzian(LorentzianSettings(method=method)).fit(market, np.random.default_rng(0))
        for method in ("exact", "approximate")
    ]
    asked = centres[rng.integers(0, 30, 200)] + 0.5 * rng.normal(size=(200, 8))
    exact, near = (model.neighbours(asked).rows for model in models)
    recall = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(exact.tolist(), near.tolist(), strict=True)])
    assert recall > 0.9
    assert models[1].recall == pytest.approx(recall, abs=0.07)
    assert models[0].recall == 1.0
    searched = [(models[1].index.starts[1:] - models[1].index.starts[:-1]).max()]
    assert 8 * searched[0] < models[0].index.starts[-1]  # a fraction of the blocks


def test_all_lists_searched_are_the_exact_search():
    market = nonlinear_lesson(300, 7)
    settings = LorentzianSettings(method="approximate", n_lists=10, n_probe=10)
    near = Lorentzian(settings).fit(market, np.random.default_rng(0))
    exact = Lorentzian().fit(market, np.random.default_rng(0))
    asked = np.random.default_rng(8).normal(size=(40, 6))
    np.testing.assert_array_equal(near.neighbours(asked).rows, exact.neighbours(asked).rows)
    assert near.recall == 1.0


def test_the_width_is_chosen_by_later_rows():
    rng = np.random.default_rng(9)
    features = np.column_stack([rng.normal(size=(1500, 1)), rng.normal(size=(1500, 3))])
    market = lesson_with(features, features[:, 0] + 0.1 * rng.normal(size=1500), 1, ())
    settings = LorentzianSettings("regression", widths=(0.01, 0.3, 3.0), n_neighbors=8)
    model = Lorentzian(settings).fit(market, np.random.default_rng(0))
    widths = model.scaler.spread / fit_lorentzian_scaler(features[:-1], market.names).spread
    assert widths[0] == pytest.approx(widths[-1])
    errors = {
        width: Lorentzian(replace(settings, widths=(width,)))
        .fit(market.until(1200), np.random.default_rng(0))
        .validate(market.take(np.arange(1200, 1500)))["mse"]
        for width in settings.widths
    }
    assert widths[0] == pytest.approx(min(errors, key=errors.get))


@given(st.integers(0, 10_000))
def test_the_scaler_can_be_inverted_and_bounds_outliers(random_seed):
    rng = np.random.default_rng(random_seed)
    values = np.column_stack([100 + 5 * rng.standard_t(1.5, 200), np.full(200, 3.0), (rng.random(200) < 0.1) * 7.0])
    scaler = fit_lorentzian_scaler(values, ("a", "b", "c"))
    scaled = scaler.transform(values)
    assert (np.abs(scaled) < 10).all()
    z = (values - scaler.centre) / scaler.spread
    inside = np.abs(z) <= 5
    np.testing.assert_array_equal(scaled[inside], z[inside])
    np.testing.assert_allclose(scaler.inverse(scaled), values, rtol=1e-7)
    assert (np.diff(scaled[np.argsort(values[:, 0]), 0]) >= 0).all()
    again = LorentzianScaler.from_dict(scaler.to_dict())
    np.testing.assert_array_equal(again.transform(values), scaled)


def test_a_damaged_scaler_is_refused():
    with pytest.raises(ModelError, match="must be positive"):
        LorentzianScaler(("a",), np.zeros(1), np.zeros(1))
    with pytest.raises(ConfigError, match="one width or more"):
        LorentzianSettings(widths=())
