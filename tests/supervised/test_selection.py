"""Selection: what is planted is kept, copies stand and fall together, no test row is looked at."""

from dataclasses import replace

import numpy as np
import pytest
from lessons import lesson_with
from small_predictors import SMALL

from regimegym.common.errors import ConfigError, DataError
from regimegym.supervised import prepared
from regimegym.supervised.base import Predictor
from regimegym.supervised.comparison import cross_validate
from regimegym.supervised.cross_validation import ForwardFolds
from regimegym.supervised.prepared import Prepared, PreparedSettings
from regimegym.supervised.registry import get_predictor
from regimegym.supervised.selection import (
    SelectionSettings,
    correlated_groups,
    permutation_importance,
    select,
)

METHODS = ("importance", "rfe", "permutation")


def forest() -> Predictor:
    return get_predictor("random_forest", SMALL["random_forest"])


def planted(n_rows: int, random_seed: int, n_noise: int = 10):
    """Two of the columns decide; x3 is almost a copy of x1, the rest is noise."""
    rng = np.random.default_rng(random_seed)
    features = rng.normal(size=(n_rows, 4 + n_noise))
    features[:, 3] = features[:, 1] + 0.01 * rng.normal(size=n_rows)
    up = features[:, 1] + features[:, 2] + 0.3 * rng.normal(size=n_rows) > 0
    return lesson_with(features, up)


@pytest.mark.parametrize("method", METHODS)
def test_what_decides_is_kept_and_noise_is_not(method):
    settings = SelectionSettings(method, n_features=3, n_repeats=3)
    found = select(forest, planted(600, 1), settings, np.random.default_rng(0))
    assert found.names == ("x1", "x2", "x3")
    assert max(found.worth, key=found.worth.get) in found.names


def test_without_a_method_all_features_stay():
    lesson = planted(50, 1)
    assert select(forest, lesson, SelectionSettings(), np.random.default_rng(0)).names == lesson.names


