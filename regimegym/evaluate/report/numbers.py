"""How numbers are written in the report: undefined is –, a true minus sign, no sign on a zero.

`report.js` writes the values of its charts by the same rules, so that a chart's end and the
table's cell read alike. Every function takes None or NaN for "undefined".
"""

import math
import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from html import escape
from typing import TypeGuard

DASH = "–"
MINUS = "−"
HUGE = 1e12
NO_BREAK = "\u00a0"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def is_defined(value: float | None) -> TypeGuard[float]:
    """True for a finite number; False for None, NaN and ±∞."""
    return value is not None and math.isfinite(value)


def number(value: float | None, digits: int = 2, signed: bool = False) -> str:
    """`value` with `digits` decimals and commas between thousands; `signed` adds a plus.

    From 10¹² on (hindsight over decades) it is written with an exponent: 3.1e+24.
    """
    if not is_defined(value):
        return DASH
    if abs(value) >= HUGE:
        return f"{MINUS if value < 0 else '+' if signed else ''}{abs(value):.1e}"
    # Ties go away from zero, as in JavaScript's toFixed.
    size = Decimal(abs(value)).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
    sign = "" if size == 0 else MINUS if value < 0 else "+" if signed else ""
    return f"{sign}{size:,f}"


def percent(value: float | None, digits: int = 1, signed: bool = False) -> str:
    """A fraction as per cent: 0.031 → 3.1 %."""
    if not is_defined(value):
        return DASH
    return f"{number(value * 100, digits, signed)}{NO_BREAK}%"


def quantity(value: float | None, unit: str, signed: bool = False) -> str:
    """`value` in one of the units of report.json; an unknown unit is written as a ratio."""
    if unit in ("percent", "share"):
        return percent(value, 1, signed)
    if unit == "log":
        return number(value, 3, True)
    if unit == "multiple":
        return f"{number(value, 1)}{NO_BREAK}×" if is_defined(value) else DASH
    if unit == "count":
        return number(value, 0)
    if unit == "bars":
        return number(value, 1)
    return number(value, 2, signed)


def interval(low: float | None, high: float | None, unit: str, signed: bool = False) -> str:
    """Two bounds with the unit written once: −12.0 to +20.5 %; – when one is undefined."""
    if not (is_defined(low) and is_defined(high)):
        return DASH
    first, last = quantity(low, unit, signed), quantity(high, unit, signed)
    for ending in (f"{NO_BREAK}%", f"{NO_BREAK}×"):
        first = first.removesuffix(ending)
    return f"{first} to {last}"


def mark(low: float | None, high: float | None, line: float | None) -> str:
    """● when the interval excludes `line`, ○ when it includes it, nothing when undefined."""
    if not (is_defined(low) and is_defined(high) and is_defined(line)):
        return ""
    return "○" if low <= line <= high else "●"


def words(text: str) -> str:
    """`text` escaped for HTML, its units bound to their numbers."""
    return re.sub(r"(?<=\d) (?=[%×])", NO_BREAK, escape(text))


def plural(count: int, word: str) -> str:
    """1 trade, 2 trades."""
    return f"{number(count, 0)} {word}{'' if count == 1 else 's'}"


def day(milliseconds: int | None) -> str:
    """UTC day of a time stamp: 1 Jan 2023."""
    if milliseconds is None:
        return DASH
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment.day}{NO_BREAK}{MONTHS[moment.month - 1]}{NO_BREAK}{moment.year}"


def minute(milliseconds: int | None) -> str:
    """UTC minute of a time stamp: 1 Jan 2023 14:00 UTC."""
    if milliseconds is None:
        return DASH
    return f"{day(milliseconds)} {datetime.fromtimestamp(milliseconds / 1000, UTC):%H:%M} UTC"
