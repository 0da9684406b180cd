"""Impact, funding, exits, brakes and the other rewards: the kernel against the slow account, and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_account import SlowSharpe
from tapes import constant_tape, make_tape, random_tape
from test_kernel_parity import account_settings, assert_agrees, weights

from regimegym.common.errors import RegimeGymError
from regimegym.envs.core import step_batch
from regimegym.envs.results import FILL_REASONS
from regimegym.envs.settings import AccountSettings, EnvSettings, EpisodeSettings, OrderSettings, RewardSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record
from regimegym.envs.trading_env import TradingEnv
from regimegym.evaluate.rollout import rollout
from regimegym.evaluate.rules import BuyAndHold
from regimegym.features.splits import RowRange

KEEP = np.nan
FREE = {"fee_rate": 0.0, "half_spread": 0.0, "slippage": 0.0}

order_settings = st.builds(
    OrderSettings,
    stop_loss=st.sampled_from([0.0, 0.01, 0.05]),
    take_profit=st.sampled_from([0.0, 0.01, 0.05, 1.5]),
    dead_band=st.sampled_from([0.0, 0.0, 0.3]),
    minimum_hold=st.sampled_from([0, 0, 2, 5]),
    turnover_budget=st.sampled_from([0.0, 1.5, 6.0]),
    turnover_window=st.sampled_from([0, 7]),
)
reward_settings = st.builds(
    RewardSettings,
    kind=st.sampled_from(["regime_aware", "differential_sharpe", "drawdown_penalised"]),
    size_penalty=st.sampled_from([0.0, 0.02]),
    sized_target=st.sampled_from([1.0, 0.4]),
    sharpe_adaptation=st.sampled_from([0.01, 0.3]),
    drawdown_penalty=st.sampled_from([0.0, 1.0, 3.0]),
)


@settings(max_examples=400, derandomize=True)
@given(
    account=account_settings,
    impact=st.sampled_from([0.0, 0.02, 0.3]),
    orders=order_settings,
    reward=reward_settings,
    targets=st.lists(weights, min_size=1, max_size=40),
    seed=st.integers(0, 10_000),
    volatility=st.sampled_from([0.002, 0.02, 0.15]),
)
def test_with_every_rule_on_the_kernel_agrees_with_the_slow_account(
    account, impact, orders, reward, targets, seed, volatility
):
    rng = np.random.default_rng(seed)
    tape = random_tape(
        42,
        seed,
        volatility,
        timestamps=np.cumsum(rng.integers(1, 100, 42)) * 3_600_000_000_000,
        volume=rng.choice([0.0, 1.0, 100.0, 1e6], 42),
        funding_rate=rng.normal(0, 0.01, 42),
    )
    assert_agrees(tape, EnvSettings(replace(account, impact=impact), reward, orders), targets)


def walk(tape, targets, orders=None, reward=None, **account):
    env_settings = EnvSettings(
        AccountSettings(**FREE | account), reward or RewardSettings(kind="log_return"), orders or OrderSettings()
    )
    bars, rules = bar_records(tape, env_settings.account.carry_clock), rule_record(env_settings)
    accounts, results = new_accounts(1, env_settings), []
    for t, target in enumerate(targets):
        results.append(step_batch(bars, rules, np.array([t]), accounts, np.array([target])))
        accounts = results[-1].accounts
    return results


def fills_of(results):
    """(step, reason, mid) of every fill."""
    return [
        (t, FILL_REASONS[fill["reason"]], float(fill["mid"]))
        for t, result in enumerate(results)
        for fill in result.fills[0, : int(result.n_fills[0])]
    ]


# --- impact ---------------------------------------------------------------------------------------


def test_impact_is_the_square_root_of_the_share_of_the_bars_volume():
    tape = constant_tape(4, volume=np.full(4, 400.0))
    result = walk(tape, [1.0], impact=0.02)[0]  # 100 units of 400: half of 0.02
    assert result.fills[0, 0]["price"] == pytest.approx(100 * 1.01, rel=1e-12)
    assert result.slippage[0] == pytest.approx(100.0, rel=1e-12)
    sold = walk(tape, [-1.0], impact=0.02)[0]
    assert sold.fills[0, 0]["price"] == pytest.approx(99.0, rel=1e-12)


@pytest.mark.parametrize("volume", [0.0, 1e-3, 100.0])
def test_an_order_counts_as_the_whole_volume_at_most_and_where_there_is_none(volume):
    result = walk(constant_tape(4, volume=np.full(4, volume)), [1.0], impact=0.02)[0]
    assert result.fills[0, 0]["price"] == pytest.approx(102.0, rel=1e-12)


def test_impact_changes_the_price_and_not_the_size():
    tape = random_tape(6, 1, volume=np.full(6, 1e3))
    plain, moved = (walk(tape, [0.7], impact=impact)[0] for impact in (0.0, 0.1))
    assert plain.fills[0, 0]["units"] == moved.fills[0, 0]["units"]


@settings(max_examples=40, derandomize=True)
@given(seed=st.integers(0, 10**6), impact=st.floats(0, 0.2))
def test_with_impact_flat_prices_never_raise_equity(seed, impact):
    targets = np.random.default_rng(seed).uniform(-2, 2, 40)
    results = walk(constant_tape(42, volume=np.full(42, 200.0)), targets, impact=impact, max_leverage=2.0)
    equity = [10_000.0] + [result.accounts.equity[0] for result in results]
    assert (np.diff(equity) <= 1e-9).all()
    lost = sum(result.slippage[0] for result in results)
    assert 10_000 - equity[-1] == pytest.approx(lost, abs=1e-9 * 10_000)


# --- funding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [1.0, -1.0])
def test_longs_pay_funding_to_shorts_for_every_bar_they_hold(target):
    funding = np.full(12, 0.001)
    results = walk(constant_tape(12, funding_rate=funding), [target] + [KEEP] * 10)
    assert results[0].funding[0] == 0  # nothing was carried into the bar of the fill
    assert [r.funding[0] for r in results[1:]] == pytest.approx([10.0 * target] * 10)
    assert results[-1].accounts.equity[0] == pytest.approx(10_000 - 100 * target, rel=1e-12)


def test_a_flat_account_pays_no_funding_and_a_negative_rate_pays_the_long():
    rate = np.array([0, 0, -0.01, 0.01, 0.01])
    results = walk(constant_tape(5, funding_rate=rate), [1.0, 0.0, KEEP, KEEP])
    assert [r.funding[0] for r in results] == pytest.approx([0, -100, 0, 0])


# --- exits ----------------------------------------------------------------------------------------


def exit_tape(open_, high, low, close):
    """Two quiet bars at 100, then the given one, then quiet bars at its close."""
    columns = [[100.0, 100.0, value, close, close] for value in (open_, high, low, close)]
    return make_tape(*columns)


STOPS = [
    # side, bar (open, high, low, close), reason, mid
    (1.0, (100, 101, 94, 96), "stop_loss", 95.0),
    (1.0, (90, 92, 88, 91), "stop_loss", 90.0),  # gap → open
    (-1.0, (100, 106, 99, 104), "stop_loss", 105.0),
    (-1.0, (110, 112, 108, 109), "stop_loss", 110.0),
    (1.0, (100, 111, 99, 108), "take_profit", 110.0),
    (1.0, (120, 125, 118, 119), "take_profit", 120.0),
    (-1.0, (100, 101, 89, 92), "take_profit", 90.0),
    (-1.0, (80, 85, 78, 79), "take_profit", 80.0),
    (1.0, (100, 111, 94, 100), "stop_loss", 95.0),  # both in one bar: the stop
    (-1.0, (100, 106, 89, 100), "stop_loss", 105.0),
]


@pytest.mark.parametrize(("side", "bar", "reason", "mid"), STOPS)
def test_an_exit_fills_at_its_level_or_at_an_open_beyond_it(side, bar, reason, mid):
    orders = OrderSettings(stop_loss=0.05, take_profit=0.1)
    results = walk(exit_tape(*bar), [side, KEEP, KEEP, KEEP], orders)
    assert fills_of(results) == [(0, "order", 100.0), (1, reason, pytest.approx(mid))]
    after = results[1].accounts
    assert (after.units[0], after.last_target[0], after.bars_held[0]) == (0, 0, 0)
    assert not results[1].terminated[0]
    assert not results[1].traded[0]
    assert after.equity[0] == pytest.approx(10_000 + side * 100 * (mid - 100))


def test_after_an_exit_the_same_target_may_be_ordered_again():
    results = walk(exit_tape(100, 101, 94, 96), [1.0, KEEP, 1.0, KEEP], OrderSettings(stop_loss=0.05))
    assert [reason for _, reason, _ in fills_of(results)] == ["order", "stop_loss", "order"]


@pytest.mark.parametrize(("stop_loss", "reasons"), [(0.05, ["order", "stop_loss"]), (0.6, ["order", "trigger"])])
def test_a_stop_before_the_margin_saves_the_account_and_one_behind_it_does_not(stop_loss, reasons):
    results = walk(
        exit_tape(100, 101, 40, 60), [2.0, KEEP, KEEP], OrderSettings(stop_loss=stop_loss),
        max_leverage=2.0, margin_check="intrabar",
    )  # fmt: skip
    assert [reason for _, reason, _ in fills_of(results)] == reasons
    assert bool(results[-1].terminated[0]) == (reasons[-1] == "trigger")


def test_an_exit_pays_its_costs_and_is_explained_by_its_parts():
    results = walk(
        exit_tape(100, 101, 94, 96), [1.0, KEEP], OrderSettings(stop_loss=0.05),
        fee_rate=0.001, half_spread=0.002, slippage=0.001,
    )  # fmt: skip
    fill = results[1].fills[0, 0]
    assert fill["price"] == pytest.approx(fill["mid"] * 0.997)
    lost = results[1].spread[0] + results[1].slippage[0] + results[1].fees[0]
    units, before = results[0].accounts.units[0], results[0].accounts.equity[0]
    assert results[1].accounts.equity[0] == pytest.approx(before + units * (fill["mid"] - 100) - lost, rel=1e-12)


# --- brakes ---------------------------------------------------------------------------------------


def traded_of(results):
    return [bool(result.traded[0]) for result in results]


def test_a_position_is_held_for_its_minimum_before_the_next_order():
    results = walk(constant_tape(9), [1.0, 0.0, 0.0, 0.0, 0.0, 1.0], OrderSettings(minimum_hold=3))
    assert traded_of(results) == [True, False, False, True, False, True]  # held in bars 1, 2 and 3


def test_a_young_position_is_still_stopped_out():
    results = walk(exit_tape(100, 101, 94, 96), [1.0, 0.0], OrderSettings(minimum_hold=9, stop_loss=0.05))
    assert [reason for _, reason, _ in fills_of(results)] == ["order", "stop_loss"]


def test_beyond_the_turnover_budget_only_orders_to_zero_execute():
    results = walk(constant_tape(12), [1.0, 0.0, 1.0, -1.0, 0.0, 1.0], OrderSettings(turnover_budget=2.5))
    assert traded_of(results) == [True, True, True, False, True, False]
    assert results[-1].accounts.turnover[0] == pytest.approx(4.0)


def test_a_new_window_brings_a_new_budget():
    orders = OrderSettings(turnover_budget=1.0, turnover_window=3)
    assert traded_of(walk(constant_tape(12), [1.0, -1.0, 0.0, 1.0, -1.0], orders)) == [True, False, True, True, False]


@pytest.mark.parametrize("rebalance", ["on_change", "always"])
def test_within_the_dead_band_an_order_is_a_hold_but_closing_is_always_possible(rebalance):
    targets = [0.1, 0.5, 0.6, 0.4, 0.8, 0.0]
    results = walk(constant_tape(9), targets, OrderSettings(dead_band=0.2), rebalance=rebalance)
    assert traded_of(results) == [False, True, False, False, True, True]
    assert [r.accounts.last_target[0] for r in results] == [0, 0.5, 0.5, 0.5, 0.8, 0]


# --- rewards --------------------------------------------------------------------------------------


def test_the_differential_sharpe_is_moodys_over_the_steps_returns():
    tape, reward = random_tape(60, 4), RewardSettings(kind="differential_sharpe", reward_scale=2.0)
    results = walk(tape, [1.0] + [KEEP] * 50, reward=reward)
    slow = SlowSharpe(0.01)
    expected = [2.0 * slow.step(result.log_return[0]) for result in results]
    np.testing.assert_allclose([result.reward[0] for result in results], expected, rtol=1e-9)
    assert results[0].reward[0] == 0
    assert np.ptp(expected) > 1


def test_the_drawdown_penalty_is_paid_once_for_every_new_depth():
    prices = np.array([100, 100, 90, 95, 90, 80, 120.0])
    reward = RewardSettings(kind="drawdown_penalised", reward_scale=1.0, drawdown_penalty=2.0)
    results = walk(make_tape(*[prices] * 4), [1.0] + [KEEP] * 5, reward=reward)
    penalties = [result.log_return[0] - result.reward[0] for result in results]
    assert penalties == pytest.approx([0, 0.2, 0, 0.1, 0.2, 0], abs=1e-12)


def test_the_size_penalty_is_the_squared_distance_from_the_sized_target():
    reward = RewardSettings(size_penalty=0.01, sized_target=0.25)
    for weight in (0.0, 0.25, 1.0):
        result = walk(constant_tape(4, regimes=np.full(4, 3)), [weight], reward=reward)[0]
        assert result.reward[0] == pytest.approx(-100 * 0.01 * (weight - 0.25) ** 2)


class Thrifty:
    """Reward of a user's own: the log return less a price on every cent of cost."""

    def __init__(self, price=3.0, spoil=None):
        self.price, self.spoil, self.seen = price, spoil, []

    def reward(self, step):
        self.seen.append(step)
        rewards = step.log_return - self.price * step.costs / step.equity
        return rewards if self.spoil is None else self.spoil(rewards)


