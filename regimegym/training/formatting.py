"""Numbers as they stand in the terminal: a true minus sign, – where undefined, never cut.

An undefined value is NaN or None; a percentage has a space before its sign.
"""

import math

UNDEFINED = "–"
HUGE = 1e9
MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 2, signed: bool = False) -> str:
    """`value` with `digits` decimals and thousands separators; infinite and NaN are undefined.

    From 10⁹ on it is written with an exponent, which is never wider than a column: 3.1e+24.
    """
    if value is None or not math.isfinite(value):
        return UNDEFINED
    if abs(value) >= HUGE:
        return (f"{value:+.1e}" if signed else f"{value:.1e}").replace("-", MINUS)
    text = f"{value:+,.{digits}f}" if signed and round(value, digits) else f"{value:,.{digits}f}"
    if not round(value, digits):
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def percent(fraction: float | None, digits: int = 1, signed: bool = False) -> str:
    """A fraction as a percentage: 0.134 → "13.4 %"; no decimals from 1,000 % on."""
    if fraction is None or not math.isfinite(fraction):
        return UNDEFINED
    return f"{number(100.0 * fraction, digits if abs(fraction) < 10.0 else 0, signed)} %"


def with_error(value: float, error: float, scale_percent: bool = False) -> str:
    """A mean and its standard error with the same decimals: "+0.61 ± 0.07", "+4.8 ± 0.6 %"."""
    factor = 100.0 if scale_percent else 1.0
    unit = " %" if scale_percent else ""
    if not math.isfinite(value):
        return UNDEFINED
    digits = 1 if scale_percent else decimals(value)
    spread = number(factor * error, digits)
    return f"{number(factor * value, digits, signed=True)} ± {spread}{unit}"


def decimals(value: float) -> int:
    """Decimals that leave about three digits of `value`: 2 at 0.61, 4 at 0.0131, 0 at 500."""
    if not math.isfinite(value) or value == 0.0:
        return 2
    return min(max(2 - math.floor(math.log10(abs(value))), 0), 6) if abs(value) < 0.1 else _few(value)


def _few(value: float) -> int:
    if abs(value) < 10.0:
        return 2
    return 1 if abs(value) < 100.0 else 0


def count(value: float) -> str:
    """Steps in few characters: 697 → "697", 697,000 → "697k", 1,200,000 → "1.20M"."""
    if value < 10_000:
        return f"{value:,.0f}"
    return f"{value / 1e3:,.0f}k" if value < 999_500 else f"{value / 1e6:,.2f}M"


def duration(seconds: float) -> str:
    """ "3:24", or "1:03:24" from an hour on."""
    if not math.isfinite(seconds):
        return UNDEFINED
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size(n_bytes: float) -> str:
    """Bytes in decimal units: "38 MB", "182 GB", "3.4 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000.0:
            digits = 1 if n_bytes < 10.0 and unit != "bytes" else 0
            return f"{n_bytes:,.{digits}f} {unit}"
        n_bytes /= 1000.0
    return f"{n_bytes:,.1f} TB"
