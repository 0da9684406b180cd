"""The table: scores over rows nobody had learned, intervals that cover, differences that are paired."""

from dataclasses import replace

import numpy as np
import pytest
from lessons import lesson_with, noise_lesson, nonlinear_lesson
from small_predictors import SMALL

from regimegym.common.errors import ConfigError
from regimegym.supervised.comparison import (
    IntervalSettings,
    comparison_table,
    cross_validate,
    paired_difference,
    score_intervals,
)
from regimegym.supervised.cross_validation import ForwardFolds
from regimegym.supervised.registry import get_predictor
from regimegym.supervised.scores import classification_scores

PLAN, QUICK = ForwardFolds(3), IntervalSettings(n_resamples=200)


def validated(name, lesson):
    return cross_validate(name, lambda: get_predictor(name, SMALL.get(name)), lesson, PLAN, 0, QUICK)


@pytest.fixture(scope="module")
def found():
    lesson = nonlinear_lesson(600, 1)
    return [validated(name, lesson) for name in ("majority", "logistic", "random_forest")]


def test_scores_are_over_the_rows_of_all_folds(found):
    forest = found[2]
    assert len(forest.rows) == 450 - 1
    assert sum(one["rows"] for one in forest.fold_scores) == 449
    direct = classification_scores(forest.labels, forest.answers, forest.classes)
    assert forest.scores == pytest.approx(direct)
    for k, fold in enumerate(forest.folds):
        assert (forest.found.fold[fold.test] == k).all()
    assert forest.intervals["auc"].low > 0.6 > found[1].intervals["auc"].low


def test_the_table_never_shows_precision_without_coverage(found):
    lines = comparison_table(found)
    assert len(lines) == 4
    assert "precision (coverage)" in lines[0]
    assert all(line.count("%") == 2 for line in lines[2:])
    assert "AUC" in lines[0]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    numbers = cross_validate(
        "forest",
        lambda: get_predictor("random_forest", {"task": "regression", "n_estimators": 5}),
        lesson_with(x, x[:, 0], classes=()),
        PLAN,
        0,
        QUICK,
    )
    assert "R²" in comparison_table([numbers])[0]
    assert numbers.scores["r2"] > 0


def test_a_class_that_is_never_called_has_no_precision():
    lesson = noise_lesson(200, 0)
    never = cross_validate("majority", lambda: get_predictor("majority"), lesson, PLAN, 0, QUICK)
    line = comparison_table([never])[1]
    assert np.isnan(never.scores["precision"]) == ("none (0.0%)" in line)


def test_a_lesson_of_one_class_is_told_and_what_it_leaves_undefined_is_a_dash(caplog):
    lesson = replace(noise_lesson(200, 0), labels=np.ones(200))
    only = cross_validate("logistic", lambda: get_predictor("logistic"), lesson, PLAN, 0, QUICK)
    assert "'logistic' learned from 'up' alone" in caplog.text
    line = comparison_table([only])[1]
    assert "–" in line
    assert "nan" not in line
    assert "-0.0000" not in line


def test_the_same_predictor_does_not_differ_from_itself_and_a_better_one_does(found):
    same, p_same = paired_difference(found[2], found[2], "auc", 1, 0, QUICK)
    assert tuple(same) == (0.0, 0.0, 0.0)
    assert p_same == 1.0
    better, p_better = paired_difference(found[2], found[1], "auc", 1, 0, QUICK)
    assert better.low > 0.1
    assert p_better < 0.02


def test_intervals_cover_the_truth():
    hits = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, 200).astype(float)
        right = rng.random(200) < 0.6
        p_up = np.where(right == (labels == 1), 0.7, 0.3)
        answers = np.column_stack([1 - p_up, p_up])
        interval = score_intervals(labels, answers, ("down", "up"), 1, seed, IntervalSettings(n_resamples=100))[
            "accuracy"
        ]
        hits.append(interval.low <= 0.6 <= interval.high)
    assert np.mean(hits) > 0.8


def test_who_learns_without_labels_has_no_score():
    with pytest.raises(ConfigError, match="learns without labels"):
        validated("hmm", noise_lesson(100, 0))
