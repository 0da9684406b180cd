"""The replay buffer in EnhancedDQN and in stable-baselines3's own algorithms."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from sb3_contrib import QRDQN
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from stand_in import TinyVecEnv, make_tape, sine_tape

from regimegym.agents.build import build_agent
from regimegym.agents.settings import DQNSettings, EnhancedDQNSettings, PPOSettings
from regimegym.common.errors import ConfigError
from regimegym.envs.recorded_source import record_steps
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import ActionSettings, EnvSettings, EpisodeSettings
from regimegym.envs.trading_env import TradingEnv
from regimegym.replay.regime import RegimeReplayBuffer
from regimegym.replay.settings import ReplaySettings

TAPE = sine_tape()
CONTINUOUS = ActionSettings(mode="continuous", allow_short=True)
QUICK = EnhancedDQNSettings(
    learning="sampled", learning_starts=64, batch_size=16, buffer_size=2000, updates_per_bar=0.2
)


def settings_of(action=ActionSettings()) -> EnvSettings:  # noqa: B008  frozen
    return EnvSettings(action=action, episode=EpisodeSettings(window=6, length=20))


def make_env(action=ActionSettings(), observation="window"):  # noqa: B008  frozen
    return TradingVecEnv(4, TAPE, settings_of(action), observation=observation)


def with_replay(algorithm, env, kind="regime", **more):
    arguments = {"rng": np.random.default_rng(0), "settings": ReplaySettings(kind=kind), "source": record_steps(env)}
    return algorithm(
        "MultiInputPolicy", env, buffer_size=1000, learning_starts=50, batch_size=16, seed=0, device="cpu",
        policy_kwargs={"net_arch": [8]}, replay_buffer_class=RegimeReplayBuffer, replay_buffer_kwargs=arguments, **more,
    )  # fmt: skip


@pytest.mark.parametrize("observation", ["window", "reference"])
@pytest.mark.parametrize("algorithm", [DQN, QRDQN, SAC], ids=lambda a: a.__name__)
def test_stable_baselines_trains_from_it_and_sees_what_was_observed(algorithm, observation):
    env = make_env(CONTINUOUS if algorithm is SAC else ActionSettings(), observation)
    model = with_replay(algorithm, env)
    actions, observed = [], []

    def note(local, _global):
        actions.append(np.array(local["buffer_actions"]))
        observed.append({key: value.copy() for key, value in model._last_obs.items()})
        return True

    before = [p.clone() for p in model.policy.parameters()]
    model.learn(200, callback=note)
    assert any(not torch.equal(a, b) for a, b in zip(before, model.policy.parameters(), strict=True))
    buffer = model.replay_buffer
    assert buffer.size() == 4 * len(actions) >= 200
    buffer.check_valid()
    samples = buffer.sample(64)
    assert samples.dones.shape == samples.rewards.shape == samples.discounts.shape == (64, 1)
    assert set(samples.observations) == set(samples.next_observations) == set(env.observation_space.spaces)
    held = np.concatenate(actions).ravel()
    assert samples.actions.shape == (64, 1)
    assert set(samples.actions.numpy().ravel().tolist()) <= set(held.tolist())
    assert len(set(held.tolist())) > 2
    for key in samples.observations:
        seen = np.concatenate([one[key] for one in observed]).reshape(4 * len(actions), -1)
        for value in samples.observations[key].numpy().reshape(64, -1):
            assert np.abs(seen - value).max(axis=1).min() < 1e-6


def test_an_environment_without_a_tape_keeps_its_observations_as_they_are():
    env = DummyVecEnv([lambda: gymnasium.make("CartPole-v1")] * 2)
    arguments = {"rng": np.random.default_rng(0), "settings": ReplaySettings(kind="prioritized"), "n_steps": 3}
    model = DQN(
        "MlpPolicy", env, buffer_size=500, learning_starts=50, seed=0, device="cpu",
        replay_buffer_class=RegimeReplayBuffer, replay_buffer_kwargs=arguments,
    )  # fmt: skip
    observed = []
    model.learn(200, callback=lambda *_: observed.append(model._last_obs.copy()) or True)
    samples = model.replay_buffer.sample(50)
    seen = np.concatenate(observed)
    for value in samples.observations.numpy():
        assert (np.abs(seen - value).max(axis=1) == 0).any()
    assert set(samples.rewards.double().numpy().ravel().round(4).tolist()) <= {1.0, 1.97, round(1 + 0.97 + 0.97**2, 4)}
    arguments["settings"] = ReplaySettings(kind="regime")
    model = DQN("MlpPolicy", env, replay_buffer_class=RegimeReplayBuffer, replay_buffer_kwargs=arguments, device="cpu")
    with pytest.raises(ConfigError, match="infos name none"):
        model.learn(10)


def test_normalised_observations_are_normalised_when_sampled():
    env = VecNormalize(DummyVecEnv([lambda: TradingEnv(TAPE, settings_of())] * 2), norm_obs_keys=["account"])
    model = with_replay(DQN, env).learn(100)
    raw = model.replay_buffer.sample(400).observations["account"]
    normalised = model.replay_buffer.sample(400, env=env).observations["account"]
    assert raw.std() < 0.5 < normalised.std()


@pytest.mark.parametrize("kind", ["uniform", "prioritized", "regime"])
def test_enhanced_dqn_learns_from_every_kind_of_replay(tiny_network, kind):
    model = build_agent(QUICK, make_env(), tiny_network, 1, replay=ReplaySettings(kind=kind)).learn(200)
    use = model.replay_buffer.regime_use()
    assert model.replay_buffer.beta == pytest.approx(1.0, abs=0.02)
    assert use.sampled[:2].sum() == pytest.approx(1.0)
    assert (use.td_error[:2] > 0).all()
    assert np.isnan(use.priority[:2]).all() == (kind == "uniform")
    if kind == "regime":
        np.testing.assert_allclose(use.sampled[:2], 0.5, atol=0.02)


def test_a_rare_regime_is_learned_from_as_often_as_a_common_one(tiny_network):
    regimes = np.zeros(600)
    regimes[::50] = 1  # 2 % of the bars
    close = 100 * np.exp(np.cumsum(0.01 * np.random.default_rng(0).normal(size=600)))
    env, shares = TinyVecEnv(make_tape(close, np.ones((600, 1)), regimes, 1)), {}
    for kind in ("uniform", "regime"):
        model = build_agent(QUICK, env, tiny_network, 1, replay=ReplaySettings(kind=kind)).learn(600)
        shares[kind] = model.replay_buffer.regime_use().sampled[1]
    assert shares["uniform"] < 0.06
    assert shares["regime"] == pytest.approx(0.5, abs=0.01)


def test_two_models_of_one_seed_learn_the_same_from_regime_replay(tiny_network):
    def trained() -> torch.Tensor:
        model = build_agent(QUICK, make_env(), tiny_network, 3, replay=ReplaySettings(kind="regime")).learn(200)
        return torch.cat([p.flatten() for p in model.policy.parameters()])

    assert torch.equal(trained(), trained())


def test_a_replay_that_an_agent_cannot_use_is_refused(tiny_network):
    regime, prioritized = ReplaySettings(kind="regime"), ReplaySettings(kind="prioritized")
    with pytest.raises(ConfigError, match="agent=ppo has no replay"):
        build_agent(PPOSettings(), make_env(), tiny_network, 1, replay=regime)
    dqn = DQNSettings(learning_starts=16, buffer_size=100)
    with pytest.raises(ConfigError, match="agent=dqn tells no TD errors"):
        build_agent(dqn, make_env(), tiny_network, 1, replay=prioritized)
    assert isinstance(build_agent(dqn, make_env(), tiny_network, 1, replay=regime).replay_buffer, RegimeReplayBuffer)
    own = build_agent(replace(dqn), make_env(), tiny_network, 1, replay=ReplaySettings()).replay_buffer
    assert not isinstance(own, RegimeReplayBuffer)
