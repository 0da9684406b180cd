"""Forward folds: sizes to the row, and the purge and the embargo as properties of any label horizons."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError, DataError
from regimegym.features.splits import LabelIntervals
from regimegym.supervised.cross_validation import ForwardFolds

BAR = 3_600_000_000_000


def intervals(horizons: np.ndarray) -> LabelIntervals:
    rows = np.arange(len(horizons))
    return LabelIntervals(rows, rows * BAR, np.minimum(rows + horizons, len(rows) - 1) * BAR)


def test_five_equal_tests_follow_each_other_up_to_the_last_row():
    folds = ForwardFolds(5).folds(intervals(np.zeros(65, int)))
    assert [fold.test.tolist() for fold in folds] == [list(range(15 + 10 * k, 25 + 10 * k)) for k in range(5)]
    assert [fold.train.tolist() for fold in folds] == [list(range(15 + 10 * k)) for k in range(5)]


def test_a_step_that_does_not_fill_the_rows_leaves_more_to_learn_from_first():
    assert ForwardFolds(None, initial_train_size=20, step_size=10).sizes(57) == (27, 10)
    assert ForwardFolds(3, initial_train_size=20).sizes(57) == (21, 12)


def test_a_moving_training_interval_is_as_long_as_the_first():
    folds = ForwardFolds(3, initial_train_size=20, anchored=False).folds(intervals(np.zeros(50, int)))
    assert [(fold.train[0], len(fold.train)) for fold in folds] == [(0, 20), (10, 20), (20, 20)]


@given(st.lists(st.integers(0, 12), min_size=60, max_size=90), st.integers(1, 5), st.integers(0, 6), st.booleans())
def test_no_training_label_is_known_later_than_the_embargo_before_the_test(horizons, n_splits, embargo, anchored):
    labels = intervals(np.array(horizons))
    plan = ForwardFolds(n_splits, initial_train_size=25, embargo_size=embargo, anchored=anchored)
    folds = plan.folds(labels)
    assert len(folds) == n_splits
    assert folds[-1].test[-1] == len(horizons) - 1
    for fold in folds:
        first_test = labels.start[fold.test].min()
        assert (labels.end[fold.train] + embargo * BAR < first_test).all()
        kept_out = np.setdiff1d(np.arange(fold.train[0], fold.test[0]), fold.train)
        assert (labels.end[kept_out] + embargo * BAR >= first_test).all()


def test_folds_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="do not hold the forward folds"):
        ForwardFolds(5).folds(intervals(np.zeros(4, int)))
    with pytest.raises(ConfigError, match="the same in two ways"):
        ForwardFolds(5, step_size=10)
    with pytest.raises(ConfigError, match="the same in two ways"):
        ForwardFolds(None)
