"""backtest against the slow account, and the properties of DEFINITIONS §5 through it."""

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from slow_account import SlowAccount, SlowStep
from tapes import HOUR_NS, constant_tape, make_tape, random_tape
from test_kernel_parity import REASON_OF, account_settings, bars_of, near, weights

import regimegym
from regimegym.common.errors import DataError, RegimeGymError
from regimegym.envs.backtest import CHUNK, PART_NAMES, backtest
from regimegym.envs.core import step_batch
from regimegym.envs.history import Attribution, bar_fills
from regimegym.envs.order_settings import OrderSettings
from regimegym.envs.results import FILL, FILL_REASONS
from regimegym.envs.settings import AccountSettings, EnvSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record
from regimegym.features.bars import Bars
from regimegym.features.tape import Segment

KEEP = np.nan
START_NS = 1_577_836_800_000_000_000  # 2020-01-01
FREE = {"fee_rate": 0.0, "half_spread": 0.0, "slippage": 0.0}
DEAR = {"fee_rate": 0.004, "half_spread": 0.002, "slippage": 0.001}
CARRY = {"borrow_rate": 5.0, "debit_rate": 5.0, "credit_rate": 2.0}
LEGS = ("credit", "borrow", "debit", "fees")


class MarkedAccount(SlowAccount):
    """The slow account that also notes its marks as §5 takes them: after every event of a bar."""

    def __init__(self, account, bars, periods_per_year):
        super().__init__(account, bars, 0, periods_per_year)
        self.marks = []  # (cash, units) after the events of bar 0, 1, …

    def decide(self, target):
        if self.done:
            self.mark()
        return super().decide(target)

    def live_through(self, bar, before, target):
        self.mark()  # events 6 and 7 of the bar before are over
        super().live_through(bar, before, target)

    def fill_at_the_last_close(self, target):
        bar = self.bars[self.row]
        self.out = SlowStep(equity=self.cash)
        self.order(target, bar.close, self.half_spread(bar, "close"), self.row)
        if self.out.fills and self.must_liquidate(bar.close):
            self.liquidate(bar.close, self.half_spread(bar, "close"), self.row, "close")
        return self.out

    def mark(self):
        self.marks.append((self.cash, self.units))


def slow_walk(tape, account, targets):
    """The slow account and its steps: T − 1 decisions, and the last bar's own close with `same_close`."""
    slow = MarkedAccount(account, bars_of(tape), tape.periods_per_year)
    steps = [slow.decide(None if np.isnan(target) else float(target)) for target in targets[:-1]]
    if account.execution == "same_close" and not slow.done:
        steps.append(slow.fill_at_the_last_close(None if np.isnan(targets[-1]) else float(targets[-1])))
    slow.mark()
    return slow, steps


def assert_agrees(tape, account, targets):
    history = backtest(tape, targets, account)
    slow, steps = slow_walk(tape, account, targets)
    assert len(slow.marks) == len(history) == len(tape)
    scale = account.initial_cash
    for t, (cash, units) in enumerate(slow.marks):
        near(history.cash[t], cash, scale)
        near(history.units[t], units, scale / tape.close[t])
        near(history.equity[t], cash + units * tape.close[t], scale)
    assert history.terminated == slow.done
    expected = [fill for step in steps for fill in step.fills]
    assert len(history.fills) == len(expected)
    for fill, other in zip(history.fills, expected, strict=True):
        assert (fill["bar"], fill["reason"]) == (other.row, REASON_OF[other.reason])
        near(fill["side"] * fill["units"], other.units, scale / other.mid)
        for name in ("mid", "price", "fee"):
            near(fill[name], getattr(other, name), scale)
    totals = history.attribution.totals()
    for name in LEGS:
        near(totals[name], sum(getattr(step, name) for step in steps), scale)
    near(totals["spread"] + totals["slippage"], sum(step.spread_and_slippage for step in steps), scale)
    return history


def assert_explained(history):
    equity = np.concatenate([[history.settings.initial_cash], history.equity])
    scale = np.maximum(1.0, np.maximum(np.abs(equity[1:]), np.abs(equity[:-1])))
    np.testing.assert_allclose(history.attribution.change, np.diff(equity), atol=1e-12)
    assert (np.abs(history.attribution.residual) < 1e-9 * scale).all()


