"""The number of trials is counted: Sharpe ratios deflate, choices that do not carry over are named."""

import builtins
import math

import numpy as np
import pytest
from scipy.stats import norm

from regimegym.common.errors import ConfigError, DataError, MachineError
from regimegym.evaluate.metrics import sharpe_ratio
from regimegym.evaluate.overfitting import (
    backtest_overfitting,
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    minimum_track_record,
    probabilistic_sharpe_ratio,
    sharpe_deviation,
    superior_predictive_ability,
)


def test_the_example_of_the_source_is_reproduced():
    # Bailey and López de Prado 2014, "A numerical example": 100 trials, V = 1/2 annual on 250 days.
    assert expected_maximum_sharpe(100, 0.5 / 250) == pytest.approx(0.1132, abs=2e-4)


def test_the_expected_maximum_is_the_one_that_simulation_gives():
    rng = np.random.default_rng(0)
    best = rng.normal(0, 0.3, (4000, 200)).max(axis=1).mean()
    assert expected_maximum_sharpe(200, 0.09) == pytest.approx(best, rel=0.02)


def test_normal_returns_have_the_classic_standard_error():
    returns = np.random.default_rng(1).normal(0.0005, 0.01, 200_000)
    ratio = sharpe_ratio(returns, 1.0)
    assert sharpe_deviation(returns) == pytest.approx(math.sqrt((1 + ratio**2 / 2) / len(returns)), rel=0.02)


def test_skewed_returns_have_the_standard_error_that_simulation_gives():
    draws = np.random.default_rng(11).exponential(1.0, (3000, 300)) - 0.6
    ratios = draws.mean(axis=1) / draws.std(axis=1, ddof=1)
    expected = np.mean([sharpe_deviation(row) for row in draws[:200]])
    assert expected == pytest.approx(ratios.std(), rel=0.06)


def test_the_probability_is_uniform_without_skill():
    rng = np.random.default_rng(2)
    found = np.array([probabilistic_sharpe_ratio(rng.standard_t(5, 300)) for _ in range(1500)])
    assert np.mean(found > 0.95) == pytest.approx(0.05, abs=0.02)
    assert np.mean(found > 0.5) == pytest.approx(0.5, abs=0.04)


def test_the_best_of_many_unskilled_trials_passes_undeflated_and_not_deflated():
    rng = np.random.default_rng(3)
    plain, deflated = [], []
    for _ in range(200):
        trials = rng.normal(0, 0.01, (50, 250))
        ratios = trials.mean(axis=1) / trials.std(axis=1, ddof=1)
        best = trials[ratios.argmax()]
        plain.append(probabilistic_sharpe_ratio(best))
        deflated.append(deflated_sharpe_ratio(best, 50, ratios))
    assert np.mean(np.array(plain) > 0.95) > 0.8
    assert np.mean(np.array(deflated) > 0.95) <= 0.05


def test_without_the_trials_ratios_their_variance_is_that_of_luck():
    rng = np.random.default_rng(4)
    returns = rng.normal(0.001, 0.01, 500)
    luck = rng.normal(0, 1 / math.sqrt(499), 100_000)
    assert deflated_sharpe_ratio(returns, 30) == pytest.approx(deflated_sharpe_ratio(returns, 30, luck), abs=0.01)


def test_one_trial_deflates_nothing_and_more_trials_deflate_more():
    returns = np.random.default_rng(5).normal(0.001, 0.01, 500)
    found = [deflated_sharpe_ratio(returns, n) for n in (1, 2, 10, 1000)]
    assert found[0] == probabilistic_sharpe_ratio(returns)
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("returns", [np.zeros(100), np.full(100, 0.01), np.array([0.1, 0.2]), np.empty(0)])
def test_without_variance_nothing_is_claimed(returns):
    assert math.isnan(probabilistic_sharpe_ratio(returns))
    assert math.isnan(deflated_sharpe_ratio(returns, 5))
    assert math.isnan(minimum_track_record(returns))


def test_the_minimum_track_record_is_where_the_probability_reaches_the_level():
    returns = np.random.default_rng(6).normal(0.001, 0.01, 400)
    n = minimum_track_record(returns, 0.95)
    ratio, deviation = sharpe_ratio(returns, 1.0), sharpe_deviation(returns)
    assert norm.cdf(ratio / (deviation * math.sqrt(399 / (n - 1)))) == pytest.approx(0.95)
    assert minimum_track_record(-np.abs(returns)) == math.inf


