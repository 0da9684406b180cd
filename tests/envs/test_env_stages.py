"""set_stage: other costs, episodes and tapes from each account's next reset on, in all three classes."""

from dataclasses import replace

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from tapes import make_tape, random_tape

from regimegym.common.errors import ConfigError, DataError
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings, EpisodeSettings, RewardSettings
from regimegym.envs.stages import Stage
from regimegym.envs.trading_env import TradingEnv
from regimegym.envs.vector_env import TradingVectorEnv

BUY, SELL, HOLD = 2, 1, 0
T = 120


def settings(fee_rate=0.001, length=10, cash=10_000.0, **episode):
    return EnvSettings(
        account=AccountSettings(fee_rate=fee_rate, initial_cash=cash),
        episode=EpisodeSettings(window=4, length=length, **episode),
    )


def noisy(tape, seed):
    """Other prices and features on the same bars."""
    factor = np.exp(0.1 * np.random.default_rng(seed).standard_normal(len(tape)))
    prices = {name: getattr(tape, name) * factor for name in ("open", "high", "low", "close")}
    return replace(tape, **prices, features=tape.features + seed, regimes=np.roll(tape.regimes, seed))


@pytest.fixture(scope="module")
def tape():
    return random_tape(T, 3)


def play(env, actions):
    """Everything one episode returned after its reset."""
    return [env.step(int(action)) for action in actions]


def assert_same_steps(got, expected, but=()):
    assert len(got) == len(expected) > 0
    for (obs, *rest, info), (other, *others, other_info) in zip(got, expected, strict=True):
        for name in obs.keys() - set(but):
            np.testing.assert_array_equal(obs[name], other[name])
        assert rest == others
        assert {k: v for k, v in info.items() if k not in but} == {k: v for k, v in other_info.items() if k not in but}


def test_a_stage_changes_nothing_of_the_episode_under_way(tape):
    staged, plain = TradingEnv(tape, settings()), TradingEnv(tape, settings())
    actions = np.random.default_rng(0).integers(3, size=10)
    staged.reset(seed=5)
    plain.reset(seed=5)
    staged.step(BUY)
    plain.step(BUY)
    staged.set_stage(Stage(settings=settings(fee_rate=0.02, cash=50.0), tapes=[noisy(tape, 1)]))
    assert_same_steps(play(staged, actions[:9]), play(plain, actions[:9]))


def test_the_next_episode_is_one_of_an_environment_built_that_way(tape):
    new, tapes = settings(fee_rate=0.02, length=20, cash=50.0), [noisy(tape, 1)]
    staged = TradingEnv(tape, settings())
    staged.reset(seed=5)
    staged.set_stage(Stage(settings=new, tapes=tapes))
    built = TradingEnv(tapes[0], new)
    observation, info = staged.reset(seed=9)
    expected, expected_info = built.reset(seed=9)
    assert info == expected_info | {"tape": 1}
    np.testing.assert_array_equal(observation["market"], expected["market"])
    actions = np.random.default_rng(0).integers(3, size=20)
    assert_same_steps(play(staged, actions), play(built, actions), but=["tape"])
    assert staged.settings == new


def test_the_tapes_of_a_stage_are_drawn_evenly_and_named_in_the_info(tape):
    env = TradingEnv(tape, settings())
    tapes = [noisy(tape, seed) for seed in (1, 2, 3, 4)]
    env.set_stage(Stage(tapes=tapes))
    assert env.tapes == (tape, *tapes)
    seen = []
    for seed in range(400):
        observation, info = env.reset(seed=seed)
        seen.append(info["tape"])
        np.testing.assert_array_equal(observation["market"], env.tapes[info["tape"]].windows([info["row"]], 4)[0])
        assert info["regime"] == env.tapes[info["tape"]].regimes[info["row"]]
    assert np.bincount(seen, minlength=5)[0] == 0
    assert np.bincount(seen)[1:].min() > 70


def test_an_observed_reference_says_tape_and_row(tape):
    env = TradingEnv(tape, settings(), observation="reference")
    env.set_stage(Stage(tapes=[tape, noisy(tape, 1)]))
    for seed in range(20):
        observation, info = env.reset(seed=seed)
        assert observation["row"] == [info["tape"] * T + info["row"]]
        observation, *_, info = env.step(HOLD)
        assert observation["row"] == [info["tape"] * T + info["row"] + 1]


