"""What timestamps say: bar length, gaps, bars per year."""

import numpy as np
import pytest

from regimegym.common.errors import ConfigError
from regimegym.features.bars import NS_PER_DAY, NS_PER_SECOND
from regimegym.features.calendars import find_gaps, infer_timeframe, observed_periods_per_year
from regimegym.features.validation import bars_from_arrays

HOUR = 3600 * NS_PER_SECOND
MONDAY = 4 * NS_PER_DAY  # 1970-01-05


def flat_bars(timestamps, **options):
    ones = np.ones(len(timestamps))
    return bars_from_arrays(
        {"timestamp": np.asarray(timestamps), **dict.fromkeys(("open", "high", "low", "close"), ones)},
        "X",
        **options,
    )


def test_the_most_common_step_is_the_bar():
    assert infer_timeframe(np.array([0, 1, 2, 7, 8, 9]) * HOUR) == HOUR
    assert infer_timeframe(np.array([0, 2, 3]) * HOUR) == HOUR  # a tie: the shorter


def test_gaps_are_reported_and_never_an_error():
    bars = flat_bars((MONDAY + HOUR * np.array([0, 1, 2, 5, 6, 7, 17, 18, 18.5])).astype(np.int64))
    gaps = find_gaps(bars)
    assert (gaps.count, gaps.shorter, gaps.largest.row, len(gaps.first)) == (2, 1, 6, 2)
    assert gaps.largest.length_ns == 10 * HOUR
    assert find_gaps(flat_bars(HOUR * np.arange(5))).largest is None


@pytest.mark.parametrize(
    ("days", "hours", "expected"),
    [
        (range(365), range(24), 8760.0),
        (range(365), [0], 365.0),
        ([d for d in range(730) if d % 7 < 5 and d % 29], [0], 252.0),
        ([d for d in range(730) if d % 7 < 5 and d % 29], range(14, 21), 1764.0),
    ],
)
def test_bars_per_year_snap_to_the_calendar(days, hours, expected):
    stamps = np.array([MONDAY + d * NS_PER_DAY + h * HOUR for d in days for h in hours])
    assert observed_periods_per_year(stamps) == expected


def test_bars_per_year_of_an_odd_calendar_are_those_observed():
    stamps = np.array([MONDAY + d * NS_PER_DAY for d in range(0, 700, 3)])
    assert observed_periods_per_year(stamps) == pytest.approx(365.25 / 3)


def test_bars_per_year_may_be_given():
    assert flat_bars(HOUR * np.arange(50), periods_per_year=77.0).periods_per_year == 77.0
    with pytest.raises(ConfigError, match=r"'data\.periods_per_year' must be > 0, got 0"):
        flat_bars(HOUR * np.arange(50), periods_per_year=0)