def slow_overfitting(trials, n_blocks):
    """The definition, with concatenated halves and one Sharpe ratio at a time."""
    from itertools import combinations

    blocks = np.array_split(np.arange(trials.shape[1]), n_blocks)
    below = []
    for chosen in combinations(range(n_blocks), n_blocks // 2):
        inside = np.concatenate([blocks[b] for b in chosen])
        outside = np.concatenate([blocks[b] for b in range(n_blocks) if b not in chosen])
        best = int(np.argmax([sharpe_ratio(t[inside], 1.0) for t in trials]))
        later = [sharpe_ratio(t[outside], 1.0) for t in trials]
        below.append(sum(v <= later[best] for v in later) / (len(trials) + 1) <= 0.5)
    return np.mean(below)


def test_block_sums_give_what_the_definition_gives():
    trials = np.random.default_rng(7).normal(0, 0.01, (7, 120))
    assert backtest_overfitting(trials, 6).probability == slow_overfitting(trials, 6)


def test_choosing_among_unskilled_trials_is_overfitting_and_choosing_a_skilled_one_is_not():
    rng = np.random.default_rng(8)
    null = [backtest_overfitting(rng.normal(0, 0.01, (20, 400)), 8).probability for _ in range(60)]
    assert np.mean(null) == pytest.approx(0.5, abs=0.08)
    planted = rng.normal(0, 0.01, (20, 2000))
    planted[3] += 0.002
    found = backtest_overfitting(planted, 10)
    assert found.probability < 0.01
    assert found.loss_probability < 0.01
    assert len(found.ranks) == math.comb(10, 5)


def test_a_trial_that_never_trades_is_chosen_only_among_losers():
    rng = np.random.default_rng(9)
    trials = np.stack([np.zeros(200), rng.normal(0.003, 0.01, 200), rng.normal(0, 0.01, 200)])
    assert np.isfinite(backtest_overfitting(trials, 4).in_sample).all()


def test_too_little_to_cross_validate_is_said():
    with pytest.raises(DataError, match="1 trials of 100 bars"):
        backtest_overfitting(np.zeros((1, 100)), 8)
    with pytest.raises(ConfigError, match="'n_blocks' must be even, got 7"):
        backtest_overfitting(np.zeros((2, 100)), 7)
    with pytest.raises(ConfigError, match="'n_trials' must be"):
        expected_maximum_sharpe(0, 0.1)


def test_superior_ability_is_claimed_rarely_without_it_and_always_where_planted():
    pytest.importorskip("arch")
    rng = np.random.default_rng(10)
    values = []
    for seed in range(60):
        market = rng.normal(0, 0.01, 250)
        trials = market + rng.normal(0, 0.005, (8, 250))
        values.append(superior_predictive_ability(trials, market, 5.0, seed, 200))
    assert np.mean(np.array(values) < 0.05) <= 0.12
    market = rng.normal(0, 0.01, 500)
    trials = market + rng.normal(0, 0.005, (8, 500))
    trials[2] += 0.002
    assert superior_predictive_ability(trials, market, 5.0, 1, 200) < 0.05
    assert math.isnan(superior_predictive_ability(market[None], market, 5.0, 1, 200))


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("arch"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MachineError, match="arch"):
        superior_predictive_ability(np.zeros((2, 50)), np.zeros(50), 5.0, 0)


def test_where_nobody_trades_or_all_alike_nothing_was_chosen():
    same = np.tile(np.random.default_rng(1).standard_normal(400), (3, 1))
    assert np.isnan(backtest_overfitting(same, 8).probability)
    flat = np.zeros((3, 400))
    found = backtest_overfitting(flat, 8)
    assert np.isnan([found.probability, found.loss_probability, found.slope]).all()
    half = flat.copy()
    half[0, 200:] = np.random.default_rng(0).standard_normal(200) + 3.0  # one trial trades, late, and well
    found = backtest_overfitting(half, 8)
    # Of 70 partitions the one without a choice does not count, and its mirror image judges where nobody traded.
    assert found.probability == 1 / 69
