"""How episodes are divided among the stages: exact for every N (DEFINITIONS §8, T075, T076)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError
from regimegym.curriculum.settings import default_stages
from regimegym.curriculum.stages import episodes_in, stage_boundaries, stage_lengths, stage_of

SHARES = [stage.share for stage in default_stages().values()]


def slow_lengths(n: int) -> list[int]:
    """Tenths by hand: whole tenths, then one each to the largest last digits, the earlier of equals first."""
    lengths = [n * k // 10 for k in (1, 2, 3, 4)]
    digits = [n * k % 10 for k in (1, 2, 3, 4)]
    for _ in range(n - sum(lengths)):
        k = digits.index(max(digits))
        lengths[k] += 1
        digits[k] = -1
    while 0 in lengths:
        biggest = max(lengths)
        lengths[3 - lengths[::-1].index(biggest)] -= 1
        lengths[lengths.index(0)] = 1
    return lengths


def test_the_four_stages_share_one_two_three_and_four_tenths():
    assert [Fraction(share) / 10 for share in SHARES] == [Fraction(k, 10) for k in (1, 2, 3, 4)]


def test_every_n_from_4_to_2999_is_divided_exactly():
    tables = {n: stage_lengths(SHARES, n) for n in range(4, 3_000)}
    assert len(tables) == 2_996
    for n, lengths in tables.items():
        assert list(lengths) == slow_lengths(n)
        assert sum(lengths) == n
        assert min(lengths) >= 1
        assert list(lengths) == sorted(lengths)
        if n >= 10:
            assert all(abs(10 * length - n * k) < 10 for length, k in zip(lengths, (1, 2, 3, 4), strict=True))


@pytest.mark.parametrize(
    ("n", "lengths"),
    [
        (4, (1, 1, 1, 1)),
        (5, (1, 1, 1, 2)),
        (6, (1, 1, 2, 2)),
        (9, (1, 2, 3, 3)),
        (10, (1, 2, 3, 4)),
        (97, (10, 19, 29, 39)),
    ],
)
def test_tables_by_hand(n, lengths):
    assert stage_lengths(SHARES, n) == lengths


@pytest.mark.parametrize("n", [-1, 0, 1, 2, 3])
def test_fewer_episodes_than_stages_are_refused(n):
    with pytest.raises(ConfigError, match=r"episodes"):
        stage_lengths(SHARES, n)


def test_every_episode_lies_in_the_stage_whose_boundary_is_the_first_above_it():
    for n in [*range(4, 60), 500, 2_999]:
        boundaries = stage_boundaries(stage_lengths(SHARES, n))
        found = [stage_of(episode, boundaries) for episode in range(n)]
        assert found == [min(k for k in range(4) if episode < boundaries[k]) for episode in range(n)]
        assert found == sorted(found)
        assert [found.count(k) for k in range(4)] == list(stage_lengths(SHARES, n))
        assert [stage_of(n + past, boundaries) for past in (0, 1, 1_000)] == [3, 3, 3]


def test_a_negative_episode_is_no_episode():
    with pytest.raises(ConfigError, match="counted from 0, got -1"):
        stage_of(-1, (1, 2))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=7), st.integers(0, 500))
def test_shares_of_ones_own_sum_exactly_too(shares, more):
    n = len(shares) + more
    lengths = stage_lengths(shares, n)
    assert sum(lengths) == n
    assert min(lengths) >= 1
    quotas = [n * Fraction(share, sum(shares)) for share in shares]
    if min(quotas) >= 1:
        assert all(abs(length - quota) < 1 for length, quota in zip(lengths, quotas, strict=True))
    assert stage_lengths([10 * share for share in shares], n) == lengths


def test_shares_are_taken_as_they_are_written():
    assert stage_lengths([0.1, 0.2, 0.3, 0.4], 15) == stage_lengths([1, 2, 3, 4], 15)


def test_a_training_holds_the_whole_episodes_that_fit_into_its_steps():
    assert episodes_in(50_000, 512) == 97
    with pytest.raises(ConfigError, match="nobody knows how many fit"):
        episodes_in(50_000, None)
