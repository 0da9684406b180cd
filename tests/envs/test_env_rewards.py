"""The reward of DEFINITIONS §6 and pitfalls T065–T072."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import constant_tape, make_tape, random_tape

from regimegym.common.regimes import Regime
from regimegym.envs.core import step_batch
from regimegym.envs.rewards import UPTREND
from regimegym.envs.settings import AccountSettings, EnvSettings, RewardSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record

KEEP = np.nan
FREE = {"fee_rate": 0.0, "half_spread": 0.0, "slippage": 0.0}
ONLY_GAINS = {"missed_uptrend_penalty": 0.0, "overtrading_penalty": 0.0, "small_trade_penalty": 0.0}


def walk(tape, targets, reward=None, **account):
    env_settings = EnvSettings(account=AccountSettings(**account), reward=reward or RewardSettings())
    bars, rules = bar_records(tape, env_settings.account.carry_clock), rule_record(env_settings)
    accounts, results = new_accounts(1, env_settings), []
    for t, target in enumerate(targets):
        results.append(step_batch(bars, rules, np.array([t]), accounts, np.array([target])))
        accounts = results[-1].accounts
    return results


def rewards_of(results):
    return np.array([result.reward[0] for result in results])


def line(prices, regime=Regime.OSCILLATING):
    prices = np.asarray(prices, float)
    return make_tape(prices, prices, prices, prices, regimes=np.full(len(prices), regime))


def test_the_kernels_uptrend_code_is_the_enums():
    assert UPTREND == Regime.UPTREND


@pytest.mark.parametrize("regime", list(Regime))
@pytest.mark.parametrize("move", [1.01, 0.99])
@pytest.mark.parametrize("target", [1.0, 0.0, KEEP])
def test_golden_cases_of_four_regimes_three_actions_gain_and_loss(regime, move, target):
    tape = make_tape([100, 100.0], [101, 101.0], [99, 99.0], [100, 100 * move], regimes=[regime, 0])
    reward = walk(tape, [target], **FREE)[0].reward[0]
    exposure = 1.0 if target == 1 else 0.0
    log_return = exposure * math.log(move)
    gains = {Regime.UPTREND: 1.5, Regime.DOWNTREND: 0.8}
    scale = gains.get(regime, 1.0) if log_return >= 0 else 1.5
    missed = 2e-4 * (1 - exposure) if regime == Regime.UPTREND else 0.0
    assert reward == pytest.approx(100 * (scale * log_return - missed), abs=1e-10)


@settings(max_examples=30, derandomize=True)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.1, 1000))
def test_the_plain_log_return_telescopes(seed, scale):
    targets = np.random.default_rng(seed).uniform(-1, 1, 40)
    results = walk(random_tape(42, seed), targets, RewardSettings(kind="log_return", reward_scale=scale))
    if not results[-1].terminated[0]:
        total = scale * math.log(results[-1].accounts.equity[0] / 10_000)
        assert rewards_of(results).sum() == pytest.approx(total, abs=1e-9 * scale)
        assert sum(r.log_return[0] for r in results) * scale == pytest.approx(total, abs=1e-9 * scale)
        assert results[-1].accounts.reward_sum[0] == pytest.approx(rewards_of(results).sum(), abs=1e-9 * scale)


def test_t065_fully_long_and_holding_in_an_uptrend_pays_nothing_and_equals_a_redundant_buy():
    tape = line(100 * 1.01 ** np.arange(6), Regime.UPTREND)
    held = walk(tape, [1.0, KEEP, KEEP, KEEP])
    bought = walk(tape, [1.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(rewards_of(held), rewards_of(bought))
    np.testing.assert_allclose(rewards_of(held)[1:], 100 * 1.5 * math.log(1.01), atol=1e-10)


def test_the_missed_uptrend_penalty_is_proportional_to_what_is_missing():
    tape = line(np.full(4, 100.0), Regime.UPTREND)
    missed = [walk(tape, [weight], **FREE)[0].reward[0] for weight in (1.0, 0.75, 0.0, -1.0)]
    np.testing.assert_allclose(missed, [0, -0.005, -0.02, -0.04], atol=1e-12)


def test_t066_holding_never_pays_the_overtrading_penalty_and_every_executed_trade_counts():
    reward = RewardSettings(max_trades_window=10, max_trades=3, overtrading_penalty=0.01)
    tape = line(np.full(40, 100.0))
    assert not rewards_of(walk(tape, [KEEP] * 30, reward, **FREE)).any()
    assert not rewards_of(walk(tape, [1.0] * 30, reward, **FREE)).any()
    alternating = walk(tape, [1.0, 0.0] * 10 + [KEEP] * 12, reward, **FREE)
    counts = [r.accounts.recent_trades[0] for r in alternating]
    assert counts == [min(i + 1, 10) for i in range(20)] + list(range(9, -1, -1)) + [0, 0]
    expected = [-100 * 0.01 * max(0, n - 3) / 10 for n in counts]
    np.testing.assert_allclose(rewards_of(alternating), expected, atol=1e-9)


def test_t066_the_order_of_trades_within_the_window_does_not_matter():
    reward = RewardSettings(max_trades_window=6, max_trades=1, overtrading_penalty=0.01)
    tape = line(np.full(10, 100.0))
    early = walk(tape, [1.0, 0.0, 1.0, KEEP, KEEP, KEEP], reward, **FREE)
    late = walk(tape, [KEEP, 1.0, KEEP, 0.0, KEEP, 1.0], reward, **FREE)
    assert early[-1].reward[0] == late[-1].reward[0] < 0


@settings(max_examples=60, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    up=st.floats(1.0, 3.0),
    down=st.floats(0.1, 1.0),
)
def test_t067_no_round_trip_pays(seed, up, down):
    """Any path that ends where it began earns ≤ 0, whatever the regimes say on the way."""
    rng = np.random.default_rng(seed)
    prices = 100 * np.exp(np.cumsum(0.05 * rng.standard_normal(20)))
    prices = np.concatenate([[100.0, 100.0], prices, [100.0]])
    tape = make_tape(prices, prices, prices, prices, regimes=rng.integers(0, 4, len(prices)))
    reward = RewardSettings(
        uptrend_reward_scale=up, downtrend_positive_scale=down, downtrend_negative_scale=up,
        plateau_negative_scale=up, oscillating_negative_scale=up, **ONLY_GAINS,
    )  # fmt: skip
    results = walk(tape, [1.0] + [KEEP] * (len(prices) - 2), reward, **FREE)
    assert results[-1].accounts.equity[0] == pytest.approx(10_000)
    assert rewards_of(results).sum() <= 1e-9


def test_t067_the_unsafe_variant_does_pay_for_a_round_trip():
    tape = line([100, 100, 90, 100.0], Regime.DOWNTREND)
    unsafe = RewardSettings(downtrend_positive_scale=1.5, downtrend_negative_scale=0.5, unsafe_downtrend_reward=True)
    assert rewards_of(walk(tape, [1.0, KEEP, KEEP], unsafe, **FREE)).sum() > 1.0


def test_t068_the_cost_appears_once_and_only_where_a_trade_executes():
    results = walk(
        constant_tape(8, regimes=np.full(8, 3)), [1.0, 1.0, KEEP, 0.0, 0.0], RewardSettings(kind="log_return")
    )
    rewards = rewards_of(results)
    equity = [10_000.0] + [r.accounts.equity[0] for r in results]
    np.testing.assert_allclose(rewards, 100 * np.diff(np.log(equity)), atol=1e-10)
    assert (rewards != 0).tolist() == [True, False, False, True, False]


def test_t069_the_small_trade_penalty_knows_no_currency():
    tape = line(np.full(4, 100.0))
    for weight, expected in ((0.005, -0.005), (0.01, 0.0), (0.5, 0.0)):
        for cash in (1.0, 10_000.0, 1e9):
            reward = walk(tape, [weight], initial_cash=cash, **FREE)[0].reward[0]
            assert reward == pytest.approx(expected, abs=1e-9)


def test_the_reward_is_the_same_in_any_currency():
    base = random_tape(42, 2)
    targets = np.random.default_rng(2).uniform(0, 1, 40)
    prices = (base.open, base.high, base.low, base.close)
    one = walk(make_tape(*prices), targets)
    other = walk(make_tape(*(1e4 * p for p in prices)), targets, initial_cash=1e8)
    np.testing.assert_allclose(rewards_of(one), rewards_of(other), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("floor_zero", [False, True])
def test_b5_t070_bankruptcy_terminates_with_the_loss_in_a_finite_reward(floor_zero):
    tape = line([100, 100, 10, 10.0])
    results = walk(tape, [3.0, KEEP, KEEP], max_leverage=3.0, floor_zero=floor_zero)
    assert bool(results[1].terminated[0])
    assert results[1].accounts.equity[0] <= 0
    assert results[1].reward[0] == pytest.approx(100 * 1.5 * math.log(1e-3))
    assert results[2].reward[0] == 0


def test_the_regime_of_the_decision_counts_not_the_next_one():
    for regime, scale in ((Regime.UPTREND, 1.5), (Regime.DOWNTREND, 0.8)):
        tape = make_tape([100, 100.0], [110, 110.0], [99, 99.0], [100, 110.0], regimes=[regime, 3])
        assert walk(tape, [1.0], **FREE)[0].reward[0] == pytest.approx(100 * scale * math.log(1.1))
