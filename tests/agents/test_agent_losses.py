"""Targets, losses and exploration against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch

from regimegym.agents.exploration import EpsilonSchedule, draw_explorers
from regimegym.agents.losses import (
    regime_accuracy,
    regime_cross_entropy,
    soft_update,
)
from regimegym.common.errors import ConfigError


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
