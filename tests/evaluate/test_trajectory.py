"""Closed trades, regime breakdown, heads of a run and what is drawn of it."""

import math

import numpy as np
import pytest
from handmade import make_fills, make_trajectory

from regimegym.common.regimes import Regime
from regimegym.envs.trades import closed_trades
from regimegym.evaluate.metrics import all_metrics, drawdowns
from regimegym.evaluate.regime_table import per_regime
from regimegym.evaluate.trajectory import downsample, to_frame

NO_CARRY = np.zeros(10)


def fill(step, side, units, price, fee=1.0, reason=0):
    return (step, step + 1, side, units, price, price, fee, reason)


@pytest.mark.parametrize(
    ("fills", "expected", "still_open"),
    [
        pytest.param([], [], 0, id="no fill, no trade"),
        pytest.param([fill(0, 1, 2, 100)], [], 1, id="one still open is counted apart"),
        pytest.param([fill(0, 1, 2, 100), fill(3, -1, 2, 110)], [(0, 3, 1, 18.0, 3)], 0, id="long to flat"),
        pytest.param(
            [fill(0, -1, 2, 100), fill(3, 1, 2, 110)], [(0, 3, -1, -22.0, 3)], 0, id="short to flat",
        ),
        pytest.param(
            [fill(0, 1, 2, 100), fill(1, 1, 1, 104), fill(2, -1, 1, 110), fill(5, -1, 2, 120)],
            [(0, 5, 1, 110 + 240 - 200 - 104 - 4, 5)], 0, id="partial fills belong to the trade",
        ),
        pytest.param(
            [fill(0, 1, 2, 100), fill(4, -1, 3, 110, fee=3.0), fill(6, 1, 1, 100)],
            [(0, 4, 1, 20 - 1 - 2, 4), (4, 6, -1, 10 - 1 - 1, 2)], 0, id="a turn splits fill and fee",
        ),
        pytest.param(
            [fill(0, 1, 2, 100), fill(4, -1, 2, 40, reason=1)],
            [(0, 4, 1, -122.0, 4)], 0, id="liquidation closes",
        ),
        pytest.param(
            [fill(0, 1, 0.1, 100, 0), fill(1, 1, 0.2, 100, 0), fill(2, -1, 0.3, 100, 0)],
            [(0, 2, 1, pytest.approx(0, abs=1e-12), 2)], 0, id="round-off units close",
        ),
    ],
)  # fmt: skip
def test_closed_trades(fills, expected, still_open):
    trades, n_open = closed_trades(make_fills(*fills), NO_CARRY, first_row=0)
    assert trades.tolist() == expected
    assert n_open == still_open


def test_carry_counts_from_the_bar_after_the_entry_to_the_bar_of_the_exit():
    fills = make_fills(fill(1, -1, 1, 100, 0), fill(4, 1, 1, 100, 0))  # in bars 2 and 5
    carry = np.array([-1.0, -2.0, -4.0, -8.0, -16.0, -32.0])  # of bars 1 … 6
    trades, _ = closed_trades(fills, carry, first_row=0)
    assert trades["pnl"].tolist() == [-28.0]
    moved = make_fills(*[(s, r + 100, *rest) for s, r, *rest in fills.tolist()])
    assert closed_trades(moved, carry, first_row=100)[0]["pnl"].tolist() == [-28.0]


def test_a_closed_trade_explains_the_whole_change_of_equity():
    fills = make_fills((0, 1, 1, 5.0, 100.0, 100.5, 2.0, 0), (2, 3, -1, 5.0, 104.0, 103.5, 2.0, 0))
    cash = [1000.0, 495.5, 495.0, 1010.0]  # the second bar cost 0.5 of interest
    trajectory = make_trajectory([1000.0, 998.0, 1005.0, 1010.0], fills=fills, cash=cash)
    np.testing.assert_allclose(trajectory.carry, [0.0, -0.5, -0.5], atol=1e-12)
    assert trajectory.trades["pnl"].sum() == pytest.approx(10.0)
    np.testing.assert_allclose(trajectory.costs, [4.5, 0.0, 4.5])


def test_trades_are_decisions_that_changed_the_position_not_fills():
    fills = make_fills(fill(0, 1, 1, 100), fill(3, -1, 1, 100), fill(3, -1, 1, 100), fill(5, 1, 1, 100, reason=1))
    assert make_trajectory(np.full(8, 100.0), fills=fills).n_trades == 2


def test_the_head_of_a_run_is_the_run_of_those_bars():
    equity = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 61)))
    fills = make_fills(fill(0, 1, 1, 100), fill(20, -1, 1, 110), fill(40, 1, 1, 100))
    exposure = np.linspace(0, 1, 61)
    run = make_trajectory(equity, exposure=exposure, fills=fills)
    short = make_trajectory(equity[:31], exposure=exposure[:31], fills=fills[:2])
    assert all_metrics(run.head(30)) == pytest.approx(all_metrics(short), nan_ok=True)
    assert len(run.head(30)) == 30


def test_regime_rows_add_up_to_the_run():
    rng = np.random.default_rng(1)
    equity = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 201)))
    regimes = rng.integers(0, 3, 200)
    fills = make_fills(fill(0, 1, 1, 100), fill(7, -1, 1, 100), fill(8, 1, 1, 100))
    run = make_trajectory(equity, regimes=regimes, fills=fills, exposure=rng.random(201))
    table = per_regime(run)
    assert list(table) == [regime.name for regime in Regime if regime >= 0]
    assert sum(row["log_return"] for row in table.values()) == pytest.approx(math.log(equity[-1] / equity[0]))
    assert sum(row["n"] for row in table.values()) == 200
    assert sum(row["share"] for row in table.values()) == pytest.approx(1.0)
    assert sum(row["trades"] for row in table.values()) == 3
    ups = regimes == Regime.UPTREND
    assert table["UPTREND"]["mean_exposure"] == pytest.approx(run.exposure[1:][ups].mean())
    assert math.isnan(table["OSCILLATING"]["sharpe_ratio"])
    assert math.isnan(table["OSCILLATING"]["mean_exposure"])


@pytest.mark.parametrize("n_marks", [5, 2000, 2001, 2500, 54321])
def test_downsampling_keeps_the_ends_and_every_worst_drawdown(n_marks):
    rng = np.random.default_rng(n_marks)
    equities = [100 * np.exp(np.cumsum(rng.normal(0, 0.01, n_marks))) for _ in range(4)]
    rows = downsample(equities, 2000)
    assert len(rows) <= 2000
    assert rows[0] == 0
    assert rows[-1] == n_marks - 1
    assert (np.diff(rows) > 0).all()
    for equity in equities:
        falls = drawdowns(equity)
        assert falls[rows].max() == falls.max()
    if n_marks > 2001:
        assert np.diff(rows).max() < 3 * n_marks / 399  # no hole in the line


def test_a_few_marks_are_all_kept():
    assert downsample([np.ones(10)], 10).tolist() == list(range(10))


def test_the_frame_holds_one_row_per_mark():
    run = make_trajectory([100.0, 101.0, 102.0], exposure=[0, 1, 1])
    frame = to_frame({"agent": run, "flat": make_trajectory(np.full(3, 100.0))})
    assert list(frame.columns) == [
        "timestamp", "close", "regime", "agent_equity", "agent_exposure", "flat_equity", "flat_exposure",
    ]  # fmt: skip
    assert frame["agent_equity"].tolist() == [100.0, 101.0, 102.0]
    assert frame["regime"].tolist() == [3, 3, -1]
    assert str(frame["timestamp"].dt.tz) == "UTC"
