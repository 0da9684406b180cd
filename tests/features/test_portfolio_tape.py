"""align_tapes: an inner join that fills nothing in and says what it dropped."""

import logging
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest

from regimegym.common.errors import DataError
from regimegym.features.portfolio_tape import align_tapes
from regimegym.features.tape import MarketTape, Segment

HOUR_NS = 3_600_000_000_000


def tape_of(symbol, hours, *, first_row=0, cuts=(), **changes):
    """A tape whose every number tells its symbol and hour; `cuts` are rows at which segments begin."""
    hours = np.asarray(hours)
    n, price = len(hours), 100.0 * ord(symbol) + hours
    edges = [0, *cuts, n]
    segments = tuple(Segment(symbol, a, b, a + first_row) for a, b in pairwise(edges))
    arrays = dict.fromkeys(("open", "high", "low", "close"), price)
    zeros = np.zeros(n)
    tape = MarketTape(
        timestamps=hours * HOUR_NS,
        **arrays,
        volume=price,
        half_spread_open=zeros,
        half_spread_close=zeros,
        features=np.stack([price, -price], axis=1).astype(np.float32),
        feature_names=("up", "down"),
        regimes=np.zeros(n, np.int8),
        regime_probabilities=np.full((n, 4), 0.25, np.float32),
        segments=segments,
        segment_start=np.concatenate([np.full(s.stop - s.start, s.start, np.int64) for s in segments]),
        periods_per_year=8760.0,
        timeframe_ns=HOUR_NS,
    )
    return replace(tape, **changes)


def test_only_the_timestamps_of_all_are_kept_and_every_number_stays_with_its_time(caplog):
    a, b, c = tape_of("A", range(10)), tape_of("B", [0, 2, 3, 5, 7, 8, 11]), tape_of("C", range(1, 9))
    with caplog.at_level(logging.INFO):
        tape = align_tapes([a, b, c])
    np.testing.assert_array_equal(tape.timestamps, np.array([2, 3, 5, 7, 8]) * HOUR_NS)
    assert tape.dropped == (5, 2, 3)
    assert "5 bars are common to all instruments; dropped: A 5, B 2, C 3" in caplog.text
    assert tape.symbols == ("A", "B", "C")
    assert (len(tape), tape.n_assets, tape.n_features) == (5, 3, 2)
    for j, market in enumerate(tape.markets):
        expected = 100.0 * ord(market.symbol) + np.array([2, 3, 5, 7, 8])
        np.testing.assert_array_equal(market.close, expected)
        np.testing.assert_array_equal(tape.features[j, :, 0], expected)
        np.testing.assert_array_equal(market.features, tape.features[j])


def test_nothing_is_logged_and_nothing_changes_where_all_times_are_equal(caplog):
    given = [tape_of("A", range(10), first_row=3), tape_of("B", range(10), first_row=3)]
    with caplog.at_level(logging.INFO):
        tape = align_tapes(given)
    assert not caplog.records
    for market, was in zip(tape.markets, given, strict=True):
        for field in fields(MarketTape):
            np.testing.assert_array_equal(getattr(market, field.name), getattr(was, field.name))


def test_a_segment_of_one_instrument_ends_the_segments_of_all():
    a = tape_of("A", range(10), first_row=1, cuts=(6,))
    b = tape_of("B", range(2, 12), first_row=3)
    tape = align_tapes([a, b])
    assert [segment[:4] for segment in tape.markets[0].segments] == [("A", 0, 4, 3), ("A", 4, 8, 5)]
    assert [segment[:4] for segment in tape.markets[1].segments] == [("B", 0, 4, 3), ("B", 4, 8, 5)]
    np.testing.assert_array_equal(tape.segment_start, [0, 0, 0, 0, 4, 4, 4, 4])


def test_a_segment_in_which_one_is_never_ready_has_no_first_row_of_its_own():
    tape = align_tapes([tape_of("A", range(6), first_row=6), tape_of("B", range(6))])
    assert [segment[:4] for segment in tape.markets[0].segments] == [("A", 0, 6, 6)]


def test_the_sparsest_calendar_counts():
    tape = align_tapes([tape_of("A", range(4)), tape_of("B", range(4), periods_per_year=1764.0)])
    assert tape.periods_per_year == 1764.0


def test_a_portfolio_is_read_only_and_its_features_are_kept_once():
    tape = align_tapes([tape_of("A", range(4)), tape_of("B", range(4))])
    for market in tape.markets:
        assert np.shares_memory(market.features, tape.features)
        with pytest.raises(ValueError, match="read-only"):
            market.close[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        tape.features[0] = 1


@pytest.mark.parametrize(
    ("tapes", "message"),
    [
        ([], "at least one tape, got none"),
        ([tape_of("A", range(4)), tape_of("B", range(5, 9))], "A, B have no timestamp in common"),
        ([tape_of("A", range(4)), tape_of("A", range(4))], "'A' is given twice"),
        (
            [tape_of("A", range(4)), tape_of("B", range(4), timeframe_ns=60)],
            "'B' are of another length than those of 'A'",
        ),
        (
            [tape_of("A", range(4)), tape_of("B", range(4), feature_names=("x", "y"))],
            "features of 'B' are not those of 'A'",
        ),
        (
            [tape_of("A", range(4), segments=(Segment("A", 0, 2, 0), Segment("B", 2, 4, 2)))],
            "tape 0 must hold one instrument",
        ),
        ([tape_of("A", [3, 2, 1])], "tape 0 must hold one instrument in the order of time"),
    ],
    ids=["none", "disjoint", "twice", "timeframe", "features", "several", "backwards"],
)
def test_what_does_not_fit_together_is_refused(tapes, message):
    with pytest.raises(DataError, match=message):
        align_tapes(tapes)
