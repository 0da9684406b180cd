"""The properties of DEFINITIONS §5 for an account of several instruments."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from portfolios import KEEP, equity_of, flat_portfolio, named, random_portfolio, random_targets, walk
from tapes import make_tape

from regimegym.common.errors import ConfigError
from regimegym.envs.portfolio_settings import PortfolioSettings
from regimegym.envs.settings import AccountSettings, EpisodeSettings
from regimegym.features.portfolio_tape import align_tapes

DEAR = {"fee_rate": 0.004, "half_spread": 0.002, "slippage": 0.001}
CARRY = {"borrow_rate": 5.0, "debit_rate": 5.0, "credit_rate": 2.0}
FREE = {"fee_rate": 0.0, "half_spread": 0.0, "slippage": 0.0}
seeds = st.integers(0, 10**6)
rebalances = st.sampled_from(["on_change", "always"])
sizings = st.sampled_from(["post_cost", "pre_cost"])


@settings(max_examples=60, derandomize=True)
@given(seed=seeds, sizing=sizings, rebalance=rebalances, m=st.integers(1, 4))
def test_every_step_is_explained_by_its_parts(seed, sizing, rebalance, m):
    tape = random_portfolio(m, 42, seed)
    account = AccountSettings(
        sizing=sizing,
        rebalance=rebalance,
        max_leverage=2.0,
        margin_check="none",
        fixed_fee=0.3,
        impact=0.01,
        **DEAR,
        **CARRY,
    )
    units, equity = np.zeros(m), account.initial_cash
    for t, result in enumerate(walk(tape, account, random_targets(m, seed))):
        if result.accounts.done[0]:
            break
        opens, closes, before = (
            np.array([getattr(market, name)[row] for market in tape.markets])
            for name, row in (("open", t + 1), ("close", t + 1), ("close", t))
        )
        after = result.accounts
        parts = (
            result.credit[0] - result.borrow[0] - result.debit[0] - result.funding[0]
            + units @ (opens - before)
            + after.units[0] @ (closes - opens)
            - result.spread[0] - result.slippage[0] - result.fees[0]
        )  # fmt: skip
        assert abs(after.equity[0] - equity - parts) < 1e-9 * max(1.0, abs(equity))
        assert after.equity[0] == pytest.approx(after.cash[0] + after.units[0] @ closes, abs=1e-8)
        units, equity = after.units[0], after.equity[0]


def test_the_costs_of_the_ledger_are_the_equity_that_is_lost():
    account = AccountSettings(**DEAR, fixed_fee=0.7, max_leverage=2.0)
    results = walk(flat_portfolio(100.0, 3.0, 25.0), account, random_targets(3, 1))
    lost = sum(r.fees[0] + r.spread[0] + r.slippage[0] for r in results)
    assert sum(r.n_fills[0] for r in results) > 50
    assert 10_000 - results[-1].accounts.equity[0] == pytest.approx(lost, abs=1e-9 * 10_000)
    paid = sum(r.fills["fee"][0, : int(r.n_fills[0])].sum() for r in results)
    assert paid == pytest.approx(sum(r.fees[0] for r in results), rel=1e-12)


@settings(max_examples=40, derandomize=True)
@given(seed=seeds, rebalance=rebalances, execution=st.sampled_from(["next_open", "same_close"]))
def test_the_order_of_the_instruments_does_not_matter(seed, rebalance, execution):
    tape, targets = random_portfolio(4, 42, seed, 0.05), random_targets(4, seed)
    account = AccountSettings(
        rebalance=rebalance, execution=execution, max_leverage=2.0, fixed_fee=0.1, spread_source="bars", **CARRY
    )
    order = np.random.default_rng(seed).permutation(4)
    shuffled = align_tapes([tape.markets[j] for j in order])
    a, b = walk(tape, account, targets), walk(shuffled, account, targets[:, order])
    np.testing.assert_allclose(equity_of(b), equity_of(a), rtol=1e-9)
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(other.accounts.units[0], one.accounts.units[0, order], rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("factor", [1e-3, 7.0, 1e5])
def test_prices_cash_and_fixed_fee_scaled_together_scale_equity(factor):
    base = random_portfolio(3, 42, 9)
    larger = align_tapes([scaled(market, factor) for market in base.markets])
    common, targets = dict(max_leverage=2.0, **DEAR, **CARRY), random_targets(3, 9)
    a = walk(base, AccountSettings(fixed_fee=1.0, **common), targets)
    b = walk(larger, AccountSettings(fixed_fee=factor, initial_cash=1e4 * factor, **common), targets)
    np.testing.assert_allclose(equity_of(b), factor * equity_of(a), rtol=1e-9)
    np.testing.assert_allclose([r.reward[0] for r in b], [r.reward[0] for r in a], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("sizing", ["post_cost", "pre_cost"])
@pytest.mark.parametrize("rebalance", ["on_change", "always"])
@pytest.mark.parametrize("execution", ["next_open", "same_close"])
def test_flat_prices_never_raise_equity(sizing, rebalance, execution):
    account = AccountSettings(
        sizing=sizing, rebalance=rebalance, execution=execution, max_leverage=3.0, lot=0.01,
        borrow_rate=1.0, debit_rate=1.0, **DEAR,
    )  # fmt: skip
    for seed in range(10):
        targets = random_targets(3, seed, low=-2, high=2)
        equity = equity_of(walk(flat_portfolio(100.0, 3.0, 25.0), account, targets))
        assert (np.diff(np.concatenate([[10_000.0], equity])) <= 1e-9).all()


@settings(max_examples=40, derandomize=True)
@given(seed=seeds, rebalance=rebalances, m=st.integers(1, 4))
def test_a_long_only_account_never_borrows(seed, rebalance, m):
    account = AccountSettings(rebalance=rebalance, fixed_fee=0.5, **DEAR)
    targets = random_targets(m, seed, low=0, keep=0.0)  # those above Σw = 1 are scaled down
    for result in walk(random_portfolio(m, 42, seed, 0.05), account, targets):
        assert result.accounts.cash[0] >= -1e-9 * result.accounts.equity[0]


@pytest.mark.parametrize("name", ["fee_rate", "half_spread", "slippage"])
@settings(max_examples=25, derandomize=True)
@given(seed=seeds, cheap=st.floats(0, 0.01), more=st.floats(1e-5, 0.02))
def test_more_costs_never_help(name, seed, cheap, more):
    tape, targets = random_portfolio(3, 42, seed, 0.01), random_targets(3, seed, keep=0.0)
    low, high = (
        walk(tape, AccountSettings(margin_check="none", **{name: rate}), targets) for rate in (cheap, cheap + more)
    )
    assert not any(r.accounts.done[0] for r in low + high)
    assert (equity_of(high) <= equity_of(low) * (1 + 1e-12)).all()


def scaled(market, factor):
    """The market with its prices times `factor`, a number or (T,)."""
    return replace(market, **{name: factor * getattr(market, name) for name in ("open", "high", "low", "close")})


def test_targets_beyond_the_leverage_are_scaled_down_together():
    account = AccountSettings(max_leverage=1.5, **FREE)
    after = walk(flat_portfolio(100.0, 3.0, 25.0), account, [(2.0, -1.0, 0.0)])[0].accounts
    np.testing.assert_allclose(after.last_target[0], (1.0, -0.5, 0.0), rtol=1e-15)
    np.testing.assert_allclose(after.exposure[0], (1.0, -0.5, 0.0), rtol=1e-14)


def test_a_kept_instrument_is_untouched_and_takes_its_share_of_the_leverage():
    account = AccountSettings(max_leverage=1.0, **FREE)
    first, second = walk(flat_portfolio(100.0, 3.0), account, [(0.75, 0.0), (KEEP, 0.75)])
    assert second.accounts.units[0, 0] == first.accounts.units[0, 0]
    np.testing.assert_allclose(second.accounts.last_target[0], (0.75, 0.25), rtol=1e-15)


def test_an_unchanged_target_leaves_cash_and_units_as_they_are():
    tape = random_portfolio(3, 10, 0)
    first, second, third = walk(tape, AccountSettings(), [(0.5, 0.2, 0.1)] * 2 + [(0.5, 0.2, 0.2)])
    assert second.accounts.cash[0] == first.accounts.cash[0] - second.funding[0]
    np.testing.assert_array_equal(second.accounts.units, first.accounts.units)
    assert (second.traded[0], second.n_fills[0], second.fees[0]) == (0, 0, 0)
    assert third.n_fills[0] == 3  # one weight changed: the whole account returns to its weights


def test_the_band_holds_for_each_instrument_alone():
    account = AccountSettings(rebalance="always", band=0.1, **FREE)
    _, second = walk(flat_portfolio(100.0, 3.0), account, [(0.5, 0.3), (0.55, 0.1)])
    assert second.n_fills[0] == 1
    assert second.fills[0, 0]["asset"] == 1
    np.testing.assert_allclose(second.accounts.last_target[0], (0.5, 0.1))


@pytest.mark.parametrize("n", [1, 30])
def test_every_short_pays_borrow_for_every_bar_it_is_held(n):
    account = AccountSettings(borrow_rate=0.1, max_leverage=2.0, **FREE)
    results = walk(flat_portfolio(100.0, 3.0, 25.0), account, [(-0.5, -0.25, 0.5)] + [(KEEP,) * 3] * n)
    assert sum(r.borrow[0] for r in results) == pytest.approx(n * 0.1 / 8760 * 7_500, rel=1e-12)


def test_a_liquidated_account_is_frozen_and_its_later_targets_are_ignored():
    fall = np.array([100.0, 100, 20, 200, 300, 300])
    steady = make_tape(*[np.full(6, 10.0)] * 4, segments=named(1, 6))
    tape = align_tapes([make_tape(fall, fall, fall, fall, segments=named(0, 6)), steady])
    account = AccountSettings(max_leverage=3.0, floor_zero=True)
    results = walk(tape, account, [(2.0, -1.0), (KEEP, KEEP), (0.5, 0.5), (0.0, 0.0), (1.0, 0.0)])
    assert [bool(r.accounts.done[0]) for r in results] == [False, True, True, True, True]
    assert equity_of(results)[1:].tolist() == [0.0] * 4
    assert not results[1].accounts.units.any()
    assert results[1].reward[0] == pytest.approx(100 * np.log(1e-3))
    assert all(r.reward[0] == 0 and r.n_fills[0] == 0 for r in results[2:])


def test_noise_after_the_next_bar_leaves_the_step_untouched():
    tape, rng = random_portfolio(2, 30, 0), np.random.default_rng(1)
    targets = random_targets(2, 0, n=10)
    noisy = []
    for market in tape.markets:
        factor = np.where(np.arange(30) > 10, rng.uniform(0.5, 2.0, 30), 1.0)
        noisy.append(scaled(market, factor))
    before, after = walk(tape, AccountSettings(), targets)[-1], walk(align_tapes(noisy), AccountSettings(), targets)[-1]
    np.testing.assert_array_equal(before.values, after.values)
    np.testing.assert_array_equal(before.accounts.values, after.accounts.values)


@pytest.mark.parametrize(("name", "value"), [("sizing", "cash"), ("margin_check", "intrabar")])
def test_what_has_no_meaning_for_several_instruments_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"'{name}' of a portfolio must be one of .*, got '{value}'"):
        PortfolioSettings(account=AccountSettings(**{name: value}))


@pytest.mark.parametrize("choice", [{"regimes": ["uptrend"]}, {"symbol_weights": {"A": 1.0}}, {"starts": [("A", 3)]}])
def test_episodes_chosen_by_one_instrument_are_refused(choice):
    name = next(iter(choice))
    with pytest.raises(ConfigError, match=f"'{name}' speaks of one instrument; of a portfolio it must be null"):
        PortfolioSettings(episode=EpisodeSettings(**choice))


def test_costs_that_no_trade_can_bear_are_refused():
    wide = make_tape(*[np.full(5, 10.0)] * 4, half_spread_open=[0, 0, 0.5, 0, 0], segments=named(0, 5))
    account = AccountSettings(max_leverage=2.0, spread_source="bars")
    with pytest.raises(ConfigError, match=r"max_leverage · costs of 'A' must be < 1.* with a half-spread of 0\.5"):
        PortfolioSettings(account=account).rules(align_tapes([wide]))
