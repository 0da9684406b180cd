"""backtest: a list of target weights through the same account rules that agents live under.

One account walks along the bars through the step kernel (envs.core), in one compiled loop; here
is only the bookkeeping of what the kernel did: marks, fills, and the parts of every bar's change.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from regimegym.common.errors import DataError, RegimeGymError
from regimegym.envs.accounting import exposure_of
from regimegym.envs.costs import half_spread_at_close
from regimegym.envs.history import AccountHistory, Attribution, bar_fills
from regimegym.envs.kernel import step_kernel
from regimegym.envs.results import (
    BORROW,
    CREDIT,
    DEBIT,
    FEES,
    FILL,
    FUNDING,
    MAX_FILLS,
    N_FILLS,
    SLIPPAGE,
    SPREAD,
    new_result,
)
from regimegym.envs.settings import AccountSettings, EnvSettings
from regimegym.envs.state import (
    CASH,
    DONE,
    EQUITY,
    EXPOSURE,
    UNITS,
    bar_records,
    new_accounts,
    rule_record,
)
from regimegym.features.bars import Bars
from regimegym.features.frames import bars_from_frame
from regimegym.features.tape import MarketTape, price_tape

PART_NAMES = (
    "change",
    "credit",
    "borrow",
    "debit",
    "funding",
    "gap",
    "intrabar",
    "spread",
    "slippage",
    "fees",
    "forgiven",
)
P_CHANGE, P_CREDIT, P_BORROW, P_DEBIT, P_FUNDING, P_GAP, P_INTRABAR = range(7)
P_SPREAD, P_SLIPPAGE, P_FEES, P_FORGIVEN = range(7, len(PART_NAMES))
MARK_NAMES = ("cash", "units", "equity", "exposure")
M_CASH, M_UNITS, M_EQUITY, M_EXPOSURE = range(4)
MARKS = [CASH, UNITS, EQUITY, EXPOSURE]
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
            next open, where the last bar's never does, or at its own close with
            `execution: same_close`. Weights beyond ±max_leverage are clipped. A Series that is
            indexed by times (UTC where they do not say) must have those of the bars.
        settings: costs, sizing, execution, margin; the defaults where None.

    Raises:
        RegimeGymError: `wrong-targets`, not one target per bar, or an infinite one;
            `misaligned-targets`, targets of other times than the bars'.
        DataError: a tape of several segments, fewer than two bars, or columns that are no bars.
    """
    tape = one_tape(bars)
    weights = _checked_targets(targets, tape.timestamps)
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


def one_tape(bars: Bars | MarketTape | pd.DataFrame | Mapping[str, Any]) -> MarketTape:
    """The tape of whatever the caller's bars are.

    Raises:
        DataError: several segments, fewer than two bars, or columns that are no bars.
    """
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


def _checked_targets(targets: Any, timestamps: np.ndarray) -> np.ndarray:
    """(T,) float64 weights of the caller, copied."""
    n_bars = len(timestamps)
    if isinstance(targets, pd.Series) and isinstance(targets.index, pd.DatetimeIndex):
        _check_times(targets.index, timestamps)
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


def _check_times(told: pd.DatetimeIndex, timestamps: np.ndarray) -> None:
    """Raise unless the targets are told for the bars that they would be read for."""
    utc = told.tz_localize("UTC") if told.tz is None else told.tz_convert("UTC")
    bars = pd.DatetimeIndex(timestamps, tz="UTC")
    shared = min(len(utc), len(bars))
    differs = np.flatnonzero(utc[:shared] != bars[:shared])
    if len(differs) == 0 and len(utc) == len(bars):
        return
    k = int(differs[0]) if len(differs) else shared
    both = [str(times[k]) if k < len(times) else "none" for times in (utc, bars)]
    raise RegimeGymError(
        "misaligned-targets",
        f"target {k} is of {both[0]}, bar {k} begins at {both[1]}",
        needed="a target for every bar, at the time at which it begins",
        help=("targets.reindex(times of the bars) holds NaN, keep, where nothing was decided",),
    )


