"""MarketTape: everything that depends on the market alone, kept once and read-only.

An environment step, a replay transition and a cached encoding refer to the tape by row. A tape
may hold several contiguous segments (symbols, or histories cut at long gaps) one behind the
other; no window, return or episode ever crosses from one segment into the next.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from regimegym.common.errors import DataError
from regimegym.common.regimes import UNKNOWN_PROBABILITIES, Regime
from regimegym.features.bars import Bars, freeze_arrays
from regimegym.features.durations import timeframe_words


class Segment(NamedTuple):
    """Rows [start, stop) of one contiguous history; `first_row` is its first row after warm-up.

    `timeframe_ns` and `periods_per_year` are its own; 0 takes those of the tape it is put on.
    """

    symbol: str
    start: int
    stop: int
    first_row: int
    timeframe_ns: int = 0
    periods_per_year: float = 0.0

    @property
    def timeframe(self) -> str:
        """Length of its bars in words, such as 1h."""
        return timeframe_words(self.timeframe_ns)


@dataclass(frozen=True, eq=False)
class MarketTape:
    """Prices, features and regimes of T rows (bars); every array is read-only.

    Attributes:
        timestamps: (T,) int64, UTC nanoseconds, start of the bar.
        open, high, low, close: (T,) float64 mid prices.
        volume: (T,) float64.
        half_spread_open, half_spread_close: (T,) float64, half the quoted spread as a fraction
            of the mid price; zeros where the data has no spreads.
        features: (T, F) float32, scaled, finite (warm-up rows hold 0).
        feature_names: F names, in column order.
        regimes: (T,) int8 causal labels, codes of Regime; −1 in the warm-up.
        regime_probabilities: (T, 4) float32, rows sum to 1.
        segments: contiguous histories in row order, covering all rows.
        segment_start: (T,) int64, start row of the segment each row lies in.
        periods_per_year: bars per year of the first segment's own calendar.
        timeframe_ns: length of its bars in nanoseconds; the segments say their own.
        funding_rate: (T,) float64, fraction of a position's value that longs pay to shorts at the
            start of the bar for what they carried into it; None where nobody pays.
    """

    timestamps: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    half_spread_open: np.ndarray
    half_spread_close: np.ndarray
    features: np.ndarray
    feature_names: tuple[str, ...]
    regimes: np.ndarray
    regime_probabilities: np.ndarray
    segments: tuple[Segment, ...]
    segment_start: np.ndarray
    periods_per_year: float
    timeframe_ns: int
    funding_rate: np.ndarray | None = None

    def __post_init__(self) -> None:
        freeze_arrays(self)
        object.__setattr__(self, "segments", tuple(self._of_its_own(segment) for segment in self.segments))

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def n_features(self) -> int:
        """Number of feature columns F."""
        return self.features.shape[1]

    @property
    def symbol(self) -> str:
        """Name of the first segment's instrument."""
        return self.segments[0].symbol

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the instruments, each once, in the order of their first segments."""
        return tuple(dict.fromkeys(segment.symbol for segment in self.segments))

    @property
    def timeframes(self) -> tuple[str, ...]:
        """Lengths of bars in words, each once, in the order of their first segments."""
        return tuple(dict.fromkeys(segment.timeframe for segment in self.segments))

    def segment_of(self, row: int) -> Segment:
        """The segment that holds `row`, 0 ≤ row < T."""
        return self.segments[bisect_right(self.segments, row, key=lambda segment: segment.start) - 1]

    def windows(self, rows: np.ndarray, length: int) -> np.ndarray:
        """Feature windows (N, length, F) float32 that end at and include each of `rows` (N,).

        Rows before the start of a segment are padding: zeros.
        """
        rows = np.asarray(rows, dtype=np.int64)
        steps = rows[:, None] + np.arange(1 - length, 1)
        inside = steps >= self.segment_start[rows][:, None]
        out = self.features[np.where(inside, steps, 0)]
        out[~inside] = 0.0
        return out

    def _of_its_own(self, segment: Segment) -> Segment:
        return segment._replace(
            timeframe_ns=segment.timeframe_ns or self.timeframe_ns,
            periods_per_year=segment.periods_per_year or self.periods_per_year,
        )


def join_tapes(tapes: Sequence[MarketTape]) -> MarketTape:
    """One tape of several: rows one behind the other, every segment kept apart.

    Args:
        tapes: the markets, all with the same features in the same order; symbols, timeframes and
            calendars may differ, every segment keeps its own.

    Returns:
        A tape of Σ T rows; row r of tape k is row r + (T_0 + … + T_{k−1}).

    Raises:
        DataError: no tapes, or other features.
    """
    if not tapes:
        raise DataError("nothing-to-join", "join_tapes was given no tapes", needed="one tape or more")
    for tape in tapes[1:]:
        _check_joinable(tapes[0], tape)
    offsets = np.cumsum([0, *map(len, tapes)]).tolist()
    if any(tape.funding_rate is not None for tape in tapes):
        tapes = [tape if tape.funding_rate is not None else _without_funding(tape) for tape in tapes]
    columns: dict[str, Any] = {
        field.name: np.concatenate([getattr(tape, field.name) for tape in tapes])
        for field in fields(MarketTape)
        if isinstance(getattr(tapes[0], field.name), np.ndarray)
    }
    columns["segment_start"] += np.repeat(offsets[:-1], [len(tape) for tape in tapes])
    segments = [
        segment._replace(start=segment.start + offset, stop=segment.stop + offset, first_row=segment.first_row + offset)
        for tape, offset in zip(tapes, offsets, strict=False)
        for segment in tape.segments
    ]
    return replace(tapes[0], **columns, segments=tuple(segments))


def cut_tape(tape: MarketTape, start: int, stop: int) -> MarketTape:
    """Rows [start, stop) of one segment as a tape of their own; features and regimes stay what they were.

    Raises:
        DataError: the rows do not lie within one segment.
    """
    segment = tape.segment_of(start) if 0 <= start < len(tape) else None
    if segment is None or not start < stop <= segment.stop:
        raise DataError(
            "rows-outside",
            f"the rows [{start}, {stop}) do not lie within one segment",
            needed=", ".join(f"[{one.start}, {one.stop})" for one in tape.segments),
        )
    columns: dict[str, Any] = {
        field.name: getattr(tape, field.name)[start:stop]
        for field in fields(MarketTape)
        if isinstance(getattr(tape, field.name), np.ndarray)
    }
    columns["segment_start"] = np.zeros(stop - start, np.int64)
    piece = segment._replace(start=0, stop=stop - start, first_row=max(0, segment.first_row - start))
    return replace(
        tape,
        **columns,
        segments=(piece,),
        periods_per_year=segment.periods_per_year,
        timeframe_ns=segment.timeframe_ns,
    )


def with_still_bar(tape: MarketTape, segment: Segment) -> MarketTape:
    """The rows of `segment` as a tape of their own, with one bar more in which nothing moves.

    Whoever walks over it decides on the last real row too, as somebody who trades now must. The
    still bar repeats the close before it; features, label and spread are those of the row before.
    """
    part = cut_tape(tape, segment.start, segment.stop)
    columns: dict[str, Any] = {
        field.name: np.concatenate([column, column[-1:]])
        for field in fields(MarketTape)
        if isinstance(column := getattr(part, field.name), np.ndarray)
    }
    for name in ("open", "high", "low"):
        columns[name][-1] = columns["close"][-1]
    columns["timestamps"][-1] += part.timeframe_ns
    if part.funding_rate is not None:
        columns["funding_rate"][-1] = 0.0
    return replace(part, **columns, segments=(part.segments[0]._replace(stop=len(part) + 1),))


def _without_funding(tape: MarketTape) -> MarketTape:
    """Nobody pays on `tape`, said as a column."""
    return replace(tape, funding_rate=np.zeros(len(tape)))


def _check_joinable(first: MarketTape, other: MarketTape) -> None:
    if other.feature_names != first.feature_names:
        raise DataError(
            "other-features",
            f"the tapes of {first.symbol} and {other.symbol} do not hold the same features",
            needed=", ".join(first.feature_names),
            found=", ".join(other.feature_names),
            help=("build both with the same feature settings",),
        )


def price_tape(bars: Bars) -> MarketTape:
    """The tape of `bars` without features and with unknown regimes: one segment, no warm-up.

    Where only a closing spread is quoted, a bar opens with the spread of the close before it.
    """
    n_bars = len(bars)
    half_open, half_close = _half_spreads(bars)
    return MarketTape(
        timestamps=bars.timestamps,
        open=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        volume=bars.volume,
        half_spread_open=half_open,
        half_spread_close=half_close,
        features=np.empty((n_bars, 0), np.float32),
        feature_names=(),
        regimes=np.full(n_bars, Regime.UNKNOWN, np.int8),
        regime_probabilities=np.tile(np.array(UNKNOWN_PROBABILITIES, np.float32), (n_bars, 1)),
        segments=(Segment(bars.symbol, 0, n_bars, 0),),
        segment_start=np.zeros(n_bars, np.int64),
        periods_per_year=bars.periods_per_year,
        timeframe_ns=bars.timeframe_ns,
        funding_rate=bars.funding_rate,
    )


def _half_spreads(bars: Bars) -> tuple[np.ndarray, np.ndarray]:
    """Half the quoted spread over the mid price at the open and at the close, each (T,)."""
    at_open, at_close = bars.spread_open, bars.spread_close
    if at_open is None and at_close is not None:
        at_open = np.concatenate([at_close[:1], at_close[:-1]])
    if at_close is None:
        at_close = at_open
    if at_open is None or at_close is None:
        return np.zeros(len(bars)), np.zeros(len(bars))
    return at_open / (2.0 * bars.open), at_close / (2.0 * bars.close)
