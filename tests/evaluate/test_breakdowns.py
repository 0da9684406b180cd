"""Months, trades and parts of the P&L add up to the whole, by hand and on real walks."""

import math

import numpy as np
import pandas as pd
import pytest
from handmade import WindowPolicy, make_fills, make_trajectory, random_tape

from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings
from regimegym.evaluate.breakdowns import (
    longest_run,
    per_month,
    per_trade,
    pnl_parts,
    pnl_parts_by_regime,
    trade_statistics,
)
from regimegym.evaluate.rollout import rollout
from regimegym.evaluate.weaknesses import action_shares, weaknesses
from regimegym.features.splits import RowRange

ROWS = RowRange(40, 900)


@pytest.fixture(scope="module")
def tape():
    return random_tape(900, 8, volatility=0.02)


@pytest.fixture(scope="module", params=["next_open", "same_close"])
def run(request, tape):
    account = AccountSettings(execution=request.param, borrow_rate=0.8, debit_rate=0.3, credit_rate=0.1)
    settings = EnvSettings(account=account, action=ActionSettings(allow_short=True))
    return rollout(WindowPolicy(), tape, settings, ROWS)[0]


def test_market_timing_carry_and_costs_sum_to_the_result(run):
    parts = pnl_parts(run)
    assert parts.total == pytest.approx(run.equity[-1] - run.equity[0], rel=1e-12)
    assert sum(parts[:4]) == pytest.approx(parts.total, abs=1e-8)
    assert parts.costs == pytest.approx(-run.costs.sum())
    assert parts.carry == pytest.approx(run.carry.sum())
    assert parts.costs < 0
    assert parts.carry != 0


def test_the_parts_of_the_regimes_sum_to_those_of_the_whole(run):
    by_regime = pnl_parts_by_regime(run)
    assert set(by_regime) == {"UPTREND", "DOWNTREND", "PLATEAU", "OSCILLATING"}
    np.testing.assert_allclose(np.sum(list(by_regime.values()), axis=0), pnl_parts(run), atol=1e-8)


def test_unknown_labels_are_counted_too():
    run = make_trajectory([100.0, 110.0, 99.0], regimes=[-1, 0], exposure=[0, 1, 1])
    by_regime = pnl_parts_by_regime(run)
    assert by_regime["UNKNOWN"].total == pytest.approx(10.0)
    assert sum(part.total for part in by_regime.values()) == pytest.approx(-1.0)


def test_a_constant_exposure_has_no_timing():
    """Always invested, without costs or carry: all of it is the market."""
    tape = random_tape(300, 2)
    run = make_trajectory(
        1_000 * tape.close[40:140] / tape.close[40], exposure=np.ones(100), cash=np.zeros(100),
        units=np.full(100, 1_000 / tape.close[40]),
    )  # fmt: skip
    run = type(run)(**{**run.__dict__, "close": tape.close[40:140]})
    parts = pnl_parts(run)
    assert parts.market == pytest.approx(parts.total)
    assert parts.timing == pytest.approx(0.0, abs=1e-9)


def test_holding_only_what_rises_is_timing():
    close = np.array([100.0, 110.0, 100.0, 110.0, 100.0])
    equity = np.array([100.0, 110.0, 110.0, 121.0, 121.0])
    run = make_trajectory(equity, exposure=[0, 1, 0, 1, 0], cash=[100, 0, 110, 0, 121], units=[0, 1, 0, 1.1, 0])
    run = type(run)(**{**run.__dict__, "close": close})
    parts = pnl_parts(run)
    halves = 0.5 * (100 * 0.1 - 110 / 11 + 110 * 0.1 - 121 / 11)
    assert parts.market == pytest.approx(halves)
    assert parts.market + parts.timing + parts.carry == pytest.approx(21.0)


def test_months_are_those_in_which_the_steps_end(run):
    months = per_month(run)
    assert list(months) == sorted(months)
    assert sum(row["n"] for row in months.values()) == len(run)
    assert sum(row["log_return"] for row in months.values()) == pytest.approx(run.log_returns.sum())
    stamps = pd.to_datetime(run.timestamps[1:], unit="ns")
    assert months["1970-01"]["n"] == (stamps.month == 1).sum()
    assert max(row["max_drawdown"] for row in months.values()) > 0


def test_a_month_begins_with_its_first_step():
    hours = np.datetime64("2020-01-31T22:00", "ns") + np.arange(5) * np.timedelta64(1, "h")
    run = make_trajectory([100.0, 110.0, 121.0, 60.5, 121.0])
    run = type(run)(**{**run.__dict__, "timestamps": hours.astype(np.int64)})
    months = per_month(run)
    assert list(months) == ["2020-01", "2020-02"]
    assert months["2020-01"]["n"] == 1
    assert months["2020-01"]["log_return"] == pytest.approx(math.log(1.1))
    assert months["2020-02"]["max_drawdown"] == pytest.approx(0.5)
    assert math.isnan(months["2020-01"]["sharpe_ratio"])


