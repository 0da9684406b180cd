"""The callback: every environment type, one counter for all accounts, nothing built anew."""

import logging
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from regimegym.common.errors import ConfigError
from regimegym.curriculum.build import StageBuilder, at_cost
from regimegym.curriculum.callback import CurriculumCallback
from regimegym.curriculum.schedules import GatedSchedule, TimedSchedule
from regimegym.curriculum.settings import CurriculumSettings, GateSettings
from regimegym.curriculum.stages import stage_lengths
from regimegym.envs.episodes import dominant_regimes
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import AccountSettings, EnvSettings, EpisodeSettings
from regimegym.envs.trading_env import TradingEnv
from regimegym.envs.vector_env import TradingVectorEnv
from regimegym.features.market import build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.price_noise import noisy_tapes
from regimegym.features.regimes import RegimeSettings
from regimegym.features.scaling import fit_scaler
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.worlds import regime_switching_market

FEATURES = FeatureSettings(("momentum_10", "rsi"))
MARKET = prepare_market(regime_switching_market(2_500, 5).bars, RegimeSettings(), FEATURES)
ROWS = RowRange(300, 2_000)
SCALER = fit_scaler(MARKET.table, ROWS)
TAPE = build_tape(MARKET, SCALER)
LENGTH = 24
ENV = EnvSettings(account=AccountSettings(fixed_fee=1.0), episode=EpisodeSettings(window=4, length=LENGTH))
SETTINGS = CurriculumSettings(n_tapes=2)
COST_RATES = [0.0005, 0.001, 0.002, 0.0025]
BUY, SELL = 2, 1


def noisy(level, rng):
    return noisy_tapes(MARKET, SCALER, level, 2, rng, regimes=RegimeSettings(), features=FEATURES)


def builder(settings=SETTINGS, env=ENV):
    return StageBuilder(settings, TAPE, ROWS, env, noisy, 7)


BUILD = builder()


class Lesson:
    """As much of an algorithm as a callback needs."""

    def __init__(self, env):
        self.env, self.logger, self.num_timesteps = env, None, 0

    def get_env(self):
        return self.env

    def run(self, callback, n_steps, seen=None):
        """Step with random actions; `seen` is told (stage, tape, row) of every episode as it begins."""
        rng = np.random.default_rng(3)
        callback.begin(self)
        self.env.reset()
        for info in self.env.reset_infos if seen is not None else ():
            seen.append((callback.stage.name, info["tape"], info["row"]))
        callback.init_callback(self)
        callback.on_training_start({}, {})
        for _ in range(n_steps):
            before = callback.stage.name
            _, _, dones, infos = self.env.step(rng.integers(3, size=self.env.num_envs))
            for info in np.array(self.env.reset_infos, object)[dones] if seen is not None else ():
                seen.append((before, info["tape"], info["row"]))
            callback.update_locals({"dones": dones, "infos": infos})
            callback.on_step()


def vec_env(n=3):
    return TradingVecEnv(n, TAPE, ENV, ROWS, random_seed=1)


def dummy_env(n=3):
    env = DummyVecEnv([lambda: Monitor(TradingEnv(TAPE, ENV, ROWS))] * n)
    env.seed(1)
    return env


def timed(n_episodes=30, build=BUILD):
    return CurriculumCallback(build, TimedSchedule(stage_lengths([1, 2, 3, 4], n_episodes)))


@pytest.mark.parametrize("k", range(4))
def test_a_stage_charges_exactly_its_share_of_a_trade_in_every_environment(k):
    """EN08: nothing else costs, not the venue's fixed fee, spread or slippage."""
    stage = BUILD(k).stage
    single, vector, vec = TradingEnv(TAPE, ENV, ROWS), TradingVectorEnv(1, TAPE, ENV, ROWS), vec_env(1)
    single.set_stage(stage)
    vector.set_stage(stage)
    vec.env_method("set_stage", stage)
    single.reset(seed=4)
    vector.reset(seed=4)
    vec.seed(4)
    vec.reset()
    single.step(BUY)
    vector.step(np.array([BUY]))
    vec.step(np.array([BUY]))
    for batch in (single.batch, vector.batch, vec.batch):
        ((_, units, price),) = batch.fills_of(0)
        tape = batch.tapes[int(batch.tape_indices[0])]
        assert price == tape.open[int(batch.tape_rows[0])]
        spent = ENV.account.initial_cash - batch.accounts.cash[0]
        assert spent == pytest.approx(units * price * (1 + COST_RATES[k]), rel=1e-12)
        assert BUILD(k).cost_rate == COST_RATES[k]


def test_without_a_cost_rate_the_venue_charges():
    stages = {"own": replace(SETTINGS.stages["basic"], cost_rate=None, noise_level=0.0)}
    built = builder(CurriculumSettings(stages))(0)
    assert built.stage.settings == ENV
    assert list(built.stage.tapes) == [TAPE]
    assert built.cost_rate == pytest.approx(0.0015)


@pytest.mark.parametrize("make", [vec_env, dummy_env])
def test_stages_come_in_their_order_and_episodes_are_of_their_pools(make):
    env, seen = make(), []
    Lesson(env).run(timed(), 11 * LENGTH, seen)
    tapes = env.get_attr("tapes")[0]
    assert list(Counter(name for name, *_ in seen)) == list(SETTINGS.stages)
    for name, tape, row in seen:
        dominant, _ = dominant_regimes(tapes[tape].regimes, np.array([row]), np.array([row + LENGTH]))
        assert ("uptrend", "downtrend", "plateau", "oscillating")[dominant[0]] in SETTINGS.stages[name].regimes
        assert ROWS.start <= row < ROWS.stop - LENGTH
        assert tape > 0  # every stage has noise, so nobody trades on the tape itself


