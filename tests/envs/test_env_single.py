"""The one-account environment steps through addresses: copies, stages and rewards must not notice."""

import copy
import gc
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from tapes import random_tape

from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import EnvSettings, EpisodeSettings, RewardSettings
from regimegym.envs.single_step import ROOMS
from regimegym.envs.stages import Stage
from regimegym.envs.trading_env import TradingEnv
from regimegym.envs.vector_env import TradingVectorEnv

HOLD, SELL, BUY = 0, 1, 2


def settings(**reward):
    return EnvSettings(reward=RewardSettings(**reward), episode=EpisodeSettings(window=4, length=60))


@pytest.fixture(scope="module")
def tape():
    return random_tape(150, 0)


class Drawdown:
    """Pays what the facts of a step say, all of them."""

    def reward(self, step):
        return step.log_return - 2.0 * step.drawdown - step.costs / step.equity + 1e-3 * step.regime


def steps(env, actions):
    return [env.step(int(action)) for action in actions]


def assert_same(some, others):
    assert len(some) == len(others) > 0
    for (obs, *rest), (other, *others_rest) in zip(some, others, strict=True):
        np.testing.assert_equal(obs, other)
        assert rest == others_rest


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("observation", ["window", "reference"])
def test_a_copy_in_the_middle_of_an_episode_goes_its_own_way(tape, duplicate, observation):
    env, plain = (TradingEnv(tape, settings(), observation=observation) for _ in range(2))
    env.reset(seed=0)
    plain.reset(seed=0)
    actions = np.random.default_rng(0).integers(3, size=40)
    assert_same(steps(env, actions[:10]), steps(plain, actions[:10]))
    other = duplicate(env)
    steps(other, [BUY, HOLD, SELL, BUY])  # what the copy does is nothing to the original
    assert_same(steps(env, actions[10:20]), steps(plain, actions[10:20]))
    later = duplicate(env)
    del env
    gc.collect()
    assert_same(steps(later, actions[20:]), steps(plain, actions[20:]))


def test_bars_that_a_stage_replaced_live_as_long_as_their_episode(tape):
    env, plain = TradingEnv(tape, settings()), TradingEnv(tape, settings())
    env.reset(seed=0)
    plain.reset(seed=0)
    steps(env, [BUY])
    steps(plain, [BUY])
    for seed in range(20):  # each lays all bars out anew
        env.set_stage(Stage(tapes=[random_tape(150, seed)]))
    gc.collect()
    actions = np.random.default_rng(1).integers(3, size=50)
    assert_same(steps(env, actions), steps(plain, actions))


def test_observations_are_never_written_again(tape):
    for observation in ("window", "reference"):
        env = TradingEnv(tape, settings(), observation=observation)
        kept = [env.reset(seed=0)[0]]
        kept += [one[0] for one in steps(env, [BUY, SELL] * 30)]
        copies = copy.deepcopy(kept)
        env.reset(seed=1)
        steps(env, [BUY, SELL] * 30)
        np.testing.assert_equal(kept, copies)
        assert all(value.flags.c_contiguous for one in kept for value in one.values())


@pytest.mark.parametrize("observation", ["window", "reference"])
@pytest.mark.parametrize("hold", [lambda array: array[-1:], memoryview, torch.from_numpy])
def test_whoever_looks_at_a_part_of_an_observation_keeps_it(tape, observation, hold):
    env = TradingEnv(tape, settings(), observation=observation)
    env.reset(seed=0)
    kept, copies = [], []
    for k in range(59):
        seen = env.step(k % 3)[0]
        if k in (3, 40):  # one of the first room and one of the second; all the others are let go
            name = "account" if k == 3 else ("market" if observation == "window" else "row")
            kept.append(hold(seen[name]))
            copies.append(np.asarray(kept[-1]).copy())
        del seen
    env.reset(seed=1)
    steps(env, [SELL, BUY, HOLD] * 19)
    env.reset(seed=2)
    steps(env, [SELL, BUY, HOLD] * 19)
    for one, other in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(np.asarray(one), other)


