"""Difficulty of an episode: the share of its movement that even hindsight loses to costs."""

import math
from itertools import product

import numpy as np
import pytest

from regimegym.curriculum.difficulty import difficulty


def slow(close, cost_rate):
    """Every path over −1, 0, +1 by hand."""
    moves, cost = np.diff(np.log(close)), -math.log1p(-cost_rate)
    paths = np.array(list(product((-1.0, 0.0, 1.0), repeat=len(moves))))
    trades = np.abs(np.diff(paths, axis=1, prepend=0.0)).sum(axis=1)
    return 1.0 - (paths @ moves - cost * trades).max() / np.abs(moves).sum()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cost_rate", [0.0, 0.001, 0.01, 0.05])
def test_it_is_what_the_best_of_all_paths_leaves(seed, cost_rate):
    close = np.exp(0.02 * np.random.default_rng(seed).standard_normal(9).cumsum())
    assert difficulty(close, cost_rate) == pytest.approx(slow(close, cost_rate), abs=1e-12)


def test_a_trend_is_easy_and_a_trembling_price_is_hard():
    trend = np.exp(0.001 * np.arange(500))
    trembling = np.exp(0.001 * (np.arange(500) % 2))
    assert difficulty(trend, 0.001) < 0.01
    assert difficulty(1 / trend, 0.001) < 0.01
    assert difficulty(trembling, 0.001) == pytest.approx(1.0)


def test_costs_make_it_harder_and_without_them_nothing_is_lost():
    close = np.exp(0.01 * np.random.default_rng(0).standard_normal(300).cumsum())
    found = [difficulty(close, rate) for rate in (0.0, 0.0005, 0.001, 0.002, 0.0025)]
    assert found == sorted(set(found))
    assert found[0] == pytest.approx(0.0, abs=1e-12)


def test_a_price_that_never_moves_has_no_difficulty():
    assert math.isnan(difficulty(np.full(10, 7.0), 0.001))
