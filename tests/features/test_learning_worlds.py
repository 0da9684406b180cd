"""The four worlds of learners: exactly their definitions, and a truth that agrees with the bars."""

import numpy as np
import pytest

from regimegym.common.errors import ConfigError
from regimegym.common.regimes import Regime
from regimegym.features.bars import Bars
from regimegym.features.synthetic.bars import START_PRICE
from regimegym.features.synthetic.learning import (
    LEARNING_WORLDS,
    GBMSettings,
    OUSettings,
    RegimeSwitchSettings,
    SineSettings,
    learning_world,
)

N_BARS = 20_000
DRAWN = {name: learning_world(name, N_BARS, np.random.default_rng(1)) for name in LEARNING_WORLDS}


def log_close(bars: Bars) -> np.ndarray:
    return np.log(bars.close / START_PRICE)


def innovations(name: str) -> np.ndarray:
    """Log return of each bar after the first less what its truth expected of it."""
    bars, truth = DRAWN[name]
    return np.diff(log_close(bars)) - truth.expected[1:]


@pytest.mark.parametrize("name", LEARNING_WORLDS)
def test_a_world_is_valid_bars_whose_open_is_the_close_before(name):
    bars, truth = DRAWN[name]
    assert len(bars) == N_BARS == len(truth.expected)
    np.testing.assert_allclose(bars.open[1:], bars.close[:-1], rtol=1e-14)
    assert (bars.low > 0).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()


@pytest.mark.parametrize("name", LEARNING_WORLDS)
def test_the_same_generator_draws_the_same_bars_and_another_fresh_ones(name):
    again = learning_world(name, N_BARS, np.random.default_rng(1))
    assert again.bars.fingerprint == DRAWN[name].bars.fingerprint
    fresh = learning_world(name, N_BARS, np.random.default_rng(2))
    assert fresh.bars.fingerprint != DRAWN[name].bars.fingerprint


def test_the_sine_is_its_wave_and_independent_noise():
    bars, truth = DRAWN["sine"]
    noise = log_close(bars) - truth.centre
    assert noise.std() == pytest.approx(0.002, rel=0.03)
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.03
    np.testing.assert_allclose(truth.centre[40:], truth.centre[:-40], atol=1e-9)
    assert np.ptp(truth.centre) == pytest.approx(0.1, rel=0.01)


def test_every_state_of_the_regime_world_moves_by_its_definition():
    bars, truth = DRAWN["regime"]
    states, returns, shocks = truth.regimes[1:], np.diff(log_close(bars)), innovations("regime")
    for regime, sd in zip((0, 1, 2, 3), (0.004, 0.004, 0.0015, 0.006), strict=True):
        assert shocks[states == regime].std() == pytest.approx(sd, rel=0.03)
        assert abs(shocks[states == regime].mean()) < 4 * sd / np.sqrt((states == regime).sum())
    assert set(np.round(truth.expected[1:][states != Regime.OSCILLATING], 9)) == {-0.001, 0.0, 0.001}
    within = (states[1:] == Regime.OSCILLATING) & (states[:-1] == Regime.OSCILLATING)
    gap = (log_close(bars) - truth.centre)[1:]
    np.testing.assert_allclose(gap[1:][within], 0.85 * gap[:-1][within] + shocks[1:][within], atol=1e-12)
    assert np.isnan(truth.centre[truth.regimes != Regime.OSCILLATING]).all()
    assert len(returns) / (np.diff(states) != 0).sum() == pytest.approx(120, rel=0.2)


def test_an_oscillation_begins_at_its_centre():
    bars, truth = DRAWN["regime"]
    begins = 1 + np.flatnonzero((truth.regimes[1:] == 3) & (truth.regimes[:-1] != 3))
    assert len(begins) > 20
    np.testing.assert_allclose(truth.centre[begins], np.log(bars.open[begins] / START_PRICE), atol=1e-12)


def test_ou_and_gbm_have_their_memory_and_deviation():
    reverting, walk = log_close(DRAWN["ou"].bars), log_close(DRAWN["gbm"].bars)
    assert np.corrcoef(reverting[1:], reverting[:-1])[0, 1] == pytest.approx(0.95, abs=0.01)
    assert innovations("ou").std() == pytest.approx(0.01, rel=0.02)
    assert np.diff(walk).std() == pytest.approx(0.01, rel=0.02)
    assert abs(np.diff(walk).mean()) < 4 * 0.01 / np.sqrt(N_BARS)


def test_high_low_and_volume_tell_nothing_of_the_state_that_open_and_close_do_not():
    """Equal distributions of the wicks in all states: a plateau's are as long as an oscillation's."""
    bars, truth = DRAWN["regime"]
    wick = np.log(bars.high / np.maximum(bars.open, bars.close))
    still = np.abs(np.log(bars.close / bars.open)) < 0.001
    calm, wild = (still & (truth.regimes == regime) for regime in (Regime.PLATEAU, Regime.OSCILLATING))
    assert wick[calm].mean() == pytest.approx(wick[wild].mean(), rel=0.1)
    assert np.log(bars.volume[calm]).mean() == pytest.approx(np.log(bars.volume[wild]).mean(), abs=0.05)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: learning_world("sin", 10, np.random.default_rng(0)),
            "must be one of sine, regime, ou, gbm, got 'sin'",
        ),
        (
            lambda: learning_world("ou", 10, np.random.default_rng(0), GBMSettings()),
            "takes OUSettings, got GBMSettings",
        ),
        (lambda: learning_world("ou", 1, np.random.default_rng(0)), "'n_bars' must be a whole number ≥ 2, got 1"),
        (lambda: SineSettings(period=2.0), "'period' must be > 2"),
        (lambda: RegimeSwitchSettings(mean_stay=0.0), "'mean_stay' must be ≥ 1"),
        (lambda: OUSettings(memory=1.0), "'memory' must be in"),
        (lambda: GBMSettings(sd=-1.0), "'sd' must be ≥ 0"),
    ],
)
def test_what_is_no_world_is_refused(make, text):
    with pytest.raises(ConfigError, match=text):
        make()
