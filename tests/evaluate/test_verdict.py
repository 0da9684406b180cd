"""Each rule of the verdict, its three sentences, and how seldom luck passes for skill."""

from dataclasses import replace

import numpy as np
import pytest

from regimegym.common.errors import ConfigError
from regimegym.evaluate.intervals import Interval, IntervalSettings, log_return_intervals
from regimegym.evaluate.verdict import (
    STAMPS,
    Evidence,
    VerdictSettings,
    choose_stamp,
    judge,
    percent,
    what_speaks_against,
)

GOOD = Evidence(
    log_return=Interval(0.4, 0.1, 0.7),
    above_buy_and_hold=Interval(0.3, 0.05, 0.6),
    strict_log_return=Interval(0.4, 0.05, 0.8),
    strict_above_buy_and_hold=Interval(0.3, 0.01, 0.7),
    buy_and_hold_log_return=0.1,
    best_rule="MA cross 36/168",
    above_best_rule=Interval(0.2, -0.1, 0.5),
    break_even=3.5,
    n_trades=80,
    n_bars=9000,
    years=1.03,
)
SETTINGS = VerdictSettings()


@pytest.mark.parametrize(
    ("change", "stamp"),
    [
        pytest.param({}, "promising", id="both intervals above zero"),
        pytest.param({"log_return": Interval(-0.4, -0.7, -0.1)}, "worse_than_nothing", id="interval below zero"),
        pytest.param(
            {"log_return": Interval(-0.4, -0.9, 0.1), "strict_log_return": Interval(-0.4, -1.1, 0.3)},
            "not_distinguishable",
            id="a loss that may be luck",
        ),
        pytest.param({"strict_log_return": Interval(0.4, -0.1, 0.9)}, "not_distinguishable", id="flat not excluded"),
        pytest.param(
            {"strict_above_buy_and_hold": Interval(0.3, -0.1, 0.6)}, "not_distinguishable", id="market not excluded"
        ),
        pytest.param(
            {"strict_above_buy_and_hold": Interval(-0.3, -0.6, -0.1)}, "not_distinguishable", id="behind the market"
        ),
        pytest.param({"n_trades": 29}, "not_distinguishable", id="too few trades"),
        pytest.param({"n_trades": 30}, "promising", id="just enough trades"),
        pytest.param({"log_return": Interval(0.0, 0.0, 0.0), "n_trades": 0}, "not_distinguishable", id="no trade"),
    ],
)
def test_stamp(change, stamp):
    assert choose_stamp(replace(GOOD, **change), SETTINGS) == stamp
    assert judge(replace(GOOD, **change), SETTINGS).to_dict()["stamp"] == STAMPS[stamp]


def test_there_are_always_three_sentences_and_something_always_speaks_against():
    for change in (
        {},
        {"n_trades": 0},
        {"break_even": float("nan")},
        {"log_return": Interval(-1.0, -2.0, -0.5)},
    ):
        verdict = judge(replace(GOOD, **change), SETTINGS).to_dict()
        questions = [sentence["question"] for sentence in verdict["sentences"]]
        assert questions == ["How much?", "Is it skill?", "What speaks against it?"]
        assert all(len(sentence["text"]) > 30 for sentence in verdict["sentences"])


def test_the_first_sentence_gives_result_interval_baseline_and_n():
    text = judge(GOOD, SETTINGS).sentences[0][1]
    assert text == (
        "After costs the agent returned +49.2 % in 9,000 bars (1.03 years; "
        "95 % interval +10.5 % to +101.4 %); "
        "buy and hold returned +10.5 %."
    )


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"terminated": True}, "The account was liquidated"),
        ({"break_even": float("nan")}, "The agent loses even without costs"),
        ({"break_even": 1.3}, "The gain is gone at 1.3 times the assumed costs"),
        (
            {"above_best_rule": Interval(-0.2, -0.5, 0.1)},
            "A simple rule (MA cross 36/168) ended higher by +0.200",
        ),
        ({"n_trades": 3}, "Only 3 trades were made"),
        ({"years": 0.3}, "0.30 years are short"),
        ({"optimistic_fills": True}, "Fills at the close that was decided on are optimistic"),
        ({"test_looks_before": 1}, "This part was looked at 1 time before"),
        ({"test_looks_before": 4}, "This part was looked at 4 times before"),
    ],
)
def test_every_objection_is_said_only_when_it_holds(change, part):
    assert what_speaks_against(replace(GOOD, **change), SETTINGS).startswith(part)
    assert part.lower() not in what_speaks_against(GOOD, SETTINGS).lower()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"strict_log_return": Interval(0.4, -0.1, 0.7)}, "above_flat"),
        ({"strict_above_buy_and_hold": Interval(0.4, -0.1, 0.7)}, "above_buy_and_hold"),
        ({"above_best_rule": Interval(-0.1, -0.2, 0.7)}, "above_best_rule"),
        ({"break_even": 1.9}, "break_even"),
        ({"break_even": float("nan")}, "break_even"),
        ({"n_trades": 2}, "enough_trades"),
    ],
)
def test_every_check_fails_on_its_own_rule(change, key):
    def failed(evidence):
        return [check.key for check in judge(evidence, SETTINGS).checks if check.ok is False]

    assert failed(GOOD) == []
    assert failed(replace(GOOD, **change)) == [key]


def test_what_is_not_measured_is_unknown_and_never_passes():
    unknown = [check for check in judge(GOOD, SETTINGS).checks if check.state == "unknown"]
    assert [check.key for check in unknown] == ["scenario_test", "deflated_sharpe", "no_look_ahead"]
    assert all(check.ok is None for check in unknown)


