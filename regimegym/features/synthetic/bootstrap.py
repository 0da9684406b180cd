"""Stationary block bootstrap of bars: other histories made of the training rows' own bars.

Source: Politis and Romano 1994, "The stationary bootstrap", JASA 89, 1303-1313.
"""

from typing import NamedTuple

import numpy as np

from regimegym.common.checks import check_at_least, check_number
from regimegym.common.errors import DataError
from regimegym.features.bars import Bars
from regimegym.features.splits import RowRange


class Resampled(NamedTuple):
    """A resampled history.

    Attributes:
        bars: n bars on a regular grid of times from the first training row on.
        rows: (n,) int64, row of the source each bar's move comes from.
        begins: (n,) bool, True where a block begins: what looks back across it, such as the label
            of a sequence, sees a seam.
    """

    bars: Bars
    rows: np.ndarray
    begins: np.ndarray


def block_bootstrap(
    bars: Bars, train: RowRange, rng: np.random.Generator, n_samples: int = 1_000, block_size: float = 10.0
) -> Resampled:
    """Exactly `n_samples` bars whose moves come in blocks from the training rows of `bars`.

    Every bar keeps its log distances from the close before it, its volume and its quoted spreads as
    shares of the price, so no seam makes a return of its own.

    Args:
        bars: the source.
        train: its training rows; nothing outside of them is looked at.
        rng: draws the blocks.
        n_samples: number of bars n ≥ 2, of any size.
        block_size: mean length of a block in bars (geometric) ≥ 1.

    Raises:
        DataError: fewer than two training rows.
    """
    check_at_least("n_samples", n_samples, 2)
    if train.count < 2:
        raise DataError("too-few-bars", f"a bootstrap needs 2 training rows or more, got {train.count}")
    drawn, begins = block_rows(train.count - 1, n_samples, block_size, rng)
    rows = train.start + 1 + drawn
    before = bars.close[rows - 1]
    returns = np.log(bars.close[rows] / before)
    close_before = bars.close[train.start] * np.exp(np.concatenate([[0.0], np.cumsum(returns)[:-1]]))
    factor = close_before / before
    new = {name: getattr(bars, name)[rows] * factor for name in ("open", "high", "low", "close")}
    for name in ("spread_open", "spread_close"):
        if getattr(bars, name) is not None:
            new[name] = getattr(bars, name)[rows] * factor
    made = Bars(
        timestamps=bars.timestamps[train.start] + bars.timeframe_ns * np.arange(n_samples, dtype=np.int64),
        volume=bars.volume[rows],
        symbol=f"{bars.symbol}~bootstrap",
        timeframe_ns=bars.timeframe_ns,
        periods_per_year=bars.periods_per_year,
        funding_rate=None if bars.funding_rate is None else bars.funding_rate[rows],
        source=f"block_bootstrap of {bars.source}",
        **new,
    )
    return Resampled(made, rows, begins)


def block_rows(
    n_rows: int, n_samples: int, block_size: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n_samples,) int64 < n_rows in contiguous blocks, and where blocks begin (n_samples,) bool.

    A block that reaches the last row goes on with the first one, which begins a block anew.
    """
    check_number("block_size", block_size, "≥ 1", lambda size: size >= 1)
    begins = rng.random(n_samples) < 1.0 / block_size
    begins[0] = True
    starts = rng.integers(n_rows, size=n_samples)
    block = np.maximum.accumulate(np.where(begins, np.arange(n_samples), 0))
    rows = (starts[block] + np.arange(n_samples) - block) % n_rows
    wraps = np.concatenate([[False], np.diff(rows) != 1])
    return rows, begins | wraps
