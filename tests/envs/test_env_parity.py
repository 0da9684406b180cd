"""Three classes, one kernel: TradingEnv, TradingVectorEnv and TradingVecEnv agree number by number."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from tapes import random_tape

from regimegym.envs.observation import OBSERVATIONS
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings, EpisodeSettings
from regimegym.envs.trading_env import TradingEnv
from regimegym.envs.vector_env import TradingVectorEnv
from regimegym.features.tape import Segment

N = 64
STEPS = 70


def settings(mode="trade", short=True):
    # Leverage, shorts and a jumpy market: some accounts are liquidated before their episode ends.
    margin = 0.9 if mode == "trade" else 0.3
    return EnvSettings(
        account=AccountSettings(max_leverage=3.0, maintenance_margin=margin, borrow_rate=0.1),
        action=ActionSettings(mode=mode, allow_short=short, ladder=(-3.0, -1.0, 0.0, 1.0, 3.0)),
        episode=EpisodeSettings(window=7, length=25),
    )


@pytest.fixture(scope="module")
def tape():
    segments = (Segment("A", 0, 130, 4), Segment("B", 130, 300, 140))
    return random_tape(300, 5, volatility=0.06, segments=segments)


def actions_of(space, seed=3):
    space.seed(seed)
    return [space.sample() for _ in range(STEPS)]


def same(a, b):
    assert data_equivalence(a, b, exact=True), (a, b)


@pytest.mark.parametrize("mode", ["trade", "target", "continuous"])
@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_the_vector_env_is_n_single_envs_with_their_statistics(tape, mode, observation):
    def single():
        return RecordEpisodeStatistics(TradingEnv(tape, settings(mode), observation=observation))

    ours = TradingVectorEnv(N, tape, settings(mode), observation=observation)
    many = SyncVectorEnv([single] * N, autoreset_mode=AutoresetMode.SAME_STEP)
    same(ours.reset(seed=11), many.reset(seed=11))
    ends = {"terminated": 0, "truncated": 0}
    for action in actions_of(many.action_space):
        got, expected = ours.step(action), many.step(action)
        for a, b in zip(got[:4], expected[:4], strict=True):
            same(a, b)
        compare_infos(got[4], expected[4])
        ends["terminated"] += int(got[2].sum())
        ends["truncated"] += int(got[3].sum())
    assert min(ends.values()) > 10


def compare_infos(got, expected):
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        if name == "final_obs":
            for a, b in zip(got[name], value, strict=True):
                same(a, b)
        elif isinstance(value, dict):
            compare_infos(got[name], value)
        elif name == "t":  # seconds
            assert got[name].shape == value.shape
        else:
            np.testing.assert_array_equal(got[name], value, err_msg=name)


@pytest.mark.parametrize("mode", ["trade", "continuous"])
@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_the_sb3_vec_env_is_n_single_envs_under_monitor(tape, mode, observation):
    def single():
        return Monitor(TradingEnv(tape, settings(mode), observation=observation))

    n = 16
    ours = TradingVecEnv(n, tape, settings(mode), random_seed=11, observation=observation)
    many = DummyVecEnv([single] * n)
    many.seed(11)
    same(dict(ours.reset()), dict(many.reset()))
    assert ours.reset_infos == many.reset_infos
    finished = 0
    space = many.action_space
    space.seed(3)
    for _ in range(STEPS):
        action = np.array([space.sample() for _ in range(n)])
        (obs, reward, done, infos), expected = ours.step(action), many.step(action)
        same(dict(obs), dict(expected[0]))
        np.testing.assert_array_equal(reward, expected[1])
        assert reward.dtype == np.float32
        np.testing.assert_array_equal(done, expected[2])
        for info, other in zip(infos, expected[3], strict=True):
            assert info.keys() == other.keys()
            for name in info.keys() - {"episode", "terminal_observation"}:
                assert info[name] == other[name], name
            if "episode" in info:
                finished += 1
                assert info["episode"]["r"] == pytest.approx(other["episode"]["r"], abs=2e-6)
                assert info["episode"]["l"] == other["episode"]["l"]
                same(info["terminal_observation"], other["terminal_observation"])
        assert ours.reset_infos == many.reset_infos
    assert finished > 30


def test_one_account_steps_as_one_of_many(tape):
    one, many = (TradingVectorEnv(n, tape, settings()) for n in (1, N))
    observation, _ = one.reset(seed=20)
    observations, _ = many.reset(seed=20)
    for action in actions_of(many.action_space):
        np.testing.assert_array_equal(observation["market"][0], observations["market"][0])
        np.testing.assert_array_equal(observation["account"][0], observations["account"][0])
        observation, reward, *_ = one.step(action[:1])
        observations, rewards, *_ = many.step(action)
        assert reward[0] == rewards[0]


def test_gymnasium_statistics_wrapper_sees_finished_episodes(tape):
    envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(TradingVectorEnv(4, tape, settings()))
    envs.reset(seed=0)
    lengths = []
    for action in actions_of(envs.action_space):
        *_, infos = envs.step(action)
        if "episode" in infos:
            lengths += infos["episode"]["l"][infos["_episode"]].tolist()
    assert lengths
    assert max(lengths) == 25


def test_sb3_finds_tape_settings_and_rows(tape):
    env = TradingVecEnv(2, tape, settings())
    assert env.get_attr("tape") == [tape, tape]
    assert env.get_attr("settings", indices=0) == [settings()]
    assert env.get_attr("rows")[0].stop == 300
    assert env.has_attr("action_masks")
    assert env.env_method("action_masks", indices=[1])[0].tolist() == [True] * 3
    assert not env.has_attr("nonsense")
    assert env.env_is_wrapped(Monitor) == [True, True]


def test_returned_arrays_are_never_written_again(tape):
    envs = TradingVectorEnv(3, tape, settings())
    kept = envs.reset(seed=0)[0]
    copies = {name: value.copy() for name, value in kept.items()}
    for action in actions_of(envs.action_space):
        envs.step(action)
    for name, value in kept.items():
        np.testing.assert_array_equal(value, copies[name])