def stamp_of(agent, market, n_trades, rng):
    """The stamp of simulated log returns, as an evaluation would give it."""
    pair = np.stack([agent, market])
    shown, strict = (IntervalSettings(n_resamples=400, level=level) for level in (0.95, SETTINGS.level))
    own, (above,) = log_return_intervals(pair, n_trades, shown, rng)
    strict_own, (strict_above,) = log_return_intervals(pair, n_trades, strict, rng)
    evidence = replace(
        GOOD,
        log_return=own[0],
        above_buy_and_hold=above,
        strict_log_return=strict_own[0],
        strict_above_buy_and_hold=strict_above,
        n_trades=n_trades,
    )
    return choose_stamp(evidence, SETTINGS)


@pytest.mark.parametrize(
    ("drift", "held", "lowest"),
    [
        pytest.param(0.0, 10, 0.0, id="driftless"),
        pytest.param(0.0004, 10, 0.0, id="rising"),
        pytest.param(-0.0004, 10, 0.0, id="falling"),
        pytest.param(-0.004, 10, -1.0, id="falling fast, shorts"),
        pytest.param(-0.004, 15, -1.0, id="falling fast, shorts, just enough trades"),
        pytest.param(-0.004, 40, -1.0, id="falling fast, shorts, long positions"),
    ],
)
def test_an_agent_without_skill_is_called_promising_in_at_most_five_percent(drift, held, lowest):
    rng = np.random.default_rng(7)
    promising = 0
    for _ in range(300):
        market = drift + 0.01 * rng.standard_t(4, 1000) / np.sqrt(2)
        turns = np.cumsum(rng.random(1000) < 1 / held)
        holding = rng.choice([lowest, 1.0], turns[-1] + 1)[turns]
        n_trades = np.count_nonzero(np.diff(holding, prepend=0.0))
        promising += stamp_of(holding * market, market, n_trades, rng) == "promising"
    assert promising <= 15


def test_an_agent_with_skill_can_be_called_promising():
    rng = np.random.default_rng(1)
    market = rng.normal(0, 0.01, 2000)
    assert stamp_of(market * (market > -0.002), market, 900, rng) == "promising"


def test_a_gain_that_is_clear_only_at_the_shown_level_is_no_verdict():
    text = judge(replace(GOOD, strict_log_return=Interval(0.4, -0.1, 0.9)), SETTINGS).sentences[1][1]
    assert text.endswith("but not clearly enough for the 99 % that a verdict asks for.")


def test_numbers_are_written_with_a_true_minus_and_undefined_as_a_dash():
    assert [percent(v) for v in (0.031, -0.12, 0.0, -0.0001, float("nan"), 12.5)] == [
        "+3.1 %", "−12.0 %", "0.0 %", "0.0 %", "–", "+1,250.0 %",
    ]  # fmt: skip


def test_wrong_thresholds_are_named():
    with pytest.raises(ConfigError, match="'least_trades' must be a whole number ≥ 0, got -1"):
        VerdictSettings(least_trades=-1)


BEST = replace(
    GOOD, scenario_gap=Interval(0.1, 0.02, 0.2), scenario_p=0.01, n_scenarios=30, deflated_sharpe=0.97, look_ahead=False
)


@pytest.mark.parametrize(
    ("change", "stamp"),
    [
        pytest.param({}, "better", id="everything is met"),
        pytest.param({"look_ahead": True}, "look_ahead", id="the audit found something"),
        pytest.param({"look_ahead": None}, "promising", id="no audit"),
        pytest.param({"scenario_gap": None}, "promising", id="no scenarios"),
        pytest.param({"scenario_p": 0.05}, "promising", id="scenarios not significant"),
        pytest.param({"scenario_gap": Interval(-0.1, -0.2, -0.02)}, "promising", id="scenarios significantly worse"),
        pytest.param({"deflated_sharpe": 0.949}, "promising", id="too many trials"),
        pytest.param({"deflated_sharpe": float("nan")}, "promising", id="trials unknown"),
        pytest.param({"break_even": 1.99}, "promising", id="costs"),
        pytest.param({"above_best_rule": Interval(-0.01, -0.1, 0.1)}, "promising", id="a simple rule is better"),
        pytest.param({"n_trades": 3}, "not_distinguishable", id="never better than its own path"),
    ],
)
def test_the_best_stamp_needs_every_rule(change, stamp):
    verdict = judge(replace(BEST, **change), SETTINGS)
    assert verdict.stamp_key == stamp
    assert all(text for _, text in verdict.sentences)


def test_what_was_not_measured_is_said():
    assert "not measured: scenarios, deflated Sharpe ratio, look-ahead audit" in what_speaks_against(GOOD, SETTINGS)
    assert "not measured" not in what_speaks_against(BEST, SETTINGS)
    assert "knows" not in what_speaks_against(BEST, SETTINGS)
    assert what_speaks_against(replace(BEST, look_ahead=True), SETTINGS).startswith("Inputs know the future")


def test_the_scenario_test_objects_by_its_direction():
    behind = replace(BEST, scenario_gap=Interval(-0.2, -0.3, -0.1), scenario_p=0.0007)
    assert "over 30 scenarios it is clearly behind buy and hold (p = 0.0007 after Holm)" in what_speaks_against(
        behind, SETTINGS
    ).replace("Over", "over")
    unsure = replace(BEST, scenario_p=0.4)
    assert "not clearly above buy and hold (p = 0.4 after Holm)" in what_speaks_against(unsure, SETTINGS)
