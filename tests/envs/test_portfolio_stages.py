"""Portfolios: stages, starts of one's own, exits and brakes, and the stable-baselines3 vector env."""

import numpy as np
import pytest
from portfolios import random_portfolio
from stable_baselines3.common.monitor import Monitor
from tapes import HOUR_NS, make_tape

from regimegym.common.errors import ConfigError, DataError
from regimegym.envs.portfolio_batch import PortfolioStage
from regimegym.envs.portfolio_env import PortfolioEnv, PortfolioVectorEnv
from regimegym.envs.portfolio_settings import PortfolioSettings
from regimegym.envs.portfolio_vec_env import PortfolioVecEnv
from regimegym.envs.results import FILL_REASONS
from regimegym.envs.settings import AccountSettings, EpisodeSettings, OrderSettings
from regimegym.features.portfolio_tape import align_tapes
from regimegym.features.tape import Segment

EPISODE = EpisodeSettings(window=4, length=12)
FREE = AccountSettings(fee_rate=0.0, half_spread=0.0, slippage=0.0)


def settings_of(**changes):
    return PortfolioSettings(**{"account": AccountSettings(), "episode": EPISODE, "allow_short": True, **changes})


@pytest.fixture(scope="module")
def tape():
    return random_portfolio(3, 100, 2, 0.03)


def test_reset_begins_on_the_row_or_at_the_time_of_its_options(tape):
    env = PortfolioEnv(tape, settings_of())
    assert env.reset(options={"start": 37})[1]["row"] == 37
    assert env.reset(options={"start": "1970-01-02T13:30"})[1]["row"] == 38
    assert tape.timestamps[38] == 38 * HOUR_NS
    _, infos = PortfolioVectorEnv(2, tape, settings_of()).reset(options={"start": 5})
    assert infos["row"].tolist() == [5, 5]


def test_a_stage_holds_for_the_episodes_that_begin_after_it(tape):
    plain, dear = settings_of(), settings_of(account=AccountSettings(fee_rate=0.01))
    starts = np.array([10, 40])
    envs = PortfolioVectorEnv(2, tape, plain)
    envs.reset(options={"start": 3})
    free, late = (PortfolioEnv(tape, one) for one in (plain, dear))
    free.reset(options={"start": 3})
    envs.set_stage(PortfolioStage(dear, starts))
    assert envs.settings is dear
    envs.batch.last_references[0] = 9  # so that one account is under each stage for a while
    rng, alone = np.random.default_rng(0), None
    for _ in range(12):
        action = rng.uniform(-1, 1, 3)
        _, rewards, _, truncated, infos = envs.step(np.stack([action, action]))
        _, reward, *_ = free.step(action)
        assert rewards[1] == reward
        if alone is not None:
            _, reward, *_, info = late.step(action)
            assert (rewards[0], infos["equity"][0]) == (reward, info["equity"])
        if truncated[0]:
            alone = int(infos["row"][0])
            assert alone in starts
            late.reset(options={"start": alone})
    assert alone is not None
    assert len(envs.batch.terms) == 2


def test_what_an_environment_is_built_around_cannot_change(tape):
    env = PortfolioEnv(tape, settings_of())
    for changes, text in (
        ({"account": AccountSettings(max_leverage=2.0)}, "a stage cannot change 'account.max_leverage'"),
        ({"allow_short": False}, "a stage cannot change 'allow_short'"),
        ({"episode": EpisodeSettings(window=5, length=12)}, "a stage cannot change 'episode.window'"),
    ):
        with pytest.raises(ConfigError, match=text):
            env.set_stage(PortfolioStage(settings_of(**changes)))
    with pytest.raises(DataError, match="no episode of 12 decisions can begin on start row 95"):
        env.set_stage(PortfolioStage(starts=np.array([95])))
    assert len(env.batch.terms) == 1


def test_episodes_of_a_stage_lie_on_its_tapes_and_are_those_of_an_environment_on_that_tape(tape):
    others = [random_portfolio(3, 100, seed, 0.03) for seed in (8, 9)]
    envs = PortfolioVectorEnv(6, tape, settings_of())
    envs.reset(seed=1)
    envs.set_stage(PortfolioStage(tapes=others))
    rng, seen, compared = np.random.default_rng(0), set(), 0
    alone = [None] * 6
    for _ in range(60):
        actions = rng.uniform(-1, 1, (6, 3))
        observations, rewards, terminated, truncated, infos = envs.step(actions)
        for i, env in enumerate(alone):
            if env is not None:
                own, reward, *_, info = env.step(actions[i])
                assert reward == rewards[i]
                where = infos["final_info"] if truncated[i] or terminated[i] else infos
                assert (where["row"][i], where["equity"][i]) == (info["row"], info["equity"])
                compared += 1
                if not (truncated[i] or terminated[i]):
                    for name, value in own.items():
                        np.testing.assert_array_equal(observations[name][i], value)
            if truncated[i] or terminated[i]:
                index, row = int(infos["tape"][i]), int(infos["row"][i])
                seen.add(index)
                alone[i] = PortfolioEnv(others[index - 1], settings_of())
                own, _ = alone[i].reset(options={"start": row})
                np.testing.assert_array_equal(observations["market"][i], own["market"])
    assert seen == {1, 2}
    assert compared > 200


