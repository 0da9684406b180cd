"""Targets, losses and exploration against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch

from regimegym.agents.exploration import EpsilonSchedule, draw_explorers
from regimegym.agents.losses import (
    double_q_target,
    regime_accuracy,
    regime_cross_entropy,
    soft_update,
    weighted_huber,
)
from regimegym.common.errors import ConfigError


def test_the_target_takes_the_online_choice_at_the_target_networks_value():
    online = torch.tensor([[1.0, 3.0, 2.0], [5.0, 0.0, 0.0]])
    target = torch.tensor([[10.0, 20.0, 30.0], [7.0, 8.0, 9.0]])
    y = double_q_target(torch.tensor([1.0, 2.0]), torch.tensor([0.9, 0.5]), torch.zeros(2), online, target)
    assert y.tolist() == [1 + 0.9 * 20, 2 + 0.5 * 7]


def test_termination_stops_the_bootstrap_and_truncation_does_not():
    q = torch.tensor([[4.0, 1.0]]).expand(2, 2)
    y = double_q_target(torch.ones(2), torch.full((2,), 0.5), torch.tensor([1.0, 0.0]), q, q)
    assert y.tolist() == [1.0, 3.0]


def test_weighted_huber_is_quadratic_inside_delta_and_linear_outside():
    td, weights = torch.tensor([0.5, -3.0]), torch.tensor([1.0, 0.5])
    expected = (0.5 * 0.25 + 0.5 * 2.0 * (3.0 - 1.0)) / 2
    assert float(weighted_huber(td, weights, delta=2.0)) == pytest.approx(expected)


def test_unknown_regimes_are_masked_from_the_cross_entropy():
    logits = torch.tensor([[2.0, 0.0, 0.0, 0.0], [9.0, -9.0, 3.0, 1.0]], requires_grad=True)
    loss = regime_cross_entropy(logits, torch.tensor([0, -1]))
    assert loss.item() == pytest.approx(-2 + math.log(math.exp(2) + 3))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[1].abs().max() == 0


def test_without_a_known_regime_the_cross_entropy_is_zero_and_the_accuracy_undefined():
    logits, unknown = torch.randn(2, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([-1, -1])
    assert float(regime_cross_entropy(logits, unknown)) == 0.0
    assert math.isnan(regime_accuracy(logits, unknown))


def test_accuracy_counts_known_labels_only():
    logits = torch.eye(4)
    assert float(regime_accuracy(logits, torch.tensor([0, 1, -1, 0]))) == pytest.approx(2 / 3)


def test_soft_update_moves_by_tau_towards_the_online_weights():
    target, online = [torch.tensor([1.0, 2.0])], [torch.tensor([3.0, -2.0])]
    soft_update(target, online, tau=0.25)
    assert target[0].tolist() == [1.5, 1.0]
    with pytest.raises(ValueError, match="argument"):
        soft_update(target, [], tau=0.5)


def test_epsilon_schedules_at_their_ends_and_middle():
    linear = EpsilonSchedule(1.0, 0.1, 0.5)
    assert [linear(0.0), linear(0.25), linear(0.5), linear(1.0)] == pytest.approx([1.0, 0.55, 0.1, 0.1])
    exponential = EpsilonSchedule(1.0, 0.01, 1.0, "exponential")
    assert [exponential(0.0), exponential(0.5), exponential(1.0)] == pytest.approx([1.0, 0.1, 0.01])


def test_an_exponential_schedule_cannot_end_at_zero():
    with pytest.raises(ConfigError, match="> 0 for an exponential schedule"):
        EpsilonSchedule(1.0, 0.0, 0.5, "exponential")
    with pytest.raises(ConfigError, match="one of linear, exponential"):
        EpsilonSchedule(shape="cosine")


def test_every_account_tosses_its_own_coin():
    rng = np.random.default_rng(5)
    draws = np.array([draw_explorers(rng, 4, 0.3) for _ in range(20_000)])
    assert np.abs(draws.mean(axis=0) - 0.3).max() < 0.015
    assert np.abs(np.corrcoef(draws.T) - np.eye(4)).max() < 0.03
    again = np.random.default_rng(5)
    assert (draws[0] == draw_explorers(again, 4, 0.3)).all()
