"""Registered features of what stands beside the bars: events show where they were planted, ignorance is neutral."""

from dataclasses import replace

import numpy as np
import pytest
from market_context import context_of, quoted_bars, rows_of

from regimegym.features.alignment import close_times
from regimegym.features.context import Context, feature_inputs
from regimegym.features.external import ExternalSeries
from regimegym.features.order_book import Trades
from regimegym.features.pipeline import FeatureSettings, compute_features
from regimegym.features.regimes import classify_regimes
from regimegym.features.sets import FEATURES, SETS
from regimegym.features.synthetic.worlds import random_walk_bars

N = 400
BARS = random_walk_bars(N, 1)
CLOSE = close_times(BARS)


def column(name: str, context: Context, bars=BARS) -> np.ndarray:
    return FEATURES.get(name).compute(feature_inputs(bars, classify_regimes(bars.close), context))


def following(leader_returns: np.ndarray, lag: int) -> np.ndarray:
    """Closes that repeat the leader's moves `lag` bars later, with noise."""
    noise = np.random.default_rng(0).normal(0, 0.002, N)
    return 50.0 * np.exp(np.cumsum(np.roll(leader_returns, lag) + noise))


def test_a_leader_is_found_with_its_lag():
    returns = np.diff(np.log(BARS.close), prepend=0.0)
    returns[0] = 0.0
    close = following(returns, 2)
    follower = replace(BARS, open=close, high=close, low=close, close=close)
    context = Context({"LEADER": BARS})
    assert (column("reference_lag", context, follower)[80:] == 2).all()
    assert column("reference_lead", context, follower)[80:].min() > 0.9
    assert abs(column("reference_correlation", context, follower)[80:]).max() < 0.5


def test_another_instrument_that_has_stopped_is_neutral_and_its_past_stays():
    stopped = rows_of(random_walk_bars(N, 2), slice(200))
    for name in (name for name in SETS["cross_asset"] if "others" in FEATURES.get(name).needs):
        neutral = 0.5 if name == "rotation_rank" else 0.0
        values = column(name, Context({"STOPPED": stopped}))
        whole = column(name, Context({"WHOLE": random_walk_bars(N, 2)}))
        warm_up = FEATURES.get(name).warm_up
        np.testing.assert_array_equal(values[warm_up:200], whole[warm_up:200])
        assert (values[360:] == neutral).all()
        assert np.isfinite(values[warm_up:]).all()


def test_the_strongest_of_three_sectors_ranks_first():
    rates = {"UP": 0.01, "FLAT": 0.0, "DOWN": -0.01}
    t = np.arange(N)
    sectors = {
        name: replace(BARS, **dict.fromkeys(("open", "high", "low", "close"), 100.0 * np.exp(rate * t)))
        for name, rate in rates.items()
    }
    ranks = {}
    for name, bars in sectors.items():
        others = {other: sectors[other] for other in sectors if other != name}
        ranks[name] = column("rotation_rank", Context(others), bars)[100]
    assert ranks == {"UP": 1.0, "FLAT": 0.5, "DOWN": 0.0}


@pytest.mark.parametrize("bar", [60, 200])
def test_an_event_shows_at_the_bar_by_whose_close_it_was_published_and_not_before(bar):
    for moment in (CLOSE[bar], CLOSE[bar - 1] + 1):
        quiet = CLOSE[:bar]
        steady = np.random.default_rng(0).normal(0, 1.0, len(quiet))
        news = ExternalSeries("news", np.array([moment]), np.array([5.0]))
        mood = ExternalSeries("sentiment", np.r_[quiet, moment], np.r_[steady, 40.0])
        talk = ExternalSeries("mentions", np.r_[quiet, moment], np.r_[np.full(len(quiet), 4.0), 200.0])
        context = Context({}, {"news": news, "sentiment": mood, "mentions": talk})
        impact = column("news_impact", context)
        assert (impact[:bar] == 0).all()
        assert 4.7 < impact[bar] <= 5.0
        assert impact[bar + 12] == pytest.approx(impact[bar] / 2)
        sentiment = column("sentiment", context)
        assert sentiment[bar] > 5
        assert np.abs(sentiment[:bar]).max() < 4
        burst = column("mention_burst", context)
        assert burst[bar] > 15
        assert np.abs(burst[48:bar]).max() < 4


def test_trades_after_the_close_do_not_count():
    trades = Trades(np.array([CLOSE[9] - 1, CLOSE[9]]), np.array([2.0, 1.0]), np.array([1.0, 5.0]))
    counts = np.expm1(column("trade_intensity", Context(trades=trades))) * BARS.timeframe_ns / 1e9
    assert counts[9] == pytest.approx(1.0)
    assert counts[10] == pytest.approx(1.0)
    assert counts.sum() == pytest.approx(2.0)


def test_the_table_of_a_set_holds_its_columns():
    inputs = feature_inputs(BARS, classify_regimes(BARS.close), Context({"OTHER": random_walk_bars(N, 2)}))
    table = compute_features(inputs, FeatureSettings(SETS["cross_asset"]))
    assert table.names == SETS["cross_asset"]
    assert table.warm_up == 150
    spread = table.values[150:].std(axis=0)
    assert (spread > 0).all()


def test_every_part_of_a_context_has_a_fingerprint_that_changes_with_it_alone():
    bars = quoted_bars(500, 3)
    whole = context_of(bars)
    book, trades = whole.book, whole.trades
    mood = whole.series["sentiment"]
    changed = {
        "the bars of NEAR": replace(whole, others={**whole.others, "NEAR": bars}),
        "the series 'sentiment'": replace(
            whole, series={**whole.series, "sentiment": replace(mood, published=mood.published + 1)}
        ),
        "the order book": replace(whole, book=replace(book, ask_size=book.ask_size + 1.0)),
        "the trades": replace(whole, trades=replace(trades, price=2.0 * trades.price)),
    }
    before = whole.fingerprints
    assert len(before) == 7
    assert Context().fingerprints == {}
    for name, other in changed.items():
        after = other.fingerprints
        assert [part for part in before if before[part] != after[part]] == [name]
