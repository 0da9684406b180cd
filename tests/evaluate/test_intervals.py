"""The stationary bootstrap: exact draws, honest coverage, paired differences."""

import time

import numpy as np
import pytest

from regimegym.common.errors import ConfigError
from regimegym.evaluate.intervals import (
    Interval,
    IntervalSettings,
    _draw_blocks,
    log_return_intervals,
    resampled_moments,
    sharpe_intervals,
)
from regimegym.evaluate.metrics import sharpe_ratio

QUICK = IntervalSettings(n_resamples=400)


def ar1(rng, n, n_series, phi):
    shocks = rng.normal(0, 0.01, (n, n_series))
    values = np.empty_like(shocks)
    values[0] = shocks[0] / np.sqrt(1 - phi**2)
    for t in range(1, n):
        values[t] = phi * values[t - 1] + shocks[t]
    return values.T


@pytest.mark.parametrize(("n", "block_length"), [(1, 1.0), (7, 1.0), (50, 5.0), (1000, 250.0)])
def test_every_path_has_exactly_n_bars(n, block_length):
    starts, lengths = _draw_blocks(n, block_length, 300, 3, np.random.default_rng(0))
    assert (lengths.sum(axis=1) == n).all()
    assert (lengths >= 0).all()
    assert ((starts >= 0) & (starts < n)).all()


def test_prefix_sums_equal_the_bars_drawn_one_by_one():
    series = np.random.default_rng(0).normal(size=(2, 40))
    sums, squares = resampled_moments(series, 6.0, 100, np.random.default_rng(5))
    per_path = int(np.ceil(40 / 6 + 6 * np.sqrt(40 / 6) + 10))
    starts, lengths = _draw_blocks(40, 6.0, 100, per_path, np.random.default_rng(5))
    for path in range(100):
        bars = [(start + i) % 40 for start, n in zip(starts[path], lengths[path], strict=True) for i in range(n)]
        np.testing.assert_allclose(sums[path], series[:, bars].sum(axis=1), atol=1e-12)
        np.testing.assert_allclose(squares[path], (series[:, bars] ** 2).sum(axis=1), atol=1e-12)


def test_the_mean_block_has_the_asked_length():
    _, lengths = _draw_blocks(100_000, 25.0, 5, 10, np.random.default_rng(0))
    assert lengths[lengths > 0].mean() == pytest.approx(25.0, rel=0.05)


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_intervals_of_the_mean_cover_the_truth(phi):
    rng = np.random.default_rng(2)
    paths = ar1(rng, 1500, 200, phi)  # true mean 0
    own = [log_return_intervals(path[None], 1500, QUICK, rng)[0][0] for path in paths]
    covered = np.mean([interval.includes_zero for interval in own])
    assert 0.88 <= covered <= 0.99


def test_iid_resampling_would_not_cover_dependent_returns():
    rng = np.random.default_rng(2)
    paths = ar1(rng, 500, 150, 0.5)
    single_bars = IntervalSettings(n_resamples=200, least_block=1.0, block_factor=0.0)
    covered = np.mean([log_return_intervals(p[None], 500, single_bars, rng)[0][0].includes_zero for p in paths])
    assert covered < 0.85


def test_intervals_of_the_sharpe_ratio_cover_the_truth():
    rng = np.random.default_rng(3)
    returns = rng.normal(0.001, 0.01, (150, 1500))
    true = np.sqrt(252) * 0.1
    own = [sharpe_intervals(path[None], 1500, 252.0, QUICK, rng)[0][0] for path in returns]
    assert 0.88 <= np.mean([low < true < high for _, low, high in own]) <= 0.99
    assert own[0].value == pytest.approx(sharpe_ratio(returns[0], 252.0))


def test_an_agent_against_itself_differs_by_nothing():
    path = np.random.default_rng(0).normal(0.001, 0.01, 500)
    _, (difference,) = log_return_intervals(np.stack([path, path]), 500, QUICK, np.random.default_rng(1))
    assert difference == (0.0, 0.0, 0.0)
    assert difference.includes_zero


def test_equally_good_agents_are_told_apart_in_about_one_case_of_twenty():
    rng = np.random.default_rng(4)
    apart = 0
    for _ in range(200):
        market = rng.normal(0, 0.01, 1000)
        pair = np.stack([market * (rng.random(1000) < 0.5), market * (rng.random(1000) < 0.5)])
        _, (difference,) = log_return_intervals(pair, 1000, QUICK, rng)
        apart += not difference.includes_zero
    assert apart <= 24  # 12 %


def test_a_planted_better_agent_is_found_by_pairing():
    rng = np.random.default_rng(5)
    market = rng.normal(0, 0.02, 2000)
    market -= market.mean()
    pair = np.stack([market + 0.0003 + rng.normal(0, 0.002, 2000), market])
    own, (difference,) = log_return_intervals(pair, 1000, QUICK, rng)
    assert own[0].includes_zero
    assert difference.low > 0


def test_flat_has_no_sharpe_interval_and_excludes_nothing():
    own, (difference,) = sharpe_intervals(
        np.stack([np.random.default_rng(0).normal(0, 0.01, 300), np.zeros(300)]),
        300,
        252.0,
        QUICK,
        np.random.default_rng(1),
    )
    assert np.isfinite(own[0]).all()
    assert np.isnan(own[1]).all()
    assert difference.includes_zero


def test_the_same_generator_state_gives_the_same_interval():
    path = np.random.default_rng(0).normal(0.001, 0.01, (1, 500))
    first, second = (log_return_intervals(path, 500, QUICK, np.random.default_rng(7)) for _ in range(2))
    assert first == second


def test_ten_thousand_bars_take_less_than_three_cpu_seconds():
    series = np.random.default_rng(0).normal(0, 0.01, (5, 10_000))
    begun = time.process_time()
    log_return_intervals(series, 500, IntervalSettings(), np.random.default_rng(1))
    sharpe_intervals(series, 500, 8766.0, IntervalSettings(), np.random.default_rng(1))
    assert time.process_time() - begun < 3.0


@pytest.mark.parametrize(
    ("n", "n_trades", "block"),
    [
        (8, 8, 2.0),
        (200, 200, 20.0),
        (1000, 1000, 20.0),
        (8000, 1000, 40.0),
        (1, 0, 1.0),
        (8000, 79, 100.0),
        (8000, 1, 2000.0),
    ],
)
def test_the_block_length_grows_with_the_cube_root_and_with_the_time_between_trades(n, n_trades, block):
    assert IntervalSettings().block_length(n, n_trades) == pytest.approx(block)


@pytest.mark.parametrize("setting", [{"level": 1.2}, {"n_resamples": 10}, {"least_block": 0}, {"block_factor": -1}])
def test_wrong_settings_are_named(setting):
    with pytest.raises(ConfigError, match=f"'{next(iter(setting))}' must be"):
        IntervalSettings(**setting)


def test_an_interval_includes_zero_unless_it_lies_on_one_side():
    assert Interval(1.0, -0.1, 2.0).includes_zero
    assert not Interval(1.0, 0.1, 2.0).includes_zero
    assert not Interval(-1.0, -2.0, -0.1).includes_zero
