"""When a market is open, as its own bars say it: days, hours, clock; and which bars are not there."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from regimegym.features.bars import NS_PER_DAY, NS_PER_SECOND
from regimegym.features.quality.runs import runs

# Clocks that change on different days; the one under which the hours of trading stand still is the market's own.
CLOCKS = {"UTC": "UTC", "New York": "America/New_York", "London": "Europe/London", "Sydney": "Australia/Sydney"}
NEIGHBOURS = 10  # session days on either side that say whether a bar is expected
ALWAYS = 0.9  # a slot filled on this share of the neighbouring days is expected; below, nobody traded
NIGHT = 4 * 3600 * NS_PER_SECOND  # a pause of at least this closes a session
# Session days in a row without a bar that are a hole in the file and no holiday: New York closed for four
# after 2001-09-11; a market of all hours, as currencies, never closes on three weekdays in a row.
LONG, LONG_ALL_HOURS = 5, 3
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Hole(NamedTuple):
    """`n_bars` expected bars are not there; `row` is the bar after them."""

    row: int
    n_bars: int


class Pause(NamedTuple):
    """`n_days` session days in a row without a bar; `row` is the bar after them."""

    row: int
    n_days: int


@dataclass(frozen=True)
class Sessions:
    """A market's hours.

    Attributes:
        clock: a name of CLOCKS.
        weekdays: weekdays on which sessions begin, 0 = Monday.
        opens_ns, closes_ns: local time of the day of the first and behind the last expected bar, in
            nanoseconds; `closes_ns` may exceed a day where a session runs over midnight.
        around_the_clock: every slot of every session day is expected.
        holes: inside sessions.
        short: sessions that begin late or end early (half days).
        closed: session days without a bar, too few in a row for a hole in the file (holidays).
        long: LONG and more of them in a row, or LONG_ALL_HOURS where trading never stops on weekdays.
        extra: rows on weekdays without sessions.
    """

    clock: str
    weekdays: tuple[int, ...]
    opens_ns: int
    closes_ns: int
    around_the_clock: bool
    holes: tuple[Hole, ...]
    short: tuple[Hole, ...]
    closed: tuple[Pause, ...]
    long: tuple[Pause, ...]
    extra: np.ndarray

    @property
    def never_closes(self) -> bool:
        """Trading every day and hour, as crypto does."""
        return self.around_the_clock and len(self.weekdays) == 7

    @property
    def name(self) -> str:
        """For people: `24/7`, `Mon-Fri 09:30-16:00 New York`."""
        if self.never_closes:
            return "24/7"
        ordered = _from_first(self.weekdays)
        first, last = WEEKDAYS[ordered[0]], WEEKDAYS[ordered[-1]]
        days = first if first == last else f"{first}-{last}"
        if self.around_the_clock and self.opens_ns:
            opens = _clock_time(self.opens_ns)
            return f"{first} {opens} to {WEEKDAYS[(ordered[-1] + 1) % 7]} {opens} {self.clock}"
        if self.opens_ns == 0 and self.closes_ns == NS_PER_DAY:
            return f"{days} all day"
        return f"{days} {_clock_time(self.opens_ns)}-{_clock_time(self.closes_ns)} {self.clock}"


class _Layout(NamedTuple):
    """Bars on a grid of session days and slots; `present` (D, S) for the D days that have bars."""

    day: np.ndarray
    slot: np.ndarray
    days: np.ndarray
    present: np.ndarray
    start_ns: int


def infer_sessions(times: np.ndarray, timeframe_ns: int) -> Sessions | None:
    """The calendar of strictly increasing UTC nanoseconds `times` (T,).

    None where bars are longer than a day, or too scattered to have hours.
    """
    if timeframe_ns > NS_PER_DAY or len(times) < 3:
        return None
    best: tuple[float, Sessions] | None = None
    for clock, zone in CLOCKS.items():
        wall = times if zone == "UTC" else _wall(times, zone)
        layout = _lay_out(times, wall, timeframe_ns)
        if layout is None:
            return None
        sessions, unrest = _read_off(layout, clock, timeframe_ns)
        if best is None or unrest < best[0]:
            best = (unrest, sessions)
        if timeframe_ns == NS_PER_DAY or unrest == 0:
            break
    return best[1] if best is not None else None


def _wall(times: np.ndarray, zone: str) -> np.ndarray:
    utc = pd.DatetimeIndex(times.view("datetime64[ns]")).tz_localize("UTC")
    return utc.tz_convert(zone).tz_localize(None).asi8


def _lay_out(times: np.ndarray, wall: np.ndarray, timeframe_ns: int) -> _Layout | None:
    start = _day_start(times, wall, timeframe_ns)
    # Clocks put back repeat an hour; keys must not fall.
    key = np.maximum.accumulate(wall - start)
    day, slot = key // NS_PER_DAY, key % NS_PER_DAY // timeframe_ns
    days, index = np.unique(day, return_inverse=True)
    n_slots = -(-NS_PER_DAY // timeframe_ns)
    if len(days) * n_slots > 200 * len(times) + 1_000_000:
        return None
    present = np.zeros((len(days), n_slots), dtype=bool)
    present[index, slot] = True
    if len(days) > 2:  # what the file's first and last day leave out says nothing about the market
        present[0, : slot[0]] |= present[1, : slot[0]]
        present[-1, slot[-1] + 1 :] |= present[-2, slot[-1] + 1 :]
    return _Layout(day, slot, days, present, start)


def _day_start(times: np.ndarray, wall: np.ndarray, timeframe_ns: int) -> int:
    """Local time of the day at which sessions begin: where bars come back after nights and weekends."""
    if timeframe_ns == NS_PER_DAY:
        return 0
    steps = np.diff(times)
    back = np.flatnonzero(steps >= max(NIGHT, 2 * timeframe_ns)) + 1
    weeks = (times[-1] - times[0]) / (7 * NS_PER_DAY)
    if len(back) < max(1.0, weeks / 2):
        return 0
    hours, counts = np.unique(wall[back] % NS_PER_DAY, return_counts=True)
    usual = hours[np.argmax(counts)]
    # Hours of trading change over the years: the earliest opening that was usual once.
    before = (usual - hours[counts >= counts.max() / 10]) % NS_PER_DAY
    return int((usual - before[before <= NIGHT].max()) % NS_PER_DAY)


def _read_off(layout: _Layout, clock: str, timeframe_ns: int) -> tuple[Sessions, float]:
    """The calendar that a layout shows, and how restless it is: how far bars differ from the days around."""
    weekdays = _active_weekdays(layout.days, layout.start_ns)
    active = np.isin((layout.days + 3) % 7, weekdays)
    present = layout.present[active]
    usual = _share_of_neighbours(present)
    expected = usual >= ALWAYS
    missing = expected & ~present
    days = layout.days[active]
    row_of = _Rows(layout)
    holes, short = _holes(missing, expected, days, row_of)
    used = np.flatnonzero(present.mean(axis=0) > 0.5)
    all_hours = len(used) >= 0.99 * present.shape[1]
    is_intraday = timeframe_ns < NS_PER_DAY
    closed, long = _pauses(days, weekdays, row_of, LONG_ALL_HOURS if all_hours and is_intraday else LONG)
    opens = int(used[0]) if len(used) else 0
    closes = int(used[-1]) + 1 if len(used) else present.shape[1]
    sessions = Sessions(
        clock=clock,
        weekdays=weekdays,
        opens_ns=(layout.start_ns + opens * timeframe_ns) % NS_PER_DAY,
        closes_ns=(layout.start_ns + opens * timeframe_ns) % NS_PER_DAY + (closes - opens) * timeframe_ns,
        around_the_clock=all_hours,
        holes=holes,
        short=short,
        closed=closed,
        long=long,
        extra=np.flatnonzero(~np.isin((layout.day + 3) % 7, weekdays)),
    )
    if sessions.never_closes:  # such a market has no half days
        sessions = replace(sessions, holes=tuple(sorted((*holes, *short))), short=())
    return sessions, float(np.abs(present - usual)[1:-1].sum())


class _Rows:
    """The row of the first bar at or behind a day and slot."""

    def __init__(self, layout: _Layout) -> None:
        self._n_slots = layout.present.shape[1]
        self.n_rows = len(layout.day)
        self._keys = layout.day * self._n_slots + layout.slot

    def __call__(self, day: int, slot: int = 0) -> int:
        return int(np.searchsorted(self._keys, day * self._n_slots + slot))


def _active_weekdays(days: np.ndarray, start_ns: int) -> tuple[int, ...]:
    """Weekdays with bars in at least half of the weeks that have any.

    In files of few days every weekday with bars; all seven where there are whole weekend days,
    since no market opens on those alone.
    """
    counts = np.bincount((days + 3) % 7, minlength=7)
    weeks = len(np.unique((days + 3) // 7))
    if weeks >= 4 and len(days) >= 3 * weeks:
        return tuple(int(d) for d in np.flatnonzero(counts >= weeks / 2))
    if counts[5] or (counts[6] and start_ns == 0):
        return tuple(range(7))
    return tuple(int(d) for d in np.flatnonzero(counts))


def _share_of_neighbours(present: np.ndarray) -> np.ndarray:
    """(D, S) share of the up to 2·NEIGHBOURS other days nearby that have the slot; 0 without others."""
    n_days = len(present)
    total = np.vstack([np.zeros((1, present.shape[1]), np.int32), np.cumsum(present, axis=0, dtype=np.int32)])
    low = np.maximum(np.arange(n_days) - NEIGHBOURS, 0)
    high = np.minimum(np.arange(n_days) + NEIGHBOURS + 1, n_days)
    others = (high - low - 1)[:, None]
    return np.where(others > 0, (total[high] - total[low] - present) / np.maximum(others, 1), 0.0)


def _holes(
    missing: np.ndarray, expected: np.ndarray, days: np.ndarray, row_of: _Rows
) -> tuple[tuple[Hole, ...], tuple[Hole, ...]]:
    """Missing slots as runs: those inside sessions, and those at the beginning or end of one.

    A run that ends one session and goes on in the next is a hole: no exchange closes early and then
    opens late.
    """
    sizes: dict[int, int] = {}
    ends: dict[int, set[str]] = {}
    for d in np.flatnonzero(missing.any(axis=1)):
        slots = np.flatnonzero(expected[d])
        gone = missing[d, slots]
        for first, stop in zip(*runs(gone), strict=True):
            row = row_of(int(days[d]), int(slots[first]))
            if row in (0, row_of.n_rows):  # outside the file
                continue
            sizes[row] = sizes.get(row, 0) + int(stop - first)
            kind = "late" if first == 0 else "early" if stop == len(slots) else "inside"
            ends.setdefault(row, set()).add(kind)
    found = [(Hole(row, sizes[row]), len(kinds) == 1 and "inside" not in kinds) for row, kinds in sorted(ends.items())]
    return tuple(hole for hole, at_edge in found if not at_edge), tuple(hole for hole, at_edge in found if at_edge)


def _pauses(
    days: np.ndarray, weekdays: tuple[int, ...], row_of: _Rows, least_long: int
) -> tuple[tuple[Pause, ...], tuple[Pause, ...]]:
    """Session days without a bar in a row: fewer than `least_long`, and more."""
    closed: list[Pause] = []
    long: list[Pause] = []
    for before, after in pairwise(days):
        if after - before == 1:
            continue
        between = np.arange(before + 1, after)
        n_days = int(np.isin((between + 3) % 7, weekdays).sum())
        if n_days:
            (long if n_days >= least_long else closed).append(Pause(row_of(int(after)), n_days))
    return tuple(closed), tuple(long)


def _from_first(weekdays: tuple[int, ...]) -> list[int]:
    """Weekdays in the order of a week that begins behind the longest pause: Sun … Thu for currencies."""
    starts = [d for d in weekdays if (d - 1) % 7 not in weekdays]
    first = starts[0] if starts else 0
    return sorted(weekdays, key=lambda d: (d - first) % 7)


def _clock_time(ns: int) -> str:
    minutes = ns // (60 * NS_PER_SECOND)
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"
