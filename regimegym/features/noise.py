"""The same past with another future: what a look-ahead audit feeds to everything it audits.

The other future is valid data – bars keep low ≤ open, close ≤ high, times keep rising – with
another level, volatility and volume, so that whatever looks at it shows.
"""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from regimegym.features.bars import Bars
from regimegym.features.context import Context
from regimegym.features.external import ExternalSeries
from regimegym.features.order_book import BookSnapshots, Trades

LEVEL_SD = 0.5  # log price: the other future begins far from the true one
FEWEST_CHANGES = 1e-3  # volatility per bar where the past does not move
LONG_STEPS = 0.05  # share of bars that come late, so that gaps differ too


def with_other_future(bars: Bars, cut: int, rng: np.random.Generator) -> Bars:
    """`bars` (T) whose rows after `cut` are replaced by noise; rows 0 … cut are untouched, bit for bit."""
    n_new = len(bars) - cut - 1
    if n_new <= 0:
        return bars
    new = _noise_prices(bars, cut, n_new, rng)
    new["volume"] = _positive(bars.volume, n_new, rng)
    for name in (field.name for field in fields(bars)):
        values = getattr(bars, name)
        if name == "funding_rate" and values is not None:
            new[name] = rng.normal(0.0, max(float(np.std(values)), 1e-4), n_new)
        elif isinstance(values, np.ndarray) and name not in new and name != "timestamps":
            new[name] = _positive(values, n_new, rng)
    late = rng.random(n_new) < LONG_STEPS
    steps = np.where(late, rng.integers(2, 9, n_new), 1) * bars.timeframe_ns
    new["timestamps"] = bars.timestamps[cut] + np.cumsum(steps)
    arrays: dict[str, Any] = {name: np.concatenate([getattr(bars, name)[: cut + 1], new[name]]) for name in new}
    return replace(bars, **arrays)


def context_with_other_future(context: Context, clock: int, rng: np.random.Generator) -> Context:
    """`context` in which everything that was known only after `clock` (UTC nanoseconds) is replaced by noise."""
    others = {
        name: with_other_future(
            bars, int(np.searchsorted(bars.timestamps, clock - bars.timeframe_ns, side="right")) - 1, rng
        )
        for name, bars in context.others.items()
    }
    series = {name: _other_series(series, clock, rng) for name, series in context.series.items()}
    book = None if context.book is None else _other_book(context.book, clock, rng)
    trades = None if context.trades is None else _other_trades(context.trades, clock, rng)
    return Context(others, series, book, trades)


def _noise_prices(bars: Bars, cut: int, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Valid prices of `n` bars: a walk with drift and bursts about another level."""
    returns = np.diff(np.log(bars.close))
    usual = max(float(returns.std()) if len(returns) else 0.0, FEWEST_CHANGES)
    sd = usual * rng.uniform(0.5, 4.0) * np.exp(rng.normal(0.0, 0.5, n))
    steps = np.clip(sd * rng.standard_normal(n) + usual * rng.uniform(-0.5, 0.5), -0.2, 0.2)
    # A pull to the level keeps a million bars of noise within what a float holds.
    level = np.log(bars.close[max(cut, 0)]) + rng.normal(0.0, LEVEL_SD)
    centred = np.cumsum(steps)
    log_close = level + 3.0 * np.tanh((centred - centred.mean()) / 3.0)
    log_open = np.concatenate([[log_close[0]], log_close[:-1]]) + sd * rng.standard_normal(n) * 0.3
    open_, close = np.exp(log_open), np.exp(log_close)
    high = np.maximum(open_, close) * np.exp(sd * rng.standard_exponential(n))
    low = np.minimum(open_, close) * np.exp(-sd * rng.standard_exponential(n))
    return {"open": open_, "high": high, "low": low, "close": close}


def _positive(values: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` positive numbers of another size than the mean of `values`; zeros where the source has none at all."""
    usual = float(values.mean())
    return usual * rng.uniform(0.3, 3.0) * np.exp(rng.normal(0.0, 1.0, n))


def _other_series(series: ExternalSeries, clock: int, rng: np.random.Generator) -> ExternalSeries:
    """Items after `clock` with other values and times; the last few move to just after `clock`."""
    keep = int(np.searchsorted(series.published, clock, side="right"))
    n_new = len(series) - keep
    if n_new == 0:
        return series
    spread = max(float(series.values.std()), 1.0)
    values = series.values.copy()
    values[keep:] = np.abs(rng.normal(0.0, 3.0 * spread, n_new)) + spread
    return replace(series, published=_later_times(series.published, keep, clock, rng), values=values)


def _other_book(book: BookSnapshots, clock: int, rng: np.random.Generator) -> BookSnapshots:
    keep = int(np.searchsorted(book.times, clock, side="left"))
    n_new = len(book) - keep
    if n_new == 0:
        return book
    mid = book.bid[max(keep - 1, 0), 0] * np.exp(np.cumsum(rng.normal(0.0, 1e-4, n_new)))[:, None]
    steps = mid * 1e-5 * np.cumsum(rng.uniform(0.1, 2.0, (n_new, book.n_levels)), axis=1)
    new = {"bid": mid - steps, "ask": mid + steps}
    new |= {name: rng.exponential(book.bid_size.mean(), (n_new, book.n_levels)) for name in ("bid_size", "ask_size")}
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(book, name)[:keep], values]) for name, values in new.items()
    }
    return replace(book, times=_later_times(book.times, keep, clock, rng), **arrays)


def _other_trades(trades: Trades, clock: int, rng: np.random.Generator) -> Trades:
    keep = int(np.searchsorted(trades.times, clock, side="left"))
    n_new = len(trades) - keep
    if n_new == 0:
        return trades
    price = trades.price[max(keep - 1, 0)] * np.exp(np.cumsum(rng.normal(0.0, 1e-4, n_new)))
    size = rng.exponential(trades.size.mean(), n_new)
    return replace(
        trades,
        times=_later_times(trades.times, keep, clock, rng),
        price=np.concatenate([trades.price[:keep], price]),
        size=np.concatenate([trades.size[:keep], size]),
    )


def _later_times(times: np.ndarray, keep: int, clock: int, rng: np.random.Generator) -> np.ndarray:
    """`times` whose entries from `keep` on are drawn anew between `clock` and the last of them, in order."""
    new = np.sort(rng.integers(clock + 1, max(int(times[-1]), clock + 1) + 1, len(times) - keep))
    return np.concatenate([times[:keep], new])
