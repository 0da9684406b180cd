"""Indicators: equal to TA-Lib or to a plain loop, scale-free, neutral on flat prices."""

from time import process_time

import numpy as np
import pandas as pd
import pytest
import talib

from regimegym.features import indicators
from regimegym.features.rolling import ewma, rolling_mean_sd, rolling_sum
from regimegym.features.synthetic.worlds import random_walk_bars

BARS = random_walk_bars(3_000, 1)
HLC = (BARS.high, BARS.low, BARS.close)
FLAT = np.full(400, 3.7)


def test_rolling_windows_equal_pandas():
    values = np.random.default_rng(0).normal(5.0, 2.0, 500)
    rolling = pd.Series(values).rolling(20)
    mean, sd = rolling_mean_sd(values, 20)
    np.testing.assert_allclose(rolling_sum(values, 20), rolling.sum(), rtol=1e-12)
    np.testing.assert_allclose(mean, rolling.mean(), rtol=1e-12)
    np.testing.assert_allclose(sd, rolling.std(ddof=0), rtol=1e-10)
    np.testing.assert_allclose(ewma(values, 20), pd.Series(values).ewm(span=20).mean(), rtol=1e-12)


def test_a_window_longer_than_the_data_is_all_nan():
    assert np.isnan(rolling_sum(np.ones(5), 6)).all()
    assert np.isnan(rolling_mean_sd(np.ones(5), 6)[1]).all()


def test_log_returns_are_differences_of_logs():
    returns = indicators.log_returns(BARS.close, 5)
    assert np.isnan(returns[:5]).all()
    assert returns[7] == pytest.approx(np.log(BARS.close[7] / BARS.close[2]))


def test_volatility_of_a_walk_is_its_deviation():
    assert indicators.ewma_volatility(BARS.close)[200:].mean() == pytest.approx(0.01, rel=0.03)


def test_adx_equals_ta_lib():
    np.testing.assert_allclose(indicators.average_directional_index(*HLC), talib.ADX(*HLC, timeperiod=14), rtol=1e-9)


def test_adx_forgets_its_start_within_its_warm_up():
    late = indicators.average_directional_index(*(array[1_000:] for array in HLC))
    assert np.abs(late[150:] - indicators.average_directional_index(*HLC)[1_150:]).max() < 0.1


def test_slope_of_a_steady_trend_is_its_rate():
    close = 50.0 * np.exp(0.003 * np.arange(100))
    np.testing.assert_allclose(indicators.log_slope(close)[13:], 0.003, rtol=1e-9)
    np.testing.assert_allclose(
        indicators.log_slope(BARS.close), talib.LINEARREG_SLOPE(np.log(BARS.close), 14), atol=1e-12
    )


def test_rsi_equals_ta_lib_where_prices_move():
    np.testing.assert_allclose(
        indicators.relative_strength_index(BARS.close), talib.RSI(BARS.close, timeperiod=14), rtol=1e-9
    )


def test_rsi_of_tiny_prices_is_that_of_large_ones():
    np.testing.assert_allclose(
        indicators.relative_strength_index(BARS.close * 1e-10),
        indicators.relative_strength_index(BARS.close),
        rtol=1e-6,
    )


def test_rsi_of_prices_that_have_stood_still_for_long_is_not_oversold():
    close = np.r_[BARS.close[:100], np.full(20_000, BARS.close[99])]
    rsi = indicators.relative_strength_index(close)
    assert (rsi[14:] > 5.0).all()


def test_stochastic_equals_ta_lib_where_there_is_a_range():
    slow_k, slow_d = talib.STOCH(*HLC, fastk_period=14, slowk_period=3, slowd_period=3)
    ours = indicators.stochastic(*HLC)
    np.testing.assert_allclose(ours[0][17:], slow_k[17:], atol=1e-8)
    np.testing.assert_allclose(ours[1][17:], slow_d[17:], atol=1e-8)


def test_bollinger_bands_equal_ta_lib():
    upper, middle, lower = talib.BBANDS(BARS.close, timeperiod=20, nbdevup=2.0, nbdevdn=2.0)
    position, width = indicators.bollinger(BARS.close)
    np.testing.assert_allclose(position, (BARS.close - lower) / (upper - lower), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(width, (upper - lower) / middle, rtol=1e-6)


def slow_persistence(close, window):
    """Count the run backwards from every bar."""
    direction = np.sign(np.diff(close))
    out = np.full(len(close), np.nan)
    for t in range(window, len(close)):
        run = 1
        while run < window and t - 1 - run >= 0 and direction[t - 1 - run] == direction[t - 1]:
            run += 1
        out[t] = direction[t - 1] * run
    return out


def test_persistence_equals_a_plain_count():
    close = np.round(BARS.close[:600], 0)  # rounding makes unchanged bars
    np.testing.assert_array_equal(indicators.trend_persistence(close), slow_persistence(close, 20))


def test_persistence_is_1_on_a_zigzag_and_the_window_on_a_steady_trend():
    zigzag = np.tile([1.0, 2.0], 50)
    steady = np.arange(1.0, 101.0)
    assert (np.abs(indicators.trend_persistence(zigzag)[20:]) == 1).all()
    assert (indicators.trend_persistence(steady)[20:] == 20).all()
    assert (indicators.trend_persistence(steady[::-1])[20:] == -20).all()
    assert (indicators.trend_persistence(FLAT)[20:] == 0).all()


def test_persistence_of_a_million_rows_takes_less_than_a_second():
    close = np.exp(np.random.default_rng(0).normal(0, 1e-3, 1_000_000).cumsum())
    start = process_time()
    indicators.trend_persistence(close)
    assert process_time() - start < 1.0


def test_flat_prices_give_neutral_values():
    position, width = indicators.bollinger(FLAT)
    slow_k, slow_d = indicators.stochastic(FLAT, FLAT, FLAT)
    neutral = {
        50.0: (indicators.relative_strength_index(FLAT), slow_k, slow_d),
        0.5: (position,),
        0.0: (
            width,
            indicators.average_directional_index(FLAT, FLAT, FLAT),
            indicators.average_gap(FLAT, 20),
            indicators.ewma_volatility(FLAT),
            indicators.volatility_ratio(FLAT, 10, 120),
            indicators.rolling_z_score(FLAT, 60),
            indicators.in_volatility(indicators.log_returns(FLAT), FLAT, 1),
        ),
    }
    for value, results in neutral.items():
        for result in results:
            np.testing.assert_array_equal(result[100:], value)


def test_movement_at_round_off_level_is_no_volatility():
    noise = 100.0 * (1.0 + np.random.default_rng(0).normal(0, 1e-12, 500))
    assert (indicators.ewma_volatility(noise)[1:] == 0).all()
    assert (indicators.in_volatility(indicators.log_returns(noise), noise, 1)[1:] == 0).all()


def test_z_scores_equal_pandas():
    rolling = pd.Series(BARS.volume).rolling(60)
    expected = (BARS.volume - rolling.mean()) / rolling.std(ddof=0)
    np.testing.assert_allclose(indicators.rolling_z_score(BARS.volume, 60)[59:], expected[59:], rtol=1e-9)
