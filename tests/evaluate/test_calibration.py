"""Probabilities against frequencies, predictions against outcomes, thresholds chosen where they may be."""

import numpy as np
import pytest
from handmade import WindowPolicy, random_tape

from regimegym.agents.decision.fit import HeldOut, ask
from regimegym.agents.decision.roles import action_roles
from regimegym.common.errors import DataError, ModelError
from regimegym.common.policy import Decision
from regimegym.evaluate.calibration import (
    action_values,
    interval_coverage,
    policy_action_values,
    recalibrate,
    regime_reliability,
    regime_threshold_impact,
    reliability,
    threshold_curve,
    threshold_impact,
)
from regimegym.evaluate.prediction_stress import stress_predictions
from regimegym.features.splits import RowRange

RNG = np.random.default_rng


def test_honest_probabilities_lie_on_the_diagonal():
    rng = RNG(0)
    said = rng.random(40_000)
    found = reliability(said, rng.random(40_000) < said)
    assert found.error < 0.01
    assert found.happened == pytest.approx(found.stated, abs=0.03)
    assert np.mean((found.low <= found.stated) & (found.stated <= found.high)) >= 0.7
    assert found.brier == pytest.approx(1 / 6, abs=0.01)
    assert found.counts.sum() == 40_000


def test_empty_bins_are_left_out_and_nothing_is_nothing():
    found = reliability(np.array([0.05, 0.05, 1.0]), np.array([False, True, True]))
    assert found.stated.tolist() == [0.05, 1.0]
    assert found.happened.tolist() == [0.5, 1.0]
    assert np.isnan(reliability(np.empty(0), np.empty(0, bool)).error)


def test_overconfidence_is_mended_by_a_map_from_another_part():
    rng = RNG(1)

    def part(n):
        true = rng.uniform(0.3, 0.7, n)
        return np.clip(0.5 + 2.2 * (true - 0.5), 0, 1), rng.random(n) < true

    found = recalibrate(part(20_000), part(20_000))
    assert found.before.error > 0.1
    assert found.after.error < 0.02
    assert found.after.brier < found.before.brier


def test_each_regime_has_its_own_diagram():
    truth = RNG(2).integers(4, size=3000)
    probabilities = np.full((3000, 4), 0.1)
    probabilities[np.arange(3000), truth] = 0.7
    found = regime_reliability(probabilities, truth)
    assert list(found) == ["uptrend", "downtrend", "plateau", "oscillating"]
    assert found["plateau"].stated.tolist() == pytest.approx([0.1, 0.7])
    assert found["plateau"].happened.tolist() == [0.0, 1.0]


def test_predicted_values_that_mean_something_rise_with_the_realised_ones():
    rng = RNG(3)
    scores = rng.normal(size=(5000, 2))
    realised = np.stack([0.01 * scores[:, 0] + rng.normal(0, 0.01, 5000), rng.normal(0, 0.01, 5000)], axis=1)
    good, blind = action_values(scores, realised, 5)
    assert (np.diff(good.predicted) > 0).all()
    assert (np.diff(good.realised) > 0).all()
    assert good.rank_correlation > 0.6
    assert abs(blind.rank_correlation) < 0.05
    assert (np.abs(blind.realised) < 4 * blind.error).all()


def test_each_action_earns_what_its_weight_would_have_after_costs():
    returns = np.array([0.02, -0.01, 0.03, 0.0])
    scores = np.arange(12.0).reshape(4, 3)
    roles = action_roles(np.array([np.nan, -1.0, 1.0]))
    hold, sell, buy = policy_action_values(HeldOut(Decision(np.zeros(4), scores), returns), roles, 0.001, 1)
    assert hold.realised.tolist() == [0.0]
    assert buy.realised[0] == pytest.approx(0.01 - 0.002)
    assert sell.realised[0] == pytest.approx(-0.01 - 0.002)
    with pytest.raises(ModelError, match="states no value"):
        policy_action_values(HeldOut(Decision(np.zeros(4)), returns), roles, 0.001)
    with pytest.raises(DataError, match=r"predicted \(2, 3\)"):
        action_values(np.zeros((2, 3)), np.zeros((2, 3)))


