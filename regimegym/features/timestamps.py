"""Timestamps of vendors' files to UTC nanoseconds: epochs, ISO, and the usual national forms."""

import contextlib
import re
import zoneinfo
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from regimegym.common.errors import ConfigError, DataError, nearest_name
from regimegym.features.bars import NS_PER_DAY

NAT = np.iinfo(np.int64).min  # stands for "no readable time" in int64 timestamps
MOST_MICRO = np.iinfo(np.int64).max // 1000
# Epochs by size: seconds stay below 1e11 until the year 5138, and so on by thousands.
EPOCH_UNITS = ((1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1_000), (np.inf, 1))
SAMPLE = 200  # texts that are looked at to find the form of a file
EXCEL = (20_000, 80_000)  # serial numbers of the days from 1954 to 2119
EXCEL_TEXT = re.compile(r"^\d{5}(\.\d*)?$")
DIGITS = re.compile(r"^-?\d{9,}(\.\d*)?$")
HAS_ZONE = re.compile(r"(Z|[+-]\d{2}:?\d{2}|GMT[+-]\d{4}|UTC)$", re.IGNORECASE)
TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %H%M%S", " %H%M", " %I:%M %p", " %I:%M:%S %p", " %I-%p")
DAYS = (
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%Y/%m/%d",
    "%Y%m%d",
    "%d-%m-%Y",
    "%Y-%m-%d",
    "%b %d, %Y",
    "%d %b %Y",
    "%d-%b-%Y",
)
SLASHED = ("%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y")


class Times(NamedTuple):
    """Times of a file.

    Attributes:
        ns: (T,) int64 UTC nanoseconds; NAT where there is no readable time.
        zoned: the texts say their zone, or are epochs.
        unclear: rows whose local time the zone has twice or never; NAT in `ns`.
        walls: (T,) datetime64[ns] as the file says it, where `zoned` is false.
    """

    ns: np.ndarray
    zoned: bool
    unclear: np.ndarray = np.empty(0, dtype=np.int64)
    walls: np.ndarray = np.empty(0, dtype="datetime64[ns]")


def epoch_to_ns(values: np.ndarray) -> np.ndarray:
    """Seconds, milli-, micro- or nanoseconds since 1970 (told apart by size) to int64 nanoseconds.

    `values` (T,) integers or floats; NaN becomes NAT. Each value is judged alone, since
    some vendors changed their unit in the middle of a file.
    """
    size = np.abs(np.nan_to_num(values.astype(np.float64)))
    values = (
        np.where(size < np.iinfo(np.int64).max, values, np.nan) if (size >= np.iinfo(np.int64).max).any() else values
    )
    factor = np.select([size < limit for limit, _ in EPOCH_UNITS], [unit for _, unit in EPOCH_UNITS])
    if values.dtype.kind == "f":
        whole = np.nan_to_num(np.floor(values))
        fraction = np.nan_to_num((values - whole) * factor)
        ns = whole.astype(np.int64) * factor + np.round(fraction).astype(np.int64)
        return np.where(np.isfinite(values), ns, NAT)
    return values.astype(np.int64) * factor


def epoch_to_times(values: np.ndarray, file: str) -> Times:
    """Epochs (T,) as `epoch_to_ns` reads them. Raises DataError `excel-dates` for serial numbers of a spreadsheet."""
    known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if len(known) and EXCEL[0] <= known.min() and known.max() <= EXCEL[1]:
        raise _excel_dates(f"{known[0]:.10g}", file)
    return Times(epoch_to_ns(values), zoned=True)


def _excel_dates(first: str, file: str) -> DataError:
    day = np.datetime64("1899-12-30") + np.timedelta64(int(float(first)), "D")
    return DataError(
        "excel-dates",
        f"{file} holds the serial number {first} of a spreadsheet where a date should stand",
        needed="dates as text, or epochs",
        found=f"{first} would be {day} in Excel",
        help=("format the column as yyyy-mm-dd hh:mm in the spreadsheet and export it again",),
    )


def text_to_ns(texts: Sequence[str], timezone: str, file: str) -> np.ndarray:
    """(T,) int64 UTC nanoseconds of `text_to_times`, NAT where a text is no clear time."""
    return text_to_times(texts, timezone, file).ns


def text_to_times(texts: Sequence[str], timezone: str, file: str) -> Times:
    """Dates as text to UTC nanoseconds; NAT where a text is no date of the file's form.

    Args:
        texts: T dates, all of one form.
        timezone: zone of dates that do not say theirs.
        file: name of the file, for messages.

    Raises:
        DataError: `unreadable-dates` when the form is unknown, `ambiguous-dates` when day and
            month cannot be told apart, `excel-dates`.
        ConfigError: `unknown-timezone`.
    """
    first = _typical(texts)
    if EXCEL_TEXT.match(first) and EXCEL[0] <= float(first) <= EXCEL[1]:
        raise _excel_dates(first, file)
    if DIGITS.match(first):
        numbers = pd.to_numeric(pd.Series(texts, dtype="str"), errors="coerce")
        return Times(epoch_to_ns(numbers.to_numpy(np.float64 if numbers.isna().any() else None)), zoned=True)
    if _has_zone(first):
        return Times(_with_zone(texts), zoned=True)
    return localise(_naive(texts, first, file), timezone)


