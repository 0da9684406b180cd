"""What an order book and a tape of trades say, brought onto bars: only what came before the bar's close."""

from dataclasses import dataclass

import numpy as np

from regimegym.features.bars import NS_PER_SECOND, freeze_arrays
from regimegym.features.rolling import divide


@dataclass(frozen=True, eq=False)
class BookSnapshots:
    """Snapshots of an order book in time order; every array is read-only.

    Attributes:
        times: (S,) int64 UTC nanoseconds at which each snapshot was known, never falling.
        bid, ask: (S, L) prices of L levels, the best one first: bids fall, asks rise.
        bid_size, ask_size: (S, L) sizes ≥ 0.
        source: file, for people.
    """

    times: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    bid_size: np.ndarray
    ask_size: np.ndarray
    source: str = ""

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def n_levels(self) -> int:
        """L, price levels on each side."""
        return self.bid.shape[1]


@dataclass(frozen=True, eq=False)
class Trades:
    """Trades in time order; every array is read-only and has length N.

    Attributes:
        times: int64 UTC nanoseconds at which each trade was known, never falling.
        price: float64 > 0.
        size: float64 > 0.
        source: file, for people.
    """

    times: np.ndarray
    price: np.ndarray
    size: np.ndarray
    source: str = ""

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def __len__(self) -> int:
        return len(self.times)


def depth_imbalance(book: BookSnapshots, levels: int) -> np.ndarray:
    """(Σ bid sizes − Σ ask sizes) / (Σ bid sizes + Σ ask sizes) of the best `levels` levels, (S,); 0 when empty."""
    bid, ask = book.bid_size[:, :levels].sum(axis=1), book.ask_size[:, :levels].sum(axis=1)
    return divide(bid - ask, bid + ask, 0.0)


def order_flow(book: BookSnapshots) -> np.ndarray:
    """Order flow e_n of the best level since the snapshot before, (S,) in units of size; 0 on the first.

    e_n = 1{b_n ≥ b_{n−1}}·q^b_n − 1{b_n ≤ b_{n−1}}·q^b_{n−1} − 1{a_n ≤ a_{n−1}}·q^a_n + 1{a_n ≥ a_{n−1}}·q^a_{n−1}
    (Cont, Kukanov and Stoikov, 2014).
    """
    bid, ask = book.bid[:, 0], book.ask[:, 0]
    bid_size, ask_size = book.bid_size[:, 0], book.ask_size[:, 0]
    flow = np.zeros(len(book))
    flow[1:] = (
        (bid[1:] >= bid[:-1]) * bid_size[1:]
        - (bid[1:] <= bid[:-1]) * bid_size[:-1]
        - (ask[1:] <= ask[:-1]) * ask_size[1:]
        + (ask[1:] >= ask[:-1]) * ask_size[:-1]
    )
    return flow


def tick_rule_signs(price: np.ndarray) -> np.ndarray:
    """+1 after a rise, −1 after a fall, the sign before on an unchanged price (Lee and Ready, 1991), (N,).

    0 until the first change.
    """
    move = np.sign(np.diff(price, prepend=price[:1]))
    latest = np.maximum.accumulate(np.where(move != 0.0, np.arange(len(move)), 0))
    return move[latest]


def last_before(times: np.ndarray, close_times: np.ndarray) -> np.ndarray:
    """Index of the last of `times` (S,) that is < each of `close_times` (T,); −1 where there is none."""
    return np.searchsorted(times, close_times, side="left") - 1


def sum_per_bar(values: np.ndarray, times: np.ndarray, open_times: np.ndarray, close_times: np.ndarray) -> np.ndarray:
    """Sum of `values` (S,) with open ≤ time < close, for each of T bars, (T,); each bar is added up alone."""
    first = np.searchsorted(times, open_times, side="left")
    stop = np.searchsorted(times, close_times, side="left")
    edges = np.column_stack([first, stop]).ravel()
    # reduceat gives values[i] for an empty range, and refuses an index at the end.
    sums = np.add.reduceat(np.append(values, 0.0), edges)[::2]
    return np.where(stop > first, sums, 0.0)


def book_imbalance_on_bars(
    book: BookSnapshots, levels: int, open_times: np.ndarray, close_times: np.ndarray
) -> np.ndarray:
    """Imbalance of the last snapshot before each bar's close, (T,); 0 where the bar has none of its own."""
    index = last_before(book.times, close_times)
    is_fresh = (index >= 0) & (book.times[np.maximum(index, 0)] >= open_times)
    return np.where(is_fresh, depth_imbalance(book, levels)[np.maximum(index, 0)], 0.0)


def order_flow_on_bars(book: BookSnapshots, open_times: np.ndarray, close_times: np.ndarray) -> np.ndarray:
    """Order flow of each bar over Σ|e_n| of the same bar, in [−1, 1], (T,); 0 where the book did not move."""
    flow = order_flow(book)
    total = sum_per_bar(np.abs(flow), book.times, open_times, close_times)
    return divide(sum_per_bar(flow, book.times, open_times, close_times), total, 0.0)


def signed_volume_on_bars(trades: Trades, open_times: np.ndarray, close_times: np.ndarray) -> np.ndarray:
    """Σ sign·size / Σ size of each bar's trades by the tick rule, in [−1, 1], (T,); 0 without trades."""
    signed = sum_per_bar(tick_rule_signs(trades.price) * trades.size, trades.times, open_times, close_times)
    return divide(signed, sum_per_bar(trades.size, trades.times, open_times, close_times), 0.0)


def trade_intensity_on_bars(trades: Trades, open_times: np.ndarray, close_times: np.ndarray) -> np.ndarray:
    """Trades per second of each bar, (T,)."""
    counts = sum_per_bar(np.ones(len(trades)), trades.times, open_times, close_times)
    return counts / ((close_times - open_times) / NS_PER_SECOND)