def test_room_that_nobody_looks_at_any_more_is_used_again(tape):
    env = TradingEnv(tape, settings())
    places = set()
    for seed in range(4):
        env.reset(seed=seed)
        places |= {env.step(HOLD)[0]["market"].ctypes.data for _ in range(59)}
    assert len(places) == 2 * ROOMS


class Moody:
    """A rule that fails now and then."""

    def __init__(self):
        self.asked = 0

    def reward(self, step):
        self.asked += 1
        if self.asked % 3 == 0:
            raise ArithmeticError("no reward today")
        return step.log_return


def test_a_rule_that_raises_leaves_every_observation_in_its_place(tape):
    env, plain = TradingEnv(tape, settings(kind="custom", rule=Moody())), TradingEnv(tape, settings())
    env.reset(seed=0)
    plain.reset(seed=0)
    for k in range(50):
        expected = plain.step(k % 3)[0]
        try:
            seen = env.step(k % 3)[0]
        except ArithmeticError:
            continue
        np.testing.assert_equal(seen, expected)


@pytest.mark.parametrize("action", [2, np.int64(2), np.int32(2), np.array(2), np.array([2]), [2], 2.0, np.float32(2)])
def test_an_action_may_be_any_kind_of_whole_number(tape, action):
    env = TradingEnv(tape, settings())
    env.reset(seed=0)
    *_, info = env.step(action)
    assert info["traded"]


def test_a_reward_of_ones_own_is_asked_with_the_facts_of_the_account(tape):
    own = settings(kind="custom", rule=Drawdown())
    one, many, vec = TradingEnv(tape, own), TradingVectorEnv(3, tape, own), TradingVecEnv(3, tape, own, random_seed=5)
    one.reset(seed=5)
    many.reset(seed=5)
    vec.reset()
    total = 0.0
    peak = 10_000.0
    for k in range(60):
        action = (BUY, HOLD, SELL)[k % 3]
        _, reward, _, _, info = one.step(action)
        peak = max(peak, info["equity"])
        costs = one.batch.result.spread + one.batch.result.slippage + one.batch.result.fees
        by_hand = info["log_return"] - 2 * (1 - info["equity"] / peak)
        by_hand += 1e-3 * info["regime"] - costs[0] / info["equity"]
        assert reward == pytest.approx(by_hand, abs=1e-12)
        total += reward
        _, rewards, _, _, infos = many.step(np.full(3, action))
        assert rewards[0] == reward
        _, rewards, _, sb3_infos = vec.step(np.full(3, action))
        assert rewards[0] == np.float32(reward)
    assert infos["final_info"]["episode"]["r"][0] == pytest.approx(total, abs=1e-12)
    assert sb3_infos[0]["episode"]["r"] == pytest.approx(total, abs=1e-6)


def test_the_reward_of_ones_own_can_come_and_go_with_a_stage(tape):
    env = TradingEnv(tape, settings())
    env.reset(seed=0)
    steps(env, [BUY] * 5)
    env.set_stage(Stage(settings=settings(kind="custom", rule=Drawdown())))
    env.reset(seed=0)
    built = TradingEnv(tape, settings(kind="custom", rule=Drawdown()))
    built.reset(seed=0)
    assert_same(steps(env, [BUY, SELL, HOLD]), steps(built, [BUY, SELL, HOLD]))
    env.set_stage(Stage(settings=settings()))
    env.reset(seed=0)
    built = TradingEnv(tape, settings())
    built.reset(seed=0)
    assert_same(steps(env, [BUY, SELL, HOLD]), steps(built, [BUY, SELL, HOLD]))


def test_the_end_of_the_tape_is_never_stepped_over(tape):
    env = TradingEnv(tape, replace(settings(), episode=EpisodeSettings(window=4, length=149)))
    env.reset(seed=0)
    *_, truncated, info = steps(env, [HOLD] * 149)[-1]
    assert truncated
    assert info["row"] == 148
    with pytest.raises(ValueError, match="call reset first"):
        env.step(HOLD)