def _typical(texts: Sequence[str]) -> str:
    """The first text of the form that most texts have: a stray header must not decide for all."""
    sample = [text for text in texts[:: max(1, len(texts) // SAMPLE)] if text] or [""]
    forms = [re.sub(r"\d", "9", text) for text in sample]
    return sample[forms.index(max(forms, key=forms.count))]


def _has_zone(text: str) -> bool:
    return bool(HAS_ZONE.search(text)) and (":" in text or not re.search(r"\d-\d{4}$", text))


def check_timezone(timezone: str) -> None:
    """Raise ConfigError `unknown-timezone` unless `timezone` is UTC or a name of the IANA list."""
    if timezone.upper() != "UTC" and timezone not in zoneinfo.available_timezones():
        near = nearest_name(timezone, zoneinfo.available_timezones())
        raise ConfigError("unknown-timezone", f"there is no time zone '{timezone}'", nearest=near)


def localise(naive: np.ndarray, timezone: str) -> Times:
    """Wall-clock nanoseconds (T,) of `timezone` to UTC; NAT stays.

    The hour that autumn has twice is told apart where the file repeats it; raises ConfigError
    `unknown-timezone`.
    """
    check_timezone(timezone)
    if timezone.upper() == "UTC":
        return Times(naive, zoned=False, walls=naive.view("datetime64[ns]"))
    wall = pd.DatetimeIndex(naive.view("datetime64[ns]"))
    local = np.array(wall.tz_localize(timezone, ambiguous="NaT", nonexistent="NaT").asi8)
    unclear = np.flatnonzero((local == NAT) & (naive != NAT))
    days = naive[unclear] // NS_PER_DAY
    for day in np.unique(days):  # at most two a year
        rows = unclear[days == day]
        with contextlib.suppress(ValueError):  # the file does not tell: the rows stay unclear
            local[rows] = wall[rows].tz_localize(timezone, ambiguous="infer").asi8
    return Times(local, False, unclear[local[unclear] == NAT], naive.view("datetime64[ns]"))


def _with_zone(texts: Sequence[str]) -> np.ndarray:
    """ISO dates that carry a zone, and the 'GMT+0100' and 'UTC' of some vendors; NAT where one has no zone."""
    series = pd.Series(texts, dtype="str")
    zoned = _zoned(series)
    if series.str.contains("utc|gmt", case=False, regex=True).any():  # searching is cheaper than replacing
        series = series.str.replace(r"\s*(GMT|UTC)(?=[+-]\d{4}$)", "", regex=True, case=False)
        series = series.str.replace(r"\s*(UTC|GMT)$", "", regex=True, case=False)
    parsed = pd.to_datetime(series, format="ISO8601", utc=True, errors="coerce")
    if parsed.isna().all():
        parsed = pd.to_datetime(series, format="%d.%m.%Y %H:%M:%S.%f%z", utc=True, errors="coerce")
    return np.where(zoned, _ns(parsed), NAT)


def _zoned(series: pd.Series) -> np.ndarray:
    """(T,) bool: which texts say their zone."""
    found = pc.match_substring_regex(pa.array(series), HAS_ZONE.pattern, ignore_case=True)
    return found.fill_null(False).to_numpy(zero_copy_only=False)


def _naive(texts: Sequence[str], first: str, file: str) -> np.ndarray:
    series = pd.Series(texts, dtype="str")
    if re.match(r"^\d{4}-\d{2}-\d{2}", first) and _parses(first, "ISO8601"):
        try:
            return _ns(pd.to_datetime(series, format="ISO8601", errors="coerce"))
        except ValueError:  # some rows say a zone, most do not: those few are no times of this file
            return _ns(pd.to_datetime(series.where(~_zoned(series)), format="ISO8601", errors="coerce"))
    for form in (day + time for day in DAYS for time in TIMES):
        if _parses(first, form):
            return _ns(pd.to_datetime(series, format=form, errors="coerce"))
    readings = [_ns(pd.to_datetime(series, format=day + time, errors="coerce")) for day in SLASHED for time in TIMES]
    best = min(((ns == NAT).sum() for ns in readings), default=len(texts))
    readings = [ns for ns in readings if (ns == NAT).sum() == best < len(texts)]
    if not readings:
        raise DataError(
            "unreadable-dates",
            f"{file} holds dates of an unknown form: '{first}'",
            needed="ISO (2024-01-31 13:00), epoch (s, ms, us, ns), 31.01.2024 13:00, 2024.01.31 13:00, …",
        )
    return _ordered(readings, first, file)


def _ordered(readings: list[np.ndarray], first: str, file: str) -> np.ndarray:
    """The one reading of 03/04/2024 that puts the bars in order."""
    different = [ns for i, ns in enumerate(readings) if not any(np.array_equal(ns, o) for o in readings[:i])]
    sorted_ones = [ns for ns in different if abs(np.sign(np.diff(ns)).sum()) == len(ns) - 1]
    candidates = sorted_ones or different
    if len(candidates) > 1:
        raise DataError(
            "ambiguous-dates",
            f"{file}: '{first}' may be month/day or day/month, and the order of the rows does not tell",
            help=("write the dates as 2024-01-31",),
        )
    return candidates[0]


def _parses(text: str, form: str) -> bool:
    return bool(pd.notna(pd.to_datetime(text, format=form, errors="coerce")))


def _ns(parsed: pd.Series) -> np.ndarray:
    """(T,) int64 nanoseconds of parsed times; NAT outside 1678 to 2262, which nanoseconds do not reach."""
    if parsed.dt.unit == "ns":
        return np.array(parsed.astype("int64"))
    micro = np.array(parsed.dt.as_unit("us").astype("int64"))
    return np.where((micro > MOST_MICRO) | (micro < -MOST_MICRO), NAT, micro * 1000)
