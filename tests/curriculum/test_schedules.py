"""What moves a curriculum on: the count of episodes, or the gate's metric and nothing else (CU06)."""

import math

import pytest

from regimegym.common.errors import ConfigError
from regimegym.curriculum.schedules import GatedSchedule, TimedSchedule
from regimegym.curriculum.settings import CurriculumSettings, GateSettings, StageSettings

LENGTHS = (10, 20, 30, 40)


def gated(**changes):
    return GatedSchedule(LENGTHS, GateSettings(**({"threshold": 0.1, "trailing": 2, "max_stay": None} | changes)))


def test_the_clock_does_not_listen_to_scores():
    schedule = TimedSchedule(LENGTHS)
    for episode in range(10):
        schedule.scored(5.0, episode)
        assert schedule.stage_at(episode) == 0
    assert [schedule.stage_at(episode) for episode in (10, 29, 30, 59, 60, 99, 100, 10_000)] == [1, 1, 2, 2, 3, 3, 3, 3]
    assert math.isnan(schedule.score())


def test_a_gate_opens_on_the_mean_of_the_last_looks_and_on_nothing_else():
    schedule = gated()
    for episode in (5, 500, 50_000):
        schedule.scored(0.0999, episode)
        assert schedule.stage_at(episode) == 0
    schedule.scored(0.09, 60_000)
    assert schedule.stage_at(60_001) == 0
    schedule.scored(0.11, 60_002)  # (0.09 + 0.11) / 2 reaches it
    assert schedule.stage_at(60_003) == 1


def test_looks_of_an_earlier_stage_do_not_count():
    schedule = gated()
    for episode, expected in ((1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3), (8, 3)):
        schedule.scored(9.0, episode)
        assert schedule.stage_at(episode) == expected


def test_a_nan_opens_nothing():
    schedule = gated(step_back=0.0)
    for score in (math.nan, 9.0, math.nan, -9.0, math.nan):
        schedule.scored(score, 1)
        assert schedule.stage_at(1) == 0


def test_a_stage_is_left_after_its_maximum_stay_whatever_the_score():
    schedule = gated(max_stay=1.5)
    schedule.scored(-9.0, 3)
    stages = [schedule.stage_at(episode) for episode in range(200)]
    assert [stages.count(k) for k in range(4)] == [15, 30, 45, 110]


def test_the_stay_is_counted_from_the_stage_it_began_in():
    schedule = gated(max_stay=1.0, trailing=1)
    schedule.scored(1.0, 4)  # leaves the first stage at episode 4
    stages = [schedule.stage_at(episode) for episode in range(4, 100)]
    assert [stages.count(k) for k in range(4)] == [0, 20, 30, 46]


def test_a_step_back_goes_to_the_stage_before_and_no_further():
    schedule = gated(step_back=-0.5, trailing=1)
    for score, expected in ((0.2, 1), (0.0, 1), (-0.4, 1), (-0.6, 0), (-0.6, 0), (0.2, 1), (0.2, 2)):
        schedule.scored(score, 1)
        assert schedule.stage_at(1) == expected


def test_without_step_back_no_score_goes_back():
    schedule = gated(trailing=1)
    schedule.scored(0.2, 1)
    schedule.scored(-100.0, 2)
    assert schedule.stage_at(3) == 1


def test_a_schedule_goes_on_from_its_state():
    whole, cut = gated(max_stay=2.0, trailing=3), gated(max_stay=2.0, trailing=3)
    scores = [0.2, 0.1, 0.05, 0.3, 0.0, 0.4, 0.2, 0.2, 0.2]
    for episode, score in enumerate(scores):
        whole.scored(score, episode)
        cut.scored(score, episode)
        fresh = gated(max_stay=2.0, trailing=3)
        fresh.load_state(cut.state())
        cut = fresh
        assert cut.stage_at(episode) == whole.stage_at(episode)
        assert cut.score() == pytest.approx(whole.score(), nan_ok=True)


@pytest.mark.parametrize("schedule", [TimedSchedule(LENGTHS), gated()])
def test_a_negative_episode_is_no_episode(schedule):
    with pytest.raises(ConfigError, match="-1"):
        schedule.stage_at(-1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StageSettings(0), "share' must be > 0, got 0"),
        (lambda: StageSettings(1, ["uptrnd"]), "must be one of uptrend, downtrend, plateau, oscillating, got 'uptrnd'"),
        (lambda: StageSettings(1, []), "is empty"),
        (lambda: StageSettings(1, data_complexity="easy"), "simple, moderate, complex, all, got 'easy'"),
        (lambda: StageSettings(1, noise_level=-0.1), "must be ≥ 0, got -0.1"),
        (lambda: StageSettings(1, cost_rate=1.5), r"must be in \[0, 1\), got 1.5"),
        (lambda: GateSettings(threshold=0.1, step_back=0.2), "step_back' must be below the threshold, 0.1, got 0.2"),
        (lambda: GateSettings(trailing=0), "trailing' must be a whole number ≥ 1"),
        (lambda: CurriculumSettings(n_episodes=3), "n_episodes' must be a whole number ≥ 4, got 3"),
        (lambda: CurriculumSettings(pool_shares={"simple": 0.2}), "pool_shares.moderate' must be in"),
        (lambda: CurriculumSettings({"basic": {"share": 1}}), "stages.basic' must be StageSettings"),
    ],
)
def test_a_mistake_in_the_settings_says_what_was_expected(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