def test_a_rule_of_ones_own_gives_the_reward_and_the_log_return_stays():
    rule, tape = Thrifty(), random_tape(300, 2)
    env_settings = EnvSettings(
        reward=RewardSettings(kind="custom", rule=rule), episode=EpisodeSettings(window=4, length=20)
    )
    plain = replace(env_settings, reward=RewardSettings(kind="log_return", reward_scale=1.0))
    envs = [TradingEnv(tape, one) for one in (env_settings, plain)]
    for env in envs:
        env.reset(seed=1)
    for t in range(20):
        mine, unshaped = (env.step(2 - t % 2) for env in envs)
        assert mine[4]["log_return"] == unshaped[1] == unshaped[4]["log_return"]
        facts = rule.seen[-1]
        assert mine[1] == mine[4]["log_return"] - 3.0 * facts.costs[0] / facts.equity[0]
        assert facts.regime[0] == tape.regimes[mine[4]["row"]]
    with pytest.raises(ValueError, match="read-only"):
        facts.equity[0] = 1.0


def test_a_rollout_asks_the_rule_too():
    env_settings = EnvSettings(reward=RewardSettings(kind="custom", rule=Thrifty(0.0)))
    run = rollout(BuyAndHold(env_settings), random_tape(60, 0), env_settings, RowRange(0, 60))[0]
    np.testing.assert_array_equal(run.shaped_rewards, run.log_returns)


