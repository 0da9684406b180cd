"""Repaired copies: forward only, every change listed, nothing overwritten, nothing invented."""

import csv

import numpy as np
import pandas as pd
import pytest
from files_of_prices import csv_lines, good_prices, write
from hypothesis import given, settings
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError, DataError
from regimegym.features.loading import load_bars
from regimegym.features.price_table import read_prices
from regimegym.features.quality.checker import DataQualityChecker
from regimegym.features.quality.repair import repair_file, repair_table


def test_a_bar_without_a_price_is_flat_at_the_last_close(tmp_path):
    frame = good_prices()
    frame.loc[10, "high"] = np.nan
    repair_file(write(tmp_path, frame), tmp_path / "out.csv")
    bars = load_bars(tmp_path / "out.csv")
    flat = frame.close[9]
    assert (bars.open[10], bars.high[10], bars.low[10], bars.close[10], bars.volume[10]) == (flat,) * 4 + (0.0,)
    others = np.delete(np.arange(60), 10)
    np.testing.assert_array_equal(bars.close[others], frame.close[others])


def test_long_runs_and_the_beginning_are_dropped_and_not_invented(tmp_path):
    frame = good_prices()
    frame.loc[[0, 1, *range(20, 26), *range(40, 45)], "close"] = np.nan  # first, six in a row, five in a row
    repair = repair_file(write(tmp_path, frame), tmp_path / "out.csv")
    assert repair.n_rows == 60 - 2 - 6
    dropped = [change for change in repair.changes if change.after == "dropped"]
    assert [change.place for change in dropped] == [f"line {n}" for n in (2, 3, *range(22, 28))]


def test_every_change_is_listed_with_line_time_column_and_both_values(tmp_path):
    frame = good_prices()
    frame.loc[5, "volume"] = -7.0
    repair = repair_file(write(tmp_path, frame), tmp_path / "out.csv")
    with repair.listing.open() as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "place": "line 7",
        "time": "2024-01-06T00:00:00.000Z",
        "column": "volume",
        "before": "-7",
        "after": "0",
        "reason": "negative-volume: unknown, so 0",
    }


def test_crossed_quotes_take_the_last_spread_before_them(tmp_path):
    frame = good_prices().assign(bid=lambda f: f.close - 0.01, ask=lambda f: f.close + 0.03)
    frame.loc[3, "bid"] += 1
    repair_file(write(tmp_path, frame), tmp_path / "out.csv")
    np.testing.assert_allclose(load_bars(tmp_path / "out.csv").spread_close, 0.04)


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(15, 55), seed=st.integers(0, 99))
def test_nothing_behind_a_gap_fills_it(tmp_path_factory, cut, seed):
    frame = good_prices(seed=seed)
    rng = np.random.default_rng(seed)
    for name in ("open", "high", "low", "close", "volume"):
        frame.loc[rng.integers(2, 59, 4), name] = np.nan
    folder = tmp_path_factory.mktemp("cut")
    whole, _ = repair_table(read_prices(write(folder, frame, "a.parquet")))
    frame.loc[cut:, ["open", "high", "low", "close"]] *= 3
    other, _ = repair_table(read_prices(write(folder, frame, "b.parquet")))
    stop = np.datetime64(frame.date[cut], "ns").astype(np.int64)
    for name in whole:
        early = whole["timestamp"] < stop
        np.testing.assert_array_equal(whole[name][early], other[name][other["timestamp"] < stop])


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_copy_never_takes_the_place_of_a_file_that_stands_there(tmp_path, name):
    frame = good_prices()
    frame.loc[5, "close"] = np.nan
    path = write(tmp_path, frame)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        repair_file(path, tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"
    repair_file(path, tmp_path / name, force=True)
    assert len(load_bars(tmp_path / name)) == 60


def test_the_file_itself_is_never_written_even_by_force(tmp_path):
    path = write(tmp_path, csv_lines(good_prices()))
    before = path.read_bytes()
    (tmp_path / "link.csv").symlink_to(path)
    for out in (path, tmp_path / "link.csv"):
        with pytest.raises(ConfigError, match="is the file itself"):
            repair_file(path, out, force=True)
    assert path.read_bytes() == before


def test_a_file_of_which_nothing_is_left_is_refused(tmp_path):
    frame = good_prices().assign(close=np.nan)
    with pytest.raises(DataError, match=r"prices\.csv has 0 bar"):
        repair_file(write(tmp_path, frame), tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["prices.csv"]


def test_missing_values_take_the_last_value_before_them():
    nan = np.nan
    values = np.array([nan, 1.0, nan, nan, 4.0, nan, nan, nan])
    filled = DataQualityChecker().impute_missing_values(values)
    np.testing.assert_array_equal(filled, [nan, 1, 1, 1, 4, 4, 4, 4])
    np.testing.assert_array_equal(
        DataQualityChecker().impute_missing_values(values, most=2), [nan, 1, 1, 1, 4, nan, nan, nan]
    )
    assert np.isnan(values[2])  # the caller's array is as it was


def test_filling_a_prefix_is_the_prefix_of_filling():
    rng = np.random.default_rng(3)
    values = np.where(rng.random(200) < 0.3, np.nan, rng.normal(size=200))
    whole = DataQualityChecker().impute_missing_values(values)
    for k in range(1, 200):
        np.testing.assert_array_equal(DataQualityChecker().impute_missing_values(values[:k]), whole[:k])


def test_times_survive_to_the_nanosecond(tmp_path):
    times = pd.date_range("2024-01-01", periods=60, freq="D", unit="ns") + pd.Timedelta(1, "ns")
    frame = good_prices().assign(date=times)
    frame.loc[5, "close"] = np.nan
    repair_file(write(tmp_path, frame, "in.parquet"), tmp_path / "out.parquet")
    np.testing.assert_array_equal(load_bars(tmp_path / "out.parquet").timestamps, times.asi8)
