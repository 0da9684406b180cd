"""The twin that buys first and holds is an account like any other, however little of its way is walked."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import random_tape

from regimegym.envs.core import step_batch
from regimegym.envs.holding import extremes_of, hold_equities
from regimegym.envs.settings import AccountSettings, EnvSettings, OrderSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record

ACCOUNTS = st.fixed_dictionaries(
    {
        "execution": st.sampled_from(["next_open", "same_close"]),
        "sizing": st.sampled_from(["post_cost", "pre_cost", "cash"]),
        "margin_check": st.sampled_from(["close", "intrabar", "none"]),
        "rebalance": st.sampled_from(["on_change", "always"]),
        "lot": st.sampled_from([0.0, 1.0]),
        "max_leverage": st.sampled_from([0.5, 1.0, 2.0]),
        "maintenance_margin": st.sampled_from([0.0, 0.25, 0.95]),
        "credit_rate": st.sampled_from([0.0, 0.3]),
        "debit_rate": st.sampled_from([0.0, 0.3]),
        "initial_cash": st.sampled_from([50.0, 10_000.0]),
    }
)
ORDERS = st.fixed_dictionaries({"stop_loss": st.sampled_from([0.0, 0.05]), "take_profit": st.sampled_from([0.0, 0.05])})


def walked(bars, rules, env_settings, first, last):
    """Every step of the twin, one after the other."""
    accounts = new_accounts(1, env_settings)
    for row in range(first, last):
        target = np.array([1.0 if row == first else np.nan])
        accounts = step_batch(bars, rules, np.array([row]), accounts, target).accounts
    return accounts.equity[0]


@given(ACCOUNTS, ORDERS, st.sampled_from([0.0, 1e-3]), st.sampled_from([0.02, 0.4]), st.integers(0, 2**16))
@settings(max_examples=60)
def test_it_ends_where_every_step_would_have_led(account, orders, funding, volatility, seed):
    tape = replace(random_tape(80, seed, volatility=volatility), funding_rate=np.full(80, funding))
    env_settings = EnvSettings(account=AccountSettings(**account), orders=OrderSettings(**orders))
    bars, rules = bar_records(tape, env_settings.account.carry_clock), rule_record(env_settings)
    first = np.array([0, 3, 20, 20, 70])
    last = np.array([79, 4, 50, 22, 79])
    expected = [walked(bars, rules, env_settings, a, b) for a, b in zip(first, last, strict=True)]
    np.testing.assert_array_equal(hold_equities(bars, rules, env_settings, first, last, extremes_of(bars)), expected)


def test_a_twin_borrowing_a_little_is_liquidated_where_the_price_falls_to_nothing():
    env_settings = EnvSettings(account=AccountSettings(sizing="pre_cost", fee_rate=0.05, margin_check="intrabar"))
    tape = random_tape(40, 0, volatility=1.5)
    bars, rules = bar_records(tape, env_settings.account.carry_clock), rule_record(env_settings)
    rows = np.arange(30)
    ends = np.full(30, 39)
    expected = [walked(bars, rules, env_settings, row, 39) for row in rows]
    np.testing.assert_array_equal(hold_equities(bars, rules, env_settings, rows, ends, extremes_of(bars)), expected)


@pytest.mark.parametrize("n", [0, 1])
def test_any_number_of_twins(n):
    tape = random_tape(40, 0)
    bars, rules = bar_records(tape, "per_bar"), rule_record(EnvSettings())
    first, last = np.zeros(n, int), np.full(n, 9)
    assert hold_equities(bars, rules, EnvSettings(), first, last, extremes_of(bars)).shape == (n,)
