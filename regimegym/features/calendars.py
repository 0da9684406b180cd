"""What the timestamps of a history say: bar length, gaps, bars per year."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from regimegym.features.bars import NS_PER_DAY, NS_PER_SECOND, SECONDS_PER_YEAR, Bars

SNAP = 0.03  # an observed bars-per-year this near to a calendar's own number is that number
CALENDAR_DAYS = (365, 252)  # days with bars per year: every day; weekdays without holidays
FIRST_GAPS = 5


class Gap(NamedTuple):
    """No bar starts between `start_ns` and `stop_ns` (UTC nanoseconds); `row` is the bar after it."""

    row: int
    start_ns: int
    stop_ns: int

    @property
    def length_ns(self) -> int:
        """Time between the two bars' starts, in nanoseconds."""
        return self.stop_ns - self.start_ns


@dataclass(frozen=True)
class Gaps:
    """Spacing other than one bar length; nights, weekends and holidays count too.

    `count` steps are longer than a bar, `shorter` are shorter; `first` lists the first few long ones.
    """

    count: int
    shorter: int
    largest: Gap | None
    first: tuple[Gap, ...]


def infer_timeframe(timestamps: np.ndarray) -> int:
    """The most common step between bars in nanoseconds; the shortest one on a tie."""
    steps, counts = np.unique(np.diff(timestamps), return_counts=True)
    return int(steps[np.argmax(counts)])


def find_gaps(bars: Bars) -> Gaps:
    """Irregular spacing of `bars`; a report, never an error."""
    steps = np.diff(bars.timestamps)
    rows = np.flatnonzero(steps > bars.timeframe_ns) + 1
    shorter = int((steps < bars.timeframe_ns).sum())
    if len(rows) == 0:
        return Gaps(0, shorter, None, ())
    largest = int(rows[np.argmax(steps[rows - 1])])
    first = tuple(_gap(bars, int(row)) for row in rows[:FIRST_GAPS])
    return Gaps(len(rows), shorter, _gap(bars, largest), first)


def _gap(bars: Bars, row: int) -> Gap:
    return Gap(row, int(bars.timestamps[row - 1]), int(bars.timestamps[row]))


def observed_periods_per_year(timestamps: np.ndarray) -> float:
    """Bars per year of this history's own calendar.

    (n − 1) / elapsed years, or 365·k or 252·k (k = median bars of the days that have bars)
    when one of them lies within 3 %: 8760 for hourly crypto, 252 for daily equities.
    """
    years = (timestamps[-1] - timestamps[0]) / NS_PER_SECOND / SECONDS_PER_YEAR
    observed = (len(timestamps) - 1) / years
    per_day = np.unique(timestamps // NS_PER_DAY, return_counts=True)[1]
    whole_days = per_day[1:-1] if len(per_day) > 2 else per_day
    bars_per_day = float(np.median(whole_days))
    for days in CALENDAR_DAYS:
        if abs(observed / (days * bars_per_day) - 1) <= SNAP:
            return days * bars_per_day
    return float(observed)