def test_a_stage_can_come_back_to_the_first_tape_and_a_tape_is_kept_once(tape):
    other = random_portfolio(3, 100, 8, 0.03)
    env = PortfolioEnv(tape, settings_of())
    for tapes, index in (([other], 1), (None, 1), ([tape], 0), ([other], 1)):
        env.set_stage(PortfolioStage(tapes=tapes))
        assert env.reset(seed=0)[1]["tape"] == index
    assert len(env.batch.tapes) == 2
    assert len(env.batch.bars) == 200


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (list, "an empty list of tapes"),
        (lambda: [random_portfolio(2, 100, 2, 0.03)], "tape 0 of the stage has other instruments"),
        (lambda: [random_portfolio(3, 90, 2, 0.03)], "tape 0 of the stage has other rows"),
    ],
)
def test_a_stage_of_other_instruments_or_rows_is_refused(tape, other, text):
    env = PortfolioEnv(tape, settings_of())
    with pytest.raises(DataError, match=text):
        env.set_stage(PortfolioStage(tapes=other()))
    assert len(env.batch.tapes) == len(env.batch.terms) == 1


def test_an_instrument_leaves_at_its_stop_alone_and_the_rest_stays():
    n = 12
    falls = np.full(n, 100.0)
    falls[4:] = 90.0
    steady = np.full(n, 50.0)
    tapes = [
        make_tape(
            close, close, np.minimum(close, np.append(close[1:], close[-1])), close, segments=(Segment(s, 0, n, 0),)
        )
        for s, close in (("FALLS", falls), ("STEADY", steady))
    ]  # fmt: skip
    orders = OrderSettings(stop_loss=0.05, minimum_hold=3)
    env = PortfolioEnv(align_tapes(tapes), settings_of(account=FREE, orders=orders, episode=EpisodeSettings(2, 10)))
    env.reset(options={"start": 0})
    for t in range(5):
        *_, info = env.step(np.zeros(2) if t == 1 else np.array([0.5, 0.25]))
        fills = env.batch.result.fills[0, : int(env.batch.result.n_fills[0])]
        seen = [(int(fill["asset"]), FILL_REASONS[fill["reason"]], float(fill["mid"])) for fill in fills]
        if t == 1:  # too young: HOLD
            assert seen == []
        if t == 2:  # bar 3 falls to 90 within itself: out at 95
            assert seen == [(0, "stop_loss", 95.0)]
            assert info["equity"] == pytest.approx(10_000 * (1 - 0.5 * 0.05))
            assert info["exposure"][0] == 0
        if t == 3:  # the same target may be ordered again; STEADY is brought to its weight with it
            assert seen[0] == (0, "order", 90.0)


def test_the_turnover_budget_is_the_accounts(tape):
    env = PortfolioEnv(tape, settings_of(account=FREE, orders=OrderSettings(turnover_budget=1.5)))
    env.reset(options={"start": 5})
    traded = [env.step(np.array([0.5, -0.4, 0.0]) * sign)[4]["traded"] for sign in (1, -1, 1, -1, 0)]
    assert traded == [True, True, False, False, True]  # 0.9, then 1.8 more; only the way to 0 is open


def test_n_accounts_are_n_single_envs_number_by_number_for_stable_baselines(tape):
    single = [PortfolioEnv(tape, settings_of()) for _ in range(3)]
    vec = PortfolioVecEnv(3, tape, settings_of(), random_seed=7)
    observation = vec.reset()
    alone = [env.reset(seed=7 + i) for i, env in enumerate(single)]
    rng, finished = np.random.default_rng(0), 0
    for _ in range(40):
        for i, (seen, _) in enumerate(alone):
            for name in seen:
                np.testing.assert_array_equal(observation[name][i], seen[name])
        actions = rng.uniform(-1, 1, (3, 3))
        observation, rewards, dones, infos = vec.step(actions)
        for i, env in enumerate(single):
            seen, reward, terminated, truncated, info = env.step(actions[i])
            assert (rewards[i], dones[i]) == (np.float32(reward), terminated or truncated)
            assert infos[i]["TimeLimit.truncated"] == truncated
            for name in ("row", "equity", "log_return", "traded"):
                assert infos[i][name] == info[name]
            if dones[i]:
                finished += 1
                for name in seen:
                    np.testing.assert_array_equal(infos[i]["terminal_observation"][name], seen[name])
                assert infos[i]["episode"]["l"] == info["episode_length"] == 12
                assert infos[i]["symbol"] == "A+B+C"
                seen, info = env.reset()
            alone[i] = seen, info
    assert finished == 9


def test_stable_baselines_can_seed_it_choose_starts_and_set_its_stage(tape):
    vec = PortfolioVecEnv(2, tape, settings_of())
    assert vec.env_is_wrapped(Monitor) == [True, True]
    vec.seed(3)
    vec.set_options({"start": 8})
    vec.reset()
    assert [info["row"] for info in vec.reset_infos] == [8, 8]
    vec.env_method("set_stage", PortfolioStage(starts=np.array([20])))
    vec.reset()
    assert [info["row"] for info in vec.reset_infos] == [20, 20]
    assert vec.get_attr("settings")[1] is vec.settings
    with pytest.raises(AttributeError, match="no method 'render' of single accounts"):
        vec.env_method("render")
