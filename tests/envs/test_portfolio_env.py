"""PortfolioEnv and PortfolioVectorEnv: both checkers, seeds, episodes, what is seen and what is refused."""

import gymnasium
import numpy as np
import pytest
import stable_baselines3.common.env_checker as sb3_checker
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from portfolios import random_portfolio

import regimegym  # noqa: F401  registers the ids
from regimegym.common.errors import ConfigError, DataError, RegimeGymError
from regimegym.envs.portfolio_env import PortfolioEnv, PortfolioVectorEnv
from regimegym.envs.portfolio_settings import PortfolioSettings
from regimegym.envs.portfolio_state import TRADES
from regimegym.envs.settings import AccountSettings, EpisodeSettings
from regimegym.features.splits import RowRange

ID = "regimegym:RegimePortfolio-v0"
SHORT = EpisodeSettings(window=5, length=20)
# SB3 takes every observation of three axes for an image; it is meant to be [M, W, F].
not_an_image = pytest.mark.filterwarnings(
    "ignore:It seems that your observation", "ignore:The minimal resolution for an image"
)


def arguments(m=3, allow_short=True, **changes):
    return {
        "tape": random_portfolio(m, 100, 1),
        "settings": PortfolioSettings(allow_short=allow_short, episode=SHORT, **changes),
    }


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("allow_short", [False, True])
def test_gymnasium_accepts_it(m, allow_short):
    check_env(gymnasium.make(ID, disable_env_checker=True, **arguments(m, allow_short)).unwrapped)


@not_an_image
@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("allow_short", [False, True])
def test_stable_baselines3_accepts_it(m, allow_short):
    sb3_checker.check_env(gymnasium.make(ID, **arguments(m, allow_short)).unwrapped, warn=True)


def test_the_vector_env_fills_its_spaces():
    envs = gymnasium.make_vec(ID, 3, vectorization_mode="vector_entry_point", **arguments())
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    envs.action_space.seed(0)
    observations, infos = envs.reset(seed=4)
    assert infos["exposure"].shape == (3, 3)
    for _ in range(45):
        assert envs.observation_space.contains(observations)
        observations, rewards, terminated, truncated, _ = envs.step(envs.action_space.sample())
        assert rewards.shape == terminated.shape == truncated.shape == (3,)
    envs.close()


def test_the_id_works_without_arguments():
    env = gymnasium.make(ID)
    observation, info = env.reset(seed=0)
    assert observation["market"].shape[:2] == (3, 30)
    assert observation["account"].shape == (8,)
    assert set(info) == {"row", "tape", "equity", "exposure"}
    envs = gymnasium.make_vec(ID, 2, vectorization_mode="vector_entry_point")
    np.testing.assert_array_equal(envs.reset(seed=0)[0]["market"][0], observation["market"])
    closes = [market.close for market in env.unwrapped.tape.markets]
    assert np.abs(np.corrcoef(np.diff(np.log(closes)))[np.triu_indices(3, 1)]).max() < 0.1


def test_the_seed_decides_the_episode_bit_for_bit():
    histories = []
    for _ in range(2):
        env = PortfolioEnv(**arguments())
        history = [env.reset(seed=7)]
        env.action_space.seed(1)
        for _ in range(60):
            history.append(env.step(env.action_space.sample()))
            if history[-1][2] or history[-1][3]:
                history.append(env.reset())
        histories.append(repr(history))
    assert histories[0] == histories[1]


