"""The hindsight-optimal path against every path there is, and against its own replay."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import constant_tape, make_tape, random_tape

from regimegym.common.errors import ConfigError, DataError
from regimegym.envs.backtest import backtest
from regimegym.envs.core import step_batch
from regimegym.envs.hindsight import hindsight_optimal
from regimegym.envs.outcomes import ladder_of
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record

LADDERS = ((-1.0, 0.0, 1.0), (0.0, 0.5, 1.0), (-2.0, -0.5, 3.0), (2.5, 3.0))
EXACT = EnvSettings(AccountSettings(rebalance="always"), action=ActionSettings(mode="target"))


def best_of_all_paths(tape, env_settings):
    """Largest Σℓ over all A^(T−1) action paths: as many accounts, walked side by side."""
    paths = np.array(list(product(ladder_of(env_settings), repeat=len(tape) - 1)))
    bars, rules = bar_records(tape, env_settings.account.carry_clock), rule_record(env_settings)
    accounts, total = new_accounts(len(paths), env_settings), np.zeros(len(paths))
    for t in range(len(tape) - 1):
        result = step_batch(bars, rules, np.full(len(paths), t), accounts, paths[:, t])
        accounts = result.accounts
        total += result.log_return
    return total.max()


accounts_of = st.builds(
    AccountSettings,
    execution=st.sampled_from(["next_open", "same_close"]),
    rebalance=st.just("always"),
    fee_rate=st.floats(0, 0.02),
    half_spread=st.floats(0, 0.02),
    slippage=st.floats(0, 0.01),
    spread_source=st.sampled_from(["constant", "bars"]),
    borrow_rate=st.floats(0, 20),
    debit_rate=st.floats(0, 20),
    credit_rate=st.floats(0, 20),
    max_leverage=st.just(3.0),
    maintenance_margin=st.floats(0, 0.3),
    margin_check=st.sampled_from(["close", "intrabar", "none"]),
    floor_zero=st.booleans(),
)


@settings(max_examples=100, derandomize=True)
@given(account=accounts_of, ladder=st.sampled_from(LADDERS), seed=st.integers(0, 10_000), volatility=st.floats(0, 0.3))
def test_no_path_over_the_ladder_earns_more_and_its_replay_earns_what_was_planned(account, ladder, seed, volatility):
    tape = random_tape(7, seed, volatility, funding_rate=np.random.default_rng(seed).normal(0, 0.01, 7))
    env_settings = EnvSettings(account, action=ActionSettings(mode="target", ladder=ladder))
    found = hindsight_optimal(tape, env_settings)
    assert found.is_exact
    assert found.planned_log_return == pytest.approx(best_of_all_paths(tape, env_settings), abs=1e-9)
    history = backtest(tape, found.targets, env_settings)
    np.testing.assert_array_equal(found.equity, history.equity)
    if not history.terminated:  # a step's ℓ is floored at ln 1e-3, the history's is not
        assert found.log_return == pytest.approx(found.planned_log_return, abs=1e-9)


@settings(max_examples=30, derandomize=True)
@given(
    execution=st.sampled_from(["next_open", "same_close"]),
    rebalance=st.sampled_from(["on_change", "always"]),
    seed=st.integers(0, 10_000),
)
def test_fully_long_or_flat_is_exact_under_either_rule_and_holding_cannot_beat_it(execution, rebalance, seed):
    tape = random_tape(7, seed, 0.03)
    env_settings = EnvSettings(AccountSettings(execution=execution, rebalance=rebalance, credit_rate=5.0))
    found = hindsight_optimal(tape, env_settings)
    assert found.is_exact
    assert set(found.targets[:-1]) <= {0.0, 1.0}
    assert found.log_return == pytest.approx(best_of_all_paths(tape, env_settings), abs=1e-9)


@pytest.mark.parametrize("execution", ["next_open", "same_close"])
def test_a_long_path_earns_what_was_planned_across_chunks(execution):
    tape = random_tape(9_000, 1, 0.01)
    env_settings = replace(EXACT, account=replace(EXACT.account, execution=execution))
    found = hindsight_optimal(tape, env_settings)
    assert found.log_return == pytest.approx(found.planned_log_return, abs=1e-9)
    assert found.log_return > 10
    dear = replace(env_settings, account=replace(env_settings.account, fee_rate=0.004))
    assert found.log_return > hindsight_optimal(tape, dear).log_return > 0


def test_the_path_of_a_zigzag_is_the_one_drawn_by_hand():
    close = np.array([100.0, 110.0, 100.0, 110.0, 100.0])
    tape = make_tape(np.concatenate([[100.0], close[:-1]]), close + 10, close - 10, close)
    free = AccountSettings(fee_rate=0.0, half_spread=0.0, slippage=0.0, rebalance="always")
    settings_ = EnvSettings(free, action=ActionSettings(mode="target"))
    found = hindsight_optimal(tape, settings_)
    np.testing.assert_array_equal(found.targets, [1.0, -1.0, 1.0, -1.0, np.nan])
    # Long +10 %, short 1/11 of a fall from 110 to 100: (1.1 · (1 + 1/11))² = 1.2²
    assert found.log_return == pytest.approx(2 * np.log(1.2), rel=1e-12)
    assert found.equity[-1] == pytest.approx(14_400.0, rel=1e-12)


def test_nothing_moves_so_nothing_is_traded():
    found = hindsight_optimal(constant_tape(20), EXACT)
    np.testing.assert_array_equal(found.targets[:-1], 0.0)
    assert found.log_return == 0.0


@pytest.mark.parametrize(
    "changes",
    [
        {"account": {"fixed_fee": 1.0}},
        {"account": {"impact": 0.01}},
        {"account": {"lot": 1.0}},
        {"account": {"sizing": "pre_cost"}},
        {"account": {"sizing": "cash"}},
        {"account": {"band": 0.05}},
        {"account": {"rebalance": "on_change"}},
        {"orders": {"stop_loss": 0.02}},
        {"orders": {"take_profit": 0.1}},
        {"orders": {"minimum_hold": 5}},
        {"orders": {"turnover_budget": 10.0}},
        {"action": {"mode": "trade", "allow_short": True}},
    ],
    ids=str,
)
def test_elsewhere_the_path_is_replayed_and_labelled_approximate(changes):
    tape = random_tape(300, 2, 0.02)
    parts = {name: replace(getattr(EXACT, name), **values) for name, values in changes.items()}
    env_settings = replace(EXACT, **parts)
    found = hindsight_optimal(tape, env_settings)
    assert not found.is_exact
    history = backtest(tape, found.targets, env_settings)
    np.testing.assert_array_equal(found.equity, history.equity)
    assert found.log_return == pytest.approx(np.log(history.equity[-1] / 10_000))
    held = backtest(tape, np.ones(300), env_settings)
    assert history.equity[-1] > held.equity[-1]


def test_bars_and_actions_it_cannot_list_are_refused():
    with pytest.raises(ConfigError, match="continuous actions cannot be listed"):
        hindsight_optimal(random_tape(20, 0), EnvSettings(action=ActionSettings(mode="continuous")))
    with pytest.raises(DataError, match="needs 2 bars or more"):
        hindsight_optimal(constant_tape(1))
    assert hindsight_optimal(random_tape(2, 0)).is_exact