def test_an_account_that_was_liquidated_earns_nothing_by_ones_own_rule():
    prices = np.array([100.0, 100, 20, 20, 20])
    env_settings = EnvSettings(AccountSettings(max_leverage=2.0), RewardSettings(kind="custom", rule=Thrifty()))
    bars, rules = bar_records(make_tape(*[prices] * 4), env_settings.account.carry_clock), rule_record(env_settings)
    accounts, rule = new_accounts(1, env_settings), Thrifty(spoil=lambda rewards: rewards - 1.0)
    earned = []
    for t, target in enumerate([2.0, KEEP, KEEP]):
        result = step_batch(bars, rules, np.array([t]), accounts, np.array([target]), reward_rule=rule)
        accounts = result.accounts
        earned.append(result.reward[0])
    assert earned[1] < -1
    assert earned[2] == 0
    assert accounts.reward_sum[0] == sum(earned)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda rewards: rewards[:1], r"Thrifty.reward returned shape \(1,\)"),
        (lambda rewards: rewards * [1, np.nan], "Thrifty.reward of account 1 is nan"),
    ],
)
def test_a_rule_that_returns_no_numbers_is_named(spoil, text):
    env_settings = EnvSettings(reward=RewardSettings(kind="custom", rule=Thrifty()))
    bars, rules = bar_records(random_tape(5), env_settings.account.carry_clock), rule_record(env_settings)
    with pytest.raises(RegimeGymError, match=text):
        step_batch(
            bars, rules, np.zeros(2, int), new_accounts(2, env_settings), np.zeros(2), reward_rule=Thrifty(spoil=spoil)
        )


def test_with_band_0_a_weight_off_by_its_last_digit_is_an_order_and_a_tiny_band_leaves_it_alone():
    account = {"rebalance": "always", "fee_rate": 1e-3, "half_spread": 3e-4}
    traded = {0.0: 0, 1e-9: 0}
    for band in traded:
        for weight in np.linspace(0.1, 0.9, 40):
            results = walk(constant_tape(6, 37.0), [weight] * 5, band=band, **account)
            assert results[0].traded[0] == 1.0
            for later in results[1:]:
                traded[band] += later.traded[0]
                assert later.notional[0] <= 1e-11 * later.accounts.equity[0]
    assert traded[0.0] > 0
    assert traded[1e-9] == 0
