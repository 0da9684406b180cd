"""Notes on when bars are: gaps, holidays, clocks, bar lengths."""

import numpy as np
import pandas as pd

from regimegym.features.bars import NS_PER_DAY, NS_PER_SECOND
from regimegym.features.quality.sessions import Hole, Pause, Sessions
from regimegym.features.quality.subject import Note, Subject, counted

BLOCK = 64  # steps between bars that have one length, or the file mixes lengths
HOUR = 3600 * NS_PER_SECOND
US_OPEN = 9 * HOUR + HOUR // 2  # of the regular session in New York
LAW_OF_CLOCKS = ("America/New_York", "Europe/London")


def time_notes(subject: Subject) -> list[Note]:
    """Everything odd about the times of `subject`."""
    notes = [*mixed_frequency(subject), *off_grid(subject)]
    if subject.sessions is not None and not notes:  # hours cannot be read off bars of several lengths
        notes += session_notes(subject, subject.sessions)
        notes += us_half_hour(subject, subject.sessions)
        notes += local_clock(subject, subject.sessions)
    return notes


def session_notes(subject: Subject, sessions: Sessions) -> list[Note]:
    """Gaps, half days, holidays, holes of weeks and bars on closed weekdays."""
    notes = []
    if sessions.holes:
        n_bars = sum(hole.n_bars for hole in sessions.holes)
        notes.append(_holes_note(subject, "gap", f"{counted(n_bars, 'bar')} missing inside sessions", sessions.holes))
    if sessions.never_closes and sessions.closed:
        sentence = "whole days are missing in a market that never closes"
        notes.append(_pauses_note(subject, "missing-day", sentence, sessions.closed))
    elif sessions.closed:
        sentence = "weekdays without a bar: holidays, if the exchange was closed"
        notes.append(_pauses_note(subject, "closed-day", sentence, sessions.closed))
    if sessions.long:
        sentence = f"the file falls apart into {len(sessions.long) + 1} pieces; nothing may be computed across them"
        notes.append(_pauses_note(subject, "long-gap", sentence, sessions.long))
    if sessions.short:
        sentence = "sessions that begin late or end early: half days, or missing bars"
        notes.append(_holes_note(subject, "short-session", sentence, sessions.short))
    if len(sessions.extra):
        sentence = f"bars on weekdays without sessions ({sessions.name})"
        notes.append(Note("off-calendar", sentence, sessions.extra, lambda i: f"a bar at {_weekday(subject, i)}"))
    return notes


def _holes_note(subject: Subject, name: str, sentence: str, holes: tuple[Hole, ...]) -> Note:
    sizes = {hole.row: hole.n_bars for hole in holes}

    def text(row: int) -> str:
        return f"{counted(sizes[row], 'bar')} missing between {subject.time(row - 1)} and {subject.time(row)}"

    return Note(name, sentence, np.array([hole.row for hole in holes]), text)


def _pauses_note(subject: Subject, name: str, sentence: str, pauses: tuple[Pause, ...]) -> Note:
    sizes = {pause.row: pause.n_days for pause in pauses}

    def text(row: int) -> str:
        return f"{counted(sizes[row], 'day')} without a bar between {subject.time(row - 1)} and {subject.time(row)}"

    return Note(name, sentence, np.array([pause.row for pause in pauses]), text)


