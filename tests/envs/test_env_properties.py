"""The properties of DEFINITIONS §5, and the bugs of other projects that must not be ours (PEERS)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import constant_tape, make_tape, random_tape

from regimegym.envs.core import step_batch
from regimegym.envs.settings import AccountSettings, EnvSettings, EpisodeSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record
from regimegym.envs.trading_env import TradingEnv

KEEP = np.nan


def walk(tape, account, targets):
    """All results of one account that begins on row 0."""
    env_settings = EnvSettings(account=account)
    bars, rules = bar_records(tape, env_settings.account.carry_clock), rule_record(env_settings)
    accounts, results = new_accounts(1, env_settings), []
    for t, target in enumerate(targets):
        results.append(step_batch(bars, rules, np.array([t]), accounts, np.array([target])))
        accounts = results[-1].accounts
    return results


def equity_of(results):
    return np.array([result.accounts.equity[0] for result in results])


def numbers(seed, n=40, low=-2.0, high=2.0):
    """Random targets, a third of them HOLD."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < 1 / 3, KEEP, rng.uniform(low, high, n))


DEAR = {"fee_rate": 0.004, "half_spread": 0.002, "slippage": 0.001}
CARRY = {"borrow_rate": 5.0, "debit_rate": 5.0, "credit_rate": 2.0}


@settings(max_examples=60, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    sizing=st.sampled_from(["post_cost", "pre_cost", "cash"]),
    rebalance=st.sampled_from(["on_change", "always"]),
)
def test_every_step_is_explained_by_its_parts(seed, sizing, rebalance):
    tape = random_tape(42, seed)
    account = AccountSettings(
        sizing=sizing, rebalance=rebalance, max_leverage=2.0, margin_check="none", **DEAR, **CARRY
    )
    cash, units, equity = account.initial_cash, 0.0, account.initial_cash
    for t, result in enumerate(walk(tape, account, numbers(seed))):
        if result.terminated[0]:
            break
        after = result.accounts
        parts = (
            result.credit[0] - result.borrow[0] - result.debit[0]
            + units * (tape.open[t + 1] - tape.close[t])
            + after.units[0] * (tape.close[t + 1] - tape.open[t + 1])
            - result.spread[0] - result.slippage[0] - result.fees[0]
        )  # fmt: skip
        assert abs(after.equity[0] - equity - parts) < 1e-9 * max(1.0, abs(equity))
        cash, units, equity = after.cash[0], after.units[0], after.equity[0]
    assert cash == pytest.approx(equity - units * tape.close[t + (not result.terminated[0])], abs=1e-6)


def test_b7_the_costs_of_the_ledger_are_the_equity_that_is_lost():
    account = AccountSettings(**DEAR, fixed_fee=0.7, max_leverage=2.0)
    results = walk(constant_tape(42), account, numbers(1))
    lost = sum(r.fees[0] + r.spread[0] + r.slippage[0] for r in results)
    assert sum(r.n_fills[0] for r in results) > 10
    assert 10_000 - results[-1].accounts.equity[0] == pytest.approx(lost, abs=1e-9 * 10_000)


@pytest.mark.parametrize("target", [1.0, -1.0, 0.0])
def test_a_redundant_order_leaves_cash_and_units_as_they_are(target):
    results = walk(random_tape(10, 0), AccountSettings(), [0.5, target, target, target])
    second, third = results[1].accounts, results[3].accounts
    assert (third.cash[0], third.units[0]) == (second.cash[0], second.units[0])
    assert not results[2].traded[0]
    assert results[2].fees[0] == 0


@pytest.mark.parametrize("sizing", ["post_cost", "pre_cost", "cash"])
@pytest.mark.parametrize("rebalance", ["on_change", "always"])
@pytest.mark.parametrize("execution", ["next_open", "same_close"])
@pytest.mark.parametrize("margin_check", ["close", "intrabar", "none"])
def test_flat_prices_never_raise_equity(sizing, rebalance, execution, margin_check):
    account = AccountSettings(
        sizing=sizing, rebalance=rebalance, execution=execution, margin_check=margin_check,
        max_leverage=3.0, lot=0.01, borrow_rate=1.0, debit_rate=1.0, **DEAR,
    )  # fmt: skip
    for seed in range(10):
        equity = equity_of(walk(constant_tape(42), account, numbers(seed, low=-4, high=4)))
        assert (np.diff(np.concatenate([[10_000.0], equity])) <= 1e-9).all()