def test_copies_are_shuffled_together_so_that_neither_hides_the_other():
    lesson, later = planted(600, 1), planted(400, 2)
    fitted = forest().fit(lesson, np.random.default_rng(0))
    groups = correlated_groups(lesson.features, 0.95)
    assert [group.tolist() for group in groups if len(group) > 1] == [[1, 3]]
    alone = [np.array([i]) for i in range(14)]
    together = permutation_importance(fitted, later, groups, 5, np.random.default_rng(0))
    apart = permutation_importance(fitted, later, alone, 5, np.random.default_rng(0))
    assert together[1] == together[3] > 1.3 * max(apart[1], apart[3])
    again = permutation_importance(fitted, later, groups, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(together, again)


def test_on_later_rows_noise_that_was_learned_by_heart_is_worth_nothing():
    rng = np.random.default_rng(3)
    lesson = lesson_with(rng.normal(size=(200, 5)), rng.integers(0, 2, 200))
    later = lesson_with(rng.normal(size=(200, 5)), rng.integers(0, 2, 200))
    fitted = forest().fit(lesson, rng)
    alone = [np.array([i]) for i in range(5)]
    on_own = permutation_importance(fitted, lesson, alone, 5, np.random.default_rng(0))
    on_later = permutation_importance(fitted, later, alone, 5, np.random.default_rng(0))
    assert on_own.min() > 0.02
    assert on_later.mean() < 0.01


def test_groups_are_linked_by_way_of_others_and_constants_stand_alone():
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    a, b, c = x, x + 0.45 * rng.normal(size=2000), x + 0.45 * rng.normal(size=2000) + 0.3
    features = np.column_stack([a, np.ones(2000), b, c, rng.normal(size=2000)])
    features[5, 0] = np.nan
    assert [group.tolist() for group in correlated_groups(features, 0.85)] == [[0, 2, 3], [1], [4]]
    assert len(correlated_groups(np.column_stack([a, a]), 1.0)) == 2


def test_a_threshold_keeps_fewer_and_at_least_one():
    lesson = planted(400, 1)
    few = select(forest, lesson, SelectionSettings("importance", 10, threshold=0.1), np.random.default_rng(0))
    assert set(few.names) == {"x1", "x2", "x3"}
    one = select(forest, lesson, SelectionSettings("importance", 10, threshold=0.99), np.random.default_rng(0))
    assert len(one.names) == 1


def test_more_features_than_there_are_cannot_be_kept():
    with pytest.raises(DataError, match="20 features are to be kept of 14"):
        select(forest, planted(60, 1), SelectionSettings("rfe"), np.random.default_rng(0))
    with pytest.raises(ConfigError, match=r"selection\.method"):
        SelectionSettings("lasso")


def test_selection_happens_inside_each_fold(monkeypatch):
    seen, of_fold = [], prepared.select

    def spying(make, lesson, settings, generator):
        seen.append(int(lesson.timestamps[-1]))
        return of_fold(make, lesson, settings, generator)

    monkeypatch.setattr(prepared, "select", spying)
    settings = PreparedSettings("logistic", selection=SelectionSettings("permutation", 2, n_repeats=2))
    found = cross_validate("x", lambda: Prepared(settings), planted(300, 1), ForwardFolds(3), 0)
    assert len(seen) == 4
    for last, fold in zip(seen, found.folds, strict=False):
        assert last < fold.test_span[0]


def test_features_chosen_from_noise_predict_no_better_than_chance():
    rng = np.random.default_rng(7)
    lesson = lesson_with(rng.normal(size=(300, 200)), rng.integers(0, 2, 300))
    settings = PreparedSettings("logistic", selection=SelectionSettings("importance", 10))
    found = cross_validate("chosen", lambda: Prepared(settings), lesson, ForwardFolds(3), 0)
    assert found.intervals["auc"].low < 0.5 < found.intervals["auc"].high
    # Chosen on all rows first, the same ten look like knowledge.
    leaked = select(lambda: get_predictor("logistic"), lesson, settings.selection, rng)
    columns = [lesson.names.index(name) for name in leaked.names]
    cheating = replace(lesson, features=lesson.features[:, columns], names=leaked.names)
    assert (
        cross_validate("leaked", lambda: get_predictor("logistic"), cheating, ForwardFolds(3), 0).intervals["auc"].low
        > 0.5
    )


def test_the_same_columns_are_used_at_inference_and_after_loading(tmp_path):
    lesson, later = planted(300, 1), planted(100, 2)
    settings = PreparedSettings("logistic", selection=SelectionSettings("importance", 3))
    model = Prepared(settings).fit(lesson, np.random.default_rng(0))
    assert len(model.chosen) == 3
    other = later.features.copy()
    unused = [i for i, name in enumerate(lesson.names) if name not in model.chosen]
    other[:, unused] = 99.0
    np.testing.assert_array_equal(model.predict_proba(other), model.predict_proba(later.features))
    assert {name for name, worth in model.feature_importance().items() if worth > 0} == set(model.chosen)
    model.save(tmp_path / "model")
    again = Prepared.load(tmp_path / "model")
    assert (again.chosen, again.worth, again.version) == (model.chosen, model.worth, 1)
    np.testing.assert_array_equal(again.predict_proba(later.features), model.predict_proba(later.features))


def test_choosing_again_from_other_rows_raises_the_version():
    settings = PreparedSettings("logistic", selection=SelectionSettings("importance", 2))
    lesson = planted(300, 1)
    model = Prepared(settings).fit(lesson, np.random.default_rng(0))
    first = model.chosen
    model.fit(lesson, np.random.default_rng(0))
    assert (model.chosen, model.version) == (first, 1)
    rng = np.random.default_rng(1)
    elsewhere = lesson_with(lesson.features, lesson.features[:, 8] + 0.1 * rng.normal(size=300) > 0)
    model.fit(elsewhere, np.random.default_rng(0))
    assert "x8" in model.chosen
    assert model.version == 2
