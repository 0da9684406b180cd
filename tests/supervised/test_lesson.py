"""A lesson knows nothing that came after it, and its parts are purged by what each label used."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimegym.common.errors import DataError
from regimegym.features.labels import Labels, price_jump_labels
from regimegym.features.pipeline import FeatureTable
from regimegym.features.segments import Piece
from regimegym.features.splits import RowRange
from regimegym.supervised.lesson import Lesson, lesson_of


@st.composite
def lessons(draw) -> Lesson:
    """Labels with horizons of their own, some missing, some time stamps shared."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n_rows = draw(st.integers(20, 80))
    ends = np.minimum(np.arange(n_rows) + rng.integers(0, draw(st.integers(1, 12)), n_rows), n_rows - 1)
    labels = np.where(rng.random(n_rows) < 0.9, rng.integers(0, 2, n_rows), np.nan)
    stamps = np.cumsum(rng.integers(0 if draw(st.booleans()) else 1, 3, n_rows))
    return Lesson(rng.normal(size=(n_rows, 2)), labels, ends, ("a", "b"), stamps, None, ("no", "yes"))


@given(lessons(), st.floats(0.1, 0.6))
def test_no_label_of_the_earlier_part_was_known_in_the_later_one(lesson, share):
    try:
        earlier, later = lesson.split_tail(share)
    except DataError:
        return
    cut = len(earlier)
    assert cut + len(later) == len(lesson)
    kept = np.flatnonzero(earlier.is_known)
    assert len(kept) > 0
    assert (lesson.ends[kept] < cut).all()
    assert (lesson.timestamps[lesson.ends[kept]] < lesson.timestamps[cut + np.flatnonzero(later.is_known)[0]]).all()
    np.testing.assert_array_equal(earlier.features, lesson.features[:cut])


@given(lessons(), st.integers(1, 19))
def test_what_was_known_at_a_row_is_what_had_ended_before_it(lesson, row):
    past = lesson.until(row)
    assert len(past) == row
    expected = lesson.is_known[:row] & (lesson.ends[:row] < row)
    np.testing.assert_array_equal(past.is_known, expected)
    np.testing.assert_array_equal(past.ends[expected], lesson.ends[:row][expected])


@given(lessons(), st.data())
def test_chosen_rows_know_their_labels_no_earlier_than_before(lesson, data):
    rows = np.flatnonzero(np.array(data.draw(st.lists(st.booleans(), min_size=len(lesson), max_size=len(lesson)))))
    part = lesson.take(rows)
    known = np.flatnonzero(part.is_known)
    assert (rows[part.ends[known]] >= lesson.ends[rows[known]]).all()
    np.testing.assert_array_equal(part.labels[known], lesson.labels[rows[known]])


def test_a_label_from_after_the_lesson_is_refused():
    with pytest.raises(DataError, match="the label of row 1 is known at row 2"):
        Lesson(np.zeros((2, 1)), np.zeros(2), np.array([1, 2]), ("a",), np.arange(2))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"labels": np.array([0.0, 2.0])}, "the label of row 1 is 2.0"),
        ({"timestamps": np.array([5, 4])}, "row 1 of a lesson is earlier"),
        ({"names": ("a", "b")}, "do not fit its labels and names"),
        ({"closes": np.zeros(3)}, "'closes' of a lesson must have 2 rows"),
    ],
)
def test_parts_that_do_not_fit_are_named(changes, what):
    lesson = Lesson(np.zeros((2, 1)), np.zeros(2), np.arange(2), ("a",), np.arange(2), None, ("no", "yes"))
    with pytest.raises(DataError, match=what):
        replace(lesson, **changes)


def test_the_lesson_of_a_table_leaves_out_warm_ups_and_labels_that_look_beyond():
    rng = np.random.default_rng(3)
    close = np.exp(np.cumsum(0.01 * rng.normal(size=60)))
    values = rng.normal(size=(60, 2))
    values[:5] = values[30:34] = np.nan
    table = FeatureTable(np.arange(60), values, ("a", "b"), 5, (Piece(0, 30, 5), Piece(30, 60, 34)))
    labels = price_jump_labels(close, 0.02, 6)
    lesson = lesson_of(table, Labels(labels.values + 1, labels.ends), ("down", "none", "up"), RowRange(0, 50), close)
    rows = np.r_[5:30, 34:50]
    np.testing.assert_array_equal(lesson.timestamps, rows)
    np.testing.assert_array_equal(lesson.is_known, labels.ends[rows] < 50)
    np.testing.assert_array_equal(lesson.closes, close[rows])
    assert np.isfinite(lesson.features).all()
    assert lesson.horizon <= 6
