"""Action masks: what a brake on orders would refuse, and nothing else; as MaskablePPO asks for them."""

import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from tapes import random_tape

from regimegym.common.errors import RegimeGymError
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import ActionSettings, EnvSettings, EpisodeSettings, OrderSettings
from regimegym.envs.stages import Stage
from regimegym.envs.trading_env import TradingEnv
from regimegym.envs.vector_env import TradingVectorEnv

HOLD, SELL, BUY = 0, 1, 2


def settings(mode="trade", ladder=(-1.0, 0.0, 1.0), allow_short=False, **orders):
    return EnvSettings(
        orders=OrderSettings(**orders),
        action=ActionSettings(mode=mode, ladder=ladder, allow_short=allow_short),
        episode=EpisodeSettings(window=4, length=40),
    )


@pytest.fixture(scope="module")
def tape():
    return random_tape(200, 0)


def test_redundant_orders_are_admissible(tape):
    env = TradingEnv(tape, settings())
    env.reset(seed=0)
    assert env.action_masks().tolist() == [True, True, True]  # SELL while flat
    env.step(BUY)
    assert env.action_masks().tolist() == [True, True, True]  # BUY while long


def test_a_position_too_young_to_be_touched_leaves_hold_alone(tape):
    env = TradingEnv(tape, settings(minimum_hold=3))
    env.reset(seed=0)
    seen = [env.action_masks().tolist()]
    for _ in range(4):
        env.step(BUY)
        seen.append(env.action_masks().tolist())
    assert seen == [[True] * 3, [True, False, False], [True, False, False], [True] * 3, [True] * 3]


def test_a_spent_budget_leaves_the_way_out(tape):
    env = TradingEnv(tape, settings(turnover_budget=1.5, allow_short=True))
    env.reset(seed=0)
    for action in (BUY, SELL):
        env.step(action)
    assert env.action_masks().tolist() == [True, False, False]
    ladder = TradingEnv(tape, settings("target", turnover_budget=1.5))
    ladder.reset(seed=0)
    for action in (2, 0):
        ladder.step(action)
    assert ladder.action_masks().tolist() == [False, True, False]


def test_where_all_would_be_refused_all_are_admissible(tape):
    env = TradingEnv(tape, settings("target", ladder=(-1.0, 1.0), minimum_hold=5))
    env.reset(seed=0)
    env.step(1)
    assert env.action_masks().tolist() == [True, True]


@pytest.mark.parametrize(
    ("mode", "orders"),
    [
        ("trade", {"minimum_hold": 4}),
        ("trade", {"turnover_budget": 3.0}),
        ("trade", {"minimum_hold": 2, "turnover_budget": 4.0, "turnover_window": 10}),
        ("target", {"turnover_budget": 3.0}),
        ("target", {"turnover_budget": 4.0, "turnover_window": 10}),
    ],
    ids=str,
)
def test_masked_is_exactly_what_the_kernel_would_refuse(tape, mode, orders):
    """Every action of every account, tried in an environment that was led there by the same actions."""
    free, braked = settings(mode, allow_short=True), settings(mode, allow_short=True, **orders)
    rng = np.random.default_rng(0)
    taken: list[int] = []
    masked = 0
    for _ in range(39):
        base = TradingEnv(tape, braked)
        replay(base, taken)
        mask = base.action_masks()
        for action in range(3):
            env = TradingEnv(tape, braked)
            replay(env, taken)
            *_, info = env.step(action)
            # Under the brakes alone no order executes; without them one would.
            env = TradingEnv(tape, braked)
            replay(env, taken)
            env.batch.terms[0] = env.batch.terms[0]._replace(rules=TradingEnv(tape, free).batch.terms[0].rules)
            env._single = None  # it holds the rules
            *_, unbraked = env.step(action)
            if not mask[action]:
                assert not info["traded"]
                masked += 1
            elif mask.sum() < 3:
                assert info["traded"] == unbraked["traded"]
        taken.append(int(rng.integers(3)))
    assert masked > 10


def replay(env, actions):
    env.reset(seed=1)
    for action in actions:
        env.step(action)


def test_the_three_classes_agree_through_a_stage_of_other_brakes(tape):
    n = 6
    plain, braked = settings(), settings(minimum_hold=5, turnover_budget=4.0)
    envs, vec = TradingVectorEnv(n, tape, plain), TradingVecEnv(n, tape, plain, random_seed=3)
    singles = [TradingEnv(tape, plain) for _ in range(n)]
    envs.reset(seed=3)
    vec.reset()
    for i, env in enumerate(singles):
        env.reset(seed=3 + i)
    rng = np.random.default_rng(0)
    seen = set()
    for k in range(100):
        if k == 20:
            for env in (envs, vec, *singles):
                env.set_stage(Stage(settings=braked))
        actions = rng.integers(3, size=n)
        envs.step(actions)
        vec.step(actions)
        for env, action in zip(singles, actions, strict=True):
            *_, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        masks = envs.action_masks()
        np.testing.assert_array_equal(masks, np.stack([env.action_masks() for env in singles]))
        np.testing.assert_array_equal(masks, np.stack(vec.env_method("action_masks")))
        np.testing.assert_array_equal(vec.env_method("action_masks", indices=[4, 1]), masks[[4, 1]])
        seen |= {(k >= 40, *mask) for mask in masks.tolist()}
    assert not [mask for mask in seen if not mask[0] and not all(mask[1:])]
    assert {mask[1:] for mask in seen} == {(True, True, True), (True, False, False), (True, True, False)}


def test_continuous_actions_have_no_masks(tape):
    with pytest.raises(RegimeGymError, match="continuous actions have no masks"):
        TradingEnv(tape, settings("continuous")).action_masks()


def test_maskable_ppo_learns_with_them(tape):
    env = TradingVecEnv(4, tape, settings(minimum_hold=5))
    assert is_masking_supported(env)
    assert get_action_masks(env).shape == (4, 3)
    model = MaskablePPO("MultiInputPolicy", env, n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(64)
    assert model.num_timesteps == 64
