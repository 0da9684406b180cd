"""Options of the heads and of exploration, each against its formula."""

import numpy as np
import pytest
import torch

from regimegym.agents.exploration import EpsilonSchedule
from regimegym.agents.losses import quantile_huber
from regimegym.agents.networks.dueling import DuelingHeads, lower_tail
from regimegym.agents.networks.noisy import NoisyLinear
from regimegym.common.errors import ConfigError


def test_epsilon_holds_from_the_share_at_which_its_stage_begins():
    schedule = EpsilonSchedule(shape="stages", stages=((0.0, 1.0), (0.3, 0.4), (0.6, 0.05)))
    assert [schedule(done) for done in (0.0, 0.29, 0.3, 0.59, 0.6, 1.0)] == [1.0, 1.0, 0.4, 0.4, 0.05, 0.05]


@pytest.mark.parametrize("stages", [(), ((0.1, 1.0),), ((0.0, 1.0), (0.0, 0.5)), ((0.0,),)])
def test_stages_that_leave_a_gap_are_refused(stages):
    with pytest.raises(ConfigError, match="epsilon_stages"):
        EpsilonSchedule(shape="stages", stages=stages)


def test_cvar_is_the_mean_of_the_lowest_quantiles():
    quantiles = torch.tensor([[[4.0, 1.0, 3.0, 2.0]]])
    assert lower_tail(quantiles, 1.0).item() == 2.5
    assert lower_tail(quantiles, 0.5).item() == 1.5
    assert lower_tail(quantiles, 0.3).item() == 1.5  # two of four cover three tenths
    assert lower_tail(quantiles, 0.25).item() == 1.0


def test_the_quantile_loss_is_its_definition_summed_up_slowly():
    rng = np.random.default_rng(0)
    theta, y = rng.normal(size=(2, 3)), rng.normal(size=(2, 4))
    expected = np.zeros(2)
    for b in range(2):
        for i in range(3):
            for j in range(4):
                u = y[b, j] - theta[b, i]
                huber = u**2 / 2 if abs(u) <= 0.5 else 0.5 * (abs(u) - 0.25)
                expected[b] += abs((i + 0.5) / 3 - (u < 0)) * huber / 0.5 / 4
    found = quantile_huber(torch.from_numpy(theta), torch.from_numpy(y), delta=0.5)
    np.testing.assert_allclose(found.numpy(), expected)


def test_the_mean_over_actions_of_every_quantile_is_its_value():
    heads = DuelingHeads(5, 2, 4, 3, n_quantiles=6)
    h, u = torch.randn(7, 5), torch.randn(7, 2)
    quantiles = heads(h, u)
    assert quantiles.shape == (7, 3, 6)
    torch.testing.assert_close(quantiles.mean(dim=1), heads.value(torch.cat([h, u], dim=1)))


def test_noise_disturbs_learning_alone_until_it_is_drawn_anew():
    layer = NoisyLinear(4, 3)
    x = torch.randn(2, 4)
    plain = torch.nn.functional.linear(x, layer.weight, layer.bias)
    layer.resample()
    noisy = layer(x)
    assert not torch.allclose(noisy, plain)
    assert torch.equal(noisy, layer(x))
    layer.resample()
    assert not torch.equal(noisy, layer(x))
    torch.testing.assert_close(layer.eval()(x), plain)