def test_the_excursions_of_a_trade_by_hand():
    """Bought at the open of bar 1, sold at the open of bar 3: bars 1 and 2 were lived through."""
    fills = make_fills((0, 1, 1, 2.0, 100.0, 100.0, 0.0, 0), (2, 3, -1, 2.0, 104.0, 104.0, 0.0, 0))
    run = make_trajectory([1_000, 1_010, 1_012, 1_008, 1_008], fills=fills, cash=[1_000, 800, 800, 1_008, 1_008])
    high, low = np.array([200.0, 106, 109, 300, 1]), np.array([1.0, 97, 99, 1, 1])
    (trade,) = per_trade(run, high, low).to_dict("records")
    assert (trade["side"], trade["pnl"], trade["bars"]) == (1, 8.0, 2)
    assert trade["mfe"] == pytest.approx(0.09)
    assert trade["mae"] == pytest.approx(0.03)
    assert trade["entry_price"] == 100.0
    assert trade["exit_time"] - trade["entry_time"] == pd.Timedelta("2h")


def test_the_excursions_of_a_short_at_the_close():
    """Sold short at the close of bar 0, covered at that of bar 2: bars 1 and 2 were lived through."""
    fills = make_fills((0, 0, -1, 1.0, 100.0, 100.0, 0.0, 0), (2, 2, 1, 1.0, 95.0, 95.0, 0.0, 0))
    run = make_trajectory([1_000, 1_002, 1_005, 1_005], fills=fills, cash=[1_000, 1_100, 1_100, 1_005])
    high, low = np.array([500.0, 103, 98, 500]), np.array([1.0, 96, 92, 1])
    (trade,) = per_trade(run, high, low).to_dict("records")
    assert trade["side"] == -1
    assert trade["mfe"] == pytest.approx(0.08)
    assert trade["mae"] == pytest.approx(0.03)


def test_trades_of_a_walk_agree_with_their_slow_excursions(run, tape):
    high, low = tape.high[slice(*ROWS)], tape.low[slice(*ROWS)]
    table = per_trade(run, high, low)
    assert len(table) == len(run.trades) > 20
    np.testing.assert_allclose(table["pnl"], run.trades["pnl"])
    assert (table[["mfe", "mae"]] >= 0).all(axis=None)
    assert (table["mfe"] >= table["side"] * (table["exit_price"] / table["entry_price"] - 1) - 1e-12).all()


def test_what_trades_say_by_hand():
    table = pd.DataFrame({"pnl": [10.0, -4.0, -1.0, 0.0, 2.0], "bars": [5, 1, 3, 2, 1], "mfe": [0.2] * 5,
                          "mae": [0.1] * 5})  # fmt: skip
    found = trade_statistics(table)
    assert found["n"] == 5
    assert found["win_rate"] == 0.4
    assert found["profit_factor"] == pytest.approx(12 / 5)
    assert found["expectancy"] == pytest.approx(1.4)
    assert found["payoff_ratio"] == pytest.approx(6 / 2.5)
    assert found["longest_losing_streak"] == 2
    assert (found["mean_bars_won"], found["mean_bars_lost"]) == (3.0, 2.0)
    assert found["best_twentieth_share"] == pytest.approx(10 / 12)


def test_no_trades_leave_everything_undefined_but_the_counts():
    run = make_trajectory(np.full(5, 100.0))
    found = trade_statistics(per_trade(run, np.full(5, 100.0), np.full(5, 100.0)))
    assert (found.pop("n"), found.pop("longest_losing_streak")) == (0.0, 0.0)
    assert all(math.isnan(value) for value in found.values())
    assert longest_run(np.array([], bool)) == 0
    assert longest_run(np.array([True, False, True, True])) == 2


def test_weaknesses_are_sorted_and_said_with_their_number(run):
    action = ActionSettings(allow_short=True)
    found = weaknesses(run, action, 1.3, 2.0)
    assert [one.is_weak for one in found] == sorted((one.is_weak for one in found), reverse=True)
    by_key = {one.key: one for one in found}
    assert by_key["break_even"].text == "the gain is gone at 1.3 × the assumed costs (wanted: 2 ×)"
    assert by_key["break_even"].is_weak
    assert by_key["worst_month"].value == min(row["log_return"] for row in per_month(run).values())
    assert by_key["worst_regime"].value < 0
    assert not {one.key: one for one in weaknesses(run, action, math.inf, 2.0)}["break_even"].is_weak
    assert {one.key: one for one in weaknesses(run, action, math.nan, 2.0)}["break_even"].is_weak


def test_a_policy_that_always_does_the_same_has_collapsed():
    idle = make_trajectory(np.full(101, 100.0))
    found = {one.key: one for one in weaknesses(idle, ActionSettings(), math.nan, 2.0)}
    assert found["action_collapse"].is_weak
    assert found["action_collapse"].text == "HOLD is 100 % of all actions"
    assert found["exposure_concentration"].is_weak
    assert found["exposure_concentration"].value == 1.0
    assert action_shares(idle, ActionSettings(mode="continuous")) == {}
