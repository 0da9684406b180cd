"""Spans of time in bars or on the calendar, and where they lead on the time stamps there are."""

import re

import numpy as np
import pandas as pd

from regimegym.common.checks import check_at_least
from regimegym.common.errors import ConfigError

LENGTHS = {
    "day": lambda n: pd.DateOffset(days=n),
    "week": lambda n: pd.DateOffset(weeks=n),
    "month": lambda n: pd.DateOffset(months=n),
    "year": lambda n: pd.DateOffset(years=n),
}
SHORT = {"d": "day", "w": "week", "mo": "month", "y": "year"}
SPAN = re.compile(rf"(\d+) ?(?:({'|'.join(LENGTHS)})s?|({'|'.join(SHORT)}))")


class Clock:
    """Distinct time stamps, and where a span of bars or of the calendar leads on them."""

    def __init__(self, stamps: np.ndarray) -> None:
        self.stamps = stamps
        self.bar = int(np.diff(stamps).min()) if len(stamps) > 1 else 1
        self.first = int(stamps[0]) if len(stamps) else 0
        self.stop = int(stamps[-1]) + self.bar if len(stamps) else 0

    def after(self, start: int, span: int | str, times: int = 1) -> int:
        """Time stamp, UTC nanoseconds, `times` spans after `start`; beyond the last bar it goes on in bars."""
        parsed = parse_span("span", span)
        if isinstance(parsed, pd.DateOffset):
            return int((pd.Timestamp(start, unit="ns") + times * parsed).as_unit("ns").value) if times else start
        index = int(np.searchsorted(self.stamps, start)) + times * parsed
        beyond = index - len(self.stamps)
        return int(self.stamps[index]) if beyond < 0 else self.stop + beyond * self.bar

    def after_both(self, start: int, span: int | str, step: int | str, times: int) -> int:
        """Time stamp one `span` and `times` steps after `start`; months are counted together, so month ends stay."""
        parts = parse_span("span", span), parse_span("step", step)
        if not all(isinstance(part, pd.DateOffset) for part in parts):
            return self.after(self.after(start, span), step, times)
        first, second = (part.kwds for part in parts)  # type: ignore[union-attr]
        total = {unit: first.get(unit, 0) + times * second.get(unit, 0) for unit in {**first, **second}}
        return int((pd.Timestamp(start, unit="ns") + pd.DateOffset(**total)).as_unit("ns").value)


def parse_span(name: str, span: int | str) -> int | pd.DateOffset:
    """Bars, or a calendar length. Raises ConfigError for anything else."""
    if isinstance(span, int):
        check_at_least(name, span, 1)
        return span
    match = SPAN.fullmatch(str(span).strip())
    if match is None or int(match[1]) < 1:
        raise ConfigError(
            "no-span",
            f"'{name}' must be a number of bars or a calendar length, got {span!r}",
            needed="such as 500, '10 days', '6 weeks', '4 months' or 4mo, '1 year'",
        )
    return LENGTHS[match[2] or SHORT[match[3]]](int(match[1]))


def parse_date(name: str, text: str | None) -> int:
    """UTC nanoseconds of a date such as 2020-01-31 or 2020-01-31 14:00. Raises ConfigError for anything else."""
    stamp = pd.to_datetime("" if text is None else str(text), errors="coerce")
    if pd.isna(stamp):
        raise ConfigError("no-date", f"'{name}' must be a date, got {text!r}", needed="such as 2020-01-31")
    return int((stamp.tz_localize("UTC") if stamp.tz is None else stamp).as_unit("ns").value)


def day(stamp: int) -> str:
    """UTC date of a time stamp in nanoseconds."""
    return f"{pd.Timestamp(stamp, unit='ns'):%Y-%m-%d}"
