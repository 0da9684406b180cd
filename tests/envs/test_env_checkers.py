"""gymnasium's and stable-baselines3's own checkers over every action and observation mode."""

import subprocess
import sys
from itertools import product

import gymnasium
import numpy as np
import pytest
import stable_baselines3.common.env_checker as sb3_checker
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from tapes import random_tape

import regimegym  # noqa: F401  registers the ids
from regimegym.envs.observation import OBSERVATIONS
from regimegym.envs.reward_settings import REWARD_KINDS
from regimegym.envs.settings import (
    ACTION_MODES,
    ActionSettings,
    EnvSettings,
    EpisodeSettings,
    RewardSettings,
)

CASES = list(product(ACTION_MODES, (False, True), OBSERVATIONS, REWARD_KINDS))
# SB3 warns that a window is neither an image nor a flat vector; it is meant to be [W, F].
window_shape = pytest.mark.filterwarnings("ignore:Your observation market has an unconventional shape")


class LogReturn:
    """A reward of a user's own."""

    def reward(self, step):
        return 10.0 * step.log_return - step.drawdown


def arguments(mode, short, observation, reward="regime_aware"):
    settings = EnvSettings(
        reward=RewardSettings(kind=reward, rule=LogReturn() if reward == "custom" else None),
        action=ActionSettings(mode=mode, allow_short=short),
        episode=EpisodeSettings(window=5, length=20),
    )
    return {"tape": random_tape(100, 1), "settings": settings, "observation": observation}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gymnasium_accepts_every_mode(case):
    env = gymnasium.make("regimegym:RegimeTrading-v0", disable_env_checker=True, **arguments(*case))
    check_env(env.unwrapped)


@window_shape
@pytest.mark.parametrize("case", CASES, ids=str)
def test_stable_baselines3_accepts_every_mode(case):
    env = gymnasium.make("regimegym:RegimeTrading-v0", **arguments(*case)).unwrapped
    sb3_checker.check_env(env, warn=True)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_vector_env_fills_its_spaces(case):
    envs = gymnasium.make_vec(
        "regimegym:RegimeTrading-v0", 3, vectorization_mode="vector_entry_point", **arguments(*case)
    )
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    envs.action_space.seed(0)
    observations, _ = envs.reset(seed=4)
    for _ in range(45):
        assert envs.observation_space.contains(observations)
        observations, rewards, terminated, truncated, _ = envs.step(envs.action_space.sample())
        assert rewards.shape == terminated.shape == truncated.shape == (3,)
    envs.close()


def test_both_ids_work_without_arguments():
    env = gymnasium.make("regimegym:RegimeTrading-v0")
    observation, info = env.reset(seed=0)
    assert observation["market"].shape[0] == 30
    assert {"row", "tape", "regime", "equity", "exposure", "symbol", "timeframe"} == set(info)
    envs = gymnasium.make_vec("regimegym:RegimeTrading-v0", 2, vectorization_mode="vector_entry_point")
    observations, _ = envs.reset(seed=0)
    np.testing.assert_array_equal(observations["market"][0], observation["market"])


def test_a_fresh_environment_of_the_id_passes_the_checker_with_its_render_modes():
    check_env(gymnasium.make("RegimeTrading-v0", disable_env_checker=True).unwrapped)


def test_importing_the_package_loads_nothing_heavy_and_changes_no_global_state():
    program = """
import sys, warnings, random, gymnasium, numpy as np
before = (list(warnings.filters), random.getstate(), np.random.get_state()[1].tolist(), np.geterr())
import regimegym
after = (list(warnings.filters), random.getstate(), np.random.get_state()[1].tolist(), np.geterr())
assert before == after
heavy = {"torch", "numba", "pandas", "stable_baselines3", "talib", "scipy"} & set(sys.modules)
assert not heavy, heavy
assert "RegimeTrading-v0" in gymnasium.registry
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