@pytest.mark.parametrize("start", ["random", "sequential"])
def test_n_accounts_are_n_single_envs_number_by_number(start):
    tape = random_portfolio(3, 100, 2, 0.1)
    settings = PortfolioSettings(
        AccountSettings(max_leverage=3.0), True, episode=EpisodeSettings(window=5, length=12, start=start)
    )
    n = 1 if start == "sequential" else 4  # one env alone knows nothing of the others' tiles
    envs = PortfolioVectorEnv(n, tape, settings)
    singles = [PortfolioEnv(tape, settings) for _ in range(n)]
    observations, infos = envs.reset(seed=5)
    alone = [env.reset(seed=5 + i) for i, env in enumerate(singles)]
    rng, endings = np.random.default_rng(0), {"terminated": 0, "truncated": 0}
    for _ in range(60):
        for i, (observation, info) in enumerate(alone):
            for name, value in observation.items():
                np.testing.assert_array_equal(observations[name][i], value)
            for name in ("row", "equity", "exposure"):
                np.testing.assert_array_equal(infos[name][i], info[name])
        actions = rng.uniform(-1, 1, (n, 3)).astype(np.float32)
        observations, rewards, terminated, truncated, infos = envs.step(actions)
        for i, env in enumerate(singles):
            observation, reward, ended, cut, info = env.step(actions[i])
            assert (rewards[i], terminated[i], truncated[i]) == (reward, ended, cut)
            endings["terminated"] += ended
            endings["truncated"] += cut
            if ended or cut:
                final = {name: value[i] for name, value in infos["final_info"].items() if name[0] != "_"}
                assert set(final) == set(info)
                for name, value in info.items():
                    np.testing.assert_array_equal(final[name], value)
                np.testing.assert_array_equal(infos["final_obs"][i]["market"], observation["market"])
                np.testing.assert_array_equal(infos["final_obs"][i]["account"], observation["account"])
                observation, info = env.reset()
            elif "log_return" in infos:
                assert infos["_log_return"][i]
                assert infos["log_return"][i] == info["log_return"]
            alone[i] = observation, info
    assert min(endings.values()) > 0


def test_an_episode_is_cut_after_its_length_and_tells_its_statistics():
    env = PortfolioEnv(**arguments())
    _, first = env.reset(seed=0)
    rewards = []
    for t in range(20):
        _, reward, terminated, truncated, info = env.step(np.array([0.3, 0.3, 0.3]) if t % 5 else np.zeros(3))
        rewards.append(reward)
        assert not terminated
        assert truncated == (t == 19)
        assert reward == 100 * info["log_return"]
    assert info["row"] == first["row"] + 19
    assert info["episode_length"] == 20
    assert info["episode_trades"] == 7
    assert info["episode_return"] == pytest.approx(np.exp(sum(rewards) / 100) - 1, rel=1e-9)
    assert info["episode_return"] == pytest.approx(info["equity"] / 10_000 - 1, rel=1e-12)
    with pytest.raises(RegimeGymError, match="call reset first"):
        env.step(np.zeros(3))


def test_an_episode_without_a_length_goes_on_to_the_last_allowed_row():
    settings = PortfolioSettings(episode=EpisodeSettings(window=5, length=None))
    env = PortfolioEnv(random_portfolio(2, 100, 1), settings, rows=RowRange(10, 60))
    _, first = env.reset(seed=0)
    truncated, decisions = False, 0
    while not truncated:
        *_, truncated, info = env.step(np.zeros(2))
        decisions += 1
    assert (info["row"], decisions) == (58, 59 - first["row"])


@pytest.mark.parametrize("rebalance", ["on_change", "always"])
def test_the_twin_bought_equal_weights_once_and_held(rebalance):
    env = PortfolioEnv(**arguments(account=AccountSettings(rebalance=rebalance)))
    env.reset(seed=0)
    for _ in range(20):
        *_, info = env.step(np.full(3, 1 / 3))
    assert env.batch.accounts.values[TRADES].tolist() == [{"on_change": 1, "always": 20}[rebalance], 1]
    same = info["episode_return"] == pytest.approx(info["buy_hold_return"], rel=1e-6)
    assert same == (rebalance == "on_change")


def test_the_observation_is_the_window_of_every_instrument_and_the_account():
    env = PortfolioEnv(**arguments())
    env.reset(seed=3)
    observation, *_, info = env.step(np.array([0.6, -0.3, 0.0], np.float32))
    for j, market in enumerate(env.tape.markets):
        np.testing.assert_array_equal(observation["market"][j], market.windows(np.array([info["row"] + 1]), 5)[0])
    np.testing.assert_allclose(observation["account"][:3], info["exposure"], rtol=1e-6)
    np.testing.assert_allclose(observation["account"][3:6], [0.6, -0.3, 0.0], rtol=1e-6)
    np.testing.assert_allclose(observation["account"][6], np.abs(info["exposure"]).sum(), rtol=1e-6)
    assert observation["account"][7] == pytest.approx(max(0.0, 1 - info["equity"] / 10_000), rel=1e-5)


