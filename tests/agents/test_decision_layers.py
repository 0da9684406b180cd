"""LayeredPolicy: what the layers do to decisions, how they are fitted, saved and loaded."""

import json
from dataclasses import replace

import numpy as np
import pytest
from stand_in import sine_tape

from regimegym.agents.decision.fit import ask, fit_decision
from regimegym.agents.decision.forecast import EdgeForecast
from regimegym.agents.decision.layers import FittedDecision, LayeredPolicy, layered
from regimegym.agents.decision.roles import action_roles
from regimegym.agents.decision.settings import (
    CalibrationSettings,
    DecisionSettings,
    DoubtSettings,
    KellySettings,
    NoTradeSettings,
    ThresholdSettings,
    TierSettings,
)
from regimegym.common.errors import ConfigError, DataError, ModelError
from regimegym.common.policy import Decision, TapePolicy
from regimegym.envs.observation import ACCOUNT_FIELDS
from regimegym.envs.settings import AccountSettings
from regimegym.features.splits import RowRange

TRADE = action_roles(np.array([np.nan, 0.0, 1.0]))
LADDER = action_roles(np.array([-1.0, 0.0, 1.0]))
UP, DOWN = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]


class Fixed:
    """A policy that always gives the same scores, regimes and disagreement."""

    def __init__(self, scores, p=None, uncertainty=None):
        self.scores = np.array(scores, float)
        self.p = None if p is None else np.array(p, float)
        self.uncertainty = uncertainty

    def act(self, observations, state=None, episode_starts=None):
        n = len(observations["account"])
        return (
            Decision(
                np.full(n, self.scores.argmax()),
                np.tile(self.scores, (n, 1)),
                None if self.p is None else np.tile(self.p, (n, 1)),
                None if self.uncertainty is None else np.full(n, self.uncertainty),
            ),
            state,
        )


class Foresight:
    """Scores of a policy that sees how a sine goes on; it answers from windows or from rows."""

    def __init__(self, tape, skill=1.0):
        log_close = np.log(tape.close)
        self.edge = skill * (np.roll(log_close, -21) - np.roll(log_close, -1))

    def act(self, observations, state=None, episode_starts=None):
        edge = self.edge[observations["row"]]
        scores = np.stack([np.zeros_like(edge), -edge, edge], axis=1)
        return Decision(scores.argmax(axis=1), scores), state

    def on_tape(self, tape, start, stop):
        return self


def seen(exposures):
    account = np.zeros((len(exposures), len(ACCOUNT_FIELDS)), np.float32)
    account[:, ACCOUNT_FIELDS.index("exposure")] = exposures
    return {"account": account}


def decide(policy, exposures=(0.0,)):
    decision, _ = policy.act(seen(exposures))
    return decision


def calibrated(**more):
    settings = DecisionSettings(calibration=CalibrationSettings(isotonic=False), **more)
    return FittedDecision(settings, temperature=1.0)


def test_without_layers_the_policy_is_itself():
    policy = Fixed([0, 1, 2])
    assert layered(policy, None, TRADE) is policy
    assert layered(policy, FittedDecision(DecisionSettings()), TRADE) is policy


def test_calibration_turns_scores_into_probabilities_and_keeps_the_choice():
    decision = decide(layered(Fixed([0.001, 0.002, 0.004]), calibrated(), TRADE))
    np.testing.assert_allclose(decision.scores.sum(axis=1), 1.0)
    assert decision.action[0] == 2
    assert decision.target[0] == 1.0
    assert decision.confidence[0] == decision.scores[0, 2]


def test_a_certain_uptrend_can_tip_the_choice_to_buy():
    scores = [1.0, 0.0, 0.9]
    fitted = replace(calibrated(), settings=DecisionSettings(calibration=CalibrationSettings(isotonic=False)))
    assert decide(layered(Fixed(scores, DOWN), fitted, TRADE)).action[0] == 0
    assert decide(layered(Fixed(scores, UP), fitted, TRADE)).action[0] == 2


