"""Where a result came from: months, trades with their excursions, and the parts of the P&L."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from regimegym.common.regimes import REGIMES, Regime
from regimegym.envs.core import ORDER
from regimegym.evaluate.metrics import NAN, max_drawdown, profit_factor, sharpe_ratio, simple_returns, win_rate
from regimegym.evaluate.trajectory import Trajectory


class PnlParts(NamedTuple):
    """V_n − V_0 in its parts, money; market + timing + carry + costs = total, to round-off.

    Attributes:
        market: what the mean exposure, held throughout, would have earned from the moves of the closes.
        timing: what came from holding more or less than the mean at the right bars, fills between
            two closes among it.
        carry: interest and funding; what a liquidation forgave is here too.
        costs: fees, spread, slippage and impact, ≤ 0.
        total: V_n − V_0.
    """

    market: float
    timing: float
    carry: float
    costs: float
    total: float


def pnl_parts(trajectory: Trajectory) -> PnlParts:
    """The parts of the whole result; zeros without bars."""
    return _sums(trajectory, np.ones(len(trajectory), bool))


def pnl_parts_by_regime(trajectory: Trajectory) -> dict[str, PnlParts]:
    """The parts by the label known at the decision, UNKNOWN among them; over all regimes they sum to `pnl_parts`."""
    return {
        regime.name: _sums(trajectory, trajectory.regimes == regime)
        for regime in (*REGIMES, Regime.UNKNOWN)
        if regime in REGIMES or (trajectory.regimes == regime).any()
    }


def _sums(trajectory: Trajectory, here: np.ndarray) -> PnlParts:
    change = np.diff(trajectory.equity)
    carry, costs = trajectory.carry, trajectory.costs
    gross = change - carry + costs
    mean = float(trajectory.exposure[1:].mean()) if len(trajectory) else 0.0
    market = mean * trajectory.equity[:-1] * np.diff(trajectory.close) / trajectory.close[:-1]
    parts = (market, gross - market, carry, -costs, change)
    return PnlParts(*(float(part[here].sum()) for part in parts))


def per_month(trajectory: Trajectory) -> dict[str, dict[str, float]]:
    """Breakdown by calendar month (UTC) of the bar in which a step ends, such as 2020-03, in order.

    Per month: `n` bars, Σℓ as `log_return`, `max_drawdown` inside the month (its first equity is
    the first peak), `sharpe_ratio` (annualised, NaN at zero variance) and `mean_exposure`.
    """
    months = trajectory.timestamps[1:].astype("datetime64[ns]").astype("datetime64[M]")
    edges = [0, *(np.flatnonzero(months[1:] != months[:-1]) + 1).tolist(), len(months)]
    returns, found = simple_returns(trajectory.equity), {}
    for start, stop in pairwise(edges):
        if start < stop:
            found[str(months[start])] = {
                "n": float(stop - start),
                "log_return": float(trajectory.log_returns[start:stop].sum()),
                "max_drawdown": max_drawdown(trajectory.equity[start : stop + 1]),
                "sharpe_ratio": sharpe_ratio(returns[start:stop], trajectory.periods_per_year),
                "mean_exposure": float(trajectory.exposure[start + 1 : stop + 1].mean()),
            }
    return found


def per_trade(trajectory: Trajectory, high: np.ndarray, low: np.ndarray) -> pd.DataFrame:
    """Every closed trade, one row each, in the order of their exits.

    Columns: `entry_time`, `exit_time` (start of the bar of the fill, UTC), `side` (+1, −1), `entry_price`
    and `exit_price` (mids of the first and the last fill), `pnl` (money, net), `bars`, `mfe` and `mae`:
    how far the price went for and against the position while it was open, as fractions ≥ 0 of the
    entry price. Of the bars of entry and exit only what was lived through counts: a fill at the open
    has the whole bar before it, one at the close none of it.

    Args:
        high, low: (n + 1,) prices of the bars of the marks.
    """
    fills, columns = trajectory.fills, []
    for trade in trajectory.trades:
        first = fills[(fills["step"] == trade["entry_step"]) & (fills["side"] == trade["side"])][0]
        last = fills[(fills["step"] == trade["exit_step"]) & (fills["side"] == -trade["side"])][-1]
        begin = first["row"] - trajectory.first_row + (not _at_open(first, trajectory))
        end = last["row"] - trajectory.first_row + (last["reason"] == ORDER and not _at_open(last, trajectory))
        highest = max(first["mid"], last["mid"], high[begin:end].max(initial=0.0))
        lowest = min(first["mid"], last["mid"], low[begin:end].min(initial=np.inf))
        up, down = highest / first["mid"] - 1.0, 1.0 - lowest / first["mid"]
        times = [pd.Timestamp(trajectory.timestamps[f["row"] - trajectory.first_row], tz="UTC") for f in (first, last)]
        columns.append((*times, int(trade["side"]), first["mid"], last["mid"], trade["pnl"], int(trade["bars"]),
                        *((up, down) if trade["side"] > 0 else (down, up))))  # fmt: skip
    names = ["entry_time", "exit_time", "side", "entry_price", "exit_price", "pnl", "bars", "mfe", "mae"]
    return pd.DataFrame(columns, columns=names)


def _at_open(fill: np.void, trajectory: Trajectory) -> bool:
    """An order decided at the close before fills at the open of its bar."""
    return bool(fill["reason"] == ORDER and fill["row"] > trajectory.first_row + fill["step"])


def trade_statistics(trades: pd.DataFrame) -> dict[str, float]:
    """What a table of `per_trade` says: counts are 0 and everything else NaN without trades.

    `n`, `win_rate`, `profit_factor`, `expectancy` (mean P&L, money), `mean_win`, `mean_loss` (money, the
    latter ≤ 0), `payoff_ratio` (mean win / |mean loss|), `longest_losing_streak` (trades),
    `mean_bars_won`, `mean_bars_lost`, `mean_mfe`, `mean_mae`, `best_twentieth_share`: share of all
    gains that the best 5 % of the trades (at least one) made.
    """
    pnl = trades["pnl"].to_numpy(np.float64)
    won, lost = pnl > 0, pnl < 0
    bars = trades["bars"].to_numpy(np.float64)
    mean_win, mean_loss = _mean(pnl[won]), _mean(pnl[lost])
    best = np.sort(pnl)[::-1][: -(-len(pnl) // 20)]
    gains = float(pnl[won].sum())
    return {
        "n": float(len(pnl)),
        "win_rate": win_rate(pnl),
        "profit_factor": profit_factor(pnl),
        "expectancy": _mean(pnl),
        "mean_win": mean_win,
        "mean_loss": mean_loss,
        "payoff_ratio": mean_win / -mean_loss if mean_loss < 0 else NAN,
        "longest_losing_streak": float(longest_run(lost)),
        "mean_bars_won": _mean(bars[won]),
        "mean_bars_lost": _mean(bars[lost]),
        "mean_mfe": _mean(trades["mfe"].to_numpy(np.float64)),
        "mean_mae": _mean(trades["mae"].to_numpy(np.float64)),
        "best_twentieth_share": float(best[best > 0].sum()) / gains if gains > 0 else NAN,
    }


def longest_run(flags: np.ndarray) -> int:
    """Length of the longest run of True in `flags` (n,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.asarray(flags, bool), [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else NAN
