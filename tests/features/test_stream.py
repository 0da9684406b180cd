"""A stream gives, bar by bar, the rows of the batch."""

from dataclasses import replace

import numpy as np
import pytest
from market_context import quoted_bars, rows_of

from regimegym.common.errors import DataError
from regimegym.features.bars import Bars
from regimegym.features.feature import FEATURES, FeatureInputs
from regimegym.features.loading import load_bars
from regimegym.features.pipeline import FeatureSettings, FeatureTable, compute_features
from regimegym.features.regimes import RegimeSettings, classify_regimes
from regimegym.features.sets import SETS
from regimegym.features.stream import FeatureStream
from regimegym.features.tail import Bar, bar_at
from regimegym.features.timeframes import LONG_TIMEFRAMES

MINUTE = 60_000_000_000
# TA-Lib's running sums of log prices carry round-off of their own into these.
LOOSE = {"slope": 1e-7, "slope_x_adx": 1e-7}


def minute_bars(n_bars: int, seed: int = 3) -> Bars:
    bars = quoted_bars(n_bars, seed)
    times = bars.timestamps[0] + np.arange(n_bars, dtype=np.int64) * MINUTE
    return replace(bars, timestamps=times, timeframe_ns=MINUTE)


def table_of(bars: Bars, settings: FeatureSettings, regimes: RegimeSettings | None = None) -> FeatureTable:
    return compute_features(FeatureInputs(bars, classify_regimes(bars.close, regimes)), settings)


def assert_streamed(bars: Bars, table: FeatureTable, start: int = 0, regimes: RegimeSettings | None = None) -> None:
    """Every row of a stream that begins on bar 0 agrees with the table's; compared from `start` on."""
    stream = FeatureStream(table.names, bars.timeframe_ns, regimes)
    rows = [stream.push(bar_at(bars, row)) for row in range(len(bars))]
    values = np.array([row.values for row in rows])
    np.testing.assert_array_equal(np.isnan(values).all(axis=1), np.arange(len(bars)) < table.warm_up)
    batch = classify_regimes(bars.close, regimes)
    np.testing.assert_array_equal([row.regime for row in rows], batch.labels)
    np.testing.assert_allclose([row.regime_probabilities for row in rows], batch.probabilities, rtol=1e-9)
    first = max(start, table.warm_up)
    assert first < len(bars)
    for name, streamed, expected in zip(table.names, values.T[:, first:], table.values.T[:, first:], strict=True):
        tolerance = LOOSE.get(name, 1e-9)
        np.testing.assert_allclose(streamed, expected, rtol=tolerance, atol=tolerance * expected.std(), err_msg=name)


@pytest.mark.parametrize("name", ["default", "minimal", "lstm", "recipe", "trend"])
def test_a_small_set_is_streamed_from_the_first_bar(name):
    bars = minute_bars(700)
    assert_streamed(bars, table_of(bars, FeatureSettings(SETS[name], missing="omit")))


def test_the_largest_set_is_streamed_past_every_memory():
    bars = minute_bars(2_900)
    table = table_of(bars, FeatureSettings(SETS["xgboost"], missing="omit"))
    assert table.values.shape[1] > 240
    assert_streamed(bars, table)


def test_every_feature_with_a_memory_is_in_a_streamed_set():
    of_bars = [f.name for f in map(FEATURES.get, FEATURES) if not set(f.needs) - {"volume", "intraday", "gaps"}]
    streamed = {name for of in ("xgboost", "default", "recipe", "trend") for name in SETS[of]}
    assert len(of_bars) > 280
    assert set(of_bars) - streamed <= {"roll_spread", "corwin_schultz_spread"} | set(_of_volume())


def _of_volume() -> list[str]:
    return ["amihud", "kyle_lambda", "volume_imbalance", "volume_intensity"]


def test_features_of_quotes_and_liquidity_are_streamed():
    bars = minute_bars(1_200)
    names = ("roll_spread", "corwin_schultz_spread", *_of_volume(), "relative_spread", "size_imbalance")
    assert_streamed(bars, table_of(bars, FeatureSettings(names)))


def test_daily_bars_are_streamed_with_their_weeks():
    bars = quoted_bars(700, 4)
    days = bars.timestamps[0] + np.arange(700, dtype=np.int64) * 1_440 * MINUTE
    bars = rows_of(replace(bars, timestamps=days, timeframe_ns=1_440 * MINUTE), np.flatnonzero(np.arange(700) % 7 < 5))
    table = table_of(bars, FeatureSettings(SETS["xgboost"], missing="omit"))
    assert f"momentum_10_{LONG_TIMEFRAMES[-1]}min" in table.names
    assert_streamed(bars, table)


def test_other_regime_windows_are_streamed_too():
    bars = minute_bars(500)
    regimes = RegimeSettings(window=30, long_window=300)
    assert_streamed(bars, table_of(bars, FeatureSettings(), regimes), regimes=regimes)


@pytest.mark.parametrize(("name", "first"), [("SPY_lean_1m", 0), ("BTCUSD_bitstamp_1h", 9_000)])
def test_real_bars_are_streamed(real_data, name, first):
    bars = load_bars(real_data(f"{name}.parquet"))
    bars = rows_of(bars, slice(first, first + 2_400))
    assert_streamed(bars, table_of(bars, FeatureSettings(SETS["xgboost"], missing="omit")))


def test_a_product_is_streamed_though_nobody_asked_for_its_factors():
    bars = minute_bars(400)
    assert_streamed(bars, table_of(bars, FeatureSettings(("rsi_x_adx", "return_1_cubed"))))


def test_a_bar_that_breaks_the_contract_is_refused_and_the_stream_goes_on():
    bars = minute_bars(300)
    table = table_of(bars, FeatureSettings(SETS["minimal"]))
    stream = FeatureStream(table.names, MINUTE, symbol="X")
    for row in range(299):
        stream.push(bar_at(bars, row))
    good = bar_at(bars, 299)
    for wrong, text in [
        (bar_at(bars, 298), "does not come after the bar before it"),
        (good._replace(close=-1.0), "prices must be positive and finite"),
        (good._replace(high=0.5 * good.low), "must lie between low and high"),
        (good._replace(volume=np.nan), "volume must be zero or more, is nan"),
        (Bar(*good[:6]), "has other columns than the bars before it"),
    ]:
        with pytest.raises(DataError, match=text):
            stream.push(wrong)
    np.testing.assert_allclose(stream.push(good).values, table.values[299], rtol=1e-9)
