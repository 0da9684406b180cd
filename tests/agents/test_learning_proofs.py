"""What is there to be learned is learned, what is not is left alone, and a mirrored market is traded mirrored."""

from dataclasses import replace

import numpy as np
import pytest

from regimegym.agents.build import build_agent
from regimegym.agents.enhanced_dqn_settings import EnhancedDQNSettings
from regimegym.agents.gate import gate_statistic
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.policy import policy_of
from regimegym.envs.reward_settings import RewardSettings
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings, EpisodeSettings
from regimegym.evaluate.rollout import rollout
from regimegym.features.bars import Bars
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.learning import learning_world
from regimegym.features.tape import price_tape

N_BARS, N_TRAIN = 3000, 2000
SETTINGS = EnvSettings(
    AccountSettings(fee_rate=0.001, half_spread=0.0, slippage=0.0, rebalance="always", margin_check="none"),
    RewardSettings(kind="log_return"),
    action=ActionSettings(mode="target"),
    episode=EpisodeSettings(window=1, length=64),
)
NETWORK = NetworkSettings(kind="mlp", feature_width=32, memory_width=32, head_width=16)


def walk_forward(bars: Bars, features: np.ndarray, learning: str):
    """The trajectory, on the later bars, of an agent that learned on the earlier ones."""
    names = tuple(f"f{i}" for i in range(features.shape[1]))
    regimes = np.zeros(len(bars), np.int8)  # what is unknown is never replayed
    tape = replace(price_tape(bars), features=features.astype(np.float32), feature_names=names, regimes=regimes)
    env = TradingVecEnv(16, tape, SETTINGS, RowRange(0, N_TRAIN), 1)
    settings = EnhancedDQNSettings(learning=learning, learning_starts=256, updates_per_bar=1 / 16, epsilon_fraction=0.3)
    model = build_agent(settings, env, NETWORK, 1).learn(12_000)
    (found,) = rollout(policy_of(model.policy), tape, SETTINGS, RowRange(N_TRAIN, N_BARS))
    return found


def world(name: str) -> Bars:
    return learning_world(name, N_BARS, np.random.default_rng(3)).bars


def fill_to_fill(bars: Bars) -> np.ndarray:
    """(T,) log return from the next open to the one after: what a decision at the close will earn."""
    out = np.zeros(len(bars))
    out[:-2] = np.diff(np.log(bars.open))[1:]
    return out


@pytest.mark.parametrize("learning", ["afterstate", "all_actions"])
def test_a_planted_future_leak_is_exploited(learning):
    bars = world("gbm")
    leak = fill_to_fill(bars)
    found = walk_forward(bars, 100 * np.stack([leak, np.roll(leak, 5)], axis=1), learning)
    best = np.maximum(np.abs(leak[N_TRAIN:]) - 0.002, 0.0).sum()  # each bar alone, in and out
    assert found.log_returns.sum() > 0.8 * best


@pytest.mark.parametrize("learning", ["afterstate", "all_actions"])
def test_pure_noise_is_not(learning):
    noise = np.random.default_rng(0).normal(size=(N_BARS, 8))
    found = walk_forward(world("gbm"), noise, learning)
    assert gate_statistic(found.log_returns) < 1.5
    assert found.log_returns.sum() > -0.5  # a coin tossed at every bar pays about 1.3 in costs


def test_inverted_prices_invert_the_exposure():
    bars = world("ou")
    level = np.log(bars.close)
    inverted = replace(
        bars,
        **{name: 1e4 / getattr(bars, name) for name in ("open", "close")},
        high=1e4 / bars.low,
        low=1e4 / bars.high,
    )
    features = np.stack([level - level[:N_TRAIN].mean(), np.diff(level, prepend=level[0])], axis=1) * 30
    upright = walk_forward(bars, features, "afterstate").exposure
    mirrored = walk_forward(inverted, -features, "afterstate").exposure
    assert np.abs(upright).mean() > 0.1
    assert np.corrcoef(upright, mirrored)[0, 1] < -0.6
