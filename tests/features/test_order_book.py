"""Order book and trades: exact on small fixtures, equal to plain loops, nothing at or after the close."""

import numpy as np
import pytest

from regimegym.features import order_book
from regimegym.features.order_book import BookSnapshots, Trades

SECOND = 1_000_000_000
OPEN = np.array([0, 10, 20, 40]) * SECOND  # the bar of second 30 is missing
CLOSE = OPEN + 10 * SECOND


def book(times, bid, ask, bid_size, ask_size) -> BookSnapshots:
    return BookSnapshots(np.array(times), *(np.array(array, float) for array in (bid, ask, bid_size, ask_size)))


TWO = book(
    [1 * SECOND, 4 * SECOND],
    [[100, 99], [101, 99]],
    [[102, 103], [102, 104]],
    [[3, 5], [2, 5]],
    [[1, 1], [4, 0]],
)


def test_imbalance_by_levels_worked_out_by_hand():
    np.testing.assert_allclose(order_book.depth_imbalance(TWO, 1), [2 / 4, -2 / 6])
    np.testing.assert_allclose(order_book.depth_imbalance(TWO, 2), [6 / 10, 3 / 11])
    empty = book([1], [[1.0]], [[2.0]], [[0.0]], [[0.0]])
    assert order_book.depth_imbalance(empty, 1)[0] == 0


def test_order_flow_worked_out_by_hand():
    # The bid rises: its whole size joins. The ask stays: 4 new against 1 old is −3.
    np.testing.assert_allclose(order_book.order_flow(TWO), [0.0, 2.0 - 4.0 + 1.0])
    fallen = book([1, 2], [[100], [99]], [[102], [101]], [[3], [7]], [[4], [5]])
    np.testing.assert_allclose(order_book.order_flow(fallen), [0.0, -3.0 - 5.0])
    unmoved = book([1, 2], [[100], [100]], [[102], [103]], [[3], [7]], [[4], [5]])
    np.testing.assert_allclose(order_book.order_flow(unmoved), [0.0, 7.0 - 3.0 + 4.0])


def test_tick_rule_on_a_small_tape():
    price = np.array([5.0, 5.0, 6.0, 6.0, 5.0, 5.0, 7.0])
    np.testing.assert_array_equal(order_book.tick_rule_signs(price), [0, 0, 1, 1, -1, -1, 1])
    assert order_book.tick_rule_signs(np.empty(0)).shape == (0,)


def test_sums_per_bar_equal_a_plain_loop():
    rng = np.random.default_rng(0)
    times = np.sort(rng.integers(-5 * SECOND, 60 * SECOND, 400))
    values = rng.normal(size=400)
    found = order_book.sum_per_bar(values, times, OPEN, CLOSE)
    expected = [values[(times >= a) & (times < b)].sum() for a, b in zip(OPEN, CLOSE, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(order_book.sum_per_bar(np.empty(0), np.empty(0, int), OPEN, CLOSE), np.zeros(4))


def test_a_snapshot_at_the_close_belongs_to_the_next_bar():
    late = book([9 * SECOND, 10 * SECOND], [[1], [1]], [[2], [2]], [[3], [1]], [[1], [3]])
    np.testing.assert_allclose(order_book.book_imbalance_on_bars(late, 1, OPEN, CLOSE), [0.5, -0.5, 0.0, 0.0])
    np.testing.assert_array_equal(order_book.last_before(late.times, CLOSE), [0, 1, 1, 1])


def test_a_bar_before_all_snapshots_is_neutral():
    late = book([25 * SECOND], [[1]], [[2]], [[3]], [[1]])
    np.testing.assert_allclose(order_book.book_imbalance_on_bars(late, 1, OPEN, CLOSE), [0, 0, 0.5, 0])


def test_trades_on_bars_worked_out_by_hand():
    times = np.array([1, 2, 9, 10, 45]) * SECOND
    trades = Trades(times, np.array([5.0, 6.0, 5.0, 4.0, 8.0]), np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    signed = order_book.signed_volume_on_bars(trades, OPEN, CLOSE)
    np.testing.assert_allclose(signed, [(0 + 2 - 3) / 6, -1.0, 0.0, 1.0])
    np.testing.assert_allclose(order_book.trade_intensity_on_bars(trades, OPEN, CLOSE), [0.3, 0.1, 0.0, 0.1])


def test_order_flow_of_a_bar_lies_between_its_bounds():
    rng = np.random.default_rng(1)
    n = 500
    times = np.sort(rng.integers(0, 50 * SECOND, n))
    mid = 100 + rng.integers(-3, 4, (n, 1)).cumsum(axis=0) * 0.01
    random = BookSnapshots(times, mid - 0.01, mid + 0.01, rng.exponential(1, (n, 1)), rng.exponential(1, (n, 1)))
    found = order_book.order_flow_on_bars(random, OPEN, CLOSE)
    flow = order_book.order_flow(random)
    inside = (times >= OPEN[1]) & (times < CLOSE[1])
    assert found[1] == pytest.approx(flow[inside].sum() / np.abs(flow[inside]).sum())
    assert (np.abs(found) <= 1).all()


def test_what_is_known_at_a_close_does_not_change_with_what_comes_later():
    rng = np.random.default_rng(2)
    times = np.sort(rng.integers(0, 50 * SECOND, 300))
    price, size = 100 + rng.normal(size=300).cumsum(), rng.exponential(1, 300)
    whole = order_book.signed_volume_on_bars(Trades(times, price, size), OPEN, CLOSE)
    for bar in range(3):
        known = times < CLOSE[bar]
        part = order_book.signed_volume_on_bars(Trades(times[known], price[known], size[known]), OPEN, CLOSE)
        np.testing.assert_array_equal(part[: bar + 1], whole[: bar + 1])
