"""Stable-baselines3's algorithms beyond PPO and DQN: SAC, RecurrentPPO and MaskablePPO, from settings to a model."""

import numpy as np
import pytest
import torch
from stand_in import sine_tape

from regimegym.agents.build import build_agent
from regimegym.agents.card import card_of
from regimegym.agents.checkpoint import load_policy, save_model
from regimegym.agents.policy import policy_of
from regimegym.agents.settings import MaskablePPOSettings, RecurrentPPOSettings, SACSettings
from regimegym.agents.state import algorithm_state, load_algorithm_state
from regimegym.common.errors import ConfigError
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import ActionSettings, EnvSettings, EpisodeSettings, OrderSettings
from regimegym.replay.regime import RegimeReplayBuffer
from regimegym.replay.settings import ReplaySettings

TAPE = sine_tape()
SAC = SACSettings(learning_starts=32, batch_size=16, buffer_size=400)
RECURRENT = RecurrentPPOSettings(n_steps=16, batch_size=32, n_epochs=1, lstm_hidden_size=6)
MASKABLE = MaskablePPOSettings(n_steps=16, batch_size=32, n_epochs=1)


def make_env(mode: str = "trade", orders: OrderSettings = OrderSettings()) -> TradingVecEnv:  # noqa: B008  frozen
    action = ActionSettings(mode=mode, allow_short=True)
    return TradingVecEnv(4, TAPE, EnvSettings(action=action, orders=orders, episode=EpisodeSettings(8, 40)), None, 1)


def env_for(settings) -> TradingVecEnv:
    return make_env("continuous" if settings is SAC else "trade")


def starts(n: int, at: bool) -> np.ndarray:
    return np.full(n, at)


@pytest.mark.parametrize("settings", [SAC, RECURRENT, MASKABLE], ids=lambda s: s.name)
def test_a_model_folder_decides_as_the_model_it_was_saved_from(settings, tiny_network, tmp_path):
    env = env_for(settings)
    model = build_agent(settings, env, tiny_network, 1).learn(128)
    card = card_of(
        model, settings, tiny_network, feature_names=TAPE.feature_names, scaler={}, regime_settings={},
        feature_settings={}, account_fields=tuple("abcdef"), action_settings={}, random_seed=1,
    )  # fmt: skip
    save_model(tmp_path / "model", model, card)
    loaded, _ = load_policy(tmp_path / "model")
    seen, kept, fresh = env.reset(), None, None
    for k in range(3):
        expected, kept = policy_of(model.policy).act(seen, kept, starts(4, k == 0))
        found, fresh = loaded.act(seen, fresh, starts(4, k == 0))
        np.testing.assert_array_equal(found.action, expected.action)
        seen, *_ = env.step(found.action)


def test_sac_acts_within_the_weights_and_as_its_own_greedy_actions(tiny_network):
    env = make_env("continuous")
    model = build_agent(SAC, env, tiny_network, 1).learn(128)
    seen = env.reset()
    decision, state = policy_of(model.policy).act(seen, None, starts(4, True))
    assert state is None
    assert decision.scores is None
    assert decision.action.shape == (4, 1)
    assert (np.abs(decision.action) <= 1).all()
    np.testing.assert_array_equal(decision.action, model.predict(seen, deterministic=True)[0])


def test_sac_is_refused_where_actions_are_discrete(tiny_network):
    with pytest.raises(ConfigError, match="agent=sac chooses a continuous weight") as refused:
        build_agent(SAC, make_env(), tiny_network, 1)
    assert "env.action.mode=continuous" in str(refused.value.help)


def test_sac_draws_from_regime_replay(tiny_network):
    model = build_agent(SAC, make_env("continuous"), tiny_network, 1, replay=ReplaySettings(kind="regime")).learn(128)
    assert isinstance(model.replay_buffer, RegimeReplayBuffer)
    np.testing.assert_allclose(model.replay_buffer.regime_use().sampled[:2], 0.5, atol=0.02)


def test_recurrent_ppo_remembers_within_an_episode_and_forgets_between_two(tiny_network):
    env = make_env()
    policy = policy_of(build_agent(RECURRENT, env, tiny_network, 1).policy)
    seen = env.reset()
    first, memory = policy.act(seen, None, starts(4, True))
    again, _ = policy.act(seen, memory, starts(4, False))
    anew, _ = policy.act(seen, memory, starts(4, True))
    assert (np.abs(again.scores - first.scores).max(axis=1) > 0).all()
    np.testing.assert_array_equal(anew.scores, first.scores)
    mixed, _ = policy.act(seen, memory, np.array([True, False, True, False]))
    np.testing.assert_allclose(mixed.scores[::2], first.scores[::2], rtol=0, atol=1e-6)
    np.testing.assert_allclose(mixed.scores[1::2], again.scores[1::2], rtol=0, atol=1e-6)