def test_a_tape_keeps_its_index_through_all_stages(tape):
    env = TradingEnv(tape, settings())
    first, second = noisy(tape, 1), noisy(tape, 2)
    for tapes, indices in (([first], {1}), ([second, first], {1, 2}), ([tape], {0})):
        env.set_stage(Stage(tapes=tapes))
        assert {env.reset(seed=seed)[1]["tape"] for seed in range(30)} == indices
    assert env.tapes == (tape, first, second)


def test_each_account_changes_at_its_own_reset_as_single_environments_do(tape):
    liquidations = EnvSettings(
        account=AccountSettings(max_leverage=3.0, maintenance_margin=0.9),
        action=ActionSettings(allow_short=True),
        episode=EpisodeSettings(window=4, length=25),
    )
    rough = random_tape(T, 8, volatility=0.06)
    costly = replace(liquidations, account=replace(liquidations.account, fee_rate=0.01, initial_cash=1_000.0))
    # Two more stages come while accounts of the first are still under way.
    stages = {
        7: Stage(settings=costly, tapes=[noisy(rough, 1), noisy(rough, 2)]),
        11: Stage(settings=replace(costly, reward=RewardSettings(kind="log_return"))),
        50: Stage(settings=liquidations, tapes=[rough], starts=np.arange(20, 40)),
    }
    n = 24
    ours = TradingVectorEnv(n, rough, liquidations)
    many = SyncVectorEnv([lambda: TradingEnv(rough, liquidations)] * n, autoreset_mode=AutoresetMode.SAME_STEP)
    vec = TradingVecEnv(n, rough, liquidations, random_seed=11)
    dummy = DummyVecEnv([lambda: Monitor(TradingEnv(rough, liquidations))] * n)
    dummy.seed(11)
    resets = [ours.reset(seed=11)[0], many.reset(seed=11)[0], vec.reset(), dummy.reset()]
    for observation in resets[1:]:
        np.testing.assert_array_equal(observation["market"], resets[0]["market"])
    rng = np.random.default_rng(1)
    tapes = set()
    for k in range(90):
        if k in stages:
            ours.set_stage(stages[k])
            many.call("set_stage", stages[k])
            vec.set_stage(stages[k])
            dummy.env_method("set_stage", stages[k])
        actions = rng.integers(3, size=n)
        got, expected = ours.step(actions), many.step(actions)
        for a, b in zip(got[:4], expected[:4], strict=True):
            np.testing.assert_equal(a, b)
        for name in ("row", "tape", "regime", "equity", "exposure"):
            np.testing.assert_array_equal(got[4][name], expected[4][name], err_msg=name)
        sb3, reference = vec.step(actions), dummy.step(actions)
        np.testing.assert_equal(dict(sb3[0]), dict(reference[0]))
        np.testing.assert_array_equal(sb3[1], reference[1])
        np.testing.assert_array_equal(sb3[2], got[2] | got[3])
        for info, other in zip(sb3[3], reference[3], strict=True):
            assert all(info[name] == other[name] for name in ("row", "tape", "equity", "log_return"))
        tapes |= set(got[4]["tape"].tolist())
    assert tapes == {0, 1, 2}
    assert len(ours.batch.terms) <= 4


def test_explicit_starts_are_the_only_ones_until_the_next_stage(tape):
    env = TradingEnv(tape, settings())
    env.set_stage(Stage(starts=np.array([30, 50, 51])))
    assert {env.reset(seed=seed)[1]["row"] for seed in range(60)} == {30, 50, 51}
    env.set_stage(Stage(settings=settings(start="sequential"), starts=np.array([50, 30])))
    assert [env.reset()[1]["row"] for _ in range(3)] == [50, 30, 50]
    env.set_stage(Stage())
    assert [env.reset(seed=0)[1]["row"] for _ in range(2)] == [0, 0]


