"""Pools of episodes: contiguous, mostly of an allowed regime, the clearest first (CU04, CU05, T077)."""

import math
from itertools import pairwise

import numpy as np
import pytest

from regimegym.common.regimes import Regime
from regimegym.curriculum.pools import stage_pool
from regimegym.curriculum.settings import CurriculumSettings, StageSettings, default_stages

UP, DOWN, PLATEAU, OSCILLATING = range(4)
LENGTH = 20


def labels(n=3_000, seed=0):
    """Runs of regimes of random lengths."""
    rng = np.random.default_rng(seed)
    runs = [np.full(rng.integers(3, 60), rng.integers(4)) for _ in range(n)]
    return np.concatenate(runs)[:n].astype(np.int8)


def episodes(regimes):
    starts = np.arange(len(regimes) - LENGTH)
    return starts, starts + LENGTH


def slow_share(regimes, start):
    """Dominant regime of one episode and its share, counted by hand."""
    seen = [list(regimes[start : start + LENGTH]).count(code) for code in range(4)]
    return seen.index(max(seen)), max(seen) / LENGTH


@pytest.mark.parametrize("name", default_stages())
def test_a_pool_holds_the_clearest_episodes_of_each_allowed_regime(name):
    regimes, settings = labels(), CurriculumSettings()
    stage = settings.stages[name]
    share = settings.pool_share(stage)
    pool = stage_pool(regimes, *episodes(regimes), stage, share)
    by_hand = [slow_share(regimes, start) for start in range(len(regimes) - LENGTH)]
    allowed = {Regime[regime.upper()] for regime in stage.regimes}
    for regime in range(4):
        possible = [s for (dominant, s) in by_hand if dominant == regime]
        inside = pool.shares[pool.dominant == regime]
        if regime not in allowed:
            assert len(inside) == 0
            continue
        assert len(inside) == math.ceil(share * len(possible)) > 0
        assert sorted(inside) == sorted(possible)[-len(inside) :]
    for start, dominant, share_there in zip(*pool, strict=True):
        assert by_hand[start] == (dominant, pytest.approx(share_there))


def test_the_levels_are_distinct_and_each_holds_the_one_before():
    regimes, settings = labels(), CurriculumSettings()
    pools = [
        set(stage_pool(regimes, *episodes(regimes), stage, settings.pool_share(stage)).starts.tolist())
        for stage in (StageSettings(1, data_complexity=level) for level in ("simple", "moderate", "complex", "all"))
    ]
    for smaller, larger in pairwise(pools):
        assert smaller < larger
    assert pools[3] == set(range(len(regimes) - LENGTH))


def test_an_allowed_regime_without_episodes_is_said_and_done_without(caplog):
    caplog.set_level("INFO", "regimegym")
    regimes = np.where(labels() == PLATEAU, UP, labels()).astype(np.int8)
    pool = stage_pool(regimes, *episodes(regimes), StageSettings(1, ["plateau", "downtrend"]), 1.0)
    assert set(pool.dominant) == {DOWN}
    assert "no possible episode is mostly plateau" in caplog.text


def test_an_empty_pool_falls_back_to_the_episodes_with_most_of_what_is_allowed(caplog):
    regimes = np.zeros(200, np.int8)
    regimes[150:155] = PLATEAU
    regimes[155:158] = OSCILLATING
    pool = stage_pool(regimes, *episodes(regimes), StageSettings(1, ["plateau", "oscillating"], "simple"), 0.05)
    assert len(pool.starts) == 9
    assert set(pool.dominant) == {UP}
    for start in pool.starts:
        assert np.isin(regimes[start : start + LENGTH], (PLATEAU, OSCILLATING)).sum() == 8
    assert "those with most of it are taken" in caplog.text


def test_unknown_labels_make_no_episode_clear():
    regimes = np.full(100, Regime.UNKNOWN, np.int8)
    regimes[60:] = UP
    pool = stage_pool(regimes, *episodes(regimes), StageSettings(1, ["uptrend"]), 1.0)
    assert pool.starts.tolist() == list(range(41, 80))
