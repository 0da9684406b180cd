"""Several seeds and scenarios: robust means, their intervals, improvement, profiles."""

import numpy as np
import pytest

from regimegym.common.errors import DataError
from regimegym.evaluate.statistics import (
    improvement,
    improvement_interval,
    interquartile_mean,
    mean_score,
    performance_profile,
    resampled,
    score_interval,
)


def test_the_interquartile_mean_is_the_mean_of_the_middle_half():
    scores = np.array([[1000.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, -1000.0]])
    assert interquartile_mean(scores) == pytest.approx(np.mean([2, 3, 4, 5]))
    assert interquartile_mean(np.stack([scores, scores + 1])).tolist() == pytest.approx([3.5, 4.5])


def test_a_missing_score_makes_the_result_missing():
    scores = np.ones((3, 4))
    scores[1, 2] = np.nan
    assert np.isnan(interquartile_mean(scores))
    assert np.isnan(score_interval(scores, np.random.default_rng(0), n_resamples=100)).all()


def test_seeds_are_drawn_within_their_own_scenario():
    scores = np.array([[0.0, 10.0, 20.0], [1.0, 11.0, 21.0]])
    drawn = resampled(scores, lambda table: table, 200, np.random.default_rng(0), new_scenarios=False)
    assert drawn.shape == (200, 2, 3)
    assert ((drawn // 10) == [0, 1, 2]).all()
    mixed = resampled(scores, lambda table: table // 10, 200, np.random.default_rng(0), new_scenarios=True)
    assert (mixed[:, 0] == mixed[:, 1]).all()
    assert len(np.unique(mixed[:, 0], axis=0)) == 27


@pytest.mark.parametrize("new_scenarios", [True, False])
def test_intervals_cover_the_truth_they_are_about(new_scenarios):
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(150):
        level = rng.normal(0, 1, 25)
        scores = level + rng.normal(0, 0.5, (8, 25))
        true = 0.0 if new_scenarios else level.mean()
        _, low, high = score_interval(scores, rng, mean_score, n_resamples=200, new_scenarios=new_scenarios)
        covered.append(low <= true <= high)
    assert 0.87 <= np.mean(covered) <= 0.99


def test_improvement_counts_pairs_on_the_same_scenario():
    ours, theirs = np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[2.0, 5.0]])
    assert improvement(ours, theirs) == pytest.approx((0.5 + 0.5) / 2)
    assert improvement(ours, ours) == pytest.approx(0.5)
    assert improvement(ours + 10, theirs) == 1.0


def test_the_interval_of_the_improvement_covers_one_half_without_any():
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(100):
        low, high = improvement_interval(rng.normal(size=(6, 20)), rng.normal(size=(6, 20)), rng, n_resamples=150)[1:]
        covered.append(low <= 0.5 <= high)
    assert np.mean(covered) >= 0.88
    better = rng.normal(0.8, 1, (6, 20))
    assert improvement_interval(better, rng.normal(size=(6, 20)), rng, n_resamples=150).low > 0.5


def test_a_profile_falls_from_one_to_zero_within_its_band():
    scores = np.random.default_rng(3).normal(size=(5, 30))
    thresholds = np.linspace(-6, 6, 25)
    profile = performance_profile(scores, thresholds, np.random.default_rng(4), n_resamples=200)
    assert profile.share == pytest.approx([np.mean(scores > t) for t in thresholds])
    assert (profile.share[0], profile.share[-1]) == (1.0, 0.0)
    assert (profile.low <= profile.share).all()
    assert (profile.share <= profile.high).all()


def test_other_scenarios_cannot_be_compared():
    with pytest.raises(DataError, match="scores of 3 scenarios cannot be compared with those of 2"):
        improvement(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(DataError, match=r"got the shape \(0, 3\)"):
        resampled(np.zeros((0, 3)), mean_score, 100, np.random.default_rng(0), False)
