"""What the default agents learn from a batch, against DEFINITIONS §9 worked out row by row (T074)."""

from dataclasses import replace

import pytest
import torch

from regimegym.agents.build import build_agent
from regimegym.agents.enhanced_dqn_settings import EnhancedDQNSettings
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import EnvSettings, EpisodeSettings

GAMMA, DELTA, N = 0.9, 0.05, 48
QUICK = {"learning_starts": 16, "batch_size": 16, "buffer_size": 500, "gamma": GAMMA, "huber_delta": DELTA}
ENDED = torch.tensor([1.0, 0.0, 1.0] + [0.0] * (N - 3))  # two that ended by their own rules, not by their length
WEIGHTS = torch.linspace(0.1, 1.0, N)


def huber(error):
    size = error.abs()
    return torch.where(size <= DELTA, size**2 / 2, DELTA * (size - DELTA / 2))


def learned(tape, tiny_network, **changes):
    """An agent whose target network lags behind the online one, and a batch with importance weights."""
    env = TradingVecEnv(4, tape, EnvSettings(episode=EpisodeSettings(window=8, length=30)), random_seed=1)
    settings = EnhancedDQNSettings(**QUICK | changes)
    assert settings.double_q
    model = build_agent(settings, env, replace(tiny_network, dropout=0.0), 1).learn(200)
    with torch.no_grad():  # so far apart that the two networks prefer different actions here and there
        for network, seed in ((model.policy.average, 1), (model.policy.online, 2)):
            draws = torch.Generator().manual_seed(seed)
            for weights in network.heads.parameters():
                weights.add_(torch.randn(weights.shape, generator=draws))
    return model, model.replay_buffer.draw(N)._replace(weights=WEIGHTS)


def double_values(model, market, accounts):
    """Q⁻(s′, argmax_a Q(s′, a)) (N,), and how many of them are not the target network's own maximum."""
    valued, chosen = model.policy.average(market, accounts)[0], model.policy.online(market, accounts)[0].argmax(dim=1)
    values = torch.stack([valued[i, chosen[i]] for i in range(len(chosen))])
    return values, int((valued.argmax(dim=1) != chosen).sum())


@pytest.mark.parametrize("n_steps", [1, 3])
def test_the_action_that_was_taken_is_moved_towards_the_double_q_target(tape, tiny_network, n_steps):
    model, batch = learned(tape, tiny_network, learning="sampled", n_steps=n_steps)
    batch = batch._replace(terminated=ENDED)
    with torch.no_grad():
        values, otherwise = double_values(model, batch.next_market, batch.next_account)
        q = model.policy.online(batch.market, batch.account)[0]
        lesson = model._teacher.sampled(batch)
    assert otherwise > 0
    assert float(model.policy.reward_scale) != 1.0
    y = batch.reward_n / model.policy.reward_scale + batch.discount * (1 - ENDED) * values
    error = q[torch.arange(N), batch.action] - y
    powers = {round(float(power), 4) for power in batch.discount}  # fewer steps where the length ended an episode
    assert round(GAMMA**n_steps, 4) in powers <= {round(GAMMA**k, 4) for k in range(1, n_steps + 1)}
    torch.testing.assert_close(lesson.td_error, error.abs())
    torch.testing.assert_close(lesson.loss, (WEIGHTS * huber(error)).mean())
    assert (y[ENDED > 0] == batch.reward_n[ENDED > 0] / model.policy.reward_scale).all()


def test_every_action_is_moved_towards_its_own_double_q_target(tape, tiny_network):
    model, batch = learned(tape, tiny_network, learning="all_actions")
    outcomes = model._outcomes(batch)
    outcomes = outcomes._replace(terminated=torch.stack([ENDED, torch.zeros(N), ENDED.flip(0)], dim=1))
    with torch.no_grad():
        found = [double_values(model, batch.next_market, outcomes.account[:, a]) for a in range(3)]
        values, otherwise = torch.stack([value for value, _ in found], dim=1), sum(count for _, count in found)
        q = model.policy.online(batch.market, batch.account)[0]
        lesson = model._teacher.all_actions(batch, outcomes)
    assert otherwise > 0
    error = q - (outcomes.reward / model.policy.reward_scale + GAMMA * (1 - outcomes.terminated) * values)
    torch.testing.assert_close(lesson.td_error, error.abs().mean(dim=1))
    torch.testing.assert_close(lesson.loss, (WEIGHTS * huber(error).mean(dim=1)).mean())
