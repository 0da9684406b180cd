"""Long gaps cut a history: no value crosses one, and each piece warms up for itself."""

from dataclasses import replace

import numpy as np
import pytest
from market_context import rows_of

from regimegym.common.errors import DataError
from regimegym.features.bars import NS_PER_DAY, Bars
from regimegym.features.loading import load_bars
from regimegym.features.market import align_features, build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.scaling import fit_scaler
from regimegym.features.segments import Piece, contiguous_rows, longest_stretch
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.worlds import regime_switching_market

BARS = regime_switching_market(1_500, 5).bars


def with_gap(row: int, days: float, bars: Bars = BARS) -> Bars:
    later = np.where(np.arange(len(bars)) >= row, int(days * NS_PER_DAY), 0)
    return replace(bars, timestamps=bars.timestamps + later)


CUT = with_gap(600, 30.0)


def test_each_piece_has_the_features_and_regimes_of_itself_alone():
    market = prepare_market(CUT)
    for start, stop in ((0, 600), (600, 1_500)):
        alone = prepare_market(rows_of(CUT, slice(start, stop)))
        np.testing.assert_array_equal(market.table.values[start:stop], alone.table.values)
        np.testing.assert_array_equal(market.regimes.labels[start:stop], alone.regimes.labels)
    assert market.table.pieces == ((0, 600, 150), (600, 1_500, 750))


def test_the_tape_has_a_segment_for_each_piece():
    market = prepare_market(CUT)
    scaler = fit_scaler(market.table, RowRange(150, 1_000))
    tape = build_tape(market, scaler)
    assert [(s.start, s.stop, s.first_row) for s in tape.segments] == [(0, 600, 150), (600, 1_500, 750)]
    assert (tape.segment_start == np.where(np.arange(1_500) < 600, 0, 600)).all()
    assert (tape.features[600:750] == 0).all()
    assert np.isfinite(tape.features).all()
    known = np.r_[150:600, 750:1_000]
    np.testing.assert_allclose(scaler.mean, market.table.values[known].mean(axis=0), rtol=1e-12)


def test_prices_before_a_gap_change_nothing_after_it():
    other = replace(CUT, close=np.where(np.arange(1_500) < 600, CUT.low, CUT.close))
    np.testing.assert_array_equal(prepare_market(other).table.values[600:], prepare_market(CUT).table.values[600:])


def test_a_piece_that_ends_before_its_warm_up_is_left_out_and_logged(caplog):
    bars = with_gap(700, 20.0, CUT)  # 100 bars stand alone
    with caplog.at_level("INFO", logger="regimegym.features.market"):
        market = prepare_market(bars)
    assert len(market.bars) == len(market.table) == len(market.regimes.labels) == 1_400
    np.testing.assert_array_equal(market.bars.timestamps, np.delete(bars.timestamps, np.arange(600, 700)))
    assert "1 pieces end before their warm-up and are left out: rows 600–700" in caplog.text


def test_where_no_piece_reaches_past_its_warm_up_the_error_says_so():
    with pytest.raises(DataError, match="has 100 bars and the features need 151"):
        prepare_market(with_gap(100, 20.0, rows_of(BARS, slice(200))))


def test_realignment_keeps_the_pieces():
    table = prepare_market(CUT).table
    assert align_features(table.names[::-1], table).pieces == table.pieces


@pytest.mark.parametrize(("days", "n_parts"), [(9.0, 1), (11.0, 2)])
def test_only_a_gap_longer_than_the_setting_cuts(days, n_parts):
    assert len(contiguous_rows(with_gap(600, days), 10.0)) == n_parts


def test_a_gap_of_a_few_long_bars_does_not_cut():
    weekly = replace(BARS, timestamps=np.arange(1_500, dtype=np.int64) * 7 * NS_PER_DAY, timeframe_ns=7 * NS_PER_DAY)
    assert len(contiguous_rows(weekly, 3.0)) == 1
    assert len(contiguous_rows(with_gap(600, 30.0, weekly), 3.0)) == 2


def test_the_gap_that_cuts_must_be_positive():
    with pytest.raises(ValueError, match=r"'features.longest_gap_days' must be > 0, got 0"):
        FeatureSettings(longest_gap_days=0)


def test_a_part_is_evaluated_on_its_longest_stretch():
    pieces = (Piece(0, 600, 150), Piece(600, 1_500, 750))
    assert longest_stretch(RowRange(300, 600), pieces, "test") == (300, 600)
    assert longest_stretch(RowRange(300, 1_400), pieces, "test") == (750, 1_400)
    assert longest_stretch(RowRange(100, 800), pieces, "test") == (150, 600)
    with pytest.raises(DataError, match="the rows 590 to 760 for test hold no 40 bars without a long gap"):
        longest_stretch(RowRange(590, 760), pieces, "test", 40)


def test_isolated_days_become_segments(real_data):
    market = prepare_market(load_bars(real_data("BTCUSD_coinbase_1m.parquet")))
    assert len(market.table.pieces) == 3
    tape = build_tape(market, fit_scaler(market.table, RowRange(0, 4_000)))
    assert np.isfinite(tape.features).all()
    steps = np.diff(tape.timestamps)
    inside = np.diff(tape.segment_start) == 0
    assert steps[inside].max() <= 10 * NS_PER_DAY < steps[~inside].min()
