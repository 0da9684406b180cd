"""backtest: a list of target weights through the same account rules that agents live under.

One account walks bar by bar in the order of DEFINITIONS §5; every event is the step kernel's own
function (envs.core), so nothing of the physics is written here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from regimegym.common.errors import DataError, RegimeGymError
from regimegym.envs import core
from regimegym.envs.history import AccountHistory, Attribution, bar_fills
from regimegym.envs.results import BORROW, CREDIT, DEBIT, FEES, FILL, MAX_FILLS, N_FILLS, SLIPPAGE, SPREAD, new_result
from regimegym.envs.settings import AccountSettings, EnvSettings
from regimegym.envs.state import (
    CASH,
    DONE,
    EQUITY,
    EXPOSURE,
    SAME_CLOSE,
    UNITS,
    bar_records,
    new_accounts,
    rule_record,
)
from regimegym.features.bars import Bars
from regimegym.features.frames import bars_from_frame
from regimegym.features.tape import MarketTape, price_tape

PART_NAMES = ("change", "credit", "borrow", "debit", "gap", "intrabar", "spread", "slippage", "fees", "forgiven")
CHANGE, P_CREDIT, P_BORROW, P_DEBIT, P_GAP, P_INTRABAR, P_SPREAD, P_SLIPPAGE, P_FEES, P_FORGIVEN = range(10)
MARK_NAMES = ("cash", "units", "equity", "exposure")
CHUNK = 1 << 16  # bars between two collections of fills


def backtest(
    bars: Bars | MarketTape | pd.DataFrame | Mapping[str, Any],
    targets: Any,
    settings: AccountSettings | EnvSettings | None = None,
) -> AccountHistory:
    """Replay target weights on bars and account for every cent.

    Args:
        bars: T bars: Bars, a tape of one symbol, or a frame or mapping of columns with the usual
            names (features.frames).
        targets: (T,) target weights (position value / equity), NaN keeps the position. targets[t]
            is decided at close t and may use everything up to and including it. It fills at the
            next open, or at its own close with `execution: same_close`; the last bar takes no
            decision in either mode. Weights beyond ±max_leverage are clipped.
        settings: costs, sizing, execution, margin; the defaults where None.

    Raises:
        RegimeGymError: `wrong-targets`, not one target per bar, or an infinite one.
        DataError: a tape of several segments, fewer than two bars, or columns that are no bars.
    """
    tape = _one_tape(bars)
    weights = _checked_targets(targets, len(tape))
    env_settings = EnvSettings(account=settings) if isinstance(settings, AccountSettings) else settings or EnvSettings()
    marks, parts, fills, terminated = _replay(tape, weights, env_settings)
    return AccountHistory(
        timestamps=tape.timestamps,
        fills=bar_fills(fills),
        attribution=Attribution(**dict(zip(PART_NAMES, parts, strict=True))),
        terminated=terminated,
        settings=env_settings.account,
        **dict(zip(MARK_NAMES, marks, strict=True)),
    )


def _one_tape(bars: Bars | MarketTape | pd.DataFrame | Mapping[str, Any]) -> MarketTape:
    """The tape of whatever the caller's bars are."""
    if isinstance(bars, MarketTape):
        tape = bars
    elif isinstance(bars, Bars):
        tape = price_tape(bars)
    elif isinstance(bars, pd.DataFrame | Mapping):
        tape = price_tape(bars_from_frame(bars))
    else:
        raise DataError(
            "no-bars",
            f"a backtest needs bars, got {type(bars).__name__}",
            needed="Bars, a MarketTape, or a frame or mapping with times, open, high, low and close",
        )
    if len(tape.segments) != 1:
        names = ", ".join(f"{s.symbol} [{s.start}, {s.stop})" for s in tape.segments)
        raise DataError(
            "several-segments",
            f"one account cannot walk across {len(tape.segments)} segments",
            needed="a tape of one segment, or the bars of one symbol",
            found=names,
        )
    if len(tape) < 2:
        raise DataError("too-few-bars", f"a backtest needs 2 bars or more, got {len(tape)}")
    return tape


def _checked_targets(targets: Any, n_bars: int) -> np.ndarray:
    """(T,) float64 weights of the caller, copied."""
    try:
        weights = np.array(targets, np.float64)
    except (TypeError, ValueError) as error:
        raise RegimeGymError("wrong-targets", f"the targets are no numbers: {error}") from error
    if weights.shape != (n_bars,):
        raise RegimeGymError(
            "wrong-targets",
            f"needed {n_bars} targets, one per bar, got shape {weights.shape}",
            help=("a bar that decides nothing holds NaN",),
        )
    infinite = np.flatnonzero(np.isinf(weights))
    if len(infinite):
        raise RegimeGymError(
            "wrong-targets", f"the target of bar {infinite[0]} is {weights[infinite[0]]}", needed="finite, or NaN"
        )
    return weights


