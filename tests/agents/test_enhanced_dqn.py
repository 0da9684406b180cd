"""EnhancedDQN learns what is known, the same way twice, and says what it cannot work with."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stand_in import TinyVecEnv, make_tape, sine_tape

from regimegym.agents.enhanced_dqn import EnhancedDQN
from regimegym.agents.enhanced_dqn_policy import EnhancedDQNPolicy, decay_groups
from regimegym.agents.networks.q_network import build_q_network
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.settings import EnhancedDQNSettings
from regimegym.common.errors import ConfigError

QUICK = EnhancedDQNSettings(learning="sampled", learning_starts=64, batch_size=16, buffer_size=2000)
MLP = NetworkSettings(kind="mlp", feature_width=32, memory_width=32)


class Recorder(BaseCallback):
    """Keeps every value that was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, list[float]] = {}

    def _on_step(self) -> bool:
        for key, value in self.logger.name_to_value.items():
            self.seen.setdefault(key, []).append(value)
        return True


def weights(model: EnhancedDQN) -> torch.Tensor:
    return torch.cat([p.flatten() for p in model.policy.parameters()])


def test_equal_seeds_give_equal_weights_bit_for_bit_and_others_do_not(tape, tiny_network):
    def trained(random_seed: int, disturb: bool = False) -> torch.Tensor:
        settings = replace(QUICK, updates_per_bar=1.0)  # 200 updates
        model = EnhancedDQN(TinyVecEnv(tape), settings, tiny_network, random_seed)
        if disturb:
            torch.rand(7)
        return weights(model.learn(264))

    first = trained(3)
    assert torch.equal(first, trained(3, disturb=True))
    assert not torch.equal(first, trained(4))


def test_updates_follow_updates_per_bar(tape, tiny_network):
    model = EnhancedDQN(TinyVecEnv(tape), replace(QUICK, updates_per_bar=0.125), tiny_network, 1)
    model.learn(464)  # training begins behind the 64 transitions of the warm-up
    assert model._n_updates == 400 // 8


def test_what_is_promised_is_logged(tape, tiny_network):
    recorder = Recorder()
    EnhancedDQN(TinyVecEnv(tape), QUICK, tiny_network, 1).learn(400, callback=recorder, log_interval=1000)
    for key in ("loss", "td_error", "q_mean", "regime_loss", "regime_accuracy", "learning_rate"):
        assert all(math.isfinite(v) for v in recorder.seen[f"train/{key}"])
    epsilon = recorder.seen["rollout/epsilon"]
    assert epsilon[0] == 1.0
    assert epsilon[-1] == pytest.approx(0.05)


def test_warm_up_actions_are_uniform_and_come_from_the_models_own_generator(env, tiny_network):
    def draws(disturb: bool) -> np.ndarray:
        model = EnhancedDQN(env, QUICK, tiny_network, 5)
        model._setup_learn(10)
        if disturb:
            np.random.seed(0)  # noqa: NPY002
        return np.array([model._sample_action(100, None, 4)[0] for _ in range(2000)])

    actions = draws(disturb=False)
    assert (actions == draws(disturb=True)).all()
    assert np.abs(np.bincount(actions.ravel()) / actions.size - 1 / 3).max() < 0.02


def test_prediction_is_greedy_in_the_acting_network(env, tiny_network):
    model = EnhancedDQN(env, QUICK, tiny_network, 5)
    observation = env.reset()
    q, _ = model.policy.average(*(torch.from_numpy(observation[key]) for key in ("market", "account")))
    action, state = model.predict(observation)
    assert (action == q.argmax(dim=1).numpy()).all()
    assert state is None
    single, _ = model.predict({key: value[0] for key, value in observation.items()})
    assert single == action[0]


def test_the_average_follows_softly_and_never_drops_out(tape, tiny_network):
    model = EnhancedDQN(TinyVecEnv(tape), replace(QUICK, tau=1.0), tiny_network, 1).learn(200)
    for a, b in zip(model.policy.average.parameters(), model.policy.online.parameters(), strict=True):
        assert torch.equal(a, b)
    model.policy.train(True)
    assert model.policy.online.training
    assert not model.policy.average.training


def test_weight_decay_spares_biases_and_norms():
    network = build_q_network(8, 3, 1, 3, NetworkSettings())
    decayed, spared = (group["params"] for group in decay_groups(network, 0.5))
    names = {id(p): name for name, p in network.named_parameters()}
    assert all("weight" in names[id(p)] for p in decayed)
    assert "encoder.pathways.second_bias" in {names[id(p)] for p in spared}
    assert "encoder.features.2.weight" in {names[id(p)] for p in spared}
    assert len(decayed) + len(spared) == len(names)


@pytest.mark.parametrize("kind", ["mlp", "regime"])
def test_a_sine_is_traded_nearly_as_well_as_hindsight_would(kind):
    env = TinyVecEnv(sine_tape(), n_envs=8, cost=0.001)
    settings = EnhancedDQNSettings(
        learning="sampled", learning_starts=256, batch_size=32, gamma=0.9, epsilon_fraction=0.3, weight_decay=0.1
    )
    network = replace(NetworkSettings(), kind=kind, feature_width=32, lstm_layers=1)
    model = EnhancedDQN(env, settings, network, 1).learn(3000)
    # 0.1 of log price per rise of 20 bars, once in 40 bars, less two costs
    best_per_bar = 100 * (0.1 - 0.002) / 40
    observation, total = env.reset(), 0.0
    for _ in range(320):
        action, _ = model.predict(observation, deterministic=True)
        observation, reward, _, _ = env.step(action)
        total += reward.mean()
    assert total / 320 > 0.8 * best_per_bar


