"""Policies around trained models: scores, tables of encodings, and the window in stock algorithms."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hydra.utils import instantiate
from omegaconf import OmegaConf
from stand_in import TinyVecEnv

import regimegym.conf
from regimegym.agents.build import KINDS, build_agent
from regimegym.agents.extractor import WindowExtractor
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.policy import EnhancedDQNPolicyAdapter, policy_of
from regimegym.agents.settings import A2CSettings, DQNSettings, EnhancedDQNSettings, PPOSettings
from regimegym.common.errors import ConfigError
from regimegym.common.policy import TapePolicy

CONF = Path(regimegym.conf.__file__).parent


def test_every_algorithm_learns_a_little_and_acts_by_its_best_score(env, tiny_network, quick_settings):
    model = build_agent(quick_settings, env, tiny_network, 1).learn(160)
    observations = env.reset()
    decision, state = policy_of(model.policy).act(observations, None, np.ones(4, dtype=bool))
    expected, _ = model.predict(observations, deterministic=True)
    assert (state is None) == (quick_settings.name != "recurrent_ppo")
    assert (decision.action == expected).all()
    assert decision.scores.shape == (4, 3)
    assert (decision.scores.argmax(axis=1) == decision.action).all()


def test_equal_seeds_build_equal_algorithms(tape, tiny_network, quick_settings):
    def trained():
        return build_agent(quick_settings, TinyVecEnv(tape), tiny_network, 7).learn(160).policy.state_dict()

    first, second = trained(), trained()
    assert len(first) == len(second) > 4
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", ["regime", "mlp"])
def test_tabled_decisions_equal_direct_ones(env, tape, kind):
    settings = EnhancedDQNSettings(learning="sampled", learning_starts=64, batch_size=16, buffer_size=500)
    model = build_agent(settings, env, NetworkSettings(kind=kind), 1).learn(400)
    policy = EnhancedDQNPolicyAdapter(model.policy)
    assert isinstance(policy, TapePolicy)
    rows = np.arange(0, 590)
    account = np.random.default_rng(0).random((590, 1), dtype=np.float32)
    starts = np.zeros(590, dtype=bool)
    direct, _ = policy.act({"market": tape.windows(rows, 8), "account": account}, None, starts)
    tabled, _ = policy.on_tape(tape, 0, 590).act({"row": rows, "account": account}, None, starts)
    np.testing.assert_allclose(tabled.scores, direct.scores, rtol=0, atol=1e-5)
    np.testing.assert_allclose(tabled.regime_probabilities, direct.regime_probabilities, rtol=0, atol=1e-5)
    gap = np.diff(np.sort(direct.scores, axis=1), axis=1)[:, -1]
    assert (tabled.action == direct.action)[gap > 1e-5].all()
    assert (gap > 1e-5).mean() > 0.9


def test_a_row_outside_the_table_is_refused(env, tape, tiny_network):
    model = build_agent(EnhancedDQNSettings(learning="sampled"), env, tiny_network, 1)
    tabled = EnhancedDQNPolicyAdapter(model.policy).on_tape(tape, 10, 20)
    with pytest.raises(IndexError, match=r"\[10, 20\)"):
        tabled.act({"row": np.array([20]), "account": np.zeros((1, 1), np.float32)}, None, np.ones(1, bool))


def test_stock_algorithms_see_the_window_unflattened(env, tiny_network, quick_settings, monkeypatch):
    seen: list[tuple[int, ...]] = []
    forward = WindowExtractor.forward

    def spy(self, observations):
        seen.append(tuple(observations["market"].shape))
        return forward(self, observations)

    monkeypatch.setattr(WindowExtractor, "forward", spy)
    model = build_agent(quick_settings, env, tiny_network, 1)
    model.predict(env.reset(), deterministic=True)
    if isinstance(quick_settings, EnhancedDQNSettings):
        assert seen == []
    else:
        assert seen[-1] == (4, 8, 3)


def test_on_policy_algorithms_get_no_dropout(env):
    for settings, dropout in ((PPOSettings(), 0.0), (A2CSettings(), 0.0), (DQNSettings(), 0.2)):
        extractor = build_agent(settings, env, NetworkSettings(), 1).policy
        rates = [m.p for m in extractor.modules() if isinstance(m, torch.nn.Dropout)]
        assert rates
        assert set(rates) == {dropout}


def test_continuous_actions_are_refused_by_q_learners_and_taken_by_policy_gradients(env, tiny_network, quick_settings):
    env.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
    if KINDS.get(quick_settings.name).actions == "any":
        model = build_agent(quick_settings, env, tiny_network, 1)
        decision, _ = policy_of(model.policy).act(env.reset(), None, np.ones(4, dtype=bool))
        assert decision.action.shape == (4, 1)
        assert decision.scores is None
    else:
        with pytest.raises(ConfigError, match=f"agent={quick_settings.name} chooses among discrete"):
            build_agent(quick_settings, env, tiny_network, 1)


@pytest.mark.parametrize("name", list(KINDS))
def test_agent_configs_hold_the_defaults_of_their_settings(name):
    config = OmegaConf.load(CONF / "agent" / f"{name}.yaml")
    settings = instantiate(config)
    assert settings == KINDS.get(name).settings()
    assert set(config) == {"_target_", *asdict(settings)}


@pytest.mark.parametrize("name", ["small", "full", "mlp"])
def test_network_configs_are_complete(name):
    config = OmegaConf.load(CONF / "network" / f"{name}.yaml")
    settings = instantiate(config)
    assert set(config) == {"_target_", *asdict(settings)}
    assert (settings == NetworkSettings()) == (name == "small")


@pytest.mark.parametrize(
    ("kind", "field", "value", "text"),
    [
        (EnhancedDQNSettings, "learning_rate", 0.0, "'agent.learning_rate' must be > 0"),
        (EnhancedDQNSettings, "gamma", 1.5, r"'agent.gamma' must be in \[0, 1\]"),
        (EnhancedDQNSettings, "n_steps", 0, "a whole number ≥ 1"),
        (PPOSettings, "gae_lambda", -1.0, "'agent.gae_lambda'"),
        (DQNSettings, "tau", 0.0, "'agent.tau'"),
    ],
)
def test_hyper_parameters_outside_their_range_are_refused(kind, field, value, text):
    with pytest.raises(ConfigError, match=text):
        kind(**{field: value})