def test_dominant_regimes_are_those_of_the_tape_the_episode_is_on():
    flat = np.full(60, 100.0)
    up, down = (make_tape(flat, flat, flat, flat, regimes=np.full(60, code)) for code in (0, 1))
    env = TradingEnv(up, settings())
    env.set_stage(Stage(settings=settings(regimes=["downtrend"]), tapes=[down]))
    assert env.reset(seed=0)[1]["regime"] == 1
    with pytest.raises(DataError, match="no episode's dominant regime is downtrend"):
        env.set_stage(Stage(tapes=[up]))


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        (replace(settings(), action=ActionSettings(allow_short=True)), "action"),
        (replace(settings(), account=AccountSettings(max_leverage=2.0)), "account.max_leverage"),
        (replace(settings(), episode=EpisodeSettings(window=5, length=10)), "episode.window"),
        (replace(settings(), reward=RewardSettings(max_trades_window=7)), "reward.max_trades_window"),
    ],
)
def test_what_the_spaces_are_made_of_cannot_change(tape, changed, name):
    env = TradingEnv(tape, settings())
    with pytest.raises(ConfigError, match=f"a stage cannot change '{name}'"):
        env.set_stage(Stage(settings=changed))


def test_a_refused_stage_leaves_the_environment_as_it_was(tape):
    envs = TradingVectorEnv(2, tape, settings())
    envs.reset(seed=0)
    bars, terms = envs.batch.bars, envs.batch.terms
    other = random_tape(T - 1, 3)
    for stage, text in (
        (Stage(tapes=[noisy(tape, 1), other]), "tape 1 of the stage has other rows than the environment's"),
        (Stage(tapes=[replace(tape, feature_names=("a", "b"))]), "tape 0 of the stage has other features"),
        (Stage(tapes=[]), "an empty list of tapes"),
        (Stage(starts=np.array([20, T - 5])), "can begin on start row 115"),
        (Stage(settings=settings(length=T), tapes=[noisy(tape, 1)]), "an episode of 120 decisions does not fit"),
    ):
        with pytest.raises(DataError, match=text):
            envs.set_stage(stage)
    assert envs.tapes == (tape,)
    assert envs.batch.bars is bars
    assert envs.batch.terms is terms


def test_sb3_reaches_the_stage_through_env_method(tape):
    env = TradingVecEnv(3, tape, settings())
    assert env.env_method("set_stage", Stage(settings=settings(cash=77.0))) == [None] * 3
    env.reset()
    assert [info["equity"] for info in env.reset_infos] == [77.0] * 3


def test_each_tape_of_a_stage_may_have_starts_of_its_own(tape):
    other, own = noisy(tape, 1), [np.array([5, 6, 7]), np.array([50, 51])]
    env = TradingVecEnv(8, tape, settings())
    env.set_stage(Stage(tapes=[tape, other], starts=own))
    seen = {0: set(), 1: set()}
    for _ in range(20):
        env.reset()
        for info in env.reset_infos:
            seen[info["tape"]].add(info["row"])
    assert seen == {0: {5, 6, 7}, 1: {50, 51}}
    with pytest.raises(DataError, match="another number of tapes"):
        env.set_stage(Stage(tapes=[tape, other], starts=own[:1]))


def test_accounts_of_several_stages_go_on_from_a_state(tape):
    """The stages are set again, in their order; which of them an account lives under comes from the state."""

    def staged(env, step):
        new = replace(env.settings, account=replace(env.settings.account, fee_rate=0.001 * step))
        env.set_stage(Stage(settings=new, tapes=[noisy(tape, step), tape]))

    def fresh():
        return TradingVecEnv(6, tape, replace(settings(length=20), account=AccountSettings(max_leverage=3.0)))

    env = fresh()
    env.reset()
    rng = np.random.default_rng(0)
    for step in range(50):
        if step in (8, 22, 24, 45):
            staged(env, step)
        env.step(rng.integers(3, size=6))
    state = env.state()
    again = fresh()
    for step in (8, 22, 24, 45):
        staged(again, step)
    again.load_state(state)
    assert len(state["batch"]["stages"]) < 5
    for _ in range(50):
        actions = rng.integers(3, size=6)
        got, expected = again.step(actions), env.step(actions)
        for name in got[0]:
            np.testing.assert_array_equal(got[0][name], expected[0][name])
        np.testing.assert_array_equal(got[1], expected[1])
        assert [info["tape"] for info in got[3]] == [info["tape"] for info in expected[3]]
