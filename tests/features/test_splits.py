"""The splitter: in the order of time, no overlap, purged, and too few bars said in numbers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError, DataError
from regimegym.features.splits import DateSplitSettings, RowRange, SplitSettings, chronological_split

SHARES = st.tuples(st.floats(0.05, 0.45), st.floats(0.05, 0.45))


@given(st.integers(1, 5_000), st.integers(0, 300), SHARES, st.integers(0, 60), st.integers(1, 80))
def test_parts_follow_each_other_purged_or_the_needed_number_is_said(n_rows, first_row, shares, purge, least):
    settings = SplitSettings(*shares)
    try:
        split = chronological_split(n_rows, first_row, settings, purge, least)
    except DataError as error:
        needed = int(error.needed.split()[0].replace(",", ""))
        assert needed > n_rows
        fitting = chronological_split(needed, first_row, settings, purge, least)
        assert min(part.count for part in fitting) >= least
        return
    assert split.train.start == first_row
    assert split.test.stop == n_rows
    assert split.validation.start - split.train.stop == purge
    assert split.test.start - split.validation.stop == purge
    assert min(part.count for part in split) >= least


def test_shares_are_of_the_rows_after_the_warm_up():
    split = chronological_split(1_100, 100, SplitSettings(), purge=30, least=50)
    assert split == (RowRange(100, 640), RowRange(670, 870), RowRange(900, 1_100))


def test_no_window_of_a_later_part_holds_a_row_of_the_earlier_one():
    window = 30
    split = chronological_split(1_000, 100, SplitSettings(), purge=window, least=50)
    for earlier, later in ((split.train, split.validation), (split.validation, split.test)):
        assert later.start - (window - 1) >= earlier.stop


def test_too_few_bars_say_how_many_are_needed():
    with pytest.raises(DataError, match="300 bars are too few") as error:
        chronological_split(300, 150, SplitSettings(), purge=30, least=64)
    assert error.value.name == "too-few-bars"
    assert error.value.needed == "468 bars in total (150 of warm-up, twice 30 between the parts)"
    chronological_split(468, 150, SplitSettings(), purge=30, least=64)
    with pytest.raises(DataError, match="467 bars are too few"):
        chronological_split(467, 150, SplitSettings(), purge=30, least=64)


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        ((0.0, 0.2), "between 0 and 1, got 0.0"),
        ((0.2, 1.0), "got 1.0"),
        ((0.6, 0.4), "must be below 1, got 0.6"),
    ],
)
def test_shares_that_leave_nothing_are_refused(shares, text):
    with pytest.raises(ConfigError, match=text):
        SplitSettings(*shares)


DAYS = pd.date_range("2020-01-01", "2020-12-31", tz="UTC").as_unit("ns").asi8  # 366 of them


def test_dates_begin_validation_and_test_and_the_purge_comes_off_the_part_before():
    split = DateSplitSettings("2020-07-01", "2020-10-01").cut(DAYS, first_row=20, purge=5, least=10)
    assert split == (RowRange(20, 177), RowRange(182, 269), RowRange(274, 366))
    assert [str(pd.Timestamp(DAYS[part.start]).date()) for part in split[1:]] == ["2020-07-01", "2020-10-01"]
    until = DateSplitSettings("2020-07-01", "2020-10-01", "2020-12-01").cut(DAYS, 20, 5, 10)
    assert until.test == RowRange(274, 335)


def test_a_date_between_two_bars_begins_with_the_next_one():
    split = DateSplitSettings("2020-07-01 12:00", "2020-10-01T00:00+02:00").cut(DAYS, 0, 0, 1)
    assert split.validation == RowRange(183, 274)


def test_shares_cut_through_the_same_door_as_dates():
    assert SplitSettings().cut(np.arange(1_100), 100, 30, 50) == chronological_split(
        1_100, 100, SplitSettings(), 30, 50
    )


def test_dates_that_leave_a_part_too_small_are_refused_with_what_there_is():
    with pytest.raises(DataError, match="train, validation and test need 100 bars each") as error:
        DateSplitSettings("2020-07-01", "2020-10-01").cut(DAYS, first_row=20, purge=5, least=100)
    assert error.value.found == "157 of train, 87 of validation, 92 of test"
    assert "2020-01-21 … 2020-12-31" in error.value.needed
    with pytest.raises(DataError, match="need 10 bars each"):
        DateSplitSettings("2031-07-01", "2032-10-01").cut(DAYS, first_row=20, purge=5, least=10)


@pytest.mark.parametrize(
    ("dates", "text"),
    [
        ((None, None), "'split.validation_from' must be a date, got None"),
        (("2020-01-01", "soon"), "'split.test_from' must be a date, got 'soon'"),
        (("2020-07-01", "2020-06-01"), "must follow each other"),
        (("2020-07-01", "2020-08-01", "2020-08-01"), "must follow each other"),
    ],
)
def test_dates_that_are_none_or_out_of_order_are_refused(dates, text):
    with pytest.raises(ConfigError, match=text):
        DateSplitSettings(*dates)