def test_below_the_threshold_the_position_is_kept():
    fitted = replace(calibrated(thresholds=ThresholdSettings(base=0.9)), base=0.9)
    decision = decide(layered(Fixed([0, 0, 1]), fitted, TRADE))
    assert decision.action[0] == 0
    assert np.isnan(decision.target[0])
    in_a_ladder = decide(layered(Fixed([0, 0, 1]), fitted, LADDER), (0.0, 0.9))
    np.testing.assert_array_equal(in_a_ladder.action, [1, 2])  # the rung nearest to what is held
    assert np.isnan(in_a_ladder.target).all()


def test_a_regime_lowers_its_threshold():
    settings = ThresholdSettings(base=0.8, modifiers={"uptrend": (-0.3, 0.0)})
    fitted = replace(calibrated(thresholds=settings), base=0.8)
    no_boost = replace(fitted.settings, calibration=CalibrationSettings(isotonic=False, boost=0.0))
    fitted = replace(fitted, settings=no_boost)
    assert decide(layered(Fixed([0, 0.5, 1], DOWN), fitted, TRADE)).action[0] == 0
    assert decide(layered(Fixed([0, 0.5, 1], UP), fitted, TRADE)).action[0] == 2


@pytest.mark.parametrize(("confidence", "target"), [(0.59, np.nan), (0.61, 0.25), (0.7, 0.5), (0.9, 1.0)])
def test_tiers_size_what_opens_a_position(confidence, target):
    fitted = replace(calibrated(tiers=TierSettings()), knots=((0.0, 1.0), (confidence, confidence)))
    decision = decide(layered(Fixed([0, 0, 1]), fitted, TRADE))
    np.testing.assert_array_equal(decision.target, [target])


def test_the_edges_of_a_symbol_are_its_own():
    tiers = TierSettings(multipliers={"BTC": 1.1})
    fitted = replace(calibrated(tiers=tiers), knots=((0.0, 1.0), (0.68, 0.68)))
    assert decide(layered(Fixed([0, 0, 1]), fitted, TRADE)).target[0] == 0.5
    assert decide(layered(Fixed([0, 0, 1]), fitted, TRADE, "BTC")).target[0] == 0.25


def test_tiers_never_size_the_way_out():
    fitted = replace(calibrated(tiers=TierSettings()), knots=((0.0, 1.0), (0.1, 0.1)))
    assert decide(layered(Fixed([0, 1, 0]), fitted, TRADE), (1.0,)).target[0] == 0.0


def test_kelly_sizes_by_the_worth_of_the_edge_and_not_at_all_against_it():
    settings = DecisionSettings(kelly=KellySettings(share=1.0))
    forecast = EdgeForecast((0.0, 0.0004), (0.0, 0.0, 0.0, 0.0), 0.01, 20)
    fitted = FittedDecision(settings, forecast=forecast)
    edge = LayeredPolicy(Fixed([0, 0, 1]), fitted, TRADE).edge(np.array([[0.0, 0.0, 1.0]]))[0]
    assert decide(layered(Fixed([0, 0, 1]), fitted, TRADE)).target[0] == pytest.approx(0.0004 * edge / 0.01)
    worthless = replace(fitted, forecast=EdgeForecast((0.0, -0.0004), (0.0,) * 4, 0.01, 20))
    assert decide(layered(Fixed([0, 0, 1]), worthless, TRADE)).target[0] == 0.0


def test_disagreement_shrinks_the_position():
    fitted = FittedDecision(DecisionSettings(doubt=DoubtSettings(0.2)), half_at=0.2)
    assert decide(layered(Fixed([0, 0, 1], uncertainty=0.2), fitted, TRADE)).target[0] == 0.5
    assert decide(layered(Fixed([0, 1, 0], uncertainty=0.2), fitted, TRADE)).target[0] == 0.0


def test_a_change_that_does_not_pay_its_cost_is_left():
    settings = DecisionSettings(no_trade=NoTradeSettings(multiple=1.0, band=0.1))
    forecast = EdgeForecast((0.0, 0.001), (0.0,) * 4, 0.01, 20)
    cheap = FittedDecision(settings, forecast=forecast, one_way_cost=0.0001)
    dear = replace(cheap, one_way_cost=0.01)
    policy = Fixed([0, 0, 1])
    np.testing.assert_array_equal(decide(layered(policy, cheap, TRADE), (0.0, 0.95)).target, [1.0, np.nan])
    assert np.isnan(decide(layered(policy, dear, TRADE)).target[0])


