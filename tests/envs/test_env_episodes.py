"""Episodes: where they begin and end, what they show, what they refuse."""

import numpy as np
import pytest
from tapes import constant_tape, random_tape

from regimegym.common.errors import ConfigError, DataError, RegimeGymError
from regimegym.envs.observation import ACCOUNT_FIELDS
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings, EpisodeSettings
from regimegym.envs.trading_env import TradingEnv
from regimegym.envs.vector_env import TradingVectorEnv
from regimegym.features.splits import RowRange
from regimegym.features.tape import Segment

BUY, SELL, HOLD = 2, 1, 0


def settings(length=10, window=4, start="random", **account):
    return EnvSettings(
        account=AccountSettings(**account), episode=EpisodeSettings(window=window, length=length, start=start)
    )


def test_no_episode_leaves_its_rows_its_segment_or_enters_the_warm_up():
    segments = (Segment("A", 0, 40, 6), Segment("B", 40, 44, 41), Segment("C", 44, 90, 50))
    tape = random_tape(90, 0, segments=segments)
    rows = RowRange(3, 80)
    env = TradingEnv(tape, settings(), rows)
    seen = set()
    for seed in range(300):
        _, info = env.reset(seed=seed)
        seen.add(info["row"])
    assert seen == set(range(6, 30)) | set(range(50, 70))


def test_an_episode_of_exactly_the_rows_takes_all_its_decisions():
    env = TradingEnv(random_tape(60, 0), settings(), RowRange(20, 31))
    _, info = env.reset(seed=0)
    assert info["row"] == 20
    rows = []
    truncated = False
    while not truncated:
        *_, truncated, info = env.step(HOLD)
        rows.append(info["row"])
    assert rows == list(range(20, 30))
    assert info["episode_length"] == 10


def test_too_few_rows_say_how_many_are_needed():
    with pytest.raises(DataError) as caught:
        TradingEnv(random_tape(60, 0), settings(), RowRange(20, 30))
    assert caught.value.needed == "11 rows of one segment after its warm-up"
    assert caught.value.found == "10 rows at most"


def test_rows_outside_the_tape_are_refused():
    with pytest.raises(DataError, match=r"\[20, 99\) do not lie within"):
        TradingEnv(random_tape(60, 0), settings(), RowRange(20, 99))


def test_sequential_episodes_tile_the_rows_and_begin_again():
    segments = (Segment("A", 0, 35, 2), Segment("B", 35, 70, 40))
    tape = random_tape(70, 0, segments=segments)
    env = TradingEnv(tape, settings(start="sequential"))
    starts = [env.reset(seed=0)[1]["row"]] + [env.reset()[1]["row"] for _ in range(5)]
    assert starts == [2, 12, 22, 40, 50, 2]
    envs = TradingVectorEnv(2, tape, settings(start="sequential"))
    assert envs.reset(seed=0)[1]["row"].tolist() == [2, 12]
    assert envs.reset()[1]["row"].tolist() == [22, 40]


def test_the_window_is_the_tapes_and_padded_before_the_segment():
    segments = (Segment("A", 0, 30, 1), Segment("B", 30, 60, 31))
    tape = random_tape(60, 0, segments=segments)
    for rows in (RowRange(0, 12), RowRange(31, 42)):
        env = TradingEnv(tape, settings(), rows)
        observation, info = env.reset(seed=0)
        for _ in range(10):
            row = info["row"] if "log_return" not in info else info["row"] + 1
            np.testing.assert_array_equal(observation["market"], tape.windows([row], 4)[0])
            observation, *_, info = env.step(HOLD)
    first, _ = TradingEnv(tape, settings(), RowRange(31, 42)).reset(seed=0)
    assert not first["market"][:2].any()
    assert first["market"][2:].any()


def test_the_account_block_tells_the_account():
    tape = random_tape(60, 2)
    env = TradingEnv(tape, settings(), RowRange(20, 31))
    env.reset(seed=0)
    observation, *_, info = env.step(BUY)
    block = dict(zip(ACCOUNT_FIELDS, observation["account"].tolist(), strict=True))
    assert block["exposure"] == pytest.approx(info["exposure"], rel=1e-6)
    entry = tape.open[21] * (1 + 0.0005)
    assert block["unrealised_return"] == pytest.approx(np.tanh(10 * (tape.close[21] / entry - 1)), rel=1e-5)
    assert block["bars_held"] == pytest.approx(np.log(2) / np.log(1001), rel=1e-6)
    assert block["drawdown"] == pytest.approx(max(0.0, 1 - info["equity"] / 10_000), abs=1e-7)
    assert block["last_target"] == 1
    assert block["recent_trades"] == pytest.approx(1 / 20)
    env.step(HOLD)
    observation, *_ = env.step(SELL)
    block = dict(zip(ACCOUNT_FIELDS, observation["account"].tolist(), strict=True))
    assert (block["exposure"], block["unrealised_return"], block["bars_held"], block["last_target"]) == (0,) * 4
    assert block["recent_trades"] == pytest.approx(2 / 20)