@pytest.mark.parametrize("name", ["fee_rate", "half_spread", "slippage"])
@settings(max_examples=25, derandomize=True)
@given(seed=st.integers(0, 10**6), cheap=st.floats(0, 0.01), more=st.floats(1e-5, 0.02))
def test_more_costs_never_help(name, seed, cheap, more):
    tape = random_tape(42, seed, 0.01)
    targets = numbers(seed, low=-1, high=1)
    low, high = (
        walk(tape, AccountSettings(margin_check="none", **{name: rate}), targets) for rate in (cheap, cheap + more)
    )
    assert not any(r.terminated[0] for r in low + high)
    assert (equity_of(high) <= equity_of(low) * (1 + 1e-12)).all()


def test_b1_a_short_pays_borrow_for_every_bar_it_is_held():
    account = AccountSettings(borrow_rate=0.1, fee_rate=0.0, half_spread=0.0, slippage=0.0)
    for n in (1, 30):
        results = walk(constant_tape(60), account, [-1.0] + [KEEP] * n)
        paid = sum(r.borrow[0] for r in results)
        assert paid == pytest.approx(n * 0.1 / 8760 * 10_000, rel=1e-12)
        assert results[-1].accounts.equity[0] == pytest.approx(10_000 - paid, rel=1e-12)


def test_carry_by_elapsed_time_pays_for_the_weekend():
    hours = np.array([0, 1, 2, 66, 67]) * 3_600_000_000_000
    tape = constant_tape(5, timestamps=hours)
    account = AccountSettings(borrow_rate=0.1, carry_clock="elapsed", fee_rate=0, half_spread=0, slippage=0)
    borrow = [r.borrow[0] for r in walk(tape, account, [-1.0, KEEP, KEEP, KEEP])]
    assert borrow[2] == pytest.approx(64 * borrow[1], rel=1e-12)


@settings(max_examples=40, derandomize=True)
@given(seed=st.integers(0, 10**6), sizing=st.sampled_from(["post_cost", "cash"]))
def test_b10_a_long_only_account_never_borrows(seed, sizing):
    account = AccountSettings(sizing=sizing, rebalance="always", **DEAR)
    for result in walk(random_tape(42, seed, 0.05), account, numbers(seed, low=0, high=1)):
        assert result.accounts.cash[0] >= -1e-9 * result.accounts.equity[0]


@pytest.mark.parametrize("factor", [1e-3, 7.0, 1e5])
def test_prices_cash_and_fixed_fee_scaled_together_scale_equity(factor):
    base = random_tape(42, 9)
    scaled = make_tape(*(factor * p for p in (base.open, base.high, base.low, base.close)))
    plain = make_tape(base.open, base.high, base.low, base.close)
    common = dict(max_leverage=2.0, margin_check="intrabar", **DEAR, **CARRY)
    a = walk(plain, AccountSettings(fixed_fee=1.0, **common), numbers(9))
    b = walk(scaled, AccountSettings(fixed_fee=factor, initial_cash=1e4 * factor, **common), numbers(9))
    np.testing.assert_allclose(equity_of(b), factor * equity_of(a), rtol=1e-9)
    np.testing.assert_allclose([r.reward[0] for r in b], [r.reward[0] for r in a], rtol=1e-7, atol=1e-9)


def test_shifting_the_fill_by_one_bar_changes_the_results():
    tape, targets = random_tape(42, 3), numbers(3)
    now = equity_of(walk(tape, AccountSettings(), targets[:-1]))
    late = equity_of(walk(tape, AccountSettings(), np.concatenate([[KEEP], targets[:-2]])))
    assert abs(now[-1] - late[-1]) > 1.0
    same = equity_of(walk(tape, AccountSettings(execution="same_close"), targets[:-1]))
    assert abs(now[-1] - same[-1]) > 1.0


def test_a_fill_at_the_next_open_sees_nothing_of_the_close_before():
    tape = random_tape(5, 1)
    first = walk(tape, AccountSettings(), [1.0])[0]
    assert first.fills[0, 0]["row"] == 1
    assert first.fills[0, 0]["mid"] == tape.open[1]


def test_b2_the_seed_decides_the_episode_bit_for_bit():
    tape = random_tape(300, 0)
    env_settings = EnvSettings(episode=EpisodeSettings(window=5, length=20))
    histories = []
    for _ in range(2):
        env = TradingEnv(tape, env_settings)
        history = [env.reset(seed=7)]
        env.action_space.seed(1)
        for _ in range(60):
            history.append(env.step(env.action_space.sample()))
            if history[-1][2] or history[-1][3]:
                history.append(env.reset())
        histories.append(repr(history))
    assert histories[0] == histories[1]


def test_b4_the_account_block_after_reset_holds_nothing_of_an_earlier_episode():
    tape = random_tape(300, 0)
    env = TradingEnv(tape, EnvSettings(episode=EpisodeSettings(window=5, length=30)))
    fresh, _ = env.reset(seed=3)
    for t in range(30):
        env.step(2 - t % 2)
    again, info = env.reset(seed=3)
    np.testing.assert_array_equal(fresh["account"], again["account"])
    assert not again["account"].any()
    assert info["equity"] == 10_000


