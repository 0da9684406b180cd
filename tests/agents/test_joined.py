"""Weights side by side step as weights apart, element by element, and come back from a checkpoint of either kind."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from stand_in import TinyVecEnv

from regimegym.agents.enhanced_dqn import EnhancedDQN
from regimegym.agents.enhanced_dqn_policy import decay_groups
from regimegym.agents.joined import JoinedAdamW, join
from regimegym.agents.networks.q_network import build_q_network
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.settings import EnhancedDQNSettings
from regimegym.agents.state import load_optimizer_state, optimizer_state

NETWORK = NetworkSettings(feature_width=8, pathway_width=4, memory_width=4, detector_width=4, head_width=4, noisy=True)
SETTINGS = EnhancedDQNSettings(learning="sampled", learning_starts=64, batch_size=16, buffer_size=2000)
DECAY, RATE, NORM = 0.5, 1e-2, 0.7


def network():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return build_q_network(6, 3, 1, 3, NETWORK).eval()


def set_gradients(net, step: int) -> None:
    """Gradients whose norm is above NORM in the even steps alone."""
    random = torch.Generator().manual_seed(step)
    for parameter in net.parameters():
        gradient = torch.randn(parameter.shape, generator=random) * (1.0 if step % 2 == 0 else 1e-3)
        if parameter.grad is None:
            parameter.grad = gradient
        else:
            parameter.grad.copy_(gradient)


def step_apart(net, optimizer, step: int) -> None:
    set_gradients(net, step)
    torch.nn.utils.clip_grad_norm_(list(net.parameters()), NORM)
    optimizer.step()


def step_joined(net, optimizer, step: int) -> None:
    set_gradients(net, step)
    optimizer.descend(NORM)


def pair():
    """Two equal networks, the optimiser of the first one over its parameters, of the second over one vector."""
    apart, joined = network(), network()
    return (
        apart,
        torch.optim.AdamW(decay_groups(apart, DECAY), lr=RATE, fused=True),
        joined,
        JoinedAdamW(decay_groups(joined, DECAY), lr=RATE),
    )


def assert_equal(one, other) -> None:
    assert one.state_dict().keys() == other.state_dict().keys()
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, rtol=1e-6, atol=1e-7, msg=name)


def test_joining_changes_no_weight_and_what_changes_the_vector_changes_them():
    net, alike = network(), network()
    vector = join(list(net.parameters()))
    assert_equal(net, alike)
    vector.mul_(2.0)
    for parameter, before in zip(net.parameters(), alike.parameters(), strict=True):
        assert torch.equal(parameter, 2.0 * before)


def test_steps_of_the_joined_weights_are_those_of_adamw_decay_and_clipping_included():
    apart, optimizer, joined, joined_optimizer = pair()
    for step in range(6):
        step_apart(apart, optimizer, step)
        step_joined(joined, joined_optimizer, step)
    assert_equal(apart, joined)
    assert not torch.equal(next(apart.parameters()), next(network().parameters()))


def test_backward_fills_the_joined_gradients():
    net = network()
    optimizer = JoinedAdamW(decay_groups(net, DECAY), lr=RATE)
    for _ in range(2):  # the second would add up where the first is not wiped
        optimizer.zero_grad()
        net(torch.ones(2, 6, 3), torch.ones(2, 1))[0].sum().backward()
    alike = network()
    alike(torch.ones(2, 6, 3), torch.ones(2, 1))[0].sum().backward()
    for mine, theirs in zip(net.parameters(), alike.parameters(), strict=True):
        expected = torch.zeros_like(theirs) if theirs.grad is None else theirs.grad
        torch.testing.assert_close(mine.grad, expected, rtol=1e-6, atol=1e-7)
    norm = torch.cat([p.grad.flatten() for p in net.parameters()]).norm()
    torch.testing.assert_close(optimizer.weights.grad.norm(), norm)


@pytest.mark.parametrize("joined_first", [True, False], ids=["joined to apart", "apart to joined"])
def test_a_state_goes_on_in_either_kind_of_optimiser(joined_first):
    apart, optimizer, joined, joined_optimizer = pair()
    for step in range(3):
        step_apart(apart, optimizer, step)
        step_joined(joined, joined_optimizer, step)
    fresh_apart, fresh_optimizer, fresh_joined, fresh_joined_optimizer = pair()
    if joined_first:
        fresh_apart.load_state_dict(joined.state_dict())
        load_optimizer_state(fresh_optimizer, deepcopy(optimizer_state(joined_optimizer)))
        step_apart(fresh_apart, fresh_optimizer, 4)
        step_joined(joined, joined_optimizer, 4)
        assert_equal(joined, fresh_apart)
    else:
        fresh_joined.load_state_dict(apart.state_dict())
        load_optimizer_state(fresh_joined_optimizer, deepcopy(optimizer_state(optimizer)))
        step_joined(fresh_joined, fresh_joined_optimizer, 4)
        step_apart(apart, optimizer, 4)
        assert_equal(apart, fresh_joined)


def test_moments_of_other_weights_are_refused():
    _, _, _, joined_optimizer = pair()
    other = torch.nn.Linear(2, 2)
    wrong = torch.optim.AdamW(decay_groups(other, DECAY), lr=RATE)
    other(torch.ones(1, 2)).sum().backward()
    wrong.step()
    with pytest.raises(ValueError, match="moments are those of other weights"):
        load_optimizer_state(joined_optimizer, optimizer_state(wrong))
    assert not joined_optimizer.state[joined_optimizer.weights]["exp_avg"].any()


def test_without_a_loss_on_the_regime_nothing_is_said_of_it_and_the_detector_stays(tape):
    settings = replace(SETTINGS, regime_loss_weight=0.0, weight_decay=0.0)
    model = EnhancedDQN(TinyVecEnv(tape), settings, NetworkSettings(kind="mlp", dropout=0.0), 1)
    before = [p.clone() for p in model.policy.online.encoder.detector.parameters()]
    body = model.policy.online.encoder.body[0].weight.clone()
    model.learn(200)
    assert all(map(torch.equal, before, model.policy.online.encoder.detector.parameters()))
    assert not torch.equal(body, model.policy.online.encoder.body[0].weight)
    assert "train/regime_loss" not in model.logger.name_to_value


def test_the_hidden_part_of_an_encoding_is_that_of_the_whole():
    for kind in ("mlp", "regime"):
        net = build_q_network(6, 3, 1, 3, NetworkSettings(kind=kind)).eval()
        windows = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(1))
        assert torch.equal(net.hidden(windows), net.encode(windows)[0])


def test_the_best_action_is_the_one_of_the_highest_value():
    for n_quantiles in (1, 4):
        net = build_q_network(6, 3, 1, 3, NetworkSettings(kind="mlp"), n_quantiles=n_quantiles, cvar_level=0.5).eval()
        random = torch.Generator().manual_seed(2)
        h, account = torch.randn(200, net.encoding_width, generator=random), torch.randn(200, 1, generator=random)
        best = net.best(h, account)
        assert torch.equal(best, net.q(h, account).argmax(dim=1))
        assert len(best.unique()) > 1