def test_the_end_of_the_length_truncates_and_a_liquidation_terminates():
    env = TradingEnv(constant_tape(), settings())
    env.reset(seed=0)
    for _ in range(10):
        _, _, terminated, truncated, _ = env.step(HOLD)
    assert (terminated, truncated) == (False, True)
    tape = random_tape(60, 0, volatility=0.9)
    env = TradingEnv(tape, EnvSettings(
        account=AccountSettings(max_leverage=5.0, maintenance_margin=0.15),
        action=ActionSettings(mode="continuous"), episode=EpisodeSettings(window=4, length=50),
    ))  # fmt: skip
    env.reset(seed=0)
    terminated = truncated = False
    while not (terminated or truncated):
        _, reward, terminated, truncated, info = env.step([1.0])
    assert (terminated, truncated) == (True, False)
    assert np.isfinite(reward)
    assert info["exposure"] == 0
    assert info["episode_return"] == info["equity"] / 10_000 - 1


def test_buy_and_hold_of_the_info_is_the_policy_that_buys_first_and_holds():
    tape = random_tape(200, 4)
    agent, patient = (TradingEnv(tape, settings(length=30)) for _ in range(2))
    _, start = agent.reset(seed=5)
    patient.reset(seed=5)
    rng = np.random.default_rng(0)
    for step in range(30):
        *_, info = agent.step(int(rng.integers(3)))
        *_, held = patient.step(BUY if step == 0 else HOLD)
    assert info["buy_hold_return"] == held["episode_return"]
    s, first = 0.0005, tape.open[start["row"] + 1]
    units = 10_000 / first / (1 + s + 0.001 * (1 + s))
    by_hand = units * tape.close[start["row"] + 30] / 10_000 - 1
    assert held["episode_return"] == pytest.approx(by_hand, abs=1e-12)
    assert held["episode_trades"] == 1
    assert held["episode_length"] == 30


def test_actions_outside_the_space_raise_and_name_the_account():
    tape = random_tape(60, 0)
    env = TradingEnv(tape, settings())
    with pytest.raises(RegimeGymError, match="call reset first"):
        env.step(HOLD)
    env.reset(seed=0)
    with pytest.raises(RegimeGymError, match="the action of account 0 is 3, needed one of 0 … 2"):
        env.step(3)
    with pytest.raises(RegimeGymError, match="account 0 is nan"):
        env.step(np.nan)
    with pytest.raises(RegimeGymError, match="needed 1 actions, one per account"):
        env.step([0, 1])
    envs = TradingVectorEnv(4, tape, settings())
    envs.reset(seed=0)
    with pytest.raises(RegimeGymError, match="account 2 is -1"):
        envs.step(np.array([0, 1, -1, 2]))
    continuous = EnvSettings(action=ActionSettings(mode="continuous"), episode=EpisodeSettings(window=4, length=10))
    envs = TradingVectorEnv(4, tape, continuous)
    envs.reset(seed=0)
    for bad, text in ((np.nan, "nan"), (np.inf, "inf"), (1.5, "1.5")):
        actions = np.zeros((4, 1), np.float32)
        actions[3] = bad
        with pytest.raises(RegimeGymError, match=f"the action of account 3 is {text}, needed a number in"):
            envs.step(actions)


def test_a_refused_action_leaves_the_account_as_it_was():
    env = TradingEnv(random_tape(60, 0), settings())
    env.reset(seed=0)
    row, values = int(env.batch.references[0]), env.batch.accounts.values.copy()
    with pytest.raises(RegimeGymError):
        env.step(7)
    assert int(env.batch.references[0]) == row
    np.testing.assert_array_equal(env.batch.accounts.values, values)


def test_what_reset_and_the_constructor_do_not_know_is_refused():
    tape = random_tape(60, 0)
    with pytest.raises(ConfigError, match="reset has no option 'strat'") as caught:
        TradingEnv(tape, settings()).reset(options={"strat": 3})
    assert caught.value.nearest == "start"
    with pytest.raises(ConfigError, match="'render_mode' must be ansi, rgb_array, human or None, got 'rgb'") as caught:
        TradingEnv(tape, settings(), render_mode="rgb")
    assert caught.value.nearest == "rgb_array"
    with pytest.raises(ConfigError, match="'observation' must be one of window, reference, got 'windows'"):
        TradingEnv(tape, settings(), observation="windows")
    with pytest.raises(ConfigError, match="'num_envs' must be a whole number ≥ 1, got 0"):
        TradingVectorEnv(0, tape, settings())
    with pytest.raises(ConfigError, match="needed 2 seeds, one per account, got 3"):
        TradingVectorEnv(2, tape, settings()).reset(seed=[1, 2, 3])