def test_a_threshold_curve_is_counted_by_hand():
    curve = threshold_curve(np.array([0.5, 0.6, 0.8]), np.array([-0.02, 0.01, 0.03]), [0.0, 0.55, 0.7, 0.9])
    assert curve.coverage == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert curve.hit_rate[:3] == pytest.approx([2 / 3, 1, 1])
    assert curve.mean[:3] == pytest.approx([0.02 / 3, 0.02, 0.03])
    assert curve.total == pytest.approx([0.02, 0.04, 0.03, 0.0])
    assert np.isnan(curve.hit_rate[3])


def held_out(rng, n, edge):
    confidence = rng.random(n)
    return confidence, edge * (confidence - 0.5) * 0.02 + rng.normal(0, 0.005, n)


def test_a_threshold_is_chosen_on_validation_and_its_gain_measured_on_test():
    rng = RNG(4)
    found = threshold_impact(held_out(rng, 4000, 1), held_out(rng, 4000, 1), np.linspace(0, 0.9, 10), 5.0, rng)
    assert found.chosen == pytest.approx(0.5, abs=0.11)
    assert found.gain.low > 0
    assert found.test.total[0] < found.test.total.max()


def test_without_a_meaning_of_confidence_no_gain_is_claimed():
    rng = RNG(5)
    claimed = [
        threshold_impact(held_out(rng, 300, 0), held_out(rng, 300, 0), np.linspace(0, 0.9, 10), 5.0, rng).gain.low > 0
        for _ in range(100)
    ]
    assert np.mean(claimed) <= 0.08


def test_regimes_have_thresholds_of_their_own():
    rng = RNG(6)
    parts = []
    for _ in range(2):
        confidence, returns = held_out(rng, 6000, 1)
        regimes = rng.integers(3, size=6000)
        parts.append((confidence, np.where(regimes == 1, 0.002 + 0 * returns, returns), regimes))
    found = regime_threshold_impact(*parts, np.linspace(0, 0.9, 10), 5.0, rng)
    assert list(found) == ["uptrend", "downtrend", "plateau"]
    assert found["downtrend"].chosen == 0.0
    assert found["uptrend"].chosen > 0.3


def test_the_spread_of_an_honest_ensemble_covers_what_it_says():
    rng = RNG(7)
    deviation = rng.uniform(0.5, 2, 20_000)
    realised = rng.normal(0, deviation)
    honest = interval_coverage(np.zeros(20_000), deviation, realised)
    assert all(share == pytest.approx(level, abs=0.01) for level, share in honest.items())
    assert interval_coverage(np.zeros(20_000), deviation / 2, realised)[0.9] < 0.7


def test_shocked_features_change_decisions_and_untouched_ones_do_not():
    tape, rows = random_tape(300), RowRange(40, 300)
    shocks = {"none": lambda features: features, "large": lambda features: features + 5.0}
    none, large = stress_predictions(WindowPolicy(), tape, rows, 30, shocks)
    assert none.changed == 0.0
    assert large.changed > 0.3
    assert np.isnan(large.score_change)
    assert len(ask(WindowPolicy(), tape, rows, 30, 1).returns) == 258


class ScoringPolicy:
    """Scores that follow one feature."""

    def act(self, observations, state, episode_starts):
        last = observations["market"][:, -1, 0].astype(np.float64)
        scores = np.stack([0 * last, -last, last], axis=1)
        return Decision(scores.argmax(axis=1), scores), state


def test_the_change_of_scores_is_in_units_of_their_own_spread():
    tape, rows = random_tape(300), RowRange(40, 300)
    (doubled, broken) = stress_predictions(
        ScoringPolicy(), tape, rows, 30, {"x2": lambda f: 2 * f, "nan": lambda f: np.full_like(f, np.nan)}
    )
    assert doubled.changed == 0.0
    assert doubled.score_change == pytest.approx(1.0, abs=0.02)
    assert doubled.finite
    assert not broken.finite