def test_a_policy_without_scores_is_refused():
    class Silent:
        def act(self, observations, state, starts):
            return Decision(np.zeros(1, int)), None

    with pytest.raises(ModelError, match="scores"):
        decide(layered(Silent(), calibrated(), TRADE))


def test_layers_answer_from_rows_where_the_policy_does():
    tape = sine_tape()
    policy = layered(Foresight(tape), calibrated(), TRADE)
    assert isinstance(policy, TapePolicy)
    assert not isinstance(layered(Fixed([0, 1, 2]), calibrated(), TRADE), TapePolicy)
    rows = np.arange(100, 140)
    decision, _ = policy.on_tape(tape, 100, 140).act({"row": rows, **seen(np.zeros(40))}, None, np.zeros(40, bool))
    assert set(decision.action.tolist()) >= {1, 2}


# --- fitting -------------------------------------------------------------------------------------------

ROWS = RowRange(10, 560)
EVERYTHING = DecisionSettings(
    calibration=CalibrationSettings(),
    thresholds=ThresholdSettings(),
    tiers=TierSettings(multipliers={"BTC": 1.1}),
    kelly=KellySettings(),
    doubt=DoubtSettings(),
    no_trade=NoTradeSettings(),
)


def fitted_on(policy, settings=EVERYTHING, net_return=lambda policy: 0.0, tape=None):
    account = AccountSettings()
    return fit_decision(policy, tape or sine_tape(), ROWS, 8, account, TRADE, settings, net_return)


def test_returns_of_the_held_out_bars_begin_at_the_fill():
    tape = sine_tape()
    held_out = ask(Foresight(tape), tape, ROWS, 8, 20)
    assert len(held_out.returns) == ROWS.count - 21
    assert held_out.returns[5] == pytest.approx(np.log(tape.open[36] / tape.open[16]))


def test_a_skilled_policy_gets_a_low_temperature_and_a_rising_forecast():
    tape = sine_tape()
    skilled, unskilled = fitted_on(Foresight(tape)), fitted_on(Foresight(tape, skill=-1.0))
    assert skilled.temperature < 0.5 < unskilled.temperature
    assert skilled.forecast.coefficients[1] > 0 > unskilled.forecast.coefficients[1]
    assert skilled.knots[1][-1] > 0.9
    assert unskilled.knots[1][-1] < 0.1


def test_the_threshold_that_earned_most_is_taken():
    tape = sine_tape()
    earned = iter([0.0, 0.1, 0.3, 0.2, 0.3, 0, 0, 0, 0])
    fitted = fitted_on(Foresight(tape), net_return=lambda policy: next(earned))
    assert fitted.base == EVERYTHING.thresholds.grid[2]


def test_too_few_decisions_leave_confidence_uncalibrated_and_say_so(caplog):
    fitted = fitted_on(Fixed([1, 0, 0]))  # never opens a position
    assert fitted.knots is None
    assert "50 are needed" in caplog.text


def test_a_validation_part_shorter_than_the_horizon_is_refused():
    with pytest.raises(DataError, match="too few"):
        ask(Fixed([0, 1, 2]), sine_tape(), RowRange(10, 25), 8, 20)


def test_fitted_layers_survive_json():
    fitted = fitted_on(Foresight(sine_tape()))
    assert FittedDecision.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted
    damaged = fitted.to_dict()
    del damaged["settings"]["kelly"]
    with pytest.raises(ModelError, match="damaged"):
        FittedDecision.from_dict(damaged)


# --- settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DecisionSettings(tiers=TierSettings()), "decision.calibration"),
        (lambda: TierSettings(edges=(0.7, 0.6, 0.8)), "rising"),
        (lambda: ThresholdSettings(modifiers={"sideways": (0, 0)}), "sideways"),
        (lambda: ThresholdSettings(lowest=0.9, highest=0.1), "lowest"),
        (lambda: CalibrationSettings(temperature=0.0), "temperature"),
        (lambda: CalibrationSettings(base=1.0), "base"),
        (lambda: KellySettings(share=-1), "share"),
        (lambda: DecisionSettings(horizon=0), "horizon"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(make, words):
    with pytest.raises(ConfigError, match=words):
        make()