def test_windows_at_the_start_of_the_tape_are_padded_with_zeros():
    env = PortfolioEnv(**arguments(), rows=RowRange(0, 22))
    observation, info = env.reset(seed=0)
    assert info["row"] <= 1
    assert not observation["market"][:, : 4 - info["row"]].any()


def test_the_account_block_after_reset_holds_nothing_of_an_earlier_episode():
    env = PortfolioEnv(**arguments())
    fresh, _ = env.reset(seed=3)
    for t in range(20):
        env.step(np.array([t % 2, -0.5, 0.1]))
    again, info = env.reset(seed=3)
    np.testing.assert_array_equal(fresh["account"], again["account"])
    assert not again["account"].any()
    assert info["equity"] == 10_000


def test_writing_to_an_observation_leaves_the_market_as_it_was():
    env = PortfolioEnv(**arguments())
    before = env.tape.features.copy()
    observation, _ = env.reset(seed=0)
    observation["market"][:] = 99
    np.testing.assert_array_equal(env.tape.features, before)
    with pytest.raises(ValueError, match="read-only"):
        env.tape.features[0, 0, 0] = 1.0


def test_without_shorts_a_negative_action_means_nothing_of_that_instrument():
    env = PortfolioEnv(**arguments(allow_short=False))
    env.reset(seed=0)
    observation, *_ = env.step(np.array([-1.0, 0.5, -0.2]))
    np.testing.assert_allclose(observation["account"][3:6], [0, 0.5, 0], rtol=1e-6)


def test_actions_beyond_the_leverage_are_scaled_down():
    env = PortfolioEnv(**arguments(account=AccountSettings(max_leverage=1.5)))
    env.reset(seed=0)
    observation, *_ = env.step(np.array([1.0, -1.0, 1.0]))
    np.testing.assert_allclose(observation["account"][3:6], [0.5, -0.5, 0.5], rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.5])
def test_a_bad_action_is_refused_with_its_account_and_instrument(value):
    envs = PortfolioVectorEnv(3, **arguments())
    envs.reset(seed=0)
    actions = np.zeros((3, 3))
    actions[2, 1] = value
    with pytest.raises(RegimeGymError, match=rf"the action of account 2 for asset 1 \(B\) is {value}, needed"):
        envs.step(actions)
    with pytest.raises(RegimeGymError, match=r"needed actions of shape \(3, 3\), got shape \(3, 2\)"):
        envs.step(np.zeros((3, 2)))


def test_rows_options_seeds_and_render_modes_that_do_not_exist_are_refused():
    with pytest.raises(DataError, match=r"rows \[0, 101\) do not lie within the tape"):
        PortfolioEnv(**arguments(), rows=RowRange(0, 101))
    with pytest.raises(DataError, match="an episode of 20 decisions does not fit"):
        PortfolioEnv(**arguments(), rows=RowRange(0, 20))
    with pytest.raises(ConfigError, match="'render_mode' must be ansi or None, got 'human'"):
        PortfolioEnv(**arguments(), render_mode="human")
    with pytest.raises(ConfigError, match="reset of a portfolio has no option 'symbol'"):
        PortfolioEnv(**arguments()).reset(options={"symbol": "A"})
    with pytest.raises(DataError, match="no episode of 20 decisions can begin on start 80"):
        PortfolioEnv(**arguments()).reset(options={"start": 80})
    with pytest.raises(ConfigError, match="needed 2 seeds, one per account, got 3"):
        PortfolioVectorEnv(2, **arguments()).reset(seed=[1, 2, 3])


def test_ansi_rendering_is_one_line():
    env = PortfolioEnv(**arguments(), render_mode="ansi")
    env.reset(seed=0)
    assert (
        env.render()
        == f"row {env.batch.tape_rows[0]}  cash 10000.00  equity 10000.00  exposure A +0.000  B +0.000  C +0.000"
    )
    assert PortfolioEnv(**arguments()).render() is None
