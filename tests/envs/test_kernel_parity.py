"""The kernel against the slow account, over random bars × actions × settings, to 1e-9."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_account import Bar, SlowAccount, SlowSharpe, slow_drawdown_penalised, slow_reward
from tapes import make_tape, random_tape

from regimegym.common.errors import RegimeGymError
from regimegym.envs.core import step_batch
from regimegym.envs.results import FILL_REASONS
from regimegym.envs.settings import AccountSettings, EnvSettings, RewardSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record

REASON_OF = {
    "order": "order", "gap": "gap", "trigger": "trigger", "close": "margin",
    "stop_loss": "stop_loss", "take_profit": "take_profit",
}  # fmt: skip


def bars_of(tape):
    columns = (
        tape.timestamps, tape.open, tape.high, tape.low, tape.close,
        tape.half_spread_open, tape.half_spread_close, tape.regimes, tape.volume,
        np.zeros(len(tape)) if tape.funding_rate is None else tape.funding_rate,
    )  # fmt: skip
    return [Bar(*(value.item() for value in row)) for row in zip(*columns, strict=True)]


def near(value, expected, scale):
    assert abs(value - expected) <= 1e-9 * max(1.0, abs(scale), abs(expected)), (value, expected)


def assert_agrees(tape, env_settings, targets):
    """Step both accounts over `targets` (None = HOLD) and compare every number of every step."""
    bars, rules = bar_records(tape, env_settings.account.carry_clock), rule_record(env_settings)
    slow = SlowAccount(env_settings.account, bars_of(tape), 0, tape.periods_per_year, env_settings.orders)
    accounts = new_accounts(1, env_settings)
    sharpe = SlowSharpe(env_settings.reward.sharpe_adaptation)
    traded_before, seen = [], []
    window = env_settings.reward.max_trades_window
    for t, target in enumerate(targets):
        value_t, peak_t, was_done = accounts.equity[0], slow.peak, slow.done
        result = step_batch(bars, rules, np.array([t]), accounts, np.array([np.nan if target is None else target]))
        expected = slow.decide(target)
        scale = env_settings.account.initial_cash
        accounts = result.accounts
        near(accounts.cash[0], slow.cash, scale)
        near(accounts.units[0], slow.units, scale / tape.close[t])
        near(accounts.equity[0], expected.equity, scale)
        assert bool(result.terminated[0]) == slow.done
        assert bool(result.traded[0]) == expected.traded
        for name in ("credit", "borrow", "debit", "fees", "funding"):
            near(getattr(result, name)[0], getattr(expected, name), scale)
        near(result.spread[0] + result.slippage[0], expected.spread_and_slippage, scale)
        near(accounts.last_target[0], slow.last_target, 1.0)
        compare_fills(result, expected, scale)
        if was_done:
            assert result.reward[0] == 0
            continue
        traded_before.append(expected.traded)
        near(result.exposure_at_fill[0], expected.exposure_at_fill, 1.0)
        kind = env_settings.reward.kind
        if kind == "differential_sharpe":
            reward = env_settings.reward.reward_scale * sharpe.step(result.log_return[0])
        elif kind == "drawdown_penalised":
            reward = slow_drawdown_penalised(
                env_settings.reward, value_t=value_t, value_tp1=expected.equity, peak_t=peak_t
            )
        else:
            reward = slow_reward(
                env_settings.reward,
                value_t=value_t,
                value_tp1=expected.equity,
                exposure=expected.exposure_at_fill,
                trades_in_window=sum(traded_before[-window:]),
                notional=expected.notional,
                regime=int(tape.regimes[t]),
                uptrend_target=min(env_settings.reward.uptrend_target, env_settings.account.max_leverage),
            )
        near(result.reward[0], reward, 100.0)
        seen += [fill.reason for fill in expected.fills]
    return seen


def compare_fills(result, expected, scale):
    assert result.n_fills[0] == len(expected.fills)
    for fill, slow_fill in zip(result.fills[0], expected.fills, strict=False):
        assert fill["row"] == slow_fill.row
        assert FILL_REASONS[fill["reason"]] == REASON_OF[slow_fill.reason]
        near(fill["units"], slow_fill.units, scale / slow_fill.mid)
        for name in ("mid", "price", "fee"):
            near(fill[name], getattr(slow_fill, name), scale)


rates = st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.05])
account_settings = st.builds(
    AccountSettings,
    initial_cash=st.sampled_from([1.0, 10_000.0, 1e7]),
    execution=st.sampled_from(["next_open", "same_close"]),
    fee_rate=rates,
    fixed_fee=st.sampled_from([0.0, 0.0, 0.05]),
    half_spread=rates,
    slippage=rates,
    spread_source=st.sampled_from(["constant", "bars"]),
    borrow_rate=st.sampled_from([0.0, 0.5, 20.0]),
    debit_rate=st.sampled_from([0.0, 0.5, 20.0]),
    credit_rate=st.sampled_from([0.0, 0.5, 20.0]),
    carry_clock=st.sampled_from(["per_bar", "elapsed"]),
    sizing=st.sampled_from(["post_cost", "pre_cost", "cash"]),
    lot=st.sampled_from([0.0, 0.0, 0.013, 1.0]),
    rebalance=st.sampled_from(["on_change", "always"]),
    band=st.sampled_from([0.0, 0.02, 0.2]),
    max_leverage=st.sampled_from([0.7, 1.0, 2.0, 4.0]),
    maintenance_margin=st.sampled_from([0.0, 0.1, 0.25, 0.5]),
    margin_check=st.sampled_from(["close", "intrabar", "none"]),
    floor_zero=st.booleans(),
)
reward_settings = st.builds(
    RewardSettings,
    kind=st.sampled_from(["regime_aware", "regime_aware", "log_return"]),
    max_trades_window=st.sampled_from([1, 3, 20]),
    max_trades=st.sampled_from([0, 1, 10]),
    missed_uptrend_penalty=st.sampled_from([0.0, 0.01]),
    overtrading_penalty=st.sampled_from([0.0, 0.01]),
    small_trade_penalty=st.sampled_from([0.0, 0.01]),
    minimum_trade=st.sampled_from([0.01, 0.5]),
)
weights = st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 1.0, 0.5]), st.floats(-4, 4))


@settings(max_examples=400, derandomize=True)
@given(
    account=account_settings,
    reward=reward_settings,
    targets=st.lists(weights, min_size=1, max_size=40),
    seed=st.integers(0, 10_000),
    volatility=st.sampled_from([0.002, 0.02, 0.15]),
)
def test_the_kernel_agrees_with_the_slow_account(account, reward, targets, seed, volatility):
    gaps = np.random.default_rng(seed).integers(1, 100, 42)
    tape = random_tape(42, seed, volatility, timestamps=np.cumsum(gaps) * 3_600_000_000_000)
    assert_agrees(tape, EnvSettings(account=account, reward=reward), targets)


REACHED = [
    ("close", "close", {"margin_check": "close"}),
    ("gap", "gap", {"margin_check": "intrabar"}),
    ("trigger", "trigger", {"margin_check": "intrabar"}),
]


@pytest.mark.parametrize(("case", "reason", "changes"), REACHED)
@pytest.mark.parametrize("target", [3.0, -3.0])
@pytest.mark.parametrize("execution", ["next_open", "same_close"])
def test_every_kind_of_liquidation_is_reached_and_agrees(case, reason, changes, target, execution):
    shock = 0.6 if target > 0 else 1.6
    open_, close = np.full(6, 100.0), np.full(6, 100.0)
    low, high = np.full(6, 99.0), np.full(6, 101.0)
    if case == "gap":
        open_[3:] = close[3:] = 100 * shock
    if case == "close":
        close[3:] = open_[4:] = 100 * shock
    low, high = np.minimum(low, np.minimum(open_, close)), np.maximum(high, np.maximum(open_, close))
    if case == "trigger":
        low[3], high[3] = min(low[3], 100 * shock), max(high[3], 100 * shock)
    account = AccountSettings(execution=execution, max_leverage=3.0, maintenance_margin=0.1, **changes)
    seen = assert_agrees(make_tape(open_, high, low, close), EnvSettings(account=account), [target] + [None] * 4)
    assert reason in seen


def test_a_fill_that_breaks_the_margin_is_liquidated_at_the_same_close():
    tape = make_tape(*[np.full(5, 100.0)] * 4)
    account = AccountSettings(execution="same_close", max_leverage=5.0, maintenance_margin=0.25)
    seen = assert_agrees(tape, EnvSettings(account=account), [5.0, None, None])
    assert seen == ["order", "close"]


def test_a_flip_with_cash_sizing_is_two_fills_and_a_liquidation_a_third():
    close = np.array([100.0, 100, 100, 150, 150])
    open_ = np.array([100.0, 100, 100, 100, 150])
    tape = make_tape(open_, np.maximum(open_, close), np.minimum(open_, close), close)
    account = AccountSettings(sizing="cash", max_leverage=2.0)
    assert assert_agrees(tape, EnvSettings(account=account), [1.0, None, -2.0]) == [
        "order",
        "order",
        "order",
        "close",
    ]


def test_many_accounts_step_as_each_alone_and_inputs_stay_as_they_were():
    tape = random_tape(60, 3)
    env_settings = EnvSettings(account=AccountSettings(max_leverage=2.0, sizing="cash", rebalance="always"))
    bars, rules = bar_records(tape, env_settings.account.carry_clock), rule_record(env_settings)
    rng = np.random.default_rng(0)
    rows, targets = rng.integers(0, 50, 16), rng.uniform(-2, 2, 16)
    accounts = new_accounts(16, env_settings)
    accounts.cash[:] = accounts.equity[:] = rng.uniform(1, 100, 16)
    before = (accounts.values.copy(), accounts.ring.copy(), rows.copy(), targets.copy())
    together = step_batch(bars, rules, rows, accounts, targets)
    for value, was in zip((accounts.values, accounts.ring, rows, targets), before, strict=True):
        np.testing.assert_array_equal(value, was)
    for i in range(16):
        one = replace(accounts, values=accounts.values[:, [i]].copy(), ring=accounts.ring[[i]])
        alone = step_batch(bars, rules, rows[[i]], one, targets[[i]])
        np.testing.assert_array_equal(alone.accounts.values[:, 0], together.accounts.values[:, i])
        np.testing.assert_array_equal(alone.values[:, 0], together.values[:, i])


@pytest.mark.parametrize("target", [4.0, -4.0])
def test_a_fill_beyond_the_margin_is_liquidated_intrabar_at_the_open_not_at_a_better_price(target):
    tape = make_tape(*[np.full(4, 100.0)] * 4)
    wide = make_tape(tape.open, tape.high + 5, tape.low - 5, tape.close)
    account = AccountSettings(margin_check="intrabar", max_leverage=4.0, maintenance_margin=0.5)
    bars, rules = bar_records(wide, account.carry_clock), rule_record(EnvSettings(account=account))
    assert assert_agrees(wide, EnvSettings(account=account), [target, None]) == ["order", "trigger"]
    accounts = new_accounts(1, EnvSettings(account=account))
    result = step_batch(bars, rules, np.array([0]), accounts, np.array([target]))
    assert result.fills[0, 1]["mid"] == 100.0


def test_within_the_band_nothing_trades_and_beyond_it_does():
    tape = make_tape(*[np.full(8, 100.0)] * 4)
    account = AccountSettings(rebalance="always", band=0.2, fee_rate=0, half_spread=0, slippage=0)
    env_settings = EnvSettings(account=account)
    assert_agrees(tape, env_settings, [0.5, 0.69, 0.31, 0.71, 0.0])
    accounts, traded = new_accounts(1, env_settings), []
    bars, rules = bar_records(tape, env_settings.account.carry_clock), rule_record(env_settings)
    for t, target in enumerate([0.5, 0.69, 0.31, 0.71, 0.0]):
        result = step_batch(bars, rules, np.array([t]), accounts, np.array([target]))
        accounts = result.accounts
        traded.append(bool(result.traded[0]))
    assert traded == [True, False, False, True, True]


def test_a_row_without_a_next_bar_and_an_infinite_target_are_refused():
    tape = random_tape(5)
    bars, rules = bar_records(tape, "per_bar"), rule_record(EnvSettings())
    accounts = new_accounts(2, EnvSettings())
    with pytest.raises(RegimeGymError, match="account 1 decides on row 4, needed 0 ≤ row < 4"):
        step_batch(bars, rules, np.array([0, 4]), accounts, np.zeros(2))
    with pytest.raises(RegimeGymError, match="the target of account 0 is inf"):
        step_batch(bars, rules, np.array([0, 1]), accounts, np.array([np.inf, 0]))
