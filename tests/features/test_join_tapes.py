"""Several markets on one tape: rows one behind the other, nothing else changed, nothing mixed up."""

import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from regimegym.common.errors import DataError
from regimegym.features.tape import MarketTape, Segment, cut_tape, join_tapes

sys.path.append(str(Path(__file__).resolve().parents[1] / "envs"))
from tapes import random_tape


def named(symbol, n, seed, first_row=0, **changes):
    return random_tape(n, seed, segments=(Segment(symbol, 0, n, first_row),), **changes)


def test_every_row_of_every_tape_is_found_behind_its_predecessors():
    tapes = [named("A", 40, 0, 3), named("B", 25, 1), named("C", 30, 2, 5)]
    joined = join_tapes(tapes)
    assert [segment[:4] for segment in joined.segments] == [("A", 0, 40, 3), ("B", 40, 65, 40), ("C", 65, 95, 70)]
    assert joined.symbols == ("A", "B", "C")
    offset = 0
    for tape in tapes:
        rows = slice(offset, offset + len(tape))
        for field in fields(MarketTape):
            column = getattr(tape, field.name)
            if isinstance(column, np.ndarray) and field.name != "segment_start":
                np.testing.assert_array_equal(getattr(joined, field.name)[rows], column)
        assert set(joined.segment_start[rows]) == {offset}
        assert joined.segment_of(offset).symbol == joined.segment_of(offset + len(tape) - 1).symbol == tape.symbol
        offset += len(tape)
    assert offset == len(joined) == 95
    assert not joined.close.flags.writeable


def test_a_window_is_that_of_its_own_tape():
    tapes = [named("A", 40, 0), named("B", 25, 1)]
    joined = join_tapes(tapes)
    for row in (0, 3, 24):
        np.testing.assert_array_equal(joined.windows([40 + row], 8), tapes[1].windows([row], 8))


def test_a_tape_without_funding_pays_none_beside_one_with_it():
    a, b = named("A", 20, 0), named("B", 20, 1)
    assert join_tapes([a, b]).funding_rate is None
    joined = join_tapes([a, replace(b, funding_rate=np.full(20, 1e-4))])
    assert joined.funding_rate.tolist() == [0.0] * 20 + [1e-4] * 20


def test_joined_tapes_can_be_joined_again():
    a, b, c = (named(symbol, 20, seed) for seed, symbol in enumerate("ABC"))
    left, right = join_tapes([join_tapes([a, b]), c]), join_tapes([a, join_tapes([b, c])])
    assert left.segments == right.segments
    np.testing.assert_array_equal(left.segment_start, right.segment_start)


def test_every_segment_keeps_its_own_timeframe_and_calendar():
    a, b = named("A", 20, 0), named("A", 5, 1, periods_per_year=252.0)
    joined = join_tapes([a, replace(b, timeframe_ns=24 * a.timeframe_ns, segments=(Segment("A", 0, 5, 0),))])
    assert joined.timeframes == ("1h", "1d")
    assert [segment.periods_per_year for segment in joined.segments] == [8760.0, 252.0]
    assert join_tapes([joined, a]).timeframes == ("1h", "1d")


def test_a_piece_of_a_tape_is_a_tape_of_its_own():
    a, b = named("A", 40, 0, 3), named("B", 25, 1, 4, periods_per_year=252.0)
    joined = join_tapes([a, b])
    piece = cut_tape(joined, 42, 60)
    assert [segment[:4] for segment in piece.segments] == [("B", 0, 18, 2)]
    assert (piece.periods_per_year, len(piece)) == (252.0, 18)
    np.testing.assert_array_equal(piece.close, b.close[2:20])
    np.testing.assert_array_equal(piece.windows([17], 5), b.windows([19], 5))
    for start, stop in ((38, 42), (60, 60), (-1, 5), (60, 66), (70, 80)):
        with pytest.raises(DataError, match="do not lie within one segment"):
            cut_tape(joined, start, stop)


def test_other_features_and_no_tape_are_refused():
    a, b = named("A", 20, 0), named("B", 20, 1)
    with pytest.raises(DataError, match="the tapes of A and B do not hold the same features") as caught:
        join_tapes([a, replace(b, feature_names=("f0", "rsi"))])
    assert (caught.value.needed, caught.value.found) == ("f0, f1", "f0, rsi")
    with pytest.raises(DataError, match="was given no tapes"):
        join_tapes([])
