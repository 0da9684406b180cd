"""Many accounts at once and one after the other: the same bits, whatever happens to whom."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from tapes import random_tape

from regimegym.common.vector_math import natural_log
from regimegym.envs.calm import BLOCK, is_calm, step_many
from regimegym.envs.kernel import step_kernel
from regimegym.envs.order_settings import OrderSettings
from regimegym.envs.results import N_FILLS, new_result
from regimegym.envs.reward_settings import RewardSettings
from regimegym.envs.settings import AccountSettings, EnvSettings
from regimegym.envs.state import ACCOUNT_ROWS, bar_records, new_accounts, rule_record
from regimegym.envs.vector_math import hyperbolic_tangent

TAPE = random_tape(120, 2, volatility=0.05)
TARGETS = np.array([np.nan, -3.0, -0.5, 0.0, 1.0, 3.0])

calm_settings = st.builds(
    EnvSettings,
    account=st.builds(
        AccountSettings,
        fixed_fee=st.sampled_from([0.0, 5.0]),
        slippage=st.sampled_from([0.0, 0.01]),
        borrow_rate=st.sampled_from([0.0, 0.2]),
        debit_rate=st.sampled_from([0.0, 0.3]),
        credit_rate=st.sampled_from([0.0, 0.1]),
        max_leverage=st.sampled_from([1.0, 3.0]),
        maintenance_margin=st.sampled_from([0.1, 0.5]),
        margin_check=st.sampled_from(["close", "none"]),
        floor_zero=st.booleans(),
    ),
    orders=st.builds(OrderSettings, minimum_hold=st.sampled_from([0, 3]), turnover_budget=st.sampled_from([0.0, 9.0])),
    reward=st.builds(
        RewardSettings,
        kind=st.sampled_from(["regime_aware", "log_return"]),
        max_trades_window=st.sampled_from([1, 7]),
        max_trades=st.just(1),
    ),
)


@given(calm_settings, st.sampled_from([1, 3, BLOCK, BLOCK + 5]), st.booleans(), st.integers(0, 2**32))
@example_settings(max_examples=60, deadline=None)
def test_many_at_once_are_one_after_the_other_bit_for_bit(env_settings, n, in_place, seed):
    bars, rules = bar_records(TAPE, "per_bar"), rule_record(env_settings)
    assert is_calm(rules[0])
    rows = np.random.default_rng(seed).integers(0, 60, n)
    wanted = TARGETS[np.random.default_rng(seed + 1).integers(0, len(TARGETS), (50, n))]
    histories = [walk(step, bars, rules, rows, wanted, env_settings, in_place) for step in (step_kernel, step_many)]
    for one_by_one, at_once in zip(*histories, strict=True):
        assert one_by_one == at_once


def walk(step, bars, rules, rows, wanted, env_settings, in_place):
    """What each step leaves behind, as bytes: accounts, results, rings, valid fills."""
    accounts = new_accounts(len(rows), env_settings)
    spare = new_result(accounts)
    history = []
    for k, targets in enumerate(wanted):
        after = accounts if in_place else spare.accounts
        step(
            bars, rules, rows + k, targets, accounts.values, accounts.ring,
            after.values, after.ring, spare.values, spare.fills,
        )  # fmt: skip
        valid = np.arange(spare.fills.shape[1]) < spare.values[N_FILLS][:, None]
        history.append(
            (after.values.tobytes(), spare.values.tobytes(), after.ring.tobytes(), spare.fills[valid].tobytes())
        )
        accounts.values[:], accounts.ring[:] = after.values, after.ring
    return history


@pytest.mark.parametrize(
    "change",
    [
        {"account": AccountSettings(execution="same_close")},
        {"account": AccountSettings(margin_check="intrabar")},
        {"account": AccountSettings(sizing="cash")},
        {"account": AccountSettings(rebalance="always")},
        {"account": AccountSettings(spread_source="bars")},
        {"account": AccountSettings(impact=0.1)},
        {"account": AccountSettings(lot=1.0)},
        {"orders": OrderSettings(stop_loss=0.1)},
        {"orders": OrderSettings(take_profit=0.1)},
        {"orders": OrderSettings(dead_band=0.1)},
        {"orders": OrderSettings(turnover_budget=1.0, turnover_window=5)},
        {"reward": RewardSettings(kind="differential_sharpe")},
    ],
)
def test_rules_that_allow_more_are_left_to_the_kernel(change):
    assert is_calm(rule_record(EnvSettings())[0])
    assert not is_calm(rule_record(EnvSettings(**change))[0])


def test_liquidated_accounts_stand_still_beside_others():
    env_settings = EnvSettings(account=AccountSettings(max_leverage=3.0, maintenance_margin=0.5))
    bars, rules = bar_records(TAPE, "per_bar"), rule_record(env_settings)
    accounts, done = new_accounts(40, env_settings), ACCOUNT_ROWS.index("done")
    result, rows = new_result(accounts), np.arange(40)
    frozen = {}
    for k in range(50):
        targets = np.where(np.arange(40) % 2 == 0, 3.0, 0.0)
        step_many(
            bars, rules, rows + k, targets, accounts.values, accounts.ring,
            accounts.values, accounts.ring, result.values, result.fills,
        )  # fmt: skip
        for i in np.flatnonzero(accounts.values[done]):
            state = accounts.values[:, i].tobytes() + accounts.ring[i].tobytes()
            assert frozen.setdefault(int(i), state) == state
    assert 5 < len(frozen) <= 20


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 0.3, 3.0, 100.0])
def test_logarithm_and_tangent_are_those_of_the_c_library(scale):
    x = scale * np.random.default_rng(0).standard_normal(3000)
    logs = np.array([natural_log(v) for v in np.exp(x)])
    np.testing.assert_allclose(logs, np.log(np.exp(x)), rtol=4e-16, atol=0)
    np.testing.assert_allclose([hyperbolic_tangent(v) for v in x], np.tanh(x), rtol=2e-15, atol=0)
    assert natural_log(1.0) == 0.0 == hyperbolic_tangent(0.0)
