"""Moving windows: equal to the window taken anew, at any level, whatever came before."""

from time import process_time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimegym.features import moving

RNG = np.random.default_rng(4)
WALK = np.cumsum(RNG.normal(0, 0.01, 700)) + 4.6
RETURNS = np.r_[np.nan, np.diff(WALK)]
WINDOWS = (2, 5, 20, 60)


def anew(values: np.ndarray, window: int, compute) -> np.ndarray:
    """`compute` on every full window without NaN, as a plain loop."""
    out = np.full(len(values), np.nan)
    for t in range(window - 1, len(values)):
        part = values[t - window + 1 : t + 1]
        out[t] = np.nan if np.isnan(part).any() else compute(part)
    return out


def line(part: np.ndarray) -> tuple[float, float, float]:
    slope, start = np.polyfit(np.arange(len(part)), part, 1)
    left = part - start - slope * np.arange(len(part))
    return slope, 1.0 - left.var() / part.var(), left[-1] / left.std()


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("values", [WALK, RETURNS], ids=["walk", "returns"])
def test_windows_equal_those_taken_anew(values, window):
    mean, sd = moving.moving_mean_sd(values, window)
    np.testing.assert_allclose(moving.moving_sum(values, window), anew(values, window, np.sum), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(mean, anew(values, window, np.mean), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(sd, anew(values, window, np.std), rtol=1e-9)


@pytest.mark.parametrize("window", [5, 20, 60])
def test_the_regression_equals_a_line_fitted_anew(window):
    slope, fit, residual, score = moving.moving_regression(WALK, window)
    mean, sd = moving.moving_mean_sd(WALK, window)
    np.testing.assert_allclose(score, (WALK - mean) / sd, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(slope, anew(WALK, window, lambda part: line(part)[0]), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(fit, anew(WALK, window, lambda part: line(part)[1]), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(residual, anew(WALK, window, lambda part: line(part)[2]), rtol=1e-7, atol=1e-9)


def test_shape_and_correlation_equal_pandas():
    returns, volume = pd.Series(RETURNS), pd.Series(RNG.lognormal(3.0, 1.0, len(RETURNS)))
    sd = moving.moving_mean_sd(RETURNS, 30)[1]
    skew, kurtosis = moving.moving_shape(RETURNS, sd, 30)
    n = 30
    unbiased = np.sqrt(n * (n - 1.0)) / (n - 2.0)
    np.testing.assert_allclose(skew * unbiased, returns.rolling(n).skew(), rtol=1e-8, atol=1e-9)
    excess = (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * (kurtosis - 3.0) + 6.0)
    np.testing.assert_allclose(excess, returns.rolling(n).kurt(), rtol=1e-7, atol=1e-8)
    expected = returns.abs().rolling(n).corr(volume)
    np.testing.assert_allclose(
        moving.moving_correlation(np.abs(RETURNS), volume.to_numpy(), n), expected, rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize("window", [1, 2, 7, 64, 120])
@pytest.mark.parametrize("values", [WALK, RETURNS, -WALK], ids=["walk", "returns", "falling"])
def test_extremes_are_those_of_each_window_and_unknown_with_a_nan_in_it(values, window):
    holed = np.where(np.arange(len(values)) == 350, np.nan, values)
    np.testing.assert_array_equal(moving.moving_max(holed, window), anew(holed, window, np.max))
    np.testing.assert_array_equal(moving.moving_min(holed, window), anew(holed, window, np.min))


@given(st.floats(-8, 8), st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_a_deviation_is_as_exact_at_any_level_and_after_any_outlier(power, window, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1e-3, 200) + 10.0**power
    values[rng.integers(0, 60)] *= 1e6
    expected = anew(values, window, np.std)
    np.testing.assert_allclose(moving.moving_mean_sd(values, window)[1], expected, rtol=1e-6, atol=1e-15 * 10**power)


def test_equal_values_have_no_deviation_and_no_line():
    values = np.r_[RNG.normal(0, 1, 50), np.full(100, 0.1)]
    assert (moving.moving_mean_sd(values, 20)[1][70:] < 1e-15).all()
    slope, fit, residual, _ = moving.moving_regression(values, 20)
    assert np.abs(slope[70:]).max() < 1e-15
    assert (fit[70:] == 0).all()
    assert (residual[70:] == 0).all()


def test_a_steady_trend_lies_on_its_line():
    slope, fit, residual, _ = moving.moving_regression(3.0 + 0.002 * np.arange(100.0), 14)
    np.testing.assert_allclose(slope[13:], 0.002, rtol=1e-9)
    np.testing.assert_allclose(fit[13:], 1.0, rtol=1e-12)
    assert (residual[13:] == 0).all()


def test_the_last_edge_at_or_before_a_moment():
    edges, moments = np.array([10, 20, 20, 40]), np.array([5, 10, 19, 20, 39, 50])
    assert moving.last_at_or_before(moments, edges).tolist() == [-1, 0, 0, 2, 2, 3]


@pytest.mark.parametrize("rows", [0, 1, 3, 700, 900])
def test_shifts_and_changes_equal_pandas(rows):
    series = pd.Series(WALK)
    np.testing.assert_array_equal(moving.shifted(WALK, rows), series.shift(rows))
    np.testing.assert_array_equal(moving.change(WALK, rows), series - series.shift(rows))


def test_a_million_rows_take_less_than_a_second():
    values = np.cumsum(np.random.default_rng(0).normal(0, 1e-3, 1_000_000))
    for compute in (moving.moving_sum, moving.moving_mean_sd, moving.moving_regression):
        compute(values[:1_000], 60)
        start = process_time()
        compute(values, 60)
        assert process_time() - start < 1.0
