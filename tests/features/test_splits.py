"""The splitter: in the order of time, no overlap, purged, and too few bars said in numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError, DataError
from regimegym.features.splits import RowRange, SplitSettings, chronological_split

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
