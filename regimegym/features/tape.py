"""MarketTape: everything that depends on the market alone, kept once and read-only.

An environment step, a replay transition and a cached encoding refer to the tape by row. A tape
may hold several contiguous segments (symbols, or histories cut at long gaps) one behind the
other; no window, return or episode ever crosses from one segment into the next.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np

from regimegym.common.errors import DataError
from regimegym.common.regimes import UNKNOWN_PROBABILITIES, Regime
from regimegym.features.bar_records import PRICES, new_records, years_per_bar
from regimegym.features.bars import Bars, freeze_arrays
from regimegym.features.durations import timeframe_words

OWN_ARRAYS = ("timestamps", "features", "regimes", "regime_probabilities", "segment_start")  # not in the records


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

    Prices and volume are kept once, in one record per bar, as a step reads them; their columns are
    views into the records.

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
        records: (T,) bar_records.BAR, made of the columns; `years` is 1/periods_per_year of the
            segment, `regime` the label, and the funding rate is 0 where nobody pays.
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
    records: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self._of_its_own(segment) for segment in self.segments))
        prices = {name: getattr(self, name) for name in PRICES}
        records = new_records(prices, self.regimes, self.funding_rate, years_per_bar(self.segments))
        self._stand_on(records, is_funded=self.funding_rate is not None)

    @classmethod
    def of_records(cls, records: np.ndarray, is_funded: bool, **others: Any) -> "MarketTape":
        """The tape on `records` as they are, without a copy.

        Args:
            records: (T,) bar_records.BAR that agree with `others` in regimes and periods per year.
            is_funded: whether their funding rates are paid; else the tape has none.
            others: the attributes that do not lie in the records.
        """
        tape = object.__new__(cls)
        tape.__setstate__({"records": records, "is_funded": is_funded, **others})
        return tape

    def __getstate__(self) -> dict[str, Any]:
        """Of a copy or a pickle: without the views, which would become arrays of their own."""
        views = (*PRICES, "funding_rate")
        state = {name: value for name, value in self.__dict__.items() if name not in views}
        return state | {"is_funded": self.funding_rate is not None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            if name not in ("records", "is_funded"):
                object.__setattr__(self, name, value)
        self._stand_on(state["records"], state["is_funded"])

    def _stand_on(self, records: np.ndarray, is_funded: bool) -> None:
        """Let the columns of prices be views into `records`, and everything read-only."""
        object.__setattr__(self, "records", records)
        freeze_arrays(self, (*OWN_ARRAYS, "records"))
        for name in PRICES:
            object.__setattr__(self, name, self.records[name])
        object.__setattr__(self, "funding_rate", self.records["funding_rate"] if is_funded else None)

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
    arrays = {name: np.concatenate([getattr(tape, name) for tape in tapes]) for name in OWN_ARRAYS}
    arrays["segment_start"] += np.repeat(offsets[:-1], [len(tape) for tape in tapes])
    segments = [
        segment._replace(start=segment.start + offset, stop=segment.stop + offset, first_row=segment.first_row + offset)
        for tape, offset in zip(tapes, offsets, strict=False)
        for segment in tape.segments
    ]
    return MarketTape.of_records(
        np.concatenate([tape.records for tape in tapes]),
        is_funded=any(tape.funding_rate is not None for tape in tapes),
        **arrays,
        segments=tuple(segments),
        feature_names=tapes[0].feature_names,
        periods_per_year=tapes[0].periods_per_year,
        timeframe_ns=tapes[0].timeframe_ns,
    )


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
    arrays = {name: getattr(tape, name)[start:stop] for name in OWN_ARRAYS}
    arrays["segment_start"] = np.zeros(stop - start, np.int64)
    piece = segment._replace(start=0, stop=stop - start, first_row=max(0, segment.first_row - start))
    return MarketTape.of_records(
        tape.records[start:stop],
        is_funded=tape.funding_rate is not None,
        **arrays,
        segments=(piece,),
        feature_names=tape.feature_names,
        periods_per_year=segment.periods_per_year,
        timeframe_ns=segment.timeframe_ns,
    )


def with_still_bar(tape: MarketTape, segment: Segment) -> MarketTape:
    """The rows of `segment` as a tape of their own, with one bar more in which nothing moves.

    Whoever walks over it decides on the last real row too, as somebody who trades now must. The
    still bar repeats the close before it; features, label and spread are those of the row before.
    """
    part = cut_tape(tape, segment.start, segment.stop)
    records = np.append(part.records, part.records[-1:])
    for name in ("open", "high", "low"):
        records[name][-1] = records["close"][-1]
    records["funding_rate"][-1] = 0.0
    arrays = {name: np.concatenate([column := getattr(part, name), column[-1:]]) for name in OWN_ARRAYS}
    arrays["timestamps"][-1] += part.timeframe_ns
    return MarketTape.of_records(
        records,
        is_funded=part.funding_rate is not None,
        **arrays,
        segments=(part.segments[0]._replace(stop=len(part) + 1),),
        feature_names=part.feature_names,
        periods_per_year=part.periods_per_year,
        timeframe_ns=part.timeframe_ns,
    )


def rows_of_tape(tape: MarketTape, rows: np.ndarray, **changes: Any) -> MarketTape:
    """The tape of `rows` (n,), with other attributes where `changes` says so; `segments` must be among them."""
    columns = {one.name: getattr(tape, one.name) for one in fields(tape) if one.init}
    chosen = {name: value[rows] for name, value in columns.items() if isinstance(value, np.ndarray)}
    return replace(tape, **chosen | changes)


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
