"""One record per bar: everything that a step asks of the market, side by side in memory.

A step reads a dozen numbers of two neighbouring bars, wherever they lie; in one record they are
two lines of the cache, in columns a dozen. A MarketTape owns the records, its columns look into
them, and the kernel reads them where they are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NS_PER_YEAR = 31_557_600 * 1e9  # 365.25 days

BAR = np.dtype(
    [
        ("open", "f8"),
        ("high", "f8"),
        ("low", "f8"),
        ("close", "f8"),
        ("half_spread_open", "f8"),
        ("half_spread_close", "f8"),
        ("years", "f8"),
        ("regime", "i8"),
        ("volume", "f8"),
        ("funding_rate", "f8"),
    ]
)  # what a step asks of every bar stands first
PRICES = ("open", "high", "low", "close", "volume", "half_spread_open", "half_spread_close")  # also columns of a tape


def new_records(
    columns: Mapping[str, np.ndarray],
    regimes: np.ndarray,
    funding_rate: np.ndarray | None,
    years: np.ndarray,
) -> np.ndarray:
    """(T,) records BAR.

    Args:
        columns: those of PRICES, (T,) each.
        regimes: (T,) codes of Regime.
        funding_rate: (T,), None where nobody pays: 0.
        years: (T,) dt, the years over which a position held into the bar pays carry.
    """
    records = np.empty(len(regimes), BAR)
    for name in PRICES:
        records[name] = columns[name]
    records["years"] = years
    records["regime"] = regimes
    records["funding_rate"] = 0.0 if funding_rate is None else funding_rate
    return records


def years_per_bar(segments: Sequence[Any]) -> np.ndarray:
    """(T,) dt of every bar by its segment's calendar: 1/periods_per_year."""
    return np.repeat([1.0 / s.periods_per_year for s in segments], [s.stop - s.start for s in segments])


def years_elapsed(timestamps: np.ndarray, segments: Sequence[Any]) -> np.ndarray:
    """(T,) time since the bar before; a segment's first bar has none (NaN): nothing is held into it."""
    years = np.diff(timestamps, prepend=timestamps[:1]) / NS_PER_YEAR
    years[[segment.start for segment in segments]] = np.nan
    return years