def _replay(
    tape: MarketTape, targets: np.ndarray, settings: EnvSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Marks (4, T) in the order of MARK_NAMES, parts (10, T) of PART_NAMES, FILL records, terminated."""
    bars, rules = bar_records(tape), rule_record(settings, tape.periods_per_year)
    account = new_accounts(1, settings)
    room = new_result(account)
    marks, parts = np.empty((len(MARK_NAMES), len(tape))), np.zeros((len(PART_NAMES), len(tape)))
    fills = np.empty(MAX_FILLS * min(CHUNK, len(tape)), FILL)
    kept = []
    for start in range(0, len(tape), CHUNK):
        stop = min(start + CHUNK, len(tape))
        count = replay_bars(
            bars, rules, start, stop, targets, account.values, room.values, room.fills, marks, parts, fills
        )
        kept.append(fills[:count].copy())
    return marks, parts, np.concatenate(kept), bool(account.done[0])


@njit(cache=True, error_model="numpy")
def replay_bars(
    bars: np.ndarray,
    rules: np.ndarray,
    start: int,
    stop: int,
    targets: np.ndarray,
    account: np.ndarray,
    results: np.ndarray,
    room: np.ndarray,
    marks: np.ndarray,
    parts: np.ndarray,
    fills: np.ndarray,
) -> int:
    """Carry one account through bars start … stop − 1; returns the number of `fills` written.

    `account` (14, 1) is changed in place, `results` (12, 1) and `room` (1, MAX_FILLS) are the
    kernel's scratch, `marks` and `parts` are written at the columns of the bars.
    """
    rule, count = rules[0], 0
    for t in range(start, stop):
        equity_tm1, units_tm1, was_done = account[EQUITY, 0], account[UNITS, 0], account[DONE, 0] > 0
        if t > 0 and not was_done:
            cash_tm1 = account[CASH, 0]
            results[:] = 0.0
            core._live_through_bar(bars, rule, t, targets[t - 1], account, results, room, 0)
            parts[P_GAP, t] = units_tm1 * (bars[t].open - bars[t - 1].close)
            parts[P_INTRABAR, t] = _intrabar_gain(bars[t].open, bars[t].close, units_tm1, results, room)
            _book(t, results, parts)
            parts[P_FORGIVEN, t] = _forgiven(cash_tm1, account, results, room)
            count = _keep(results, room, fills, count)
        if rule.execution == SAME_CLOSE and account[DONE, 0] == 0 and t < len(bars) - 1:
            cash_tm1 = account[CASH, 0]
            results[:] = 0.0
            core._fill_at_own_close(bars, rule, t, targets[t], account, results, room, 0)
            _book(t, results, parts)
            parts[P_FORGIVEN, t] += _forgiven(cash_tm1, account, results, room)
            count = _keep(results, room, fills, count)
        core._mark(bars[t].close, units_tm1, account, 0)
        parts[CHANGE, t] = account[EQUITY, 0] - equity_tm1
        marks[0, t], marks[1, t] = account[CASH, 0], account[UNITS, 0]
        marks[2, t], marks[3, t] = account[EQUITY, 0], account[EXPOSURE, 0]
    return count


@njit(cache=True, error_model="numpy")
def _intrabar_gain(open_t: float, close_t: float, units: float, results: np.ndarray, room: np.ndarray) -> float:
    """Σ units · move of the mid between the open, the fills of the bar in their order, and the close."""
    gain, mid = 0.0, open_t
    for j in range(int(results[N_FILLS, 0])):
        gain += units * (room[0, j].mid - mid)
        mid = room[0, j].mid
        units += room[0, j].units
    return gain + units * (close_t - mid)


@njit(cache=True, error_model="numpy")
def _book(t: int, results: np.ndarray, parts: np.ndarray) -> None:
    """Add interest and costs of the events in `results` to bar t."""
    parts[P_CREDIT, t] += results[CREDIT, 0]
    parts[P_BORROW, t] += results[BORROW, 0]
    parts[P_DEBIT, t] += results[DEBIT, 0]
    parts[P_SPREAD, t] += results[SPREAD, 0]
    parts[P_SLIPPAGE, t] += results[SLIPPAGE, 0]
    parts[P_FEES, t] += results[FEES, 0]


@njit(cache=True, error_model="numpy")
def _forgiven(cash: float, account: np.ndarray, results: np.ndarray, room: np.ndarray) -> float:
    """What floor_zero added to the cash of a liquidated account beyond carry and fills; `cash` is from before."""
    if account[DONE, 0] == 0 or account[CASH, 0] != 0:
        return 0.0
    cash += results[CREDIT, 0] - results[BORROW, 0] - results[DEBIT, 0]
    for j in range(int(results[N_FILLS, 0])):
        fill = room[0, j]
        cash -= fill.units * fill.price + fill.fee
    return max(0.0, -cash)


@njit(cache=True, error_model="numpy")
def _keep(results: np.ndarray, room: np.ndarray, fills: np.ndarray, count: int) -> int:
    """Append the events' fills to `fills`; returns how many there are now."""
    for j in range(int(results[N_FILLS, 0])):
        fills[count] = room[0, j]
        count += 1
    return count