def test_b6_a_short_is_marked_to_market_every_bar():
    fall = np.array([100.0, 100, 90, 80, 70])
    account = AccountSettings(fee_rate=0, half_spread=0, slippage=0)
    results = walk(make_tape(fall, fall, fall, fall), account, [-1.0, KEEP, KEEP, KEEP])
    np.testing.assert_allclose(equity_of(results), [10_000, 11_000, 12_000, 13_000])


@pytest.mark.parametrize("target", [1.0, -1.0])
def test_b13_opening_a_position_costs_only_its_costs(target):
    result = walk(constant_tape(5), AccountSettings(), [target])[0]
    costs = result.fees[0] + result.spread[0] + result.slippage[0]
    assert result.accounts.equity[0] == pytest.approx(10_000 - costs, abs=1e-8)
    assert 14 < costs < 16
    assert result.accounts.exposure[0] == pytest.approx(target, abs=1e-12)


def test_b14_noise_after_the_next_bar_leaves_the_step_untouched():
    tape, rng = random_tape(60, 0), np.random.default_rng(1)
    env_settings = EnvSettings(account=AccountSettings(margin_check="intrabar"))
    for t in range(1, 50, 7):
        noisy = {name: getattr(tape, name).copy() for name in ("open", "high", "low", "close", "regimes")}
        for name in ("open", "high", "low", "close"):
            noisy[name][t + 2 :] *= rng.uniform(0.5, 2.0)
        noisy["regimes"][t + 1 :] = rng.integers(0, 4, 59 - t)
        other = make_tape(
            noisy["open"], noisy["high"], noisy["low"], noisy["close"], regimes=noisy["regimes"],
            half_spread_open=tape.half_spread_open, half_spread_close=tape.half_spread_close,
        )  # fmt: skip
        results = []
        for one in (tape, other):
            bars, rules = bar_records(one, env_settings.account.carry_clock), rule_record(env_settings)
            accounts = new_accounts(3, env_settings)
            results.append(step_batch(bars, rules, np.full(3, t), accounts, np.array([0.0, 1.0, KEEP])))
        np.testing.assert_array_equal(results[0].values, results[1].values)
        np.testing.assert_array_equal(results[0].accounts.values, results[1].accounts.values)


def test_b9_features_never_steer_the_account():
    tapes = [random_tape(60, 0, features=np.full((60, 2), value, np.float32)) for value in (0.0, 3.0)]
    env_settings = EnvSettings(episode=EpisodeSettings(window=4, length=20))
    infos = []
    for tape in tapes:
        env = TradingEnv(tape, env_settings)
        env.reset(seed=0)
        infos.append([env.step(2 - t % 2)[4] for t in range(20)])
    assert infos[0] == infos[1]


def test_b15_fifty_flat_round_trips_never_raise_equity():
    equity = equity_of(walk(constant_tape(110), AccountSettings(slippage=0.01), [1.0, 0.0] * 50))
    assert (np.diff(equity) < 0).sum() == 99
    kept = (1 - 0.0102) * (1 - 0.001) / ((1 + 0.0102) * (1 + 0.001))
    assert equity[-1] == pytest.approx(10_000 * kept**50, rel=1e-9)


def test_b17_writing_to_an_observation_leaves_the_market_as_it_was():
    tape = random_tape(60, 0)
    before = tape.features.copy()
    env = TradingEnv(tape, EnvSettings(episode=EpisodeSettings(window=4, length=20)))
    observation, _ = env.reset(seed=0)
    observation["market"][:] = 99
    np.testing.assert_array_equal(tape.features, before)
    with pytest.raises(ValueError, match="read-only"):
        tape.close[0] = 1.0


def test_a_liquidated_account_is_frozen_and_its_later_actions_are_ignored():
    fall = np.array([100.0, 100, 20, 200, 300, 300])
    account = AccountSettings(max_leverage=2.0)
    results = walk(make_tape(fall, fall, fall, fall), account, [2.0, KEEP, -1.0, 1.0, KEEP])
    assert [bool(r.terminated[0]) for r in results] == [False, True, True, True, True]
    assert len(set(equity_of(results)[1:].tolist())) == 1
    assert results[-1].accounts.units[0] == 0
    assert [r.n_fills[0] for r in results] == [1, 1, 0, 0, 0]
    floored = walk(make_tape(fall, fall, fall, fall), AccountSettings(max_leverage=2.0, floor_zero=True), [2.0, KEEP])
    assert equity_of(results)[-1] < 0
    assert floored[-1].accounts.equity[0] == 0
