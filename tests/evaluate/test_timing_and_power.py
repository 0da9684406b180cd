"""Timing is told from exposure, and what data could have shown is what simulations show."""

import math

import numpy as np
import pytest
from handmade import make_trajectory

from regimegym.evaluate.ab_test import sign_flip_p
from regimegym.evaluate.power import (
    detectable_difference,
    detectable_sharpe,
    detectable_sum,
    power_statement,
    scenarios_needed,
    years_needed,
)
from regimegym.evaluate.timing import timing_test, trajectory_timing

RNG = np.random.default_rng


def momentum(returns, n=5):
    """Long after rises, short after falls: looks back only."""
    past = np.convolve(returns, np.ones(n), "full")[: len(returns)]
    return np.sign(np.concatenate([[0.0], past[:-1]]))


def test_rules_that_look_back_on_a_random_walk_show_no_timing_more_often_than_the_level():
    rng = RNG(0)
    p_values = []
    for _ in range(200):
        returns = rng.normal(0.0005, 0.01, 400)
        p_values.append(timing_test(momentum(returns), returns, rng, 99).p_value)
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.045)


def test_a_gain_from_exposure_alone_is_not_called_timing():
    rng = RNG(1)
    p_values = []
    for _ in range(60):
        returns = rng.normal(0.004, 0.01, 600)  # a market that rises fast
        exposure = (momentum(rng.normal(size=600)) > 0).astype(float)  # half the time in it, at any time
        found = timing_test(exposure, returns, rng, 99)
        assert found.gross > 0.5
        assert found.exposure == pytest.approx(exposure.mean() * returns.sum(), rel=0.05)
        p_values.append(found.p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.12


def test_planted_timing_is_found():
    rng = RNG(2)
    found = []
    for _ in range(30):
        returns = rng.normal(0, 0.01, 500)
        right = rng.random(500) < 0.6
        exposure = np.where(right, np.sign(returns), -np.sign(returns))
        found.append(timing_test(exposure, returns, rng, 199).p_value <= 0.05)
    assert np.mean(found) > 0.8


def test_the_parts_sum_to_the_whole_and_one_position_has_no_timing():
    returns = RNG(3).normal(0, 0.01, 300)
    found = timing_test(momentum(returns), returns, RNG(4), 199)
    assert found.exposure + found.timing == pytest.approx(found.gross)
    held = timing_test(np.ones(300), returns, RNG(4), 199)
    assert (held.timing, held.n_spells) == (0.0, 1)
    assert math.isnan(held.p_value)


def test_a_trajectory_is_tested_with_what_it_held_after_each_decision():
    trajectory = make_trajectory([100.0, 100.0, 110.0, 110.0], units=[0.0, 0.0, 1.0, 0.0])
    moved = trajectory.close.copy()
    moved[2:] = 110.0
    object.__setattr__(trajectory, "close", moved)
    found = trajectory_timing(trajectory, RNG(0), 99)
    assert found.gross == pytest.approx(0.1)
    assert found.n_spells == 3


def test_the_detectable_sharpe_ratio_is_found_with_the_power_it_names():
    rng = RNG(5)
    n, periods = 500, 252.0
    ratio = detectable_sharpe(n, periods) / math.sqrt(periods)
    returns = rng.normal(ratio, 1.0, (2000, n))
    z = returns.mean(axis=1) / returns.std(axis=1, ddof=1) * math.sqrt(n)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.03)
    assert years_needed(detectable_sharpe(n, periods)) == pytest.approx(n / periods)


def test_the_detectable_difference_is_found_with_the_power_it_names():
    rng = RNG(6)
    noise = rng.normal(0, 1, 20)
    least = detectable_difference((noise - noise.mean()) / noise.std(ddof=1))
    found = [sign_flip_p(rng.normal(least, 1, 20), rng, n_resamples=199) <= 0.05 for _ in range(300)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.07)
    assert scenarios_needed(least, 1.0) == 20


def test_dependence_makes_less_detectable():
    sums = RNG(7).normal(0, 3.0, 50_000)
    assert detectable_sum(sums) == pytest.approx(2.8016 * 3.0, rel=0.02)
    assert math.isnan(detectable_difference(np.array([1.0])))


def test_the_statement_says_what_this_much_data_could_have_shown():
    text = power_statement(2922, 8766.0, np.array([0.1, -0.1, 0.05, 0.0]))
    assert text.startswith("2,922 bars (0.33 years) show an annual Sharpe ratio of 4.9 or more in 80 % of the cases")
    assert "one of 1.0 needs 8 years" in text
    assert "; 4 scenarios show a difference of 0." in text
