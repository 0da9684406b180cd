"""Bars with quotes, and beside them one of everything that features can join: made by hand, reproducible."""

from dataclasses import replace

import numpy as np

from regimegym.features.bars import Bars
from regimegym.features.context import Context
from regimegym.features.external import ExternalSeries
from regimegym.features.order_book import BookSnapshots, Trades
from regimegym.features.synthetic.worlds import regime_switching_market


def quoted_bars(n_bars: int, random_seed: int) -> Bars:
    """A regime-switching market whose bars carry spreads and sizes."""
    bars, rng = regime_switching_market(n_bars, random_seed).bars, np.random.default_rng(random_seed)
    spread = bars.close * rng.uniform(1e-4, 5e-4, n_bars)
    sizes = rng.integers(1, 50, (2, n_bars)).astype(np.float64)
    return replace(bars, spread_open=spread, spread_close=spread, bid_size=sizes[0], ask_size=sizes[1])


def context_of(bars: Bars, random_seed: int = 5) -> Context:
    """Two other instruments, one of them half a bar late and with a hole; three series, a book, trades."""
    rng, n = np.random.default_rng(random_seed), 4 * len(bars)
    first, length = int(bars.timestamps[0]), len(bars) * bars.timeframe_ns
    times = first + np.sort(rng.integers(0, length, n))
    mid = 100.0 + np.cumsum(rng.normal(0.0, 0.01, n))[:, None]
    steps = 0.01 * np.arange(1, 6)[None, :]
    sizes = rng.exponential(5.0, (2, n, 5))
    near, far = (regime_switching_market(len(bars), random_seed + k).bars for k in (1, 2))
    far = rows_of(replace(far, timestamps=far.timestamps + bars.timeframe_ns // 2), np.r_[0:400, 420 : len(bars)])
    few = times[::16]
    return Context(
        {"NEAR": near, "FAR": far},
        {
            "sentiment": ExternalSeries("sentiment", few, rng.normal(0.2, 1.0, len(few))),
            "news": ExternalSeries("news", few, rng.normal(0.0, 1.0, len(few))),
            "mentions": ExternalSeries("mentions", times, rng.poisson(3.0, n).astype(np.float64)),
        },
        BookSnapshots(times, mid - steps, mid + steps, sizes[0], sizes[1]),
        Trades(times, np.round(mid[:, 0], 2), sizes[0, :, 0]),
    )


def rows_of(bars: Bars, rows: np.ndarray | slice) -> Bars:
    """`bars` of the given rows only."""
    arrays = {name: value[rows] for name, value in vars(bars).items() if isinstance(value, np.ndarray)}
    return replace(bars, **arrays)
