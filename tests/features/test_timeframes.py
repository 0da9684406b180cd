"""Coarser timeframes: closed bins only, as pandas resamples them; durations, whatever the base bar."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from market_context import rows_of

from regimegym.common.errors import DataError
from regimegym.features.bars import Bars
from regimegym.features.feature import FEATURES, FeatureInputs
from regimegym.features.loading import load_bars
from regimegym.features.pipeline import FeatureSettings, compute_features
from regimegym.features.regimes import classify_regimes
from regimegym.features.synthetic.worlds import random_walk_bars
from regimegym.features.timeframes import CHANGE_NAMES, TIMEFRAME_NAMES, bin_bars

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
START = 1_704_096_000_000_000_000  # Monday 2024-01-01 08:00 UTC
PRICES = ("open", "high", "low", "close", "volume")


def minutes_of(n_bars: int, seed: int = 1, length_ns: int = MINUTE) -> Bars:
    bars = random_walk_bars(n_bars, seed, 0.001)
    rng = np.random.default_rng(seed)
    times = START + np.arange(n_bars, dtype=np.int64) * length_ns
    return replace(bars, timestamps=times, timeframe_ns=length_ns, volume=rng.integers(1, 99, n_bars).astype(float))


def inputs_of(bars: Bars) -> FeatureInputs:
    return FeatureInputs(bars, classify_regimes(bars.close))


def resampled(bars: Bars, minutes: int) -> pd.DataFrame:
    """The closed, non-empty bins as pandas makes them."""
    frame = pd.DataFrame({n: getattr(bars, n) for n in PRICES}, index=pd.to_datetime(bars.timestamps, utc=True))
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    bins = frame.resample(f"{minutes}min", label="right", closed="left", origin="start_day").agg(how)
    bins = bins[frame["close"].resample(f"{minutes}min", label="right", closed="left").count() > 0]
    last_close = pd.Timestamp(int(bars.timestamps[-1]) + bars.timeframe_ns, tz="UTC")
    return bins[bins.index <= last_close]


@pytest.mark.parametrize("minutes", [5, 15, 30, 60, 240])
def test_bins_equal_those_of_pandas(minutes):
    bars = rows_of(minutes_of(1_300), np.r_[3:200, 215:700, 704:1_300])  # holes, but no trading break
    bins, expected = bin_bars(bars, minutes * MINUTE), resampled(bars, minutes)
    assert len(bins.bars) == len(expected) > 3
    for name in PRICES:
        np.testing.assert_allclose(getattr(bins.bars, name), expected[name], rtol=1e-14)
    labels = expected.index.as_unit("ns").asi8
    np.testing.assert_array_equal(bins.bars.timestamps + minutes * MINUTE, labels)
    closes = pd.DataFrame({"at": pd.to_datetime(bars.timestamps + bars.timeframe_ns, utc=True)})
    right = pd.DataFrame({"at": expected.index, "bin": np.arange(len(expected))})
    seen = pd.merge_asof(closes, right, on="at", allow_exact_matches=True)["bin"].fillna(-1).astype(int)
    np.testing.assert_array_equal(bins.of_row, seen)


def test_a_row_that_closes_at_eleven_sees_the_bin_that_ends_there_and_the_row_before_does_not():
    bars = minutes_of(300)
    bins = bin_bars(bars, HOUR)
    row = (3 * HOUR) // MINUTE - 1  # starts at 10:59
    left_edges = (bins.bars.timestamps - START) // HOUR + 8
    assert left_edges[bins.of_row[row]] == 10
    assert left_edges[bins.of_row[row - 1]] == 9


def test_an_open_bin_and_an_empty_one_do_not_exist():
    bars = rows_of(minutes_of(200), np.r_[0:62, 130:200])  # 09:02 to 10:10 missing, the last bar closes 11:20
    labels = (bin_bars(bars, 30 * MINUTE).bars.timestamps - START) // MINUTE
    assert labels.tolist() == [0, 30, 60, 120, 150]


def test_a_bin_holds_no_bars_of_both_sides_of_a_trading_break():
    bars = rows_of(minutes_of(400), np.r_[0:20, 100:400])  # 08:20 to 09:40 nobody trades
    bins = bin_bars(bars, 240 * MINUTE)
    assert (bins.first.tolist(), bins.stop.tolist()) == ([0, 20], [20, 160])
    assert bins.bars.open[1] == bars.open[20]
    closes_at_noon = int(np.searchsorted(bars.timestamps, START + 4 * HOUR)) - 1
    assert (bins.of_row[:closes_at_noon] == -1).all()
    assert (bins.of_row[closes_at_noon:] == 1).all()


def test_weeks_hold_nights_and_weekends_and_begin_on_sunday():
    bars = minutes_of(40, length_ns=24 * HOUR)
    bars = rows_of(bars, np.flatnonzero((np.arange(40) % 7) < 5))
    bins = bin_bars(bars, 7 * 24 * HOUR)
    sizes = bins.stop - bins.first
    assert sizes.tolist() == [5] * len(sizes)
    assert len(sizes) >= 4
    days = pd.to_datetime(bins.bars.timestamps, utc=True)
    assert {day.day_name() for day in days} == {"Sunday"}


def test_every_cut_gives_the_columns_of_the_whole():
    names = [name for name in TIMEFRAME_NAMES if name.endswith(("_5min", "_30min"))]
    assert len(names) > 20
    bars = rows_of(minutes_of(420, 2), np.r_[0:130, 150:200, 290:420])
    whole = {name: FEATURES.get(name).compute(inputs_of(bars)) for name in names}
    assert all(np.isfinite(values[-1]) for values in whole.values())
    for stop in range(2, len(bars) + 1):
        cut = inputs_of(rows_of(bars, slice(stop)))  # one for all columns: they share its bins
        for name in names:
            np.testing.assert_array_equal(FEATURES.get(name).compute(cut), whole[name][:stop], err_msg=name)


@pytest.mark.parametrize("column", ["momentum_10", "volatility_10", "close_location", "volume_surge_10"])
def test_two_base_frequencies_give_the_same_hourly_columns(column):
    minutes = minutes_of(60 * 30)
    fives = bin_bars(minutes, 5 * MINUTE).bars
    feature = FEATURES.get(f"{column}_60min")
    by_minute, by_five = (feature.compute(inputs_of(bars)) for bars in (minutes, fives))
    np.testing.assert_allclose(by_five, by_minute[4::5], rtol=1e-9)
    assert np.isfinite(by_five[-1])


@pytest.mark.parametrize(("name", "hours"), [("change_1h", 1), ("change_4h", 4), ("change_24h", 24)])
def test_a_change_spans_its_duration_at_every_base_frequency(name, hours):
    for length in (MINUTE, 5 * MINUTE, 30 * MINUTE):
        bars = minutes_of(hours * HOUR // length + 200, length_ns=length)
        rows = hours * HOUR // length
        expected = np.log(bars.close[rows:] / bars.close[:-rows])
        found, inputs = FEATURES.get(name).compute(inputs_of(bars)), inputs_of(bars)
        np.testing.assert_allclose(found[rows:], expected, rtol=1e-9, atol=1e-14)
        assert FEATURES.get(name).warm_up_on(inputs) == rows


def test_a_change_over_a_hole_counts_from_the_last_price_known_then():
    bars = rows_of(minutes_of(300), np.r_[0:100, 130:300])
    found = FEATURES.get("change_1h").compute(inputs_of(bars))
    row = int(np.searchsorted(bars.timestamps, START + 170 * MINUTE))  # an hour before it: minute 110, in the hole
    assert found[row] == pytest.approx(np.log(bars.close[row] / bars.close[99]))


@pytest.mark.parametrize("name", ["momentum_10_60min", "close_location_30min", "change_1h"])
def test_a_timeframe_that_is_not_coarser_is_refused_when_asked_for(name):
    hourly = minutes_of(300, length_ns=HOUR)
    with pytest.raises(DataError, match=rf"{name} \(bars below"):
        compute_features(inputs_of(hourly), FeatureSettings((name,)))


def test_a_set_leaves_out_what_is_not_coarser_and_says_so(caplog):
    hourly = minutes_of(300, length_ns=HOUR)
    settings = FeatureSettings(("rsi", "momentum_10_60min", "momentum_10_240min", "change_4h"), missing="omit")
    with caplog.at_level("INFO", logger="regimegym.features.pipeline"):
        table = compute_features(inputs_of(hourly), settings)
    assert table.names == ("rsi", "momentum_10_240min", "change_4h")
    assert "momentum_10_60min (bars below 60 minutes)" in caplog.text


def test_a_set_leaves_out_bins_of_more_than_250_bars():
    settings = FeatureSettings(("rsi", "momentum_10_60min", "momentum_10_1440min"), missing="omit")
    assert compute_features(inputs_of(minutes_of(900)), settings).names == ("rsi", "momentum_10_60min")


@pytest.mark.parametrize("name", ["EURUSD_oanda_1m", "SPY_lean_1m", "SPY_lean_1h", "SPY_lean_1d"])
def test_random_cuts_of_real_files_give_the_columns_of_the_whole(real_data, name):
    bars = load_bars(real_data(f"{name}.parquet"))
    bars = rows_of(bars, slice(0, 5_400))
    names = [n for n in (*TIMEFRAME_NAMES, *CHANGE_NAMES) if not _unusable(n, bars)]
    assert len(names) > 10
    whole = {n: FEATURES.get(n).compute(inputs) for inputs in [inputs_of(bars)] for n in names}
    for stop in np.random.default_rng(0).integers(1_000, len(bars), 5):
        inputs = inputs_of(rows_of(bars, slice(int(stop))))
        for n in names:
            np.testing.assert_array_equal(FEATURES.get(n).compute(inputs), whole[n][:stop], err_msg=n)


def _unusable(name: str, bars: Bars) -> bool:
    feature, inputs = FEATURES.get(name), inputs_of(bars)
    return bool(feature.lacks(inputs) or feature.out_of_proportion(bars))