def test_the_known_q_of_a_tiny_market_is_reached():
    """Every bar grows by 1 %: being long is worth 1/(1 − γ), waiting a bar costs exactly 1."""
    growth = np.exp(0.01 * np.arange(300))
    features = np.ones((300, 1))
    env = TinyVecEnv(make_tape(growth, features, np.zeros(300), 1), n_envs=8, window=2, length=20)
    settings = EnhancedDQNSettings(learning="sampled",
        learning_starts=100, batch_size=32, gamma=0.8, tau=0.05, weight_decay=0.0,
        scale_rewards=False, epsilon_end=0.5, updates_per_bar=0.25,
    )  # fmt: skip
    model = EnhancedDQN(env, settings, replace(MLP, dropout=0.0), 1).learn(5000)
    windows, flat = torch.ones(1, 2, 1), torch.zeros(1, 1)
    q, _ = model.policy.average(windows, flat)
    # HOLD and SELL from flat earn 0 now and 5 after; BUY earns 1/(1 − 0.8) = 5.
    torch.testing.assert_close(q[0], torch.tensor([4.0, 4.0, 5.0]), rtol=0.06, atol=0.1)
    q, _ = model.policy.average(windows, flat + 1)
    torch.testing.assert_close(q[0], torch.tensor([5.0, 4.0, 5.0]), rtol=0.06, atol=0.1)


def test_the_detector_beats_the_majority_class_on_planted_regimes():
    rng = np.random.default_rng(0)
    regimes = np.repeat(rng.integers(0, 4, size=60), 10)
    features = np.eye(4)[regimes] + 0.7 * rng.normal(size=(600, 4))
    env = TinyVecEnv(make_tape(np.full(600, 100.0), features, regimes, 1), n_envs=8)
    settings = EnhancedDQNSettings(
        learning="sampled",
        learning_starts=64,
        batch_size=64,
        regime_loss_weight=1.0,
        updates_per_bar=0.25,
        weight_decay=0.0,
        scale_rewards=False,
    )
    model = EnhancedDQN(env, settings, replace(NetworkSettings(), feature_width=32, lstm_layers=1), 1)
    model.learn(1000)
    rows = np.arange(8, 600)
    _, logits = model.policy.average.encode(torch.from_numpy(env.tape.windows(rows, 8)))
    accuracy = (logits.argmax(dim=1).numpy() == regimes[rows]).mean()
    assert accuracy > np.bincount(regimes[rows]).max() / len(rows) + 0.2


def test_a_continuous_action_space_is_refused(env, tiny_network):
    env.action_space = spaces.Box(-1, 1, (1,))
    with pytest.raises(ConfigError, match="discrete actions"):
        EnhancedDQN(env, QUICK, tiny_network, 1)


def test_an_environment_without_a_tape_is_refused(env, tiny_network):
    del env.tape
    with pytest.raises(ConfigError, match="no attribute 'tape': TinyVecEnv"):
        EnhancedDQN(env, QUICK, tiny_network, 1)


def test_a_tape_without_regimes_is_refused_and_not_learned_from_in_silence(tiny_network):
    tape = make_tape(np.linspace(100, 110, 300), np.ones((300, 1)), np.full(300, -1), 1)
    with pytest.raises(ConfigError, match="replays bars by regime"):
        EnhancedDQN(TinyVecEnv(tape), QUICK, tiny_network, 1)


def test_rewards_are_scaled_by_their_own_deviation(tape, tiny_network):
    model = EnhancedDQN(TinyVecEnv(tape), QUICK, tiny_network, 1)
    assert float(model.policy.reward_scale) == 1.0
    model.learn(80)
    scale = float(model.policy.reward_scale)
    assert 0.05 < scale < 1.0
    model.learn(80, reset_num_timesteps=False)
    assert float(model.policy.reward_scale) == scale


def test_a_policy_is_a_stable_baselines_policy(env, tiny_network):
    policy = EnhancedDQNPolicy(env.observation_space, env.action_space, lambda _: 1e-3, tiny_network)
    assert policy(policy.obs_to_tensor(env.reset())[0]).shape == (4,)


def test_the_warm_up_ends_with_terminated_accounts_stored_as_such(tape, tiny_network):
    env = TinyVecEnv(tape, length=10, doomed=(0,))
    model = EnhancedDQN(env, QUICK, tiny_network, 1).learn(200)
    stored = model.replay_buffer.stored
    ends = 200 // 4 // 10
    assert stored.terminated.sum() == ends


def test_the_lstm_is_in_training_mode_while_it_is_differentiated(env, tiny_network):
    """cuDNN refuses to differentiate an LSTM in evaluation mode; on the processor nobody would notice."""
    model = EnhancedDQN(env, QUICK, tiny_network, 1)
    (lstm,) = [module for module in model.policy.online.modules() if isinstance(module, torch.nn.LSTM)]
    (target,) = [module for module in model.policy.average.modules() if isinstance(module, torch.nn.LSTM)]
    model.policy.train(True)
    assert lstm.training
    with model.policy.evaluating():
        assert not lstm.training
    assert lstm.training
    assert not target.training
    model.policy.train(False)
    assert not lstm.training