def numbers(seed, n=40, low=-2.0, high=2.0):
    """Random targets, a third of them HOLD."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < 1 / 3, KEEP, rng.uniform(low, high, n))


seeds = st.integers(0, 10**6)
executions = st.sampled_from(["next_open", "same_close"])
sizings = st.sampled_from(["post_cost", "pre_cost", "cash"])


@settings(max_examples=300, derandomize=True)
@given(
    account=account_settings,
    targets=st.lists(weights, min_size=2, max_size=40),
    seed=seeds,
    volatility=st.sampled_from([0.002, 0.02, 0.15]),
)
def test_backtest_agrees_with_the_slow_account_and_explains_every_cent(account, targets, seed, volatility):
    n = len(targets)
    gaps = np.random.default_rng(seed).integers(1, 100, n)
    tape = random_tape(n, seed, volatility, timestamps=np.cumsum(gaps) * HOUR_NS)
    weights_t = np.array(targets, float)
    history = assert_agrees(tape, account, weights_t)
    leverage = np.abs(history.units[:-1]) * tape.close[:-1] / np.maximum(np.abs(history.equity[:-1]), 1e-300)
    assume((leverage < 100).all())  # beyond it round-off of the position exceeds 1e-9 of what is left
    assert_explained(history)


@pytest.mark.parametrize("margin_check", ["close", "intrabar"])
def test_backtest_is_a_list_of_steps_bit_for_bit(margin_check):
    tape, targets = random_tape(200, 3, 0.03), numbers(3, 200)
    account = AccountSettings(margin_check=margin_check, max_leverage=2.0, **DEAR, **CARRY)
    bars, rules = bar_records(tape, account.carry_clock), rule_record(EnvSettings(account=account))
    accounts, equity, fills = new_accounts(1, EnvSettings()), [10_000.0], []
    for t, target in enumerate(targets[:-1]):
        result = step_batch(bars, rules, np.array([t]), accounts, np.array([target]))
        accounts = result.accounts
        equity.append(accounts.equity[0])
        fills += result.fills[0, : int(result.n_fills[0])].tolist()
    history = backtest(tape, targets, account)
    np.testing.assert_array_equal(history.equity, equity)
    signed = history.fills["side"] * history.fills["units"]
    reasons = [FILL_REASONS.index(reason) for reason in history.fills["reason"]]
    others = [history.fills[name].tolist() for name in ("mid", "price", "fee")]
    assert fills == list(zip(history.fills["bar"].tolist(), signed.tolist(), *others, reasons, strict=True))


def wild_tape(seed):
    """Forty bars with gaps as large as their moves."""
    tape, rng = random_tape(40, seed, 0.2), np.random.default_rng(seed)
    open_ = tape.open * np.exp(0.2 * rng.standard_normal(40))
    high, low = np.maximum(open_, tape.high), np.minimum(open_, tape.low)
    return make_tape(open_, high, low, tape.close, half_spread_open=tape.half_spread_open)


@pytest.mark.parametrize("execution", ["next_open", "same_close"])
@pytest.mark.parametrize("margin_check", ["close", "intrabar"])
@pytest.mark.parametrize("target", [3.0, -3.0])
@pytest.mark.parametrize("floor_zero", [False, True])
def test_a_liquidation_is_explained_too(execution, margin_check, target, floor_zero):
    seen, forgave = set(), False
    for seed in range(100):
        tape = wild_tape(seed)
        account = AccountSettings(
            execution=execution, margin_check=margin_check, max_leverage=3.0, floor_zero=floor_zero, **DEAR, **CARRY
        )
        history = assert_agrees(tape, account, np.full(40, target))
        assert_explained(history)
        seen |= set(history.fills["reason"][-1:])
        forgiven = history.attribution.forgiven > 0
        assert forgiven.any() == (floor_zero and history.equity[-1] == 0)
        forgave |= forgiven.any()
    assert forgave == floor_zero
    assert seen >= ({"margin"} if margin_check == "close" else {"gap", "trigger"})


def test_a_mark_with_same_close_holds_the_fill_of_its_own_close():
    tape = make_tape(*[np.array([100.0, 100.0, 110.0])] * 4)
    history = backtest(tape, [1.0, KEEP, KEEP], AccountSettings(execution="same_close", fee_rate=0.01, half_spread=0))
    assert history.fills["bar"].tolist() == [0]
    assert history.exposure[0] == pytest.approx(1.0)
    assert history.equity[0] == pytest.approx(10_000 - history.attribution.costs[0])
    assert history.attribution.change[0] < 0
    assert history.attribution.intrabar[2] == 0
    assert history.attribution.gap[2] == pytest.approx(history.units[1] * 10)


def test_a_fill_that_ruins_the_account_at_its_own_close_ends_it_in_that_bar():
    account = AccountSettings(
        execution="same_close", sizing="pre_cost", max_leverage=50.0, fee_rate=0.015, half_spread=0.0, floor_zero=True
    )
    history = assert_agrees(constant_tape(6), account, np.array([50.0] + [KEEP] * 5))
    assert history.fills["bar"].tolist() == [0, 0]
    assert (history.equity == 0).all()
    assert (history.attribution.forgiven > 0).tolist() == [True] + [False] * 5
    assert_explained(history)


def test_with_next_open_the_last_bars_target_never_fills():
    targets = numbers(1, 30)
    one, other = (backtest(random_tape(30, 1), np.append(targets[:-1], last)) for last in (1.0, -1.0))
    np.testing.assert_array_equal(one.equity, other.equity)
    np.testing.assert_array_equal(one.fills, other.fills)


def test_with_same_close_the_last_bars_target_fills_at_the_last_close():
    account = AccountSettings(execution="same_close", credit_rate=0.5, fixed_fee=1.0)
    rules = EnvSettings(account=account, orders=OrderSettings(stop_loss=0.0001))
    history = backtest(constant_tape(5), [KEEP] * 4 + [1.0], rules)
    assert history.fills["bar"].tolist() == [4]
    assert history.fills["reason"].tolist() == ["order"]
    assert history.exposure[-1] == pytest.approx(1.0)
    assert not history.terminated
    assert_explained(history)


@pytest.mark.parametrize("execution", ["next_open", "same_close"])
def test_keep_leaves_the_position_and_a_list_of_keeps_does_nothing(execution):
    tape = random_tape(30, 2)
    account = AccountSettings(execution=execution, rebalance="always")
    idle = backtest(tape, np.full(30, KEEP), account)
    assert len(idle.fills) == 0
    assert (idle.equity == 10_000).all()
    once = backtest(tape, [0.5] + [KEEP] * 29, account)
    assert len(once.fills) == 1
    assert len(set(once.units[1:].tolist())) == 1
    with_none = backtest(tape, [0.5] + [None] * 29, account)
    np.testing.assert_array_equal(with_none.equity, once.equity)


@settings(max_examples=60, derandomize=True)
@given(seed=seeds, execution=executions, sizing=sizings, factor=st.sampled_from([1e-3, 7.0, 1e5]))
def test_prices_cash_and_fixed_fee_scaled_together_scale_equity(seed, execution, sizing, factor):
    base = random_tape(42, seed)
    scaled = make_tape(*(factor * price for price in (base.open, base.high, base.low, base.close)))
    plain = make_tape(base.open, base.high, base.low, base.close)
    account = AccountSettings(
        execution=execution, sizing=sizing, max_leverage=2.0, margin_check="intrabar", fixed_fee=1.0, **DEAR, **CARRY
    )
    larger = replace(account, fixed_fee=factor, initial_cash=1e4 * factor)
    a, b = (backtest(tape, numbers(seed, 42), s) for tape, s in ((plain, account), (scaled, larger)))
    np.testing.assert_allclose(b.equity, factor * a.equity, rtol=1e-8)
    np.testing.assert_allclose(b.units, a.units, rtol=1e-7, atol=1e-9)


@settings(max_examples=60, derandomize=True)
@given(
    seed=seeds,
    execution=executions,
    sizing=sizings,
    rebalance=st.sampled_from(["on_change", "always"]),
    margin_check=st.sampled_from(["close", "intrabar", "none"]),
)
def test_flat_prices_never_raise_equity(seed, execution, sizing, rebalance, margin_check):
    account = AccountSettings(
        execution=execution, sizing=sizing, rebalance=rebalance, margin_check=margin_check,
        max_leverage=3.0, lot=0.01, borrow_rate=1.0, debit_rate=1.0, **DEAR,
    )  # fmt: skip
    history = backtest(constant_tape(42), numbers(seed, 42, -4, 4), account)
    assert (history.attribution.change <= 1e-9).all()
    assert not history.attribution.gap.any()


@pytest.mark.parametrize("name", ["fee_rate", "half_spread", "slippage"])
@settings(max_examples=25, derandomize=True)
@given(seed=seeds, execution=executions, cheap=st.floats(0, 0.01), more=st.floats(1e-5, 0.02))
def test_more_costs_never_help(name, seed, execution, cheap, more):
    tape, targets = random_tape(42, seed, 0.01), numbers(seed, 42, -1, 1)
    account = AccountSettings(execution=execution, margin_check="none")
    low, high = (backtest(tape, targets, replace(account, **{name: rate})) for rate in (cheap, cheap + more))
    assert not low.terminated
    assert not high.terminated
    assert (high.equity <= low.equity * (1 + 1e-12)).all()


@settings(max_examples=40, derandomize=True)
@given(seed=seeds, execution=executions, t=st.integers(1, 38))
def test_noise_after_a_bar_leaves_its_past_untouched(seed, execution, t):
    tape, targets = random_tape(40, seed, 0.05), numbers(seed)
    account = AccountSettings(execution=execution, margin_check="intrabar", max_leverage=2.0, **DEAR, **CARRY)
    rng = np.random.default_rng(seed)
    prices = [getattr(tape, name).copy() for name in ("open", "high", "low", "close")]
    factor = rng.uniform(0.5, 2.0, 39 - t)
    for price in prices:
        price[t + 1 :] *= factor
    spreads = {name: getattr(tape, name) for name in ("half_spread_open", "half_spread_close")}
    other_targets = targets.copy()
    other_targets[t + 1 :] = rng.uniform(-1, 1, 39 - t)
    a = backtest(tape, targets, account)
    b = backtest(make_tape(*prices, **spreads), other_targets, account)
    for name in ("equity", "cash", "units", "exposure"):
        np.testing.assert_array_equal(getattr(a, name)[: t + 1], getattr(b, name)[: t + 1])
    np.testing.assert_array_equal(a.fills[a.fills["bar"] <= t], b.fills[b.fills["bar"] <= t])


@settings(max_examples=30, derandomize=True)
@given(seed=seeds, execution=executions)
def test_shifting_the_fill_by_one_bar_changes_the_results(seed, execution):
    tape, targets = random_tape(40, seed), numbers(seed)
    account = AccountSettings(execution=execution, max_leverage=2.0)
    now = backtest(tape, targets, account)
    late = backtest(tape, np.concatenate([[KEEP], targets[:-1]]), account)
    assert np.abs(now.equity - late.equity).max() > 1e-3


@settings(max_examples=30, derandomize=True)
@given(seed=seeds, sizing=sizings)
def test_next_open_on_bars_that_open_at_the_close_before_is_same_close_a_bar_later(seed, sizing):
    close = random_tape(40, seed).close
    open_ = np.concatenate([close[:1], close[:-1]])
    tape = make_tape(open_, np.maximum(open_, close), np.minimum(open_, close), close)
    account = AccountSettings(sizing=sizing, max_leverage=2.0, margin_check="none")
    targets = np.append(numbers(seed)[:-1], KEEP)  # the last one fills with same_close only
    a, b = (backtest(tape, targets, replace(account, execution=mode)) for mode in ("next_open", "same_close"))
    np.testing.assert_allclose(a.equity[-1], b.equity[-1], rtol=1e-9)
    np.testing.assert_array_equal(a.fills["bar"], b.fills["bar"] + 1)


@settings(max_examples=40, derandomize=True)
@given(seed=seeds, execution=executions, sizing=sizings)
def test_closed_trades_and_the_open_one_add_up_to_the_whole_result(seed, execution, sizing):
    account = AccountSettings(
        execution=execution, sizing=sizing, max_leverage=1.5, margin_check="none", **DEAR, borrow_rate=2.0
    )
    targets = numbers(seed, 60)
    targets[-6:] = [0.0] * 6  # ends flat, so that every trade is closed
    history = backtest(random_tape(60, seed, 0.01), targets, account)
    assert history.open_trades == 0
    assert history.trades["pnl"].sum() == pytest.approx(history.equity[-1] - 10_000, abs=1e-6)
    assert (history.trades["exit_bar"] - history.trades["entry_bar"] == history.trades["bars"]).all()
    assert len(history.trades) > 0


def test_a_long_backtest_collects_the_fills_of_every_chunk():
    n = CHUNK + 500
    tape = random_tape(n, 0, 0.001)
    targets = np.where(np.arange(n) % 2, 0.5, -0.5)
    history = backtest(tape, targets, AccountSettings(**FREE))
    assert history.fills["bar"].tolist() == list(range(1, n))
    assert_explained(history)


@pytest.mark.parametrize("sizing", ["post_cost", "pre_cost", "cash"])
def test_a_position_of_as_many_lots_is_left_alone_whatever_its_last_digit(sizing):
    """Sums of 0.1 are not multiples of 0.1 in float64; what they lack is no order, and pays no fixed fee."""
    account = AccountSettings(lot=0.1, sizing=sizing, initial_cash=100.0, fixed_fee=0.01)
    kept = 0
    for seed in range(20):
        history = backtest(random_tape(60, seed), np.random.default_rng(seed).uniform(-1, 1, 60), account)
        lots = history.fills["units"] / 0.1
        np.testing.assert_allclose(lots, np.maximum(1.0, np.round(lots)), atol=1e-9)
        kept += 59 - len(np.unique(history.fills["bar"]))
    assert kept > 0  # orders that came to as many lots


def test_the_trigger_liquidation_by_hand():
    open_ = np.array([100.0, 100, 100, 70, 70])
    tape = make_tape(open_, open_ + 1, np.array([99.0, 99, 60, 69, 69]), np.array([100.0, 100, 70, 70, 70]))
    account = AccountSettings(max_leverage=2.0, maintenance_margin=0.25, margin_check="intrabar", **FREE)
    history = backtest(tape, [2.0] + [KEEP] * 4, account)
    trigger = 10_000 / (200 * 0.75)  # −cash / (units · (1 − maint))
    assert history.fills["reason"].tolist() == ["order", "trigger"]
    assert history.fills["mid"].tolist() == [100.0, pytest.approx(trigger)]
    assert history.attribution.intrabar[2] == pytest.approx(200 * (trigger - 100))
    assert history.terminated
    assert (history.equity[2:] == history.equity[2]).all()
    assert history.trades["side"].tolist() == [1]


def bars_with(n=40, **spreads):
    tape = random_tape(n, 5)
    times = START_NS + tape.timestamps
    return Bars(
        times,
        tape.open,
        tape.high,
        tape.low,
        tape.close,
        tape.volume,
        "X",
        HOUR_NS,
        8760.0,
        **spreads,
    )


def test_bars_a_tape_a_frame_and_a_mapping_give_the_same_history():
    bars, targets = bars_with(), numbers(5)
    account = AccountSettings(borrow_rate=1.0, carry_clock="elapsed")
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    dates = pd.to_datetime(bars.timestamps, unit="ns", utc=True)
    frame = pd.DataFrame(columns, index=dates).rename(columns=str.title)
    tape = make_tape(bars.open, bars.high, bars.low, bars.close, timestamps=bars.timestamps)
    expected = backtest(bars, targets, account)
    for given_bars in (frame, frame.reset_index(names="Date"), {"timestamp": bars.timestamps, **columns}, tape):
        history = backtest(given_bars, pd.Series(targets), EnvSettings(account=account))
        np.testing.assert_array_equal(history.equity, expected.equity)
        np.testing.assert_array_equal(history.timestamps, bars.timestamps)


def test_quoted_spreads_of_the_bars_are_paid_where_settings_ask_for_them():
    quoted = np.linspace(0.1, 0.5, 40)
    bars = bars_with(spread_open=quoted, spread_close=quoted / 2)
    free = {"fee_rate": 0.0, "slippage": 0.0, "spread_source": "bars"}
    for execution, paid in (("next_open", quoted), ("same_close", quoted / 2)):
        history = backtest(bars, numbers(5), AccountSettings(execution=execution, **free))
        fills = history.fills
        np.testing.assert_allclose(np.abs(fills["price"] - fills["mid"]), paid[fills["bar"]] / 2, rtol=1e-9)


def test_the_history_is_read_only_and_leaves_the_callers_targets_alone():
    targets = numbers(5)
    before = targets.copy()
    history = backtest(random_tape(40, 5), targets)
    np.testing.assert_array_equal(targets, before)
    with pytest.raises(ValueError, match="read-only"):
        history.equity[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        history.attribution.gap[0] = 1.0


def test_every_reason_of_a_fill_has_room_for_its_name():
    records = np.zeros(len(FILL_REASONS), FILL)
    records["reason"] = np.arange(len(FILL_REASONS))
    assert tuple(bar_fills(records)["reason"]) == FILL_REASONS


def test_the_summary_names_result_execution_and_parts():
    history = backtest(random_tape(40, 5), numbers(5))
    text = str(history)
    assert text.splitlines()[0] == "40 bars · fills at next_open"
    assert f"({history.total_return:+.2%})" in text
    assert f"{len(history.fills)} fills · {len(history.trades)} closed trades" in text
    assert "slippage" in text
    assert "borrow" not in text


def test_backtest_stands_at_the_top_of_the_package():
    assert regimegym.backtest is backtest
    with pytest.raises(AttributeError, match="no attribute 'backtests'"):
        _ = regimegym.backtests
    assert tuple(field.name for field in fields(Attribution)) == PART_NAMES


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.zeros(9), r"needed 10 targets, one per bar, got shape \(9,\)"),
        (np.zeros((10, 1)), r"needed 10 targets, one per bar, got shape \(10, 1\)"),
        ([0.0] * 4 + [np.inf] + [0.0] * 5, "the target of bar 4 is inf"),
        (["long"] * 10, "the targets are no numbers"),
    ],
)
def test_wrong_targets_are_refused(targets, message):
    with pytest.raises(RegimeGymError, match=message):
        backtest(random_tape(10, 0), targets)


def test_targets_that_tell_their_times_are_those_of_the_bars():
    tape = random_tape(10, 0)
    times = pd.DatetimeIndex(tape.timestamps, tz="UTC")
    weights = np.linspace(-1, 1, 10)
    plain = backtest(tape, weights).equity
    for index in (times, times.tz_localize(None).as_unit("s"), times.tz_convert("Asia/Tokyo"), range(5, 15)):
        np.testing.assert_array_equal(backtest(tape, pd.Series(weights, index)).equity, plain)
    shifted = pd.Series(weights, times).shift(1, freq="h")
    with pytest.raises(RegimeGymError, match=r"target 0 is of .*01:00:00\+00:00, bar 0 begins at .*00:00:00\+00:00"):
        backtest(tape, shifted)
    with pytest.raises(RegimeGymError, match=r"target 3 is of .*04:00:00\+00:00, bar 3 begins at"):
        backtest(tape, pd.Series(weights, times).drop(times[3]))
    with pytest.raises(RegimeGymError, match=r"target 7 is of none, bar 7 begins at"):
        backtest(tape, pd.Series(weights, times)[:7])
    np.testing.assert_array_equal(  # what the message advises
        backtest(tape, pd.Series(weights, times)[:7].reindex(times)).equity,
        backtest(tape, np.r_[weights[:7], [np.nan] * 3]).equity,
    )


def test_wrong_bars_are_refused():
    two = (Segment("A", 0, 5, 0), Segment("B", 5, 10, 5))
    with pytest.raises(DataError, match="one account cannot walk across 2 segments"):
        backtest(random_tape(10, 0, segments=two), np.zeros(10))
    with pytest.raises(DataError, match="needs bars, got list"):
        backtest([1.0, 2.0], np.zeros(2))
    with pytest.raises(DataError, match="needs 2 bars or more, got 1"):
        backtest(random_tape(1, 0), np.zeros(1))
    with pytest.raises(DataError, match="has no column 'close'"):
        backtest({"timestamp": [0, 1], "open": [1, 1], "high": [1, 1], "low": [1, 1]}, np.zeros(2))
