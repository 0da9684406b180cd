"""Every step's change of equity is explained by its parts, whatever the settings."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from portfolios import random_portfolio
from tapes import random_tape
from test_kernel_parity import account_settings
from test_kernel_rules import order_settings
from test_portfolio_parity import accounts_of, uneven_hours

from regimegym.common.errors import ConfigError
from regimegym.envs.attribution import AttributionInfo, portfolio_attribution, step_attribution
from regimegym.envs.backtest import PART_NAMES, backtest
from regimegym.envs.core import step_batch
from regimegym.envs.portfolio_core import step_portfolio_batch
from regimegym.envs.portfolio_env import PortfolioEnv
from regimegym.envs.portfolio_settings import PortfolioSettings
from regimegym.envs.portfolio_state import new_portfolios, portfolio_bars
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings, EpisodeSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record
from regimegym.envs.trading_env import TradingEnv

N, STEPS = 24, 25
volatilities = st.sampled_from([0.002, 0.02, 0.15])


def random_targets(rng, shape):
    return np.where(rng.random(shape) < 0.4, np.nan, rng.choice([-4.0, -1.0, 0.0, 0.5, 1.0, 3.0], shape))


def assert_explained(parts, initial_cash):
    """The residual is round-off of the amounts that were moved."""
    moved = np.abs(parts.gap) + np.abs(parts.intrabar) + parts.costs + np.abs(parts.carry) + parts.forgiven
    assert (np.abs(parts.residual) <= 1e-9 * np.maximum(initial_cash, moved)).all()


@settings(max_examples=60, derandomize=True)
@given(account=account_settings, orders=order_settings, seed=st.integers(0, 10_000), volatility=volatilities)
def test_the_parts_of_every_step_sum_to_its_change(account, orders, seed, volatility):
    rng = np.random.default_rng(seed)
    env_settings = EnvSettings(replace(account, impact=0.02), orders=orders)
    tape = random_tape(42, seed, volatility, timestamps=uneven_hours(seed, 42), funding_rate=rng.normal(0, 0.01, 42))
    bars, rules = bar_records(tape, account.carry_clock), rule_record(env_settings)
    accounts, rows = new_accounts(N, env_settings), rng.integers(0, 42 - STEPS - 1, N)
    for _ in range(STEPS):
        result = step_batch(bars, rules, rows, accounts, random_targets(rng, N))
        parts = step_attribution(bars, rows, accounts, result)
        assert_explained(parts, account.initial_cash)
        frozen = accounts.done > 0
        assert all(not getattr(parts, name)[frozen].any() for name in PART_NAMES)
        accounts, rows = result.accounts, rows + 1


@settings(max_examples=40, derandomize=True)
@given(account=accounts_of, m=st.integers(1, 4), seed=st.integers(0, 10_000), volatility=volatilities)
def test_the_parts_of_a_portfolios_step_sum_to_its_change(account, m, seed, volatility):
    rng = np.random.default_rng(seed)
    tape = random_portfolio(m, 42, seed, volatility, timestamps=uneven_hours(seed, 42))
    bars, rules = portfolio_bars(tape, account.carry_clock), PortfolioSettings(account=account).rules(tape)
    accounts, rows = new_portfolios(N, m, account.initial_cash), rng.integers(0, 42 - STEPS - 1, N)
    for _ in range(STEPS):
        result = step_portfolio_batch(bars, rules, rows, accounts, random_targets(rng, (N, m)))
        parts = portfolio_attribution(bars, rows, accounts, result)
        assert_explained(parts.total, account.initial_cash)
        np.testing.assert_allclose(parts.gap.sum(axis=1), parts.total.gap)
        np.testing.assert_allclose(parts.intrabar.sum(axis=1), parts.total.intrabar)
        accounts, rows = result.accounts, rows + 1


@pytest.mark.parametrize("margin_check", ["close", "intrabar"])
def test_with_next_open_the_steps_parts_are_those_of_the_backtests_bars(margin_check):
    tape, rng = random_tape(60, 3, 0.05), np.random.default_rng(0)
    account = AccountSettings(margin_check=margin_check, max_leverage=3.0, borrow_rate=2.0, debit_rate=1.0)
    targets = np.append(random_targets(rng, 59), np.nan)
    history = backtest(tape, targets, account)
    env_settings = EnvSettings(account)
    bars, rules = bar_records(tape, "per_bar"), rule_record(env_settings)
    accounts = new_accounts(1, env_settings)
    for t in range(59):
        result = step_batch(bars, rules, np.array([t]), accounts, targets[[t]])
        parts = step_attribution(bars, np.array([t]), accounts, result)
        for name in PART_NAMES:
            expected = getattr(history.attribution, name)[t + 1]
            assert getattr(parts, name)[0] == pytest.approx(expected, rel=1e-9, abs=1e-8), (t, name)
        accounts = result.accounts


def test_the_wrapper_is_for_one_trading_env():
    with pytest.raises(ConfigError, match="AttributionInfo wraps a TradingEnv, got PortfolioEnv"):
        AttributionInfo(PortfolioEnv())


@pytest.mark.parametrize("execution", ["next_open", "same_close"])
def test_the_wrapper_accounts_for_an_episode(execution):
    tape = random_tape(60, 3, 0.03)
    env_settings = EnvSettings(
        AccountSettings(execution=execution, borrow_rate=0.5),
        action=ActionSettings(allow_short=True),
        episode=EpisodeSettings(window=4, length=40),
    )
    env = AttributionInfo(TradingEnv(tape, env_settings))
    env.action_space.seed(0)
    _, info = env.reset(seed=0)
    equity, over, total = info["equity"], False, 0.0
    while not over:
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        over = terminated or truncated
        parts = info["attribution"]
        assert parts["change"] == pytest.approx(info["equity"] - equity, abs=1e-9)
        explained = parts["gap"] + parts["intrabar"] - parts["borrow"]
        explained -= parts["spread"] + parts["slippage"] + parts["fees"]
        assert parts["change"] == pytest.approx(explained, abs=1e-6)
        total, equity = total + parts["change"], info["equity"]
    assert total == pytest.approx(equity - 10_000, abs=1e-6)
    assert abs(total) > 1
