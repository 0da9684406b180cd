"""The portfolio kernel against the kernel of one instrument (M = 1) and against a slow portfolio (M > 1)."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from portfolios import flat_portfolio, named, random_portfolio, slow_bars
from slow_portfolio import SlowPortfolio
from tapes import make_tape

from regimegym.common.errors import RegimeGymError
from regimegym.envs.core import step_batch
from regimegym.envs.portfolio_core import step_portfolio_batch
from regimegym.envs.portfolio_settings import PortfolioSettings
from regimegym.envs.portfolio_sizing import (
    HALF_SPREAD,
    MID,
    ORDERED,
    SCRATCH_ROWS,
    WEIGHT,
    equity_after_costs,
)
from regimegym.envs.portfolio_state import (
    BARS_HELD,
    ENTRY_PRICE,
    TRADES,
    TURNOVER,
    new_portfolios,
    portfolio_bars,
)
from regimegym.envs.results import FILL_REASONS
from regimegym.envs.settings import AccountSettings, EnvSettings, OrderSettings, RewardSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record
from regimegym.features.portfolio_tape import align_tapes

rates = st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.05])
accounts_of = st.builds(
    AccountSettings,
    initial_cash=st.sampled_from([1.0, 10_000.0, 1e7]),
    execution=st.sampled_from(["next_open", "same_close"]),
    fee_rate=rates,
    fixed_fee=st.sampled_from([0.0, 0.0, 0.05]),
    half_spread=rates,
    slippage=rates,
    impact=st.sampled_from([0.0, 0.0, 0.01, 0.1]),
    spread_source=st.sampled_from(["constant", "bars"]),
    borrow_rate=st.sampled_from([0.0, 0.5, 20.0]),
    debit_rate=st.sampled_from([0.0, 0.5, 20.0]),
    credit_rate=st.sampled_from([0.0, 0.5, 20.0]),
    carry_clock=st.sampled_from(["per_bar", "elapsed"]),
    sizing=st.sampled_from(["post_cost", "pre_cost"]),
    lot=st.sampled_from([0.0, 0.0, 0.013, 1.0]),
    rebalance=st.sampled_from(["on_change", "always"]),
    band=st.sampled_from([0.0, 0.02, 0.2]),
    max_leverage=st.sampled_from([0.7, 1.0, 2.0, 4.0]),
    maintenance_margin=st.sampled_from([0.0, 0.1, 0.24, 0.45]),
    margin_check=st.sampled_from(["close", "none"]),
    floor_zero=st.booleans(),
)
orders_of = st.builds(
    OrderSettings,
    stop_loss=st.sampled_from([0.0, 0.01, 0.05]),
    take_profit=st.sampled_from([0.0, 0.01, 0.05]),
    dead_band=st.sampled_from([0.0, 0.0, 0.3]),
    minimum_hold=st.sampled_from([0, 0, 2, 5]),
    turnover_budget=st.sampled_from([0.0, 1.5, 6.0]),
    turnover_window=st.sampled_from([0, 7]),
)
weights = st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 1.0, 0.5, 0.25]), st.floats(-4, 4))
volatilities = st.sampled_from([0.002, 0.02, 0.15])


def uneven_hours(seed, n):
    return np.cumsum(np.random.default_rng(seed).integers(1, 100, n)) * 3_600_000_000_000


def near(value, expected, scale):
    assert abs(value - expected) <= 1e-9 * max(1.0, abs(scale), abs(expected)), (value, expected)


def as_numbers(targets):
    return np.array([[np.nan if w is None else w for w in one] for one in targets])


# --- one instrument -------------------------------------------------------------------------------

SHARED = (
    "reward", "log_return", "traded", "notional", "credit", "borrow", "debit", "funding", "spread", "slippage", "fees",
    "n_fills",
)  # fmt: skip


@settings(max_examples=400, derandomize=True)
@given(
    account=accounts_of,
    orders=st.one_of(st.just(OrderSettings()), orders_of),
    targets=st.lists(weights, min_size=1, max_size=40),
    seed=st.integers(0, 10_000),
    volatility=volatilities,
)
def test_a_portfolio_of_one_instrument_is_step_batch_number_by_number(account, orders, targets, seed, volatility):
    tape = random_portfolio(1, 42, seed, volatility, timestamps=uneven_hours(seed, 42))
    single_settings = EnvSettings(account, RewardSettings(kind="log_return"), orders)
    bars, rules = bar_records(tape.markets[0], single_settings.account.carry_clock), rule_record(single_settings)
    many_bars, many_rules = (
        portfolio_bars(tape, account.carry_clock),
        PortfolioSettings(account, orders=orders).rules(tape),
    )
    one, many = new_accounts(1, single_settings), new_portfolios(1, 1, account.initial_cash)
    for t, target in enumerate(as_numbers([[w] for w in targets])):
        single = step_batch(bars, rules, np.array([t]), one, target)
        portfolio = step_portfolio_batch(many_bars, many_rules, np.array([t]), many, target[None])
        one, many = single.accounts, portfolio.accounts
        for name in SHARED:
            near(getattr(portfolio, name)[0], getattr(single, name)[0], account.initial_cash)
        for name in ("cash", "equity", "done"):
            near(getattr(many, name)[0], getattr(one, name)[0], account.initial_cash)
        for name in ("units", "exposure", "last_target"):
            near(getattr(many, name)[0, 0], getattr(one, name)[0], account.initial_cash / tape.markets[0].close[t])
        near(many.legs[ENTRY_PRICE, 0, 0], one.entry_price[0], tape.markets[0].close[t])
        assert many.legs[BARS_HELD, 0, 0] == one.bars_held[0]
        near(many.values[TURNOVER, 0], one.turnover[0], 1.0)
        assert many.values[TRADES, 0] == one.trades[0]
        for fill, expected in zip(portfolio.fills[0], single.fills[0], strict=False):
            for name in ("row", "units", "mid", "price", "fee", "reason"):
                near(fill[name], expected[name], account.initial_cash)


# --- several instruments --------------------------------------------------------------------------


def assert_agrees(tape, account, targets, orders=None):
    """Step both portfolios over `targets` and compare every number of every step; returns the reasons of fills."""
    orders = orders or OrderSettings()
    bars, rules = portfolio_bars(tape, account.carry_clock), PortfolioSettings(account, orders=orders).rules(tape)
    slow = SlowPortfolio(account, slow_bars(tape), 0, tape.periods_per_year, orders)
    accounts, scale, seen = new_portfolios(1, tape.n_assets, account.initial_cash), account.initial_cash, []
    for t, (target, numbers) in enumerate(zip(targets, as_numbers(targets), strict=True)):
        result = step_portfolio_batch(bars, rules, np.array([t]), accounts, numbers[None])
        expected, accounts = slow.decide(target), result.accounts
        near(accounts.cash[0], slow.cash, scale)
        near(accounts.equity[0], expected.equity, scale)
        assert bool(accounts.done[0]) == slow.done
        for name in ("credit", "borrow", "debit", "funding", "fees", "notional"):
            near(getattr(result, name)[0], getattr(expected, name), scale)
        near(result.spread[0] + result.slippage[0], expected.spread_and_slippage, scale)
        for j, market in enumerate(tape.markets):
            near(accounts.units[0, j], slow.units[j], scale / market.close[t])
            near(accounts.last_target[0, j], slow.last_targets[j], 1.0)
        seen += compare_fills(result, expected, scale)
    return seen


def compare_fills(result, expected, scale):
    """Fills one by one, without those that are nothing but round-off."""
    fills = [
        fill for fill in result.fills[0, : int(result.n_fills[0])] if abs(fill["units"]) * fill["mid"] > 1e-9 * scale
    ]
    slow_fills = [(j, fill) for j, fill in expected.fills if abs(fill.units) * fill.mid > 1e-9 * scale]
    for fill, (j, slow_fill) in zip(fills, slow_fills, strict=True):
        assert (fill["row"], fill["asset"]) == (slow_fill.row, j)
        assert FILL_REASONS[fill["reason"]] == slow_fill.reason
        near(fill["units"], slow_fill.units, scale / slow_fill.mid)
        for name in ("mid", "price", "fee"):
            near(fill[name], getattr(slow_fill, name), scale)
    return [fill.reason for _, fill in slow_fills]


@pytest.mark.parametrize("m", [2, 3])
@settings(max_examples=200, derandomize=True)
@given(
    data=st.data(),
    account=accounts_of,
    orders=st.one_of(st.just(OrderSettings()), orders_of),
    seed=st.integers(0, 10_000),
    volatility=volatilities,
)
def test_the_kernel_agrees_with_the_slow_portfolio(m, data, account, orders, seed, volatility):
    targets = data.draw(st.lists(st.tuples(*[weights] * m), min_size=1, max_size=25))
    tape = random_portfolio(m, 42, seed, volatility, timestamps=uneven_hours(seed, 42))
    # With a band of 0 the last bit decides whether an account that is all in already trades again.
    assert_agrees(tape, replace(account, band=max(account.band, 1e-9)), targets, orders)


@pytest.mark.parametrize("execution", ["next_open", "same_close"])
def test_a_margin_call_closes_every_instrument_at_the_close(execution):
    fall = np.array([100.0, 100, 100, 50, 50, 200])
    steady = [make_tape(*[np.full(6, 10.0)] * 4, segments=named(j, 6)) for j in (1, 2)]
    tape = align_tapes([make_tape(fall, fall, fall, fall, segments=named(0, 6)), *steady])
    account = AccountSettings(execution=execution, max_leverage=3.0, maintenance_margin=0.3)
    seen = assert_agrees(tape, account, [(1.5, -1.0, 0.5)] + [(None, None, None)] * 4)
    assert seen == ["order"] * 3 + ["margin"] * 3


def test_a_fill_that_breaks_the_margin_is_liquidated_at_the_same_close():
    account = AccountSettings(execution="same_close", max_leverage=5.0, maintenance_margin=0.25)
    seen = assert_agrees(flat_portfolio(100.0, 7.0, n=5), account, [(2.5, -2.5), (None, None)])
    assert seen == ["order", "order", "margin", "margin"]


# --- equity after costs ---------------------------------------------------------------------------


def exact_root(budget, legs):
    """Root of y + Σ k·|w·y − v| = budget in rational numbers: the piece between two kinks that holds it."""
    kinks = sorted(v / w for w, v, _, _ in legs if w)
    points = [kinks[0] - 1, *((a + b) / 2 for a, b in pairwise(kinks)), kinks[-1] + 1]
    for point, low, high in zip(points, [None, *kinks], [*kinks, None], strict=True):
        top, bottom = budget, Fraction(1)
        for w, v, k_buy, k_sell in legs:
            side, k = (1, k_buy) if w * point > v else (-1, k_sell)
            top, bottom = top + side * k * v, bottom + side * k * w
        root = top / bottom
        if (low is None or low <= root) and (high is None or root <= high):
            return root
    raise AssertionError("no root")


@pytest.mark.parametrize("m", [1, 2, 3, 8, 40])
def test_the_equity_after_costs_is_exact_to_round_off(m):
    rng, worst = np.random.default_rng(m), 0.0
    rules = PortfolioSettings(
        account=AccountSettings(fee_rate=0.05, slippage=0.03, fixed_fee=1.5, max_leverage=4.0)
    ).rules(flat_portfolio(1.0))
    for _ in range(max(200 // m, 25)):  # fractions of many legs take their time
        scratch, units = np.zeros((SCRATCH_ROWS, m)), rng.normal(0, 300 / m, m)
        weights = rng.normal(0, 1, m)
        weights *= rng.uniform(0, 4) / np.abs(weights).sum()
        scratch[WEIGHT], scratch[ORDERED] = weights, 1.0
        scratch[MID], scratch[HALF_SPREAD] = rng.uniform(1, 200, m), rng.uniform(0, 0.05, m)
        legs, equity = [], 20_000.0
        for w, u, mid, half in zip(weights, units, scratch[MID], scratch[HALF_SPREAD], strict=True):
            s, fee = Fraction(half) + Fraction(0.03), Fraction(0.05)
            legs.append((Fraction(w), Fraction(u) * Fraction(mid), s + fee * (1 + s), s + fee * (1 - s)))
        root = exact_root(Fraction(equity) - Fraction(1.5) * m, legs)
        found = Fraction(equity_after_costs(units, equity, rules[0], scratch))
        gross = sum(abs(v) for _, v, _, _ in legs) + Fraction(equity)
        worst = max(worst, float(abs(found - root) / gross))
    assert worst < 1e-15 * (4 + m)


def test_a_sale_that_pays_for_a_purchase_leaves_both_at_their_weights():
    account = AccountSettings(fee_rate=0.01, half_spread=0.005, slippage=0.005, execution="same_close")
    tape = flat_portfolio(100.0, 20.0, n=6)
    settings_, bars = PortfolioSettings(account=account), portfolio_bars(tape, account.carry_clock)
    accounts = new_portfolios(1, 2, 10_000.0)
    for t, target in enumerate([(0.9, 0.1), (0.2, 0.8)]):
        result = step_portfolio_batch(bars, settings_.rules(tape), np.array([t]), accounts, np.array([target]))
        accounts = result.accounts
        np.testing.assert_allclose(accounts.exposure[0], target, rtol=1e-13)
        assert result.n_fills[0] == 2
    # sold and bought: 0.7 each of about 9,800, at a cost of about 2 % a side
    assert 265 < result.fees[0] + result.spread[0] + result.slippage[0] < 275


# --- the batch ------------------------------------------------------------------------------------


def test_many_accounts_step_as_each_alone_and_inputs_stay_as_they_were():
    tape = random_portfolio(3, 60, 3)
    portfolio_settings = PortfolioSettings(account=AccountSettings(max_leverage=2.0, rebalance="always"))
    bars, rules = portfolio_bars(tape, portfolio_settings.account.carry_clock), portfolio_settings.rules(tape)
    rng = np.random.default_rng(0)
    rows, targets = rng.integers(0, 50, 16), rng.uniform(-1, 1, (16, 3))
    accounts = new_portfolios(16, 3, 1.0)
    accounts.cash[:] = accounts.equity[:] = rng.uniform(1, 100, 16)
    before = [array.copy() for array in (accounts.values, accounts.legs, rows, targets)]
    together = step_portfolio_batch(bars, rules, rows, accounts, targets)
    for value, was in zip((accounts.values, accounts.legs, rows, targets), before, strict=True):
        np.testing.assert_array_equal(value, was)
    for i in range(16):
        one = replace(accounts, values=accounts.values[:, [i]].copy(), legs=accounts.legs[:, [i]].copy())
        alone = step_portfolio_batch(bars, rules, rows[[i]], one, targets[[i]])
        np.testing.assert_array_equal(alone.accounts.values[:, 0], together.accounts.values[:, i])
        np.testing.assert_array_equal(alone.accounts.legs[:, 0], together.accounts.legs[:, i])
        np.testing.assert_array_equal(alone.values[:, 0], together.values[:, i])


def test_wrong_targets_and_rows_are_refused_with_the_account_and_the_asset():
    tape = random_portfolio(2, 5)
    bars, rules = portfolio_bars(tape, "per_bar"), PortfolioSettings().rules(tape)
    accounts = new_portfolios(2, 2, 1.0)
    with pytest.raises(RegimeGymError, match="account 1 decides on row 4, needed 0 ≤ row < 4"):
        step_portfolio_batch(bars, rules, np.array([0, 4]), accounts, np.zeros((2, 2)))
    with pytest.raises(RegimeGymError, match="the target of account 1 for asset 0 is -inf"):
        step_portfolio_batch(bars, rules, np.array([0, 1]), accounts, np.array([[0, 1.0], [-np.inf, 0]]))
    with pytest.raises(RegimeGymError, match=r"needed targets of shape \(2, 2\), got shape \(2,\)"):
        step_portfolio_batch(bars, rules, np.array([0, 1]), accounts, np.zeros(2))
