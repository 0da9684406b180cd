"""Folds: nothing a training label uses meets a test interval, no time stamp on both sides, none too small."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, reject
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError, DataError
from regimegym.features.bars import NS_PER_DAY
from regimegym.features.splits import (
    Combinatorial,
    LabelIntervals,
    RowRange,
    WalkForward,
    folds_table,
    label_intervals,
    row_ranges,
)
from regimegym.features.tape import Segment

START = pd.Timestamp("2020-01-01").as_unit("ns").value


def days(n: int, first: int = 0) -> np.ndarray:
    return START + NS_PER_DAY * np.arange(first, first + n, dtype=np.int64)


def labels_of(n: int, horizon: int) -> LabelIntervals:
    return label_intervals(days(n), [Segment("A", 0, n, 0)], horizon)


@st.composite
def panels(draw) -> LabelIntervals:
    """Two or three symbols on one tape, with own starts, missing days, warm-ups and one horizon."""
    horizon, stamps, segments = draw(st.integers(0, 12)), [], []
    for symbol in "ABC"[: draw(st.integers(2, 3))]:
        rng = np.random.default_rng(draw(st.integers(0, 1_000)))
        own = days(rng.integers(60, 160), rng.integers(0, 30))
        own = own[rng.random(len(own)) < 0.9]
        start = sum(map(len, stamps))
        segments.append(Segment(symbol, start, start + len(own), start + int(rng.integers(0, 10))))
        stamps.append(own)
    return label_intervals(np.concatenate(stamps), segments, horizon)


def assert_clean(fold, labels: LabelIntervals, embargo: int = 0, n_stretches: int = 1) -> None:
    """The rule itself, pair by pair."""
    at = {row: i for i, row in enumerate(labels.rows)}
    train, test = ([at[row] for row in rows] for rows in (fold.train, fold.test))
    starts, ends = labels.start, labels.end
    assert not set(starts[train]) & set(starts[test])
    for i in train:
        assert not ((starts[test] <= ends[i]) & (ends[test] >= starts[i])).any()
    clock = np.unique(starts)
    for i in train if embargo and n_stretches == 1 else []:
        behind = clock[(clock > ends[test].max()) & (clock <= starts[i])]
        assert starts[i] < starts[test].min() or len(behind) > embargo


@hypothesis_settings(max_examples=60)
@given(panels(), st.integers(10, 60), st.integers(5, 30), st.integers(5, 30), st.booleans())
def test_no_walk_forward_label_meets_a_test_interval(labels, train, test, step, anchored):
    try:
        folds = WalkForward(train, test, step, anchored).folds(labels)
    except DataError:
        reject()
    for fold in folds:
        assert_clean(fold, labels)
        assert fold.train_span[1] < fold.test_span[0]
    assert sum(fold.weight for fold in folds) == pytest.approx(1.0)
    for earlier, later in pairwise(folds):
        assert later.test_span[0] > earlier.test_span[0]
        assert anchored is False or later.train_span[0] == earlier.train_span[0]


@hypothesis_settings(max_examples=60)
@given(panels(), st.integers(2, 6), st.integers(1, 3), st.integers(0, 10))
def test_no_combinatorial_label_meets_a_test_interval_on_either_side(labels, n_groups, n_test, embargo):
    assume(n_test < n_groups)
    try:
        folds = Combinatorial(n_groups, n_test, embargo).folds(labels)
    except DataError:
        reject()
    for fold in folds:
        assert_clean(fold, labels, embargo, n_test)
    tested = np.concatenate([fold.test for fold in folds])
    _, times = np.unique(tested, return_counts=True)
    assert set(times) == {len(folds) * n_test // n_groups}  # every row, equally often
    assert len(times) == len(labels.rows)


def test_an_embargo_without_the_label_interval_would_leave_five_rows():
    """T006: embargo 5 with h = 10 leaves 5 contaminated rows; purging by interval leaves none."""
    labels = labels_of(100, 10)
    (fold,) = WalkForward(60, 20, 100).folds(labels)
    assert fold.test[0] == 60
    assert fold.train[-1] == 49
    assert fold.purged == 10


def test_training_rows_behind_the_test_are_purged_too():
    """T007: the middle third of 91 labelled rows; the test labels reach 10 rows further."""
    fold = Combinatorial(3, 1).folds(labels_of(100, 10))[1]
    assert row_ranges(fold.test) == [RowRange(30, 60)]
    assert row_ranges(fold.train) == [RowRange(0, 20), RowRange(70, 90)]
    assert fold.purged == 10 + 10


def test_the_embargo_counts_bars_behind_the_last_test_label():
    fold = Combinatorial(3, 1, embargo=4).folds(labels_of(100, 10))[1]
    assert row_ranges(fold.train) == [RowRange(0, 20), RowRange(74, 90)]
    assert fold.embargoed == 4


def test_folds_that_purging_empties_are_refused():
    """T008: an embargo or horizon of 20 on 60 rows once gave training sizes 0, 0, 10, 20, 30."""
    with pytest.raises(DataError, match="fold 1 has 0 training rows") as error:
        WalkForward(10, 10, 10).folds(labels_of(60, 20))
    assert "10 of them purged" in error.value.found
    with pytest.raises(DataError, match=r"test 1 has 40 training rows"):
        Combinatorial(3, 1, embargo=20, min_train=41).folds(labels_of(90, 0))


def test_no_time_stamp_lies_on_both_sides_of_a_panel():
    """T009: three symbols with the same stamps, sorted by symbol; rows of one stamp stay together."""
    stamps = np.tile(days(50), 3)
    segments = [Segment(name, 50 * i, 50 * (i + 1), 50 * i) for i, name in enumerate("ABC")]
    for fold in WalkForward(20, 10, 10).folds(label_intervals(stamps, segments, 2)):
        assert len(fold.test) == 30
        assert not set(stamps[fold.train]) & set(stamps[fold.test])


def test_the_last_stub_is_left_out_or_weighted_by_its_size():
    """T010: sizes 10, 10, 10, 10, 10, 3 with equal weight, and nothing where the first does not fit."""
    labels = labels_of(63, 0)
    sizes = [len(fold.test) for fold in WalkForward(10, 10, 10).folds(labels)]
    assert sizes == [10] * 5
    with_stub = WalkForward(10, 10, 10, min_test=3).folds(labels)
    assert [len(fold.test) for fold in with_stub] == [*sizes, 3]
    assert with_stub[-1].weight == pytest.approx(3 / 53)
    assert len(WalkForward(10, 10, 10, min_test=4).folds(labels)) == 5
    with pytest.raises(DataError, match="63 bars do not hold 63 of training and 10 of test"):
        WalkForward(63, 10, 10).folds(labels)


def test_calendar_spans_begin_where_months_begin():
    """Four months of training, two of test, moved on by two, through a leap year."""
    labels = labels_of(366, 0)
    folds = WalkForward("4 months", "2 months", "2 months").folds(labels)
    spans = [(pd.Timestamp(fold.test_span[0]), pd.Timestamp(fold.test_span[1])) for fold in folds]
    ends = pd.to_datetime(["2020-06-30", "2020-08-31", "2020-10-31", "2020-12-31"])
    assert spans == list(
        zip(pd.to_datetime(["2020-05-01", "2020-07-01", "2020-09-01", "2020-11-01"]), ends, strict=True)
    )
    assert [len(fold.train) for fold in folds] == [121, 122, 123, 123]
    anchored = WalkForward("4 months", "2 months", "2 months", anchored=True).folds(labels)
    assert [len(fold.train) for fold in anchored] == [121, 182, 244, 305]


def test_months_do_not_drift_from_the_end_of_a_month():
    labels = LabelIntervals(np.arange(400), days(400, 30), days(400, 30))  # from 31 January
    folds = WalkForward("1 month", "1 month", "1 month").folds(labels)
    first = [pd.Timestamp(fold.train_span[0]).day for fold in folds]
    assert first[:4] == [31, 29, 31, 30]


def test_a_label_never_crosses_a_segment_and_warm_up_has_none():
    labels = label_intervals(np.r_[days(20), days(15, 5)], [Segment("A", 0, 20, 4), Segment("B", 20, 35, 22)], 3)
    assert row_ranges(labels.rows) == [RowRange(4, 17), RowRange(22, 32)]
    assert ((labels.end - labels.start) == 3 * NS_PER_DAY).all()
    empty = label_intervals(days(5), [Segment("A", 0, 5, 4)], 3)
    assert len(empty.rows) == 0
    with pytest.raises(DataError, match="0 bars do not hold"):
        WalkForward(2, 2, 2).folds(empty)


def test_every_path_tests_every_group_once_and_every_fold_serves_its_groups():
    splitter = Combinatorial(6, 2)
    paths = splitter.paths()
    assert paths.shape == (5, 6)
    folds = splitter.folds(labels_of(60, 0))
    for path in paths:
        tested = np.concatenate([folds[fold].test[folds[fold].test // 10 == g] for g, fold in enumerate(path)])
        np.testing.assert_array_equal(tested, np.arange(60))
    assert (np.bincount(paths.ravel()) == 2).all()


def test_the_table_names_every_fold_with_its_dates_and_sizes():
    lines = folds_table(WalkForward(30, 10, 10).folds(labels_of(52, 2)))
    assert len(lines) == 3
    assert lines[1].split() == [
        *("fold", "1", "28", "2020-01-01", "…", "2020-01-28", "10", "2020-01-31", "…", "2020-02-09"),
        *("2", "0", "0.500"),
    ]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: WalkForward(train="4 moons"), "'train' must be a number of bars or a calendar length, got '4 moons'"),
        (lambda: WalkForward(step="0 days"), "'step' must be a number of bars"),
        (lambda: WalkForward(test=0), "'test' must be a whole number ≥ 1, got 0"),
        (lambda: Combinatorial(4, 4), "'n_test_groups' must be below 'n_groups' \\(4\\), got 4"),
        (lambda: Combinatorial(embargo=-1), "'embargo' must be a whole number ≥ 0"),
        (lambda: labels_of(5, -1), "'horizon' must be a whole number ≥ 0"),
    ],
)
def test_spans_and_numbers_that_mean_nothing_are_refused(make, text):
    with pytest.raises(ConfigError, match=text):
        make()