def test_one_counter_counts_the_episodes_of_all_workers():
    callbacks = []
    for make in (vec_env, dummy_env):
        callback = timed()
        Lesson(make()).run(callback, 5 * LENGTH + 1)
        callbacks.append(callback)
        assert callback.begun == 3 * 6
    assert callbacks[0].state() == callbacks[1].state()


def test_the_stage_of_an_episode_is_that_of_its_number():
    env, callback, seen = vec_env(1), timed(10), []
    Lesson(env).run(callback, 12 * LENGTH, seen)
    names = [name for name, *_ in seen]
    assert [names.count(name) for name in SETTINGS.stages] == [1, 2, 3, 4 + 3]


def test_accounts_that_begin_together_may_pass_over_a_stage_and_that_is_said(caplog):
    caplog.set_level(logging.WARNING, "regimegym")
    Lesson(vec_env(12)).run(timed(20), LENGTH + 1)
    assert "stage 'intermediate' of the curriculum is passed over: 12 accounts begin together" in caplog.text


def test_the_measured_difficulty_rises_with_the_stages():
    callback, measured = timed(120), {}
    lesson = Lesson(vec_env(4))
    on_step = callback._on_step

    def watched():
        on_step()
        measured[callback.stage.name] = callback.scalars()["curriculum/difficulty"]
        return True

    callback._on_step = watched
    lesson.run(callback, 40 * LENGTH)
    assert list(measured) == list(SETTINGS.stages)
    assert measured["expert"] > measured["advanced"] > measured["basic"]


def test_scalars_say_stage_cost_noise_and_pool():
    callback = timed()
    Lesson(vec_env()).run(callback, 4 * LENGTH)
    scalars = callback.scalars()
    assert scalars["curriculum/stage"] == 2.0
    assert scalars["curriculum/cost_rate"] == 0.002
    assert scalars["curriculum/noise_level"] == 0.03
    assert scalars["curriculum/pool_size"] == np.mean([len(pool.starts) for pool in callback.stage.pools])
    assert scalars["curriculum/episodes"] == 15.0


def test_noise_is_drawn_by_stage_and_comes_back_with_its_seed():
    one, other = builder()(0).stage.tapes, builder()(0).stage.tapes
    for tape, again in zip(one, other, strict=True):
        np.testing.assert_array_equal(tape.close, again.close)
    assert not np.array_equal(one[0].close, one[1].close)
    assert not np.array_equal(one[0].close, BUILD(1).stage.tapes[0].close)


@pytest.mark.parametrize("gate", [False, True])
def test_a_curriculum_goes_on_from_its_state_in_a_fresh_environment(gate):
    """Some accounts still live under earlier stages, and one stage was gone back to."""

    def fresh():
        env = TradingVecEnv(4, TAPE, replace(ENV, account=AccountSettings(max_leverage=3.0)), ROWS, random_seed=2)
        lengths = stage_lengths([1, 2, 3, 4], 20)
        schedule = GatedSchedule(lengths, GateSettings(0.1, 1, 2.0, -0.1)) if gate else TimedSchedule(lengths)
        return Lesson(env), CurriculumCallback(builder(env=env.settings), schedule)

    def walk(lesson, callback, start, stop):
        results = []
        for step in range(start, stop):
            if gate and step in (10, 20, 40, 47, 70):
                callback.scored(-1.0 if step in (40, 47) else 1.0)
            actions = np.random.default_rng(step).integers(3, size=4)
            observation, rewards, dones, infos = lesson.env.step(actions)
            results.append((observation["market"].copy(), rewards, dones, [info["tape"] for info in infos]))
            callback.update_locals({"dones": dones, "infos": infos})
            callback.on_step()
        return results

    lesson, callback = fresh()
    callback.begin(lesson)
    lesson.env.reset()
    callback.init_callback(lesson)
    callback.on_training_start({}, {})
    walk(lesson, callback, 0, 52)
    states = callback.state(), lesson.env.state()
    # Four accounts are the maximum stay of the first stage; then two scores up and two down.
    assert states[0]["entered"] == ([0, 1, 2, 3, 2, 1] if gate else [0, 1, 2, 3])
    assert 0 < states[1]["batch"]["stages"][0] < states[1]["batch"]["stages"][-1]
    other, again = fresh()
    again.load_state(other, states[0])
    other.env.load_state(states[1])
    again.init_callback(other)
    again.on_training_start({}, {})
    for got, expected in zip(walk(other, again, 52, 130), walk(lesson, callback, 52, 130), strict=True):
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert again.state() == callback.state()


def test_an_algorithm_of_sb3_learns_through_the_stages_of_separate_environments():
    """Replay and rollouts survive regimes that an early stage leaves empty (T077)."""
    env, callback = dummy_env(2), timed(10)
    model = PPO("MultiInputPolicy", env, n_steps=16, batch_size=16, n_epochs=1, seed=0, device="cpu")
    callback.begin(model)
    model.learn(16 * 20, callback=callback)
    assert callback.stage.name == "expert"
    assert env.get_attr("settings") == [at_cost(ENV, 0.0025)] * 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("regimes", ["uptrend"]), ("regime_weights", {"uptrend": 1.0}), ("symbol_weights", {TAPE.symbol: 1.0})],
)
def test_only_one_chooses_the_episodes(name, value):
    env = replace(ENV, episode=replace(ENV.episode, **{name: value}))
    with pytest.raises(ConfigError, match=f"'env.episode.{name}' does too"):
        builder(env=env)
