"""Every action is asked of the step kernel, from the very account that stood there."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from regimegym.agents.build import build_agent
from regimegym.agents.enhanced_dqn_settings import EnhancedDQNSettings, EnhancedQRDQNSettings
from regimegym.agents.ensemble_settings import EnsembleSettings
from regimegym.agents.networks.ensemble import mixture
from regimegym.common.errors import ConfigError
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import EnvSettings, EpisodeSettings

QUICK = {"learning": "all_actions", "learning_starts": 16, "batch_size": 16, "buffer_size": 500}


def real_env_on(tape):
    return TradingVecEnv(4, tape, EnvSettings(episode=EpisodeSettings(window=8, length=30)), random_seed=1)


@pytest.fixture
def real_env(tape):
    return real_env_on(tape)


def test_the_outcome_of_the_action_that_was_taken_is_what_was_lived_through(real_env, tiny_network):
    model = build_agent(EnhancedDQNSettings(**QUICK), real_env, tiny_network, 1).learn(200)
    batch = model.replay_buffer.draw(64)
    outcomes = model._outcomes(batch)
    everyone = torch.arange(64)
    torch.testing.assert_close(outcomes.reward[everyone, batch.action], batch.reward_n, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(outcomes.account[everyone, batch.action], batch.next_account, rtol=1e-4, atol=1e-4)
    assert torch.equal(outcomes.terminated[everyone, batch.action], batch.terminated)
    assert not torch.allclose(outcomes.reward[:, 1], outcomes.reward[:, 2])


def test_the_target_of_every_action_is_its_reward_and_the_value_of_where_it_leads(real_env, tiny_network):
    settings = EnhancedDQNSettings(**QUICK, double_q=False, gamma=0.9, huber_delta=1e9, scale_rewards=False)
    model = build_agent(settings, real_env, replace(tiny_network, dropout=0.0), 1).learn(100)
    batch = model.replay_buffer.draw(8)
    outcomes = model._outcomes(batch)
    average, online = model.policy.average, model.policy.online
    with torch.no_grad():
        values = [average(batch.next_market, outcomes.account[:, a])[0].amax(dim=1) for a in range(3)]
        y = outcomes.reward + 0.9 * (1 - outcomes.terminated) * torch.stack(values, dim=1)
        error = online(batch.market, batch.account)[0] - y
        lesson = model._teacher.all_actions(batch, outcomes)
    torch.testing.assert_close(lesson.td_error, error.abs().mean(dim=1))
    torch.testing.assert_close(lesson.loss, (error**2 / 2).mean())


def test_an_ensemble_learns_every_action_and_each_specialist_as_far_as_the_bar_is_its_own(tape, tiny_network):
    known = np.random.default_rng(0).dirichlet(np.ones(4), len(tape)).astype(np.float32)
    env = real_env_on(replace(tape, regime_probabilities=known))
    plain = {"double_q": False, "gamma": 0.9, "huber_delta": 1e9, "scale_rewards": False}
    settings = EnsembleSettings(
        **QUICK | plain, member_loss_weight=0.5, balance_weight=0.0, regime_loss_weight=0.0, updates_per_bar=0.5
    )
    assert EnsembleSettings().learning == "all_actions"
    model = build_agent(settings, env, replace(tiny_network, dropout=0.0), 1).learn(100)
    batch = model.replay_buffer.draw(8)
    outcomes = model._outcomes(batch)
    average, online = model.policy.average, model.policy.online
    with torch.no_grad():
        values = [average(batch.next_market, outcomes.account[:, a])[0].amax(dim=1) for a in range(3)]
        y = outcomes.reward + 0.9 * (1 - outcomes.terminated) * torch.stack(values, dim=1)
        members = online.members(online.encode(batch.market)[0], batch.account)
        error = mixture(members) - y
        own = (members.q - y[:, None, :]).square().mean(dim=2) / 2
        p = model._teacher.responsibilities(batch.references[0])
        lesson = model._teacher.all_actions(batch, outcomes)
    torch.testing.assert_close(lesson.td_error, error.abs().mean(dim=1))
    torch.testing.assert_close(lesson.loss, (error**2 / 2).mean() + 0.5 * (p * own).sum(dim=1).mean())
    assert p.std() > 0.1


@pytest.mark.parametrize("kind", [EnhancedDQNSettings, EnhancedQRDQNSettings])
def test_it_learns_in_every_precision_and_with_noisy_heads(real_env, tiny_network, kind):
    settings = kind(**QUICK, precision="bf16", updates_per_bar=0.25)
    model = build_agent(settings, real_env, replace(tiny_network, noisy=True), 1)
    before = torch.cat([p.flatten() for p in model.policy.online.parameters()])
    model.learn(120)
    after = torch.cat([p.flatten() for p in model.policy.online.parameters()])
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)


def test_a_stand_in_without_a_kernel_is_refused(env, tiny_network):
    with pytest.raises(ConfigError, match="has no attribute 'settings': TinyVecEnv"):
        build_agent(EnhancedDQNSettings(**QUICK), env, tiny_network, 1)


def test_several_steps_are_refused_because_one_bar_is_known():
    with pytest.raises(ConfigError, match="one bar ahead"):
        EnhancedDQNSettings(learning="all_actions", n_steps=3)


def test_quantiles_refuse_the_afterstate_form():
    with pytest.raises(ConfigError, match="no distributions"):
        EnhancedQRDQNSettings(learning="afterstate")


def test_bars_that_several_accounts_share_are_encoded_once(real_env, tiny_network):
    model = build_agent(EnhancedDQNSettings(**QUICK), real_env, tiny_network, 1)
    model._setup_learn(10)
    batch = real_env.batch
    batch.references[:] = batch.references[[0, 0, 2, 2]]
    model._last_obs = batch.observe()
    seen = []
    model.policy.average.encoder.register_forward_hook(lambda _m, given, _out: seen.append(len(given[0])))
    actions = model._greedy(np.ones(4, bool), np.zeros(4, np.int64))
    assert seen == [2]
    expected, _ = model.predict(model._last_obs)
    assert (actions == expected).all()