def mixed_frequency(subject: Subject) -> list[Note]:
    """Stretches of BLOCK steps whose usual step is another one than the file's."""
    steps = np.diff(subject.times)
    n_blocks = len(steps) // BLOCK
    if n_blocks < 2 or subject.timeframe_ns > 5 * NS_PER_DAY:  # months have no one length
        return []
    blocks = np.sort(steps[: n_blocks * BLOCK].reshape(n_blocks, BLOCK), axis=1)
    usual = blocks[:, BLOCK // 2]
    agreed = (blocks == usual[:, None]).mean(axis=1) > 0.5
    other = np.flatnonzero(agreed & (usual != subject.timeframe_ns))
    if not len(other):
        return []

    def text(row: int) -> str:
        return f"bars of {length(int(usual[row // BLOCK]))} from {subject.time(row)}"

    sentence = f"most bars are {length(subject.timeframe_ns)} long, whole stretches are not: one file, one bar length"
    return [Note("mixed-frequency", sentence, other * BLOCK, text)]


def off_grid(subject: Subject) -> list[Note]:
    """Bars that begin between the beginnings of all others."""
    timeframe = min(subject.timeframe_ns, HOUR) if subject.timeframe_ns < NS_PER_DAY else subject.timeframe_ns
    if subject.timeframe_ns > NS_PER_DAY or (subject.timeframe_ns == NS_PER_DAY and not _at_one_time(subject)):
        return []
    phase = subject.times % timeframe
    phases, counts = np.unique(phase, return_counts=True)
    rows = np.flatnonzero(phase != phases[np.argmax(counts)])
    if not len(rows) or len(rows) > 0.05 * len(subject):  # more is a habit of the source
        return []
    sentence = f"bars that do not begin on the grid of {length(subject.timeframe_ns)}: cut off, or of another length"
    return [Note("off-grid", sentence, rows, lambda i: f"a bar begins at {subject.time(i)}")]


def _at_one_time(subject: Subject) -> bool:
    """Whether daily bars carry one time of the day (in UTC), whatever the clocks do."""
    counts = np.unique(subject.times % NS_PER_DAY, return_counts=True)[1]
    return bool(counts.max() > 0.9 * len(subject))


def us_half_hour(subject: Subject, sessions: Sessions) -> list[Note]:
    """American shares trade from 09:30: an hourly bar that begins at 09:00 New York holds half an hour."""
    hours_only = subject.timeframe_ns % HOUR == 0 and subject.timeframe_ns < NS_PER_DAY
    closes_at_four = sessions.closes_ns - subject.timeframe_ns < 16 * HOUR <= sessions.closes_ns
    opens_at_nine = sessions.opens_ns <= US_OPEN < sessions.opens_ns + subject.timeframe_ns
    if not (hours_only and sessions.clock == "New York" and opens_at_nine and closes_at_four):
        return []
    minutes = (sessions.opens_ns + subject.timeframe_ns - US_OPEN) // (60 * NS_PER_SECOND)
    steps = np.diff(subject.times, prepend=subject.times[0] - NS_PER_DAY)
    rows = np.flatnonzero(steps > subject.timeframe_ns)
    sentence = f"the first bar of a day holds {minutes} minutes where the New York session opens at 09:30"
    return [Note("partial-first-bar", sentence, rows, lambda i: f"the session's first bar, {subject.time(i)}")]


def local_clock(subject: Subject, sessions: Sessions) -> list[Note]:
    """Times without a zone whose sessions open on the same hour, in UTC, all year: an exchange's local time?"""
    changes = _changes_of_clocks(subject.times[0], subject.times[-1])
    morning = 7 * HOUR <= sessions.opens_ns <= 10 * HOUR + HOUR // 2
    if subject.zoned or sessions.clock != "UTC" or sessions.around_the_clock or not morning or changes < 2:
        return []
    if subject.timeframe_ns == NS_PER_DAY:
        return []
    sentence = (
        f"times say no zone and were read as UTC; sessions open at the same hour over {changes} changes of clocks, "
        "as an exchange's local time does: data.timezone=America/New_York?"
    )
    return [Note("local-time", sentence, np.empty(0, dtype=np.int64))]


def clock_change(times: np.ndarray, rows: np.ndarray, zoned: bool) -> str:
    """Advice where repeated or falling times lie on a change of clocks; empty otherwise.

    `rows` (N,): rows of `times` that repeat or fall.
    """
    if zoned or not len(rows):
        return ""
    days = pd.DatetimeIndex((times[rows] // NS_PER_DAY * NS_PER_DAY).view("datetime64[ns]"))
    for zone in LAW_OF_CLOCKS:
        noon = (days + pd.Timedelta(hours=12)).tz_localize(zone)
        before = (days - pd.Timedelta(hours=12)).tz_localize(zone)
        longer = np.asarray(noon - before) != np.timedelta64(24, "h")
        if longer.all():
            return f"all of them lie on the day on which {zone} changes its clocks: data.timezone={zone}?"
    return ""


def _changes_of_clocks(first: int, last: int) -> int:
    """Changes of New York's clocks between two times."""
    days = pd.date_range(pd.Timestamp(int(first)), pd.Timestamp(int(last)), freq="D", tz="UTC")
    offsets = np.asarray(days.tz_convert("America/New_York").tz_localize(None).asi8 - days.tz_localize(None).asi8)
    return int((np.diff(offsets) != 0).sum())


def _weekday(subject: Subject, row: int) -> str:
    return f"{subject.time(row)} ({pd.Timestamp(int(subject.times[row])).day_name()} UTC)"


def length(ns: int) -> str:
    """A length of time for people: `1 min`, `4 h`, `1 d`."""
    seconds = ns / NS_PER_SECOND
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:.4g} s"
