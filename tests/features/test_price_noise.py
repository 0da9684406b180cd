"""Noise as augmentation: in units of a bar's volatility, valid bars, the frozen pipeline (T043, EN09)."""

from dataclasses import replace

import numpy as np
import pytest

from regimegym.common.errors import ConfigError
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import EnvSettings
from regimegym.envs.stages import Stage
from regimegym.features.bars import NS_PER_DAY
from regimegym.features.market import build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.price_noise import bar_volatility, noisy_bars, noisy_tapes
from regimegym.features.regimes import RegimeSettings, classify_regimes
from regimegym.features.scaling import fit_scaler
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.worlds import random_walk_bars, regime_switching_market
from regimegym.features.validation import find_broken_rules

BARS = regime_switching_market(3_000, 5).bars
FEATURES = FeatureSettings(("momentum_10", "rsi", "volume_surge_10"))
RULE = RegimeSettings(z_threshold=1.2)
MARKET = prepare_market(BARS, RULE, FEATURES)
SCALER = fit_scaler(MARKET.table, RowRange(300, 2_000))


def tapes(level: float, n: int = 2, seed: int = 0):
    return noisy_tapes(MARKET, SCALER, level, n, np.random.default_rng(seed), regimes=RULE, features=FEATURES)


def returns(close: np.ndarray) -> np.ndarray:
    return np.diff(np.log(close))


@pytest.mark.parametrize("level", [0.01, 0.02, 0.03, 0.04])
def test_noise_raises_the_volatility_by_as_much_as_its_level_says(level):
    """σ·√(1 + 2(k·level)²): 1.0 % at level .01, 14.9 % at .04 – where a price fraction made it 15 times as large."""
    bars = random_walk_bars(200_000, 1, 0.001)
    noisy = noisy_bars(bars, level, np.random.default_rng(2))
    ratio = returns(noisy.close).std() / returns(bars.close).std()
    assert ratio == pytest.approx(np.sqrt(1.0 + 2.0 * (10.0 * level) ** 2), rel=0.005)


@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e6])
def test_noisy_bars_are_valid_and_keep_their_shape(unit):
    bars = replace(BARS, **{name: unit * getattr(BARS, name) for name in ("open", "high", "low", "close")})
    bars = replace(bars, spread_open=1e-4 * bars.open, spread_close=1e-4 * bars.close)
    noisy = noisy_bars(bars, 0.04, np.random.default_rng(3))
    names = ("open", "high", "low", "close", "volume")
    columns = {"timestamp": noisy.timestamps, **{name: getattr(noisy, name) for name in names}}
    assert find_broken_rules(columns) == []
    for name in ("open", "high", "low", "spread_close"):
        np.testing.assert_allclose(getattr(noisy, name) / noisy.close, getattr(bars, name) / bars.close, rtol=1e-12)
    assert (noisy.close != bars.close).mean() > 0.99
    np.testing.assert_array_equal(noisy.volume, bars.volume)
    np.testing.assert_array_equal(noisy.timestamps, bars.timestamps)


def test_the_volatility_of_a_bar_is_that_of_its_last_200_returns_at_most():
    squares = returns(BARS.close[:500]) ** 2
    slow = [0.0] + [np.sqrt(squares[max(0, t - 200) : t].mean()) for t in range(1, 500)]
    np.testing.assert_allclose(bar_volatility(BARS.close[:500]), slow, rtol=1e-12)
    np.testing.assert_array_equal(bar_volatility(np.full(300, 7.0)), np.zeros(300))
    np.testing.assert_array_equal(bar_volatility(np.array([7.0])), [0.0])


def test_noise_sees_nothing_that_comes_later():
    whole = noisy_bars(BARS, 0.03, np.random.default_rng(4))
    for stop in (1, 2, 150, 201, 2_000):
        prefix = noisy_bars(BARS.rows(0, stop), 0.03, np.random.default_rng(4))
        np.testing.assert_array_equal(prefix.close, whole.close[:stop])


def test_a_move_over_a_long_gap_is_no_volatility():
    stamps = BARS.timestamps + np.where(np.arange(len(BARS)) >= 1_000, 90 * NS_PER_DAY, 0)
    jump = np.where(np.arange(len(BARS)) >= 1_000, 3.0, 1.0)
    bars = replace(BARS, timestamps=stamps, **{n: jump * getattr(BARS, n) for n in ("open", "high", "low", "close")})
    noisy = noisy_bars(bars, 0.04, np.random.default_rng(5))
    assert noisy.close[1_000] == bars.close[1_000]
    assert np.abs(np.log(noisy.close / bars.close)).max() < 0.1


def test_without_noise_the_bars_are_equal_and_a_negative_level_is_refused():
    assert noisy_bars(BARS, 0.0, np.random.default_rng(0)).fingerprint == BARS.fingerprint
    with pytest.raises(ConfigError, match="noise_level"):
        noisy_bars(BARS, -0.01, np.random.default_rng(0))


def test_noisy_tapes_have_features_and_labels_of_their_own_bars_by_the_frozen_pipeline():
    before = BARS.fingerprint, MARKET.table.fingerprint
    first, second = tapes(0.04)
    assert (BARS.fingerprint, MARKET.table.fingerprint) == before
    assert not np.array_equal(first.close, second.close)
    for tape in (first, second):
        noisy = replace(BARS, **{name: getattr(tape, name) for name in ("open", "high", "low", "close")})
        regimes = classify_regimes(tape.close, RULE)
        np.testing.assert_array_equal(tape.regimes, regimes.labels)
        table = prepare_market(noisy, RULE, FEATURES).table
        np.testing.assert_array_equal(tape.features[table.is_known], SCALER.transform(table.values)[table.is_known])
    assert 0.01 < (first.regimes != MARKET.regimes.labels).mean() < 0.6


def test_the_same_generator_draws_the_same_tapes_and_level_zero_is_the_markets_own():
    np.testing.assert_array_equal(tapes(0.02)[1].features, tapes(0.02)[1].features)
    own = build_tape(MARKET, SCALER)
    np.testing.assert_array_equal(tapes(0.0, 1)[0].features, own.features)


def test_a_running_environment_takes_noisy_tapes_as_a_stage():
    own = build_tape(MARKET, SCALER)
    env = TradingVecEnv(4, own, EnvSettings(), RowRange(300, 2_000), 1)
    env.reset()
    env.set_stage(Stage(tapes=tapes(0.02)))
    env.reset()
    assert len(env.batch.tapes) == 3


def test_pieces_of_a_market_cut_at_long_gaps_stay_the_same_rows():
    stamps = BARS.timestamps + np.where(np.arange(len(BARS)) >= 1_000, 20 * NS_PER_DAY, 0)
    bars = replace(BARS, timestamps=stamps)
    for days, n_segments in ((10.0, 2), (30.0, 1)):
        settings = replace(FEATURES, longest_gap_days=days)
        market = prepare_market(bars, RULE, settings)
        own = build_tape(market, fit_scaler(market.table, RowRange(300, 900)))
        (noisy,) = noisy_tapes(market, SCALER, 0.02, 1, np.random.default_rng(0), regimes=RULE, features=settings)
        assert noisy.segments == own.segments
        assert len(noisy.segments) == n_segments
