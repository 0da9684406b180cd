"""Calendars are read off the file: hours, clocks, holidays, half days, and bars that are not there."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimegym.features.quality.sessions import infer_sessions

HOUR = 3_600_000_000_000
DAY = 24 * HOUR


def ns(times: pd.DatetimeIndex) -> np.ndarray:
    return times.tz_convert("UTC").tz_localize(None).as_unit("ns").asi8


def shares(freq: str = "h", start: str = "2023-01-02", stop: str = "2023-12-29") -> pd.DatetimeIndex:
    """Bars of a New York share: weekdays, from the bar that holds 09:30 until 16:00."""
    grid = pd.date_range(start, stop + " 23:59", freq=freq, tz="America/New_York")
    minutes = grid.hour * 60 + grid.minute
    length = int(pd.Timedelta(1, "h") / pd.Timedelta(1, "min")) if freq == "h" else int(freq.removesuffix("min"))
    return grid[(grid.day_of_week < 5) & (minutes + length > 570) & (minutes < 960)]


def currencies(freq: str = "h") -> pd.DatetimeIndex:
    """A week of currencies: Sunday 17:00 to Friday 17:00 New York."""
    grid = pd.date_range("2023-01-01", "2023-12-30", freq=freq, tz="America/New_York")
    day, hour = grid.day_of_week, grid.hour
    closed = (day == 5) | ((day == 4) & (hour >= 17)) | ((day == 6) & (hour < 17))
    return grid[~closed]


MARKETS = {
    "24/7": (pd.date_range("2023-01-01", "2023-12-31", freq="h", tz="UTC"), HOUR),
    "Mon-Fri 09:00-16:00 New York": (shares(), HOUR),
    "Mon-Fri 09:30-16:00 New York": (shares("30min"), HOUR // 2),
    "Sun 17:00 to Fri 17:00 New York": (currencies(), HOUR),
    "Mon-Fri all day": (pd.date_range("2023-01-02", "2023-12-29", freq="B", tz="UTC"), DAY),
}


@pytest.mark.parametrize("name", MARKETS)
def test_hours_and_clock_are_found_over_the_changes_of_clocks(name):
    times, timeframe = MARKETS[name]
    sessions = infer_sessions(ns(times), timeframe)
    assert sessions.name == name
    assert not sessions.holes + sessions.short + sessions.closed + sessions.long
    assert not len(sessions.extra)


@pytest.mark.parametrize("name", [name for name in MARKETS if "all day" not in name])
def test_missing_bars_inside_a_session_are_holes_at_the_bar_behind_them(name):
    times, timeframe = MARKETS[name]
    times = ns(times)
    steps = np.diff(times)
    inside = np.flatnonzero((steps[:-4] == timeframe) & (steps[4:] == timeframe) & (steps[3:-1] == timeframe))
    row = inside[len(inside) // 2] + 2
    while (np.diff(times[row - 3 : row + 5]) != timeframe).any():  # well inside a session
        row += 1
    sessions = infer_sessions(np.delete(times, [row, row + 1]), timeframe)
    assert [(hole.row, hole.n_bars) for hole in sessions.holes] == [(row, 2)]
    assert not sessions.short


def test_a_holiday_is_a_closed_day_and_a_half_day_a_short_session():
    times = shares()
    day = times.strftime("%Y-%m-%d")
    kept = (day != "2023-07-04") & ~((day == "2023-11-24") & (times.hour >= 13))
    sessions = infer_sessions(ns(times[kept]), HOUR)
    assert [pause.n_days for pause in sessions.closed] == [1]
    assert [hole.n_bars for hole in sessions.short] == [3]
    assert not sessions.holes


def test_a_day_cut_out_of_two_sessions_is_a_hole_and_no_half_day():
    times = currencies()
    kept = times.tz_convert("UTC").strftime("%Y-%m-%d") != "2023-06-14"  # vendors keep one file for each UTC day
    sessions = infer_sessions(ns(times[kept]), HOUR)
    assert [hole.n_bars for hole in sessions.holes] == [24]
    assert not sessions.short


def test_a_market_that_never_closes_has_no_holidays():
    times = MARKETS["24/7"][0]
    sessions = infer_sessions(ns(times[times.strftime("%m-%d") != "03-05"]), HOUR)
    assert sessions.never_closes
    assert [pause.n_days for pause in sessions.closed] == [1]


@pytest.mark.parametrize(("times", "is_long"), [(shares(), False), (currencies(), True)])
def test_three_weekdays_without_a_bar_are_a_hole_where_trading_has_no_nights(times, is_long):
    day = (times + pd.Timedelta(7, "h")).strftime("%Y-%m-%d")  # a currency day begins at 17:00
    sessions = infer_sessions(ns(times[(day < "2023-08-15") | (day > "2023-08-17")]), HOUR)
    pauses = sessions.long if is_long else sessions.closed
    assert [pause.n_days for pause in pauses] == [3]
    assert len(sessions.long) == is_long


def test_weeks_without_a_bar_are_pieces_of_a_file():
    times = shares()
    sessions = infer_sessions(ns(times[(times.month != 5)]), HOUR)
    assert [pause.n_days for pause in sessions.long] == [23]
    assert not sessions.closed


def test_a_bar_on_a_closed_weekday_is_extra():
    times = shares().append(pd.DatetimeIndex(["2023-12-30 12:00"], tz="America/New_York"))
    sessions = infer_sessions(ns(times), HOUR)
    np.testing.assert_array_equal(sessions.extra, [len(times) - 1])


def test_minutes_in_which_nobody_trades_are_not_expected():
    rng = np.random.default_rng(5)
    times = ns(shares("1min", "2023-06-05", "2023-06-30"))
    busy = (times % DAY < 15 * HOUR) | (rng.random(len(times)) < 0.6)  # the afternoon is quiet
    sessions = infer_sessions(times[busy], HOUR // 60)
    assert len(sessions.holes) < 0.05 * (~busy).sum()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 90 * 24), min_size=3, max_size=200, unique=True))
def test_any_times_have_a_calendar_or_none(hours):
    times = np.sort(np.array(hours)) * HOUR
    sessions = infer_sessions(times, HOUR)
    if sessions is not None:
        rows = [found.row for found in (*sessions.holes, *sessions.short, *sessions.closed, *sessions.long)]
        assert all(0 < row < len(times) for row in rows)
        assert isinstance(sessions.name, str)


def test_bars_of_weeks_and_months_have_no_hours():
    assert infer_sessions(ns(pd.date_range("2000", periods=50, freq="W", tz="UTC")), 7 * DAY) is None
