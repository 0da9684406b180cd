"""Notes: planted oddities are found, ordinary markets are left alone."""

import numpy as np
import pandas as pd
import pytest
from files_of_prices import csv_lines, good_prices, prices_at, write

from regimegym.features.quality.checker import DataQualityChecker
from regimegym.features.quality.robust import past_scale
from regimegym.features.quality.stationarity import critical_value, dickey_fuller
from regimegym.features.synthetic.worlds import RegimeMarketSettings, regime_switching_market

CHECKER = DataQualityChecker()
HARMLESS = {"closed-day", "newest-first"}


def notes_of(tmp_path, frame, name="prices.parquet", **reading):
    """Findings of a frame by rule; none may be a violation."""
    report = CHECKER.check_file(write(tmp_path, frame, name), **reading)
    assert report.is_clean
    return {finding.rule: finding for finding in report.findings}


def hourly(n=2000, **options):
    return good_prices(n, "h", **options)


@pytest.mark.parametrize("seed", range(5))
def test_an_ordinary_market_has_no_notes(tmp_path, seed):
    assert not notes_of(tmp_path, hourly(seed=seed))
    assert not notes_of(tmp_path, good_prices(1500, "B", "2015-01-01", seed)).keys() - HARMLESS


def test_a_market_with_bursts_of_volatility_has_no_bad_ticks(tmp_path):
    bars = regime_switching_market(20_000, 7, RegimeMarketSettings()).bars
    frame = pd.DataFrame({name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")})
    frame.insert(0, "date", pd.to_datetime(bars.timestamps, utc=True))
    assert not notes_of(tmp_path, frame).keys() & {"spike", "wick", "stale-prices", "split"}


def test_a_bad_tick_that_the_next_bar_takes_back_is_a_spike(tmp_path):
    frame = hourly()
    frame.loc[900, ["close", "high"]] = frame.close[899] * 1.5
    found = notes_of(tmp_path, frame)
    assert found["spike"].count == 1
    assert found["spike"].places[0].startswith("row 900: ")
    assert "outlier" not in found


def test_a_crash_that_stays_is_an_outlier_and_no_spike(tmp_path):
    frame = hourly()
    frame.loc[900:, ["open", "high", "low", "close"]] *= 0.6
    frame.loc[900, ["open", "high"]] = [frame.close[899], frame.close[899]]
    found = notes_of(tmp_path, frame)
    assert found["outlier"].places[0].startswith("row 900: ")
    assert "spike" not in found


def test_a_fall_that_the_next_bar_trades_through_backwards_is_no_spike(tmp_path):
    frame = hourly()
    before = frame.close[899]
    frame.loc[900, ["close", "low"]] = before * 0.6
    frame.loc[901, ["open", "low"]] = before * 0.6
    assert notes_of(tmp_path, frame).keys() == {"outlier"}


def test_a_low_that_nobody_else_traded_at_is_a_wick(tmp_path):
    frame = hourly()
    frame.loc[900, "low"] *= 0.7
    found = notes_of(tmp_path, frame)
    assert found["wick"].count == 1
    assert "-30" in found["wick"].places[0]


def test_a_long_wick_among_wild_bars_is_no_bad_tick(tmp_path):
    wild = np.where((np.arange(2000) >= 880) & (np.arange(2000) < 920), 12.0, 1.0)
    frame = hourly()
    body_top = frame[["open", "close"]].max(axis=1)
    body_bottom = frame[["open", "close"]].min(axis=1)
    frame = frame.assign(high=body_top * (1 + 0.01 * wild), low=body_bottom * (1 - 0.01 * wild))
    frame.loc[900, "low"] = body_bottom[900] * 0.7
    assert "wick" not in notes_of(tmp_path, frame)


def shares(n=1500):
    times = pd.date_range("2018-01-01", periods=n, freq="B")
    return prices_at(times, sd=0.012)


@pytest.mark.parametrize(("ratio", "is_named"), [(2, True), (7, True), (0.1, True), (1.37, False)])
def test_a_split_that_is_not_adjusted_for_is_named(tmp_path, ratio, is_named):
    frame = shares()
    frame.loc[700:, ["open", "high", "low", "close"]] /= ratio
    frame.loc[700:, "volume"] *= ratio
    found = notes_of(tmp_path, frame)
    assert ("split" in found) == is_named
    if is_named:
        assert found["split"].places[0].startswith("row 700: ")


def test_a_crash_to_half_on_enormous_volume_is_no_split(tmp_path):
    frame = shares()
    frame.loc[700:, ["open", "high", "low", "close"]] /= 2
    frame.loc[700, "volume"] *= 30
    assert "split" not in notes_of(tmp_path, frame)


def test_prices_that_stand_still_longer_than_chance_explains_are_stale(tmp_path):
    frame = hourly()
    frame.loc[500:520, ["open", "high", "low", "close", "volume"]] = frame.loc[499, "open":"volume"].to_numpy()
    found = notes_of(tmp_path, frame)
    assert found["stale-prices"].count == 1
    assert found["stale-prices"].places[0].startswith("row 500: 21 bars from")


def test_coarse_prices_that_often_repeat_are_not_stale(tmp_path):
    rng = np.random.default_rng(2)
    close = 100 + np.cumsum(rng.choice([0, 0, 0, 0.01, -0.01], 3000))
    frame = hourly(3000).assign(open=close, high=close, low=close, close=close, volume=0.0)
    assert "stale-prices" not in notes_of(tmp_path, frame)


def test_a_price_that_never_moves_is_said_once(tmp_path):
    frame = hourly().assign(open=5.0, high=5.0, low=5.0, close=5.0)
    assert set(notes_of(tmp_path, frame)) == {"constant-price"}


def test_volume_that_is_missing_everywhere_or_in_places_is_told_apart(tmp_path):
    assert notes_of(tmp_path, hourly().assign(volume=0.0)).keys() == {"no-volume"}
    frame = hourly()
    frame.loc[[5, 6], "volume"] = 0.0
    assert notes_of(tmp_path, frame)["moved-without-volume"].count == 2
    frame.loc[7, ["open", "high", "low", "close", "volume"]] = [frame.close[6]] * 4 + [0.0]
    assert notes_of(tmp_path, frame)["zero-volume"].count == 1


def test_two_bar_lengths_in_one_file_are_named_where_the_second_begins(tmp_path):
    times = pd.date_range("2024-01-01", periods=1280, freq="h").append(
        pd.date_range("2024-03-01", periods=640, freq="4h")
    )
    found = notes_of(tmp_path, prices_at(times))
    assert "bars of 4 h from" in found["mixed-frequency"].places[0]
    assert "gap" not in found


def test_a_bar_off_the_grid_is_named(tmp_path):
    times = pd.date_range("2024-01-01", periods=500, freq="h").to_series()
    times.iloc[0] += pd.Timedelta(17, "min")
    found = notes_of(tmp_path, prices_at(pd.DatetimeIndex(times)))
    assert found["off-grid"].places == ("row 0: a bar begins at 2024-01-01 00:17",)


def test_a_last_bar_that_had_not_closed_is_named(tmp_path):
    frame = hourly()
    frame.loc[1999, "volume"] = 1.0
    assert notes_of(tmp_path, frame)["partial-last-bar"].places[0].startswith("row 1999: volume 1")


def new_york(freq):
    grid = pd.date_range("2023-01-02", "2023-12-29 23:59", freq=freq, tz="America/New_York")
    return grid[(grid.day_of_week < 5) & (grid.hour >= 9) & (grid.hour < 16)]


def test_the_first_hour_of_an_american_share_is_half_an_hour(tmp_path):
    found = notes_of(tmp_path, prices_at(new_york("h").tz_convert("UTC")))
    assert found["partial-first-bar"].count == 260
    assert "holds 30 minutes" in found["partial-first-bar"].sentence


def test_local_times_that_are_read_as_utc_are_suspected(tmp_path):
    local = new_york("h").tz_localize(None)
    lines = csv_lines(prices_at(local))
    found = notes_of(tmp_path, lines, "naive.csv")
    assert "data.timezone=America/New_York" in found["local-time"].sentence
    assert "local-time" not in notes_of(tmp_path, lines, "naive.csv", timezone="America/New_York")
    assert "local-time" not in notes_of(tmp_path, prices_at(local.tz_localize("UTC")))  # a file that says so


def quoted(n=1000):
    return hourly(n).assign(bid=lambda f: f.close - 0.01, ask=lambda f: f.close + 0.01)


def test_quotes_that_meet_widen_or_lie_beside_the_close_are_named(tmp_path):
    frame = quoted()
    frame.loc[700, ["bid", "ask"]] = frame.close[700]
    frame.loc[710, ["bid", "ask"]] = frame.close[710] * np.array([0.98, 1.02])
    frame.loc[720, ["bid", "ask"]] += 5.0
    found = notes_of(tmp_path, frame)
    assert {rule: found[rule].count for rule in ("locked-quotes", "wide-spread", "beside-the-quotes")} == {
        "locked-quotes": 1,
        "wide-spread": 1,
        "beside-the-quotes": 1,
    }
    assert not notes_of(tmp_path, quoted())


def test_a_file_of_ask_prices_says_so(tmp_path):
    assert "says 'ask'" in notes_of(tmp_path, hourly(), "EURUSD_ask_1h.parquet")["one-sided"].sentence
    assert "one-sided" not in notes_of(tmp_path, hourly(), "NASDAQ_basket.parquet")


def test_notes_name_the_line_of_the_file_even_behind_bad_rows(tmp_path):
    frame = hourly()
    frame.loc[900, "low"] *= 0.7
    lines = csv_lines(frame)
    lines.insert(100, "1,2")
    lines.insert(50, "")
    report = CHECKER.check_file(write(tmp_path, lines))
    (wick,) = [finding for finding in report.findings if finding.rule == "wick"]
    assert wick.places[0].startswith("line 904: ")


def test_planted_spikes_are_outliers_and_only_rows_before_decide():
    rng = np.random.default_rng(1)
    returns = rng.normal(0, 0.01, 3000)
    planted = [700, 1500, 2999]
    returns[planted] = [0.5, -0.4, 0.6]
    flags = CHECKER.detect_outliers(returns)
    np.testing.assert_array_equal(np.flatnonzero(flags), planted)
    for cut in (60, 700, 701, 1501, 2999):
        np.testing.assert_array_equal(CHECKER.detect_outliers(returns[:cut]), flags[:cut])


def test_the_scale_is_that_of_a_normal_distribution_and_equals_the_slow_median():
    values = np.random.default_rng(0).normal(0, 3, 400)
    values[[20, 21, 22]] = 0.0
    scale = past_scale(values, 100, 20)
    assert np.isnan(scale[:20]).all()
    assert scale[-1] == pytest.approx(3, rel=0.25)
    for t in (40, 150, 399):
        before = np.abs(values[max(0, t - 100) : t])
        assert scale[t] == pytest.approx(1.4826 * np.median(before[before > 0]))


def test_a_random_walk_has_a_unit_root_and_white_noise_has_none():
    verdicts = []
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(size=2000)
        tests = CHECKER.check_stationarity({"walk": np.cumsum(noise), "noise": noise})
        verdicts.append((tests["walk"].verdict, tests["noise"].verdict))
    assert [noise for _, noise in verdicts] == ["stationary"] * 20
    assert [walk for walk, _ in verdicts].count("unit root") >= 17  # 5 % are rejected by chance


def test_the_dickey_fuller_statistic_is_the_t_value_of_the_regression():
    values = np.cumsum(np.random.default_rng(4).normal(size=300)) * 7 + 1000
    change = np.diff(values)
    design = np.column_stack([values[2:-1], np.ones(297), change[1:-1], change[:-2]])
    beta, residual, *_ = np.linalg.lstsq(design, change[2:])
    error = np.sqrt(residual[0] / (297 - 4) * np.linalg.inv(design.T @ design)[0, 0])
    test = dickey_fuller(values, lags=2)
    assert (test.n, test.lags) == (297, 2)
    assert test.statistic == pytest.approx(beta[0] / error, rel=1e-6)


@pytest.mark.parametrize(("level", "n", "table"), [(0.05, 100, -2.89), (0.01, 500, -3.44), (0.10, 25, -2.63)])
def test_critical_values_are_those_of_the_tables(level, n, table):
    assert critical_value(level, n) == pytest.approx(table, abs=0.01)


@pytest.mark.parametrize("values", [np.zeros(500), np.full(500, np.nan), np.arange(30.0), np.arange(500.0)])
def test_what_cannot_be_tested_is_undecided(values):
    assert dickey_fuller(values).verdict == "undecided"


def test_warm_up_of_a_feature_is_left_out_of_the_test():
    noise = np.random.default_rng(0).normal(size=600)
    padded = np.concatenate([np.full(40, np.nan), noise])
    assert dickey_fuller(padded).statistic == dickey_fuller(noise).statistic
