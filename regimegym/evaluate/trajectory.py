"""Trajectory: what one account did on a stretch of bars, and the closed trades inside it.

Step k is the decision at bar k of the stretch; it leads from mark k to mark k + 1. With
`same_close` fills the mark of a bar is the one before the fill of that bar (DEFINITIONS §6).
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from regimegym.envs.core import ORDER
from regimegym.envs.results import LIQUIDATIONS
from regimegym.envs.trades import closed_trades
from regimegym.features.tape import MarketTape

MARK_FIELDS = ("timestamps", "close", "equity", "cash", "units", "exposure")
STEP_FIELDS = ("regimes", "actions", "log_returns", "shaped_rewards")


@dataclass(frozen=True, eq=False)
class Trajectory:
    """n decisions of one account; money in the quote currency, float64.

    Attributes:
        first_row: tape row of the first decision.
        timestamps: (n + 1,) int64 UTC nanoseconds, start of the bars.
        timeframe_ns: length of a bar.
        close: (n + 1,) mid price at the marks.
        equity, cash, units, exposure: (n + 1,) account at the marks; index 0 is before any trade.
            An account that was liquidated keeps its last equity.
        regimes: (n,) int8 label known at the decision.
        actions: (n,) integers, or float weights.
        log_returns: (n,) unshaped ℓ of the step (DEFINITIONS §6).
        shaped_rewards: (n,) training reward of the step.
        fills: FILL_DTYPE, in time order.
        periods_per_year: bars per year of the data's own calendar.
        terminated: the account was liquidated or lost everything.
    """

    first_row: int
    timestamps: np.ndarray
    timeframe_ns: int
    close: np.ndarray
    equity: np.ndarray
    cash: np.ndarray
    units: np.ndarray
    exposure: np.ndarray
    regimes: np.ndarray
    actions: np.ndarray
    log_returns: np.ndarray
    shaped_rewards: np.ndarray
    fills: np.ndarray
    periods_per_year: float
    terminated: bool

    def __len__(self) -> int:
        return len(self.log_returns)

    @property
    def n_trades(self) -> int:
        """Executed trades: decisions of the policy that changed the position."""
        return len(np.unique(self.fills["step"][self.fills["reason"] == ORDER]))

    @cached_property
    def costs(self) -> np.ndarray:
        """Fees, spread and slippage of each step, (n,) money."""
        fills = self.fills
        paid = fills["fee"] + fills["units"] * np.abs(fills["price"] - fills["mid"])
        return np.bincount(fills["step"], weights=paid, minlength=len(self)).astype(np.float64)

    @cached_property
    def carry(self) -> np.ndarray:
        """Interest booked between two marks, (n,) money, negative when paid: what fills do not explain."""
        fills = self.fills
        flow = -fills["side"] * fills["units"] * fills["price"] - fills["fee"]
        booked = np.bincount(fills["step"], weights=flow, minlength=len(self))
        return np.diff(self.cash) - booked

    @property
    def trades(self) -> np.ndarray:
        """Closed trades, TRADE_DTYPE, in the order of their exits (DEFINITIONS §15)."""
        return self._closed_and_open[0]

    @property
    def open_trades(self) -> int:
        """1 when a position is open at the end, else 0."""
        return self._closed_and_open[1]

    @cached_property
    def _closed_and_open(self) -> tuple[np.ndarray, int]:
        return closed_trades(self.fills, self.carry, self.first_row)

    def head(self, n: int) -> "Trajectory":
        """The first `n` decisions as a trajectory of their own."""
        marks = {name: getattr(self, name)[: n + 1] for name in MARK_FIELDS}
        steps = {name: getattr(self, name)[:n] for name in STEP_FIELDS}
        fills = self.fills[self.fills["step"] < n]
        liquidated = bool(np.isin(fills["reason"], LIQUIDATIONS).any())
        terminated = self.terminated and (liquidated or n >= len(self))
        return replace(self, fills=fills, terminated=terminated, **marks, **steps)


class Lived(NamedTuple):
    """What an account did in n steps.

    Attributes:
        marks: (4, n + 1) float64, cash, units, equity, exposure.
        steps: (2, n) float64, shaped reward and log return.
        actions: (n,) integers, or float weights.
        fills: FILL_DTYPE, in time order.
        is_done: it was liquidated or lost everything.
    """

    marks: np.ndarray
    steps: np.ndarray
    actions: np.ndarray
    fills: np.ndarray
    is_done: bool


def trajectory_of(tape: MarketTape, start: int, first_row: int, lived: Lived) -> Trajectory:
    """The trajectory of an account that set out on row `start` of the tape, which its fills call `first_row`."""
    segment, stop = tape.segment_of(start), start + lived.marks.shape[1]
    cash, units, equity, exposure = lived.marks
    shaped_rewards, log_returns = lived.steps
    return Trajectory(
        first_row=first_row,
        timestamps=tape.timestamps[start:stop],
        timeframe_ns=segment.timeframe_ns,
        close=tape.close[start:stop],
        equity=equity,
        cash=cash,
        units=units,
        exposure=exposure,
        regimes=tape.regimes[start : stop - 1],
        actions=lived.actions,
        log_returns=log_returns,
        shaped_rewards=shaped_rewards,
        fills=lived.fills,
        periods_per_year=segment.periods_per_year,
        terminated=lived.is_done,
    )


def downsample(equities: list[np.ndarray], n_points: int = 2000) -> np.ndarray:
    """Marks to draw, ascending: at most `n_points` of the n + 1 common marks of `equities`.

    Kept are the first and the last mark and, for every bucket of neighbouring marks, its last
    one and the worst drawdown of every equity; with few marks all are kept.
    """
    n_marks = len(equities[0])
    if n_marks <= n_points:
        return np.arange(n_marks)
    n_buckets = (n_points - 1) // (len(equities) + 1)
    edges = np.linspace(0, n_marks, n_buckets + 1).astype(np.int64)
    kept = [np.array([0]), edges[1:] - 1]
    for equity in equities:
        peaks = np.maximum.accumulate(equity)
        fall = (peaks - equity) / peaks
        kept.append(np.array([low + int(fall[low:high].argmax()) for low, high in _pairs(edges)]))
    return np.unique(np.concatenate(kept))


def _pairs(edges: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def to_frame(trajectories: dict[str, Trajectory]) -> pd.DataFrame:
    """Marks of several policies on the same bars, one row per mark, as written to equity.parquet.

    Columns: timestamp (UTC, start of the bar), close, regime (label known at the decision; the
    last mark takes no decision and holds −1), and per policy `<key>_equity` and `<key>_exposure`.
    """
    first = next(iter(trajectories.values()))
    columns: dict[str, object] = {
        "timestamp": pd.to_datetime(first.timestamps, unit="ns", utc=True),
        "close": first.close,
        "regime": np.append(first.regimes, np.int8(-1)).astype(np.int8),
    }
    for key, trajectory in trajectories.items():
        columns[f"{key}_equity"] = trajectory.equity
        columns[f"{key}_exposure"] = trajectory.exposure
    return pd.DataFrame(columns)