def test_recurrent_ppo_decides_as_sb3_contrib_does_with_the_same_memory(tiny_network):
    env = make_env()
    model = build_agent(RECURRENT, env, tiny_network, 1).learn(128)
    policy, seen, ours, theirs = policy_of(model.policy), env.reset(), None, None
    for k in range(5):
        decision, ours = policy.act(seen, ours, starts(4, k == 0))
        expected, theirs = model.predict(seen, theirs, starts(4, k == 0), deterministic=True)
        np.testing.assert_array_equal(decision.action, expected)
        np.testing.assert_allclose(ours[0].numpy(), theirs[0], rtol=0, atol=1e-6)
        seen, *_ = env.step(decision.action)


def test_maskable_ppo_never_draws_an_order_that_would_be_refused(tiny_network):
    env = make_env(orders=OrderSettings(minimum_hold=6))
    model = build_agent(MASKABLE, env, tiny_network, 1)
    admissible = []

    def note(local, _global) -> bool:
        admissible.append(local["action_masks"][np.arange(4), local["actions"].reshape(4)])
        return True

    model.learn(128, callback=note)
    masks = model.rollout_buffer.action_masks
    assert 0 < (masks == 0).mean() < 1
    assert np.all(admissible)


def test_maskable_ppo_never_chooses_an_order_that_would_be_refused_when_it_is_evaluated(tiny_network):
    env = make_env(orders=OrderSettings(minimum_hold=6))
    policy = policy_of(build_agent(MASKABLE, env, tiny_network, 1).policy)
    seen, chosen, unmasked = env.reset(), [], []
    for _ in range(60):
        masks = env.action_masks()
        decision, _ = policy.act(seen | {"masks": masks}, None, starts(4, False))
        chosen.append(masks[np.arange(4), decision.action])
        assert not decision.scores[~masks].any()
        unmasked.append(policy.act(seen, None, starts(4, False))[0].scores[~masks].any())
        seen, *_ = env.step(decision.action if len(chosen) % 7 else np.full(4, 2))
    assert np.all(chosen)
    assert np.any(unmasked)  # without masks it would have given them a chance


def test_maskable_ppo_needs_discrete_actions(tiny_network):
    with pytest.raises(ConfigError, match="agent=maskable_ppo chooses among discrete"):
        build_agent(MASKABLE, make_env("continuous"), tiny_network, 1)


@pytest.mark.parametrize("settings", [SAC, RECURRENT], ids=lambda s: s.name)
def test_from_its_state_an_algorithm_goes_on_as_the_one_it_was_taken_from(settings, tiny_network):
    env = env_for(settings)
    model = build_agent(settings, env, tiny_network, 1).learn(128)
    saved, accounts = copied(algorithm_state(model)), copied(env.state())
    model.learn(64, reset_num_timesteps=False)

    def resumed(state):
        other = env_for(settings)
        fresh = build_agent(settings, other, tiny_network, 2)
        load_algorithm_state(fresh, copied(state))
        other.load_state(copied(accounts))
        return fresh.learn(64, reset_num_timesteps=False).policy.state_dict()

    weights = model.policy.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in resumed(saved).items())
    expected = {"log_ent_coef"} if settings is SAC else {"actor_hidden", "actor_cell", "critic_hidden", "critic_cell"}
    assert set(saved["tensors"]) == expected
    assert set(saved["optimizers"]) == ({"actor", "critic", "ent_coef"} if settings is SAC else {"policy"})
    for tensor in saved["tensors"].values():
        tensor += 1.0
    assert any(not torch.equal(weights[name], value) for name, value in resumed(saved).items())


def copied(node):
    """A tree of state that shares nothing with the algorithm it came from."""
    if isinstance(node, dict):
        return {key: copied(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(copied(value) for value in node)
    return node.copy() if isinstance(node, np.ndarray) else node.clone() if isinstance(node, torch.Tensor) else node


@pytest.mark.parametrize(("field", "value"), [("ent_coef", -0.1), ("ent_coef", "automatic"), ("tau", 0.0)])
def test_sac_settings_outside_their_range_are_refused(field, value):
    with pytest.raises(ConfigError, match=f"'agent.{field}'"):
        SACSettings(**{field: value})
