"""The properties of DEFINITIONS §5; the bugs of other projects that must not be ours are in test_peer_bugs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import constant_tape, make_tape, random_tape

from regimegym.envs.core import step_batch
from regimegym.envs.settings import AccountSettings, EnvSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record

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


def test_carry_by_elapsed_time_pays_for_the_weekend():
    hours = np.array([0, 1, 2, 66, 67]) * 3_600_000_000_000
    tape = constant_tape(5, timestamps=hours)
    account = AccountSettings(borrow_rate=0.1, carry_clock="elapsed", fee_rate=0, half_spread=0, slippage=0)
    borrow = [r.borrow[0] for r in walk(tape, account, [-1.0, KEEP, KEEP, KEEP])]
    assert borrow[2] == pytest.approx(64 * borrow[1], rel=1e-12)


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