def _replay(
    tape: MarketTape, targets: np.ndarray, settings: EnvSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Marks (4, T) in the order of MARK_NAMES, parts (11, T) of PART_NAMES, FILL records, terminated."""
    n_bars = len(tape)
    bars, rules = bar_records(tape, settings.account.carry_clock), rule_record(settings)
    walks = [(rules, start, min(start + CHUNK, n_bars - 1)) for start in range(0, n_bars - 1, CHUNK)]
    if settings.account.execution == "same_close":
        bars = np.append(bars, _still_bar(bars[-1]))
        walks.append((_without_events(rules), n_bars - 1, n_bars))
    account = new_accounts(1, settings)
    room = new_result(account)
    marks, parts = np.empty((len(MARK_NAMES), len(bars))), np.zeros((len(PART_NAMES), len(bars)))
    marks[:, 0] = account.values[MARKS, 0]
    fills = np.empty(MAX_FILLS * min(CHUNK, n_bars), FILL)
    kept = []
    for rule, start, stop in walks:
        count = replay(
            bars, rule, start, stop, targets, account.values, account.ring, room.values, room.fills,
            marks, parts, fills,
        )  # fmt: skip
        kept.append(fills[:count].copy())
    marks, parts = marks[:, :n_bars], parts[:, :n_bars]
    equity = np.concatenate([[settings.account.initial_cash], marks[M_EQUITY]])
    parts[P_CHANGE] = np.diff(equity)
    return marks, parts, np.concatenate(kept), bool(account.done[0])


def _still_bar(last: np.void) -> np.ndarray:
    """A bar behind the `last` one in which nothing moves: a step into it is events 6 to 8 of the last bar."""
    still = np.array([last])
    for name in ("open", "high", "low"):
        still[name] = last["close"]
    still["funding_rate"] = 0.0
    return still


def _without_events(rules: np.ndarray) -> np.ndarray:
    """The rules without what time or a price reached after a fill would trigger."""
    quiet = rules.copy()
    for name in ("borrow_rate", "debit_rate", "credit_rate", "stop_loss", "take_profit"):
        quiet[name] = 0.0
    return quiet


@njit(cache=True, error_model="numpy")
def replay(
    bars: np.ndarray,
    rules: np.ndarray,
    start: int,
    stop: int,
    targets: np.ndarray,
    account: np.ndarray,
    ring: np.ndarray,
    results: np.ndarray,
    room: np.ndarray,
    marks: np.ndarray,
    parts: np.ndarray,
    fills: np.ndarray,
) -> int:
    """Step one account over the decisions start … stop − 1; returns the number of `fills` written.

    A step of the kernel leads from the mark of bar k, before a fill at its close, to that of
    k + 1. Its fills are told apart by their bar: those of bar k (`same_close`) correct the mark
    of bar k and are booked there, the others belong to k + 1. `account` and `ring` are changed in
    place; `results` and `room` are the kernel's; `marks` and `parts` are written at the bars.
    """
    row, target, count = np.zeros(1, np.int64), np.zeros(1), 0
    for k in range(start, stop):
        row[0], target[0] = k, targets[k]
        cash, units, was_done = account[CASH, 0], account[UNITS, 0], account[DONE, 0] > 0
        step_kernel(bars, rules, row, target, account, ring, account, ring, results, room)
        n_fills = int(results[N_FILLS, 0])
        n_own = 0
        while n_own < n_fills and room[0, n_own].row == k:
            n_own += 1
        dies = account[DONE, 0] > 0 and not was_done
        ends_here = dies and 0 < n_own == n_fills  # liquidated at the close it traded on
        if n_own > 0:
            cash, units = _after(cash, units, room, 0, n_own)
            if ends_here:
                cash = _floored(cash, k, rules[0], parts)
            _correct_mark(k, bars[k].close, cash, units, marks)
        if not (was_done or ends_here):
            _live_on(k + 1, bars, rules[0], cash, units, n_own, n_fills, dies, results, room, parts)
        _book_costs(k, bars[k], rules[0], n_own, n_fills, results, room, parts)
        marks[M_CASH, k + 1], marks[M_UNITS, k + 1] = account[CASH, 0], account[UNITS, 0]
        marks[M_EQUITY, k + 1], marks[M_EXPOSURE, k + 1] = account[EQUITY, 0], account[EXPOSURE, 0]
        for j in range(n_fills):
            fills[count] = room[0, j]
            count += 1
    return count


@njit(cache=True, error_model="numpy")
def _after(cash: float, units: float, room: np.ndarray, first: int, stop: int) -> tuple[float, float]:
    """(cash, units) after the step's fills first … stop − 1."""
    for j in range(first, stop):
        fill = room[0, j]
        cash -= fill.units * fill.price + fill.fee
        units += fill.units
    return cash, units


@njit(cache=True, error_model="numpy")
def _floored(cash: float, t: int, rule: Any, parts: np.ndarray) -> float:
    """Cash of an account liquidated in bar t; what floor_zero forgives is noted."""
    if rule.floor_zero and cash < 0:
        parts[P_FORGIVEN, t] = -cash
        return 0.0
    return cash


@njit(cache=True, error_model="numpy")
def _correct_mark(t: int, close: float, cash: float, units: float, marks: np.ndarray) -> None:
    """Event 8 of bar t after a fill at its own close: V = cash + units·C."""
    marks[M_CASH, t], marks[M_UNITS, t] = cash, units
    marks[M_EQUITY, t] = cash + units * close
    marks[M_EXPOSURE, t] = exposure_of(cash, units, close)


@njit(cache=True, error_model="numpy")
def _live_on(
    t: int,
    bars: np.ndarray,
    rule: Any,
    cash: float,
    units: float,
    first: int,
    n_fills: int,
    dies: bool,
    results: np.ndarray,
    room: np.ndarray,
    parts: np.ndarray,
) -> None:
    """Carry, gap and intrabar move of bar t, begun with `cash` and `units`; fills first … are those of bar t."""
    credit, borrow, debit = results[CREDIT, 0], results[BORROW, 0], results[DEBIT, 0]
    parts[P_CREDIT, t], parts[P_BORROW, t], parts[P_DEBIT, t] = credit, borrow, debit
    parts[P_FUNDING, t] = results[FUNDING, 0]
    parts[P_GAP, t] = units * (bars[t].open - bars[t - 1].close)
    mid, held = bars[t].open, units
    for j in range(first, n_fills):
        parts[P_INTRABAR, t] += held * (room[0, j].mid - mid)
        mid = room[0, j].mid
        held += room[0, j].units
    parts[P_INTRABAR, t] += held * (bars[t].close - mid)
    if dies:
        carried = cash + credit - borrow - debit - results[FUNDING, 0]
        _floored(_after(carried, units, room, first, n_fills)[0], t, rule, parts)


@njit(cache=True, error_model="numpy")
def _book_costs(
    k: int, bar: Any, rule: Any, n_own: int, n_fills: int, results: np.ndarray, room: np.ndarray, parts: np.ndarray
) -> None:
    """Costs of the step's fills: the first `n_own` are booked at bar k, the others at k + 1."""
    spread, slippage, fees = results[SPREAD, 0], results[SLIPPAGE, 0], results[FEES, 0]
    if 0 < n_own < n_fills:  # the kernel tells sums only
        own_spread, own_slippage, own_fees = 0.0, 0.0, 0.0
        for j in range(n_own):
            fill = room[0, j]
            paid_spread = abs(fill.units) * fill.mid * half_spread_at_close(bar, rule)
            own_spread += paid_spread
            own_slippage += abs(fill.units) * abs(fill.price - fill.mid) - paid_spread
            own_fees += fill.fee
        _add_costs(k, own_spread, own_slippage, own_fees, parts)
        _add_costs(k + 1, spread - own_spread, slippage - own_slippage, fees - own_fees, parts)
    else:
        _add_costs(k if n_own else k + 1, spread, slippage, fees, parts)


@njit(cache=True, error_model="numpy")
def _add_costs(t: int, spread: float, slippage: float, fees: float, parts: np.ndarray) -> None:
    parts[P_SPREAD, t] += spread
    parts[P_SLIPPAGE, t] += slippage
    parts[P_FEES, t] += fees
