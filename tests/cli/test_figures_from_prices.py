"""What a run reports follows from its prices and positions alone, by an account and formulas written here once more."""

import math

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from tiny_runs import read, train

from regimegym.training.wiring import build

FEE, SPREAD_AND_SLIPPAGE, CASH = 0.001, 0.0002 + 0.0003, 10_000.0
POLICIES = ("agent", "buy_and_hold", "ma_cross", "mean_reversion", "random", "flat", "hindsight")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    start = tmp_path_factory.mktemp("figures")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(start)
        assert train("run_dir=run", "trainer.total_steps=200") == 0
    return start / "run"


def account(opens, closes, is_held):
    """Marks, fills (bar, units, mid, price, fee) of one account that is fully long or flat (DEFINITIONS §5)."""
    cash, units, marks, fills = CASH, 0.0, [CASH], []
    for t in range(1, len(closes)):
        mid = opens[t]
        if is_held[t] != (units > 0):
            side = 1 if is_held[t] else -1
            k = SPREAD_AND_SLIPPAGE + FEE * (1 + side * SPREAD_AND_SLIPPAGE)
            change = (cash / mid) / (1 + k) if side > 0 else -units
            price = mid * (1 + side * SPREAD_AND_SLIPPAGE)
            fills.append((t, change, mid, price, FEE * abs(change) * price))
            cash -= change * price + fills[-1][4]
            units += change
        marks.append(cash + units * closes[t])
    return np.array(marks), fills


def figures(marks, fills, per_year):
    """Metrics of DEFINITIONS §15, one line each."""
    n, returns = len(marks) - 1, marks[1:] / marks[:-1] - 1
    worst = sorted(returns.tolist())[: math.ceil(n / 20)]
    profits = np.array(
        [b[3] * -b[1] - b[4] - a[3] * a[1] - a[4] for a, b in zip(fills[::2], fills[1::2], strict=False)]
    )
    falls = [1 - marks[t] / max(marks[: t + 1]) for t in range(n + 1)]
    found = {
        "final_value": marks[-1],
        "total_return": marks[-1] / CASH - 1,
        "log_return": math.log(marks[-1] / CASH),
        "cagr": (marks[-1] / CASH) ** (per_year / n) - 1,
        "max_drawdown": max(falls),
        "cvar_5": sum(worst) / len(worst),
        "trades": len(fills),
        "closed_trades": len(profits),
        "turnover": sum(abs(fill[1]) * fill[2] for fill in fills) / marks.mean() * per_year / n,
        "costs_paid": sum(abs(fill[1]) * abs(fill[3] - fill[2]) + fill[4] for fill in fills),
    }
    if fills:
        found["sharpe_ratio"] = math.sqrt(per_year) * returns.mean() / returns.std(ddof=1)
        found["sortino_ratio"] = math.sqrt(per_year) * returns.mean() / math.sqrt((np.minimum(0, returns) ** 2).mean())
    if len(profits):
        found["win_rate"] = sum(profits > 0) / len(profits)
    if sum(profits < 0):
        found["profit_factor"] = profits[profits > 0].sum() / -profits[profits < 0].sum()
    return found


def test_equity_and_every_figure_follow_from_prices_and_positions(run):
    bars = build(OmegaConf.load(run / "config.yaml").data)
    row_of = {stamp: row for row, stamp in enumerate(pd.DatetimeIndex(bars.timestamps, tz="UTC"))}
    table, metrics = pd.read_parquet(run / "equity.parquet"), read(run / "metrics.json")
    n_traded = 0
    for part, marks in table.groupby("part"):
        rows = [row_of[stamp] for stamp in marks["timestamp"]]
        assert rows == list(range(rows[0], rows[-1] + 1))
        for policy in POLICIES:
            is_held = (marks[f"{policy}_exposure"] > 0).tolist()
            own, fills = account(bars.open[rows], bars.close[rows], is_held)
            np.testing.assert_allclose(marks[f"{policy}_equity"], own, rtol=1e-12)
            told = metrics[part][policy]
            found = figures(own, fills, bars.periods_per_year)
            assert {name: told[name] for name in found} == pytest.approx(found, rel=1e-9, abs=1e-12)
            n_traded += len(fills) > 1
    assert n_traded >= 6
