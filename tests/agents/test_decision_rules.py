"""The equations of the decision layers, against closed forms, brute force and truth tables (DEFINITIONS §11, §13)."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from regimegym.agents.decision.forecast import fit_forecast
from regimegym.agents.decision.probabilities import (
    apply_isotonic,
    boost_uptrend,
    calibration_error,
    fit_isotonic,
    fit_temperature,
    score_probabilities,
)
from regimegym.agents.decision.settings import TierSettings
from regimegym.agents.decision.sizing import binary_kelly, doubt_size, kelly_fraction, lower_share, tier_sizes
from regimegym.agents.decision.thresholds import above_threshold, adaptive_thresholds
from regimegym.common.errors import ModelError
from regimegym.training.decision_layers import resolved_tiers

HOLD, SELL, BUY = 0, 1, 2
SCORES = arrays(np.float64, (5, 3), elements=st.floats(-10, 10))
PI = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])


# --- calibrator -------------------------------------------------------------------------------------


@given(SCORES, st.floats(0.1, 5), st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_probabilities_do_not_depend_on_the_unit_or_level_of_scores(scores, temperature, unit, level):
    spread = scores.std(axis=1)
    scores = scores[spread > 1e-3]
    plain = score_probabilities(scores, temperature)
    np.testing.assert_allclose(score_probabilities(unit * scores + level, temperature), plain, atol=1e-6)
    np.testing.assert_allclose(plain.sum(axis=1), 1.0)


def test_equal_scores_are_equally_probable():
    np.testing.assert_allclose(score_probabilities(np.full((2, 3), 7.0), 0.5), 1 / 3)


def test_no_boost_up_to_the_base():
    np.testing.assert_array_equal(boost_uptrend(PI, np.array([0.5, 0.1]), BUY), PI)


def test_full_boost_has_its_closed_form_and_keeps_the_ratios_of_the_others():
    boosted = boost_uptrend(PI, np.array([1.0, 1.0]), BUY)
    np.testing.assert_allclose(boosted[:, BUY], (PI[:, BUY] + 0.2) / 1.2)
    np.testing.assert_allclose(boosted[:, HOLD] / boosted[:, SELL], PI[:, HOLD] / PI[:, SELL])
    np.testing.assert_allclose(boosted.sum(axis=1), 1.0)


def test_a_falling_market_with_a_third_of_a_chance_of_rising_is_not_boosted():
    p_up = np.array([0.3])
    assert boost_uptrend(PI[:1], p_up, BUY).argmax() == HOLD


def test_where_nothing_buys_nothing_is_boosted():
    np.testing.assert_array_equal(boost_uptrend(PI, np.array([1.0, 1.0]), None), PI)


def test_gradients_flow_through_calibration_and_the_input_is_left_alone():
    scores = torch.tensor([[1.0, 2.0, 0.5]], requires_grad=True)
    probabilities = score_probabilities(scores, 0.7)
    before = probabilities.detach().clone()
    boosted = boost_uptrend(probabilities, torch.tensor([0.9]), BUY)
    boosted[0, BUY].backward()
    assert torch.equal(probabilities.detach(), before)
    assert scores.grad is not None
    assert float(scores.grad.abs().sum()) > 0
    numbers = boost_uptrend(score_probabilities(scores.detach().numpy(), 0.7), np.array([0.9]), BUY)
    np.testing.assert_allclose(boosted.detach().numpy(), numbers, rtol=1e-6)


def test_a_temperature_is_recovered_from_outcomes_drawn_with_it():
    rng = np.random.default_rng(0)
    edge = rng.normal(0, 2, 40_000)
    rose = rng.random(40_000) < 1 / (1 + np.exp(-edge / 1.7))
    assert fit_temperature(edge, rose) == pytest.approx(1.7, rel=0.05)


def test_isotonic_calibration_repairs_distorted_probabilities_on_later_data():
    rng = np.random.default_rng(1)
    truth = rng.random(20_000)
    said = truth**3  # overstated at one end, understated at the other
    happened = rng.random(20_000) < truth
    knots = fit_isotonic(said[:10_000], happened[:10_000])
    later = apply_isotonic(said[10_000:], knots)
    assert (np.diff(knots[1]) >= 0).all()
    assert calibration_error(said[10_000:], happened[10_000:]) > 0.15
    assert calibration_error(later, happened[10_000:]) < 0.02


def test_the_calibration_error_of_a_hand_made_case():
    said, happened = np.array([0.1, 0.1, 0.9, 0.9]), np.array([0, 1, 1, 1])
    assert calibration_error(said, happened) == pytest.approx(0.5 * 0.4 + 0.5 * 0.1)
    assert np.isnan(calibration_error(np.array([]), np.array([])))


# --- thresholds --------------------------------------------------------------------------------------

BASE = np.array([0.5, 0.5, 0.5])
MODIFIERS = np.array([[0, 0.1, -0.2], [0, -0.2, 0.1], [0, 0, 0], [0, 0.05, 0.05]])


def test_thresholds_are_linear_in_the_probabilities_where_they_are_not_clipped():
    p = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 1]], float)
    found = adaptive_thresholds(BASE, MODIFIERS, p)
    np.testing.assert_allclose(found, [[0.5, 0.6, 0.3], [0.5, 0.45, 0.45], [0.5, 0.55, 0.55]])


def test_thresholds_are_clipped():
    found = adaptive_thresholds(BASE, 10 * MODIFIERS, np.array([[1.0, 0, 0, 0]]), 0.05, 0.95)
    np.testing.assert_array_equal(found, [[0.5, 0.95, 0.05]])


def test_the_base_is_the_same_after_a_thousand_calls():
    base = BASE.copy()
    p = np.random.default_rng(0).dirichlet(np.ones(4), size=8)
    for _ in range(1000):
        found = adaptive_thresholds(base, MODIFIERS, p)
    np.testing.assert_array_equal(base, BASE)
    assert found.shape == (8, 3)
    np.testing.assert_allclose(found[3], adaptive_thresholds(base, MODIFIERS, p[3:4])[0])


@pytest.mark.parametrize("p", [[[0.5, 0.5, 0.5, 0.5]], [[1.2, -0.2, 0, 0]], [[np.nan, 0, 0, 1]]])
def test_what_is_no_probability_vector_is_refused_with_its_row(p):
    with pytest.raises(ModelError, match="row 0"):
        adaptive_thresholds(BASE, MODIFIERS, np.array(p))


def test_a_single_vector_is_refused_instead_of_broadcast():
    with pytest.raises(ModelError, match=r"\(N, 4\)"):
        adaptive_thresholds(BASE, MODIFIERS, np.array([1.0, 0, 0, 0]))


@pytest.mark.parametrize(
    ("probabilities", "action"),
    [
        ([0.9, 0.05, 0.05], -1),  # HOLD never competes
        ([0.1, 0.3, 0.6], BUY),
        ([0.1, 0.6, 0.3], SELL),
        ([0.2, 0.4, 0.4], -1),  # nobody reaches it
        ([0.0, 0.5, 0.5], SELL),  # a tie goes to the first, and an edge counts as reached
    ],
)
def test_the_truth_table_of_thresholds(probabilities, action):
    assert above_threshold(np.array([probabilities]), np.full((1, 3), 0.5), HOLD)[0] == action


def test_the_largest_margin_wins_not_the_largest_probability():
    thresholds = np.array([[0.5, 0.5, 0.2]])
    assert above_threshold(np.array([[0.0, 0.55, 0.45]]), thresholds, HOLD)[0] == BUY


def test_in_a_ladder_every_rung_competes():
    assert above_threshold(np.array([[0.7, 0.2, 0.1]]), np.full((1, 3), 0.5), None)[0] == 0


# --- sizes -------------------------------------------------------------------------------------------


def test_the_edges_of_the_tiers():
    found = tier_sizes(np.array([0.5999, 0.60, 0.6499, 0.65, 0.7999, 0.80, 1.0]))
    np.testing.assert_array_equal(found, [0, 0.25, 0.25, 0.5, 0.5, 1, 1])


@given(st.floats(0.1, 3))
def test_sizes_never_fall_with_confidence_and_something_can_always_trade(multiplier):
    sizes = tier_sizes(np.linspace(0, 1, 201), multiplier)
    assert (np.diff(sizes) >= 0).all()
    assert sizes[0] == 0
    assert sizes[-1] == 1


def test_a_multiplier_moves_the_edges_within_their_bounds():
    np.testing.assert_array_equal(tier_sizes(np.array([0.71, 0.73]), 1.2), [0, 0.25])
    np.testing.assert_array_equal(tier_sizes(np.array([0.949, 0.951]), 3.0), [0, 1])


def test_the_edges_that_hold_for_a_symbol_are_told():
    settings = TierSettings(multipliers={"SOLEUR": 1.25, "CALM": 0.5})
    told = {symbol: resolved_tiers(settings, symbol) for symbol in ("BTCEUR", "SOLEUR", "CALM")}
    assert told["BTCEUR"]["edges"].tolist() == [0.6, 0.65, 0.8]
    np.testing.assert_allclose(told["SOLEUR"]["edges"], [0.75, 0.8125, 0.95])  # 1.0 would never trade
    assert told["CALM"]["edges"].tolist() == [0.5, 0.5, 0.5]
    for one in told.values():
        just = tier_sizes(one["edges"], one["multiplier"])
        assert just[-1] == one["sizes"][-1] == 1.0
        assert tier_sizes(one["edges"] - 1e-9, one["multiplier"])[0] == 0.0
    assert resolved_tiers(None, "BTCEUR") is None


def test_kelly_agrees_with_brute_force_where_a_naive_fraction_does_not():
    rng = np.random.default_rng(0)
    mean, sd, doubt = 0.001, 0.02, 0.01
    returns = rng.normal(mean, doubt, 400_000) + rng.normal(0, sd, 400_000)
    returns += mean - returns.mean()
    grid = np.arange(0, 3.01, 0.05)
    best = grid[np.argmax([np.log1p(f * returns).mean() for f in grid])]
    found = kelly_fraction(np.array([mean]), np.array([doubt**2]), sd**2, 0.0, share=1.0, most=10.0)[0]
    assert found == pytest.approx(2.0)
    assert abs(found - best) <= 0.1
    assert mean / sd**2 == pytest.approx(2.5)


def test_kelly_vanishes_with_doubt_and_below_cost_and_is_symmetric():
    mean = np.array([0.01, -0.01, 0.001, 0.01])
    doubt = np.array([0.0, 0.0, 0.0, 1e12])
    found = kelly_fraction(mean, doubt, 0.01, 0.002, share=1.0, most=0.5)
    np.testing.assert_allclose(found, [0.5, -0.5, 0.0, 0.0], atol=1e-12)


def test_binary_kelly():
    np.testing.assert_allclose(binary_kelly(np.array([0.6, 0.5, 0.2]), 1.0), [0.2, 0.0, 0.0], atol=1e-15)
    assert binary_kelly(np.array([0.5]), 2.0)[0] == pytest.approx(0.25)


def test_binary_kelly_trusts_a_share_no_further_than_the_bets_it_was_counted_on():
    p, z = 0.6, 1.6448536269514722
    bound = 1 / (1 + z**2 / 50) * (p + z**2 / 100 - z * math.sqrt(p * (1 - p) / 50 + z**2 / 10_000))
    assert lower_share(np.array([p]), 50, 0.95)[0] == pytest.approx(bound, rel=1e-14)
    sizes = [binary_kelly(np.array([p]), 1.0, n)[0] for n in (50, 500, 5_000, np.inf)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 0  # 30 of 50 might be a fair coin
    assert sizes[-1] == pytest.approx(0.2)
    # The bound holds: of shares counted on 40 bets with p = 0.55 at most about 5 % have it above 0.55.
    counted = np.random.default_rng(0).binomial(40, 0.55, 4_000) / 40
    assert np.mean(lower_share(counted, 40, 0.95) > 0.55) < 0.07


def test_doubt_halves_the_position_where_it_says():
    np.testing.assert_allclose(doubt_size(np.array([0.0, 0.3, 1e9]), 0.3), [1.0, 0.5, 0.0], atol=1e-8)


# --- worth of an edge ----------------------------------------------------------------------------------


def test_the_forecast_finds_the_line_and_knows_how_little_it_knows():
    rng = np.random.default_rng(3)
    edge = rng.normal(size=5000)
    returns = 0.002 + 0.01 * edge + rng.normal(0, 0.02, 5000)
    forecast = fit_forecast(edge, returns, 1)
    assert forecast.coefficients == pytest.approx((0.002, 0.01), abs=0.001)
    assert forecast.variance == pytest.approx(0.0004, rel=0.1)
    mean, doubt = forecast.moments(np.array([0.0, 2.0]))
    assert mean == pytest.approx([0.002, 0.022], abs=0.002)
    assert doubt[0] == pytest.approx(0.0004 / 5000, rel=0.5)
    few = fit_forecast(edge[:50], returns[:50], 1)
    assert few.moments(np.zeros(1))[1][0] > 50 * doubt[0]


def test_overlapping_horizons_count_once():
    rng = np.random.default_rng(4)
    edge, returns = rng.normal(size=2000), rng.normal(size=2000)
    alone, overlapping = fit_forecast(edge, returns, 1), fit_forecast(edge, returns, 20)
    ratio = overlapping.moments(np.zeros(1))[1][0] / alone.moments(np.zeros(1))[1][0]
    assert ratio == pytest.approx(20, rel=0.05)


def test_noise_forecasts_nothing_beyond_its_error():
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(200):
        forecast = fit_forecast(rng.normal(size=300), rng.normal(size=300), 1)
        hits += abs(forecast.coefficients[1]) > 1.96 * forecast.covariance[3] ** 0.5
    assert hits <= 20  # 5 % of 200 are 10
