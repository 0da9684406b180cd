"""Timestamps of vendors' files to UTC nanoseconds: epochs, ISO, and the usual national forms."""

import re
import zoneinfo
from collections.abc import Sequence

import numpy as np
import pandas as pd

from regimegym.common.errors import ConfigError, DataError, nearest_name

NAT = np.iinfo(np.int64).min  # stands for "no readable time" in int64 timestamps
# Epochs by size: seconds stay below 1e11 until the year 5138, and so on by thousands.
EPOCH_UNITS = ((1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1_000), (np.inf, 1))
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


def epoch_to_ns(values: np.ndarray) -> np.ndarray:
    """Seconds, milli-, micro- or nanoseconds since 1970 (told apart by size) to int64 nanoseconds.

    `values` (T,) integers or floats; NaN becomes NAT. Each value is judged alone, since
    some vendors changed their unit in the middle of a file.
    """
    size = np.abs(np.nan_to_num(values.astype(np.float64)))
    factor = np.select([size < limit for limit, _ in EPOCH_UNITS], [unit for _, unit in EPOCH_UNITS])
    if values.dtype.kind == "f":
        whole = np.nan_to_num(np.floor(values))
        fraction = np.nan_to_num((values - whole) * factor)
        ns = whole.astype(np.int64) * factor + np.round(fraction).astype(np.int64)
        return np.where(np.isfinite(values), ns, NAT)
    return values.astype(np.int64) * factor


def text_to_ns(texts: Sequence[str], timezone: str, file: str) -> np.ndarray:
    """Dates as text to (T,) int64 UTC nanoseconds; NAT where a text is no date of the file's form.

    Args:
        texts: T dates, all of one form.
        timezone: zone of dates that do not say theirs.
        file: name of the file, for messages.

    Raises:
        DataError: `unreadable-dates` when the form is unknown, `ambiguous-dates` when day and
            month cannot be told apart, `ambiguous-hour` at a change of clocks.
        ConfigError: `unknown-timezone`.
    """
    first = next((text for text in texts if text), "")
    if DIGITS.match(first):
        numbers = pd.to_numeric(pd.Series(texts, dtype="str"), errors="coerce")
        return epoch_to_ns(numbers.to_numpy(np.float64 if numbers.isna().any() else None))
    if HAS_ZONE.search(first) and (":" in first or not re.search(r"\d-\d{4}$", first)):
        return _with_zone(texts)
    return localise(_naive(texts, first, file), timezone, file)


def localise(naive: np.ndarray, timezone: str, file: str) -> np.ndarray:
    """Wall-clock nanoseconds (T,) of `timezone` to UTC nanoseconds; NAT stays."""
    if timezone.upper() == "UTC":
        return naive
    if timezone not in zoneinfo.available_timezones():
        near = nearest_name(timezone, zoneinfo.available_timezones())
        raise ConfigError("unknown-timezone", f"there is no time zone '{timezone}'", nearest=near)
    wall = pd.DatetimeIndex(naive.view("datetime64[ns]"))
    try:
        return wall.tz_localize(timezone, ambiguous="infer").tz_convert("UTC").asi8
    except ValueError as error:
        raise DataError(
            "ambiguous-hour",
            f"{file} holds a local time that {timezone} has twice or never (change of clocks)",
            found=str(error),
            help=("export the data in UTC",),
        ) from error


def _with_zone(texts: Sequence[str]) -> np.ndarray:
    """ISO dates that carry a zone, and the 'GMT+0100' and 'UTC' of some vendors."""
    series = pd.Series(texts, dtype="str").str.replace(r"\s*(GMT|UTC)(?=[+-]\d{4}$)", "", regex=True)
    series = series.str.replace(r"\s*(UTC|GMT)$", "", regex=True)
    parsed = pd.to_datetime(series, format="ISO8601", utc=True, errors="coerce")
    if parsed.isna().all():
        parsed = pd.to_datetime(series, format="%d.%m.%Y %H:%M:%S.%f%z", utc=True, errors="coerce")
    return _ns(parsed)


def _naive(texts: Sequence[str], first: str, file: str) -> np.ndarray:
    series = pd.Series(texts, dtype="str")
    if re.match(r"^\d{4}-\d{2}-\d{2}", first) and _parses(first, "ISO8601"):
        return _ns(pd.to_datetime(series, format="ISO8601", errors="coerce"))
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
    return np.array(parsed.dt.as_unit("ns").astype("int64"))
