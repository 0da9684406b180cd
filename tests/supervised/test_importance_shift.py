"""Importance shifts: a planted swap of the informative feature is flagged, and where nothing changed little is."""

from functools import partial

import numpy as np
import pytest

from regimegym.common.errors import ConfigError, DataError
from regimegym.features.importance_shift import importance_shifts
from regimegym.supervised.checks import BAR
from regimegym.supervised.importance_shift import Shift, feature_shifts
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.registry import get_predictor

LOGISTIC = partial(get_predictor, "logistic", {"C": 1.0})
FOREST = partial(get_predictor, "random_forest", {"n_estimators": 10, "max_features": 1.0, "n_jobs": 1})


def market(random_seed: int, swap: float | None = None, n_rows: int = 1_800, is_number: bool = False) -> Lesson:
    """Persistent features of which `a` tells the label, known three rows on; from the share `swap` on it is `b`."""
    rng = np.random.default_rng(random_seed)
    noise = rng.normal(size=(n_rows, 5))
    features = np.empty_like(noise)
    features[0] = noise[0]
    for t in range(1, n_rows):
        features[t] = 0.8 * features[t - 1] + 0.6 * noise[t]
    rows = np.arange(n_rows)
    informative = np.where(rows < n_rows * (1.0 if swap is None else swap), features[:, 0], features[:, 1])
    values = informative + rng.normal(size=n_rows)
    labels = values if is_number else (values > 0).astype(float)
    labels[-3:] = np.nan
    classes = () if is_number else ("down", "up")
    return Lesson(features, labels, np.minimum(rows + 3, n_rows - 1), tuple("abcde"), BAR * rows, None, classes)


def sure(lesson: Lesson, make=LOGISTIC, random_seed: int = 0) -> dict[str, Shift]:
    found = feature_shifts(make, lesson, np.random.default_rng(random_seed))
    return {shift.names[0]: shift for shift in found if shift.is_sure}


@pytest.mark.parametrize("swap", [0.2, 0.45, 0.55, 0.8])
@pytest.mark.parametrize("make", [LOGISTIC, FOREST])
def test_a_planted_swap_of_the_informative_feature_is_flagged_wherever_it_happens(make, swap):
    found = sure(market(3, swap), make)
    changed = [found[name] for name in ("a", "b") if name in found]
    assert changed
    assert "a" not in found or found["a"].after < found["a"].before
    assert min(abs(shift.since / BAR - 1_800 * swap) for shift in changed) < 180


def test_where_nothing_changed_little_is_flagged():
    n_worlds = 25
    flagged = sum(bool(sure(market(seed), random_seed=seed)) for seed in range(n_worlds))
    assert flagged / n_worlds <= 0.16  # 5 % and the chance of 25 worlds


def test_nine_of_ten_swaps_are_flagged():
    found = [sure(market(seed, 0.5), random_seed=seed) for seed in range(10)]
    assert sum(bool({"a", "b"} & set(one)) for one in found) >= 9


def test_a_number_is_judged_by_its_squared_error():
    make = partial(get_predictor, "sgd", {"task": "regression"})
    assert {"a", "b"} & set(sure(market(1, 0.5, is_number=True), make))
    assert not sure(market(1, is_number=True), make)


def test_columns_that_are_alike_shift_together():
    lesson = market(2, 0.5)
    twice = np.column_stack([lesson.features, lesson.features[:, 0] * 2.0])
    parts = (twice, lesson.labels, lesson.ends, tuple("abcdef"), lesson.timestamps, None, lesson.classes)
    names = [shift.names for shift in feature_shifts(LOGISTIC, Lesson(*parts), np.random.default_rng(0))]
    assert names == [("a", "f"), ("b",), ("c",), ("d",), ("e",)]


def test_the_row_of_the_change_and_the_means_beside_it_are_found():
    rng = np.random.default_rng(0)
    worth = rng.normal(size=(1_000, 2))
    worth[400:, 0] += 2.0
    first, second = importance_shifts(worth, ("x", "y"), 20, rng)
    assert abs(first.row - 400) <= 5
    assert (first.before, first.after) == pytest.approx((0.0, 2.0), abs=0.15)
    assert first.p == 1 / 500
    assert first.p_adjusted == 2 / 500
    assert second.p > 0.05


@pytest.mark.parametrize("phi", [0.0, 0.7])
def test_p_values_of_a_series_without_a_change_are_not_too_small(phi):
    rng = np.random.default_rng(4)
    series = rng.normal(size=(600, 200))
    for t in range(1, 600):
        series[t] += phi * series[t - 1]
    found = importance_shifts(series, [str(k) for k in range(200)], 30, rng, n_resamples=199)
    assert 0.01 <= np.mean([shift.p <= 0.05 for shift in found]) <= 0.1


def test_what_cannot_be_told_is_refused():
    with pytest.raises(ConfigError, match="cannot be shuffled row by row"):
        feature_shifts(partial(get_predictor, "hmm"), market(0), np.random.default_rng(0))
    with pytest.raises(DataError, match="199 rows are too few"):
        importance_shifts(np.zeros((199, 1)), ("x",), 20, np.random.default_rng(0))
