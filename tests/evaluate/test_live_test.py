"""Two models side by side: sticky shares, a winner at a controlled error, a way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError
from regimegym.evaluate.live_test import log_evidence, rollback_at, sequential_winner, split_traffic

RNG = np.random.default_rng


def test_a_key_stays_with_its_model_and_the_shares_are_kept():
    shares = {"old": 0.8, "new": 0.2}
    first = [split_traffic(f"account {i}", shares) for i in range(10_000)]
    assert first == [split_traffic(f"account {i}", shares) for i in range(10_000)]
    assert first.count("new") / 10_000 == pytest.approx(0.2, abs=0.015)
    other = [split_traffic(f"account {i}", shares, salt="next") for i in range(10_000)]
    assert 0.25 < np.mean([a != b for a, b in zip(first, other, strict=True)]) < 0.4


def test_growing_a_share_moves_nobody_back():
    before = {i for i in range(2000) if split_traffic(str(i), {"new": 0.1, "old": 0.9}) == "new"}
    after = {i for i in range(2000) if split_traffic(str(i), {"new": 0.4, "old": 0.6}) == "new"}
    assert before < after


def test_shares_that_are_none_are_refused():
    with pytest.raises(ConfigError, match=r"'shares' must sum to 1, got 0\.9"):
        split_traffic("a", {"x": 0.5, "y": 0.4})
    with pytest.raises(ConfigError, match=r"'shares.y' must be > 0"):
        split_traffic("a", {"x": 1.0, "y": 0.0})


@pytest.mark.parametrize("draw", ["normal", "heavy", "growing"])
def test_looking_after_every_difference_names_a_winner_among_equals_at_most_at_the_error(draw):
    rng = RNG(0)
    named = 0
    for _ in range(400):
        noise = {"normal": rng.normal(size=400), "heavy": rng.standard_t(2, 400), "growing": rng.normal(size=400)}[draw]
        scale = np.linspace(1, 5, 400) if draw == "growing" else 1.0
        named += sequential_winner(noise * scale).winner is not None
    assert named / 400 <= 0.06


def test_repeated_tests_would_name_one_far_too_often():
    noise = RNG(1).normal(size=(300, 400))
    n = np.arange(10, 401)
    z = np.cumsum(noise, axis=1)[:, 9:] / np.sqrt(n)
    assert np.mean((np.abs(z) > 1.96).any(axis=1)) > 0.25


def test_the_better_model_wins_sooner_the_better_it_is():
    rng = RNG(2)
    small, large = ([sequential_winner(rng.normal(gap, 1, 1500)) for _ in range(40)] for gap in (0.25, 0.8))
    assert all(decided.winner == "a" for decided in small + large)
    assert np.median([d.at for d in large]) < np.median([d.at for d in small]) / 3
    assert sequential_winner(rng.normal(-0.8, 1, 500)).winner == "b"


@given(st.floats(1e-6, 1e6))
def test_evidence_does_not_depend_on_the_unit(unit):
    differences = RNG(3).normal(0.2, 1, 60)
    np.testing.assert_allclose(log_evidence(differences * unit), log_evidence(differences), atol=1e-9)


def test_the_two_sides_average_to_both():
    differences = RNG(4).normal(0.3, 1, 80)
    better, worse = (np.exp(log_evidence(differences, side)) for side in ("better", "worse"))
    np.testing.assert_allclose((better + worse) / 2, np.exp(log_evidence(differences)))


def test_degradation_sends_a_model_back_and_improvement_never_does():
    rng = RNG(5)
    assert all(rollback_at(rng.normal(-0.5, 1, 500)) is not None for _ in range(20))
    assert all(rollback_at(rng.normal(0.5, 1, 500)) is None for _ in range(50))
    assert np.mean([rollback_at(rng.normal(0, 1, 300)) is not None for _ in range(300)]) <= 0.06


def test_a_model_that_gives_no_number_goes_back_at_once():
    differences = np.array([0.1, 0.2, np.nan, 0.3])
    assert rollback_at(differences) == 3
    assert rollback_at(np.empty(0)) is None


def test_nothing_but_equal_results_stays_open():
    decided = sequential_winner(np.zeros(100))
    assert (decided.winner, decided.at, decided.evidence) == (None, None, 1.0)
    assert sequential_winner(np.empty(0)).winner is None
