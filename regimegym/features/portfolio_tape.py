"""PortfolioTape: several instruments on the timestamps that all of them have."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np

from regimegym.common.errors import DataError
from regimegym.features.bars import freeze_arrays
from regimegym.features.tape import MarketTape, Segment, rows_of_tape

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PortfolioTape:
    """M instruments over the same T rows; every array is read-only.

    Attributes:
        markets: M tapes of T rows each, with equal timestamps and segments. A segment's first row
            is the first on which all instruments are past their warm-up.
        features: (M, T, F) float32; those of `markets` are views of it.
        dropped: bars of each instrument that were left out because another one has no bar at
            their time.
    """

    markets: tuple[MarketTape, ...]
    features: np.ndarray
    dropped: tuple[int, ...]

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def n_assets(self) -> int:
        """Number of instruments M."""
        return len(self.markets)

    @property
    def n_features(self) -> int:
        """Number of feature columns F."""
        return self.features.shape[2]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the M instruments."""
        return tuple(market.symbol for market in self.markets)

    @property
    def timestamps(self) -> np.ndarray:
        """(T,) int64, UTC nanoseconds, start of the bar."""
        return self.markets[0].timestamps

    @property
    def segment_start(self) -> np.ndarray:
        """(T,) int64, start row of the segment each row lies in."""
        return self.markets[0].segment_start

    @property
    def periods_per_year(self) -> float:
        """Bars per year of the sparsest calendar among the instruments."""
        return self.markets[0].periods_per_year


def align_tapes(tapes: Sequence[MarketTape]) -> PortfolioTape:
    """Inner join of M tapes on their timestamps; nothing is filled in.

    A segment ends wherever one of the instruments begins a new one. Features stay those that were
    computed on each instrument's own bars, the dropped ones included. The bars of each instrument
    that were dropped are counted in `dropped` and logged.

    Raises:
        DataError: no tape; a tape of several instruments; one instrument twice; other bars or
            features than the first tape's; no time that all of them have.
    """
    _check_tapes(tapes)
    common = reduce(np.intersect1d, (tape.timestamps for tape in tapes))
    if not len(common):
        raise DataError(
            "no-common-bars",
            f"the tapes of {', '.join(tape.symbol for tape in tapes)} have no timestamp in common",
            needed="bars at the same times",
        )
    rows = [np.searchsorted(tape.timestamps, common) for tape in tapes]
    pieces = _common_pieces(tapes, rows)
    segment_start = np.repeat([start for start, _, _ in pieces], [stop - start for start, stop, _ in pieces])
    features = np.stack([tape.features[chosen] for tape, chosen in zip(tapes, rows, strict=True)])
    markets = tuple(
        rows_of_tape(
            tape,
            chosen,
            features=features[j],
            segments=tuple(Segment(tape.symbol, *piece) for piece in pieces),
            segment_start=segment_start,
            periods_per_year=min(one.periods_per_year for one in tapes),
        )
        for j, (tape, chosen) in enumerate(zip(tapes, rows, strict=True))
    )
    dropped = tuple(len(tape) - len(common) for tape in tapes)
    if any(dropped):
        lost = ", ".join(f"{tape.symbol} {count:,}" for tape, count in zip(tapes, dropped, strict=True))
        LOG.info("%s bars are common to all instruments; dropped: %s", f"{len(common):,}", lost)
    return PortfolioTape(markets, features, dropped)


def _common_pieces(tapes: Sequence[MarketTape], rows: Sequence[np.ndarray]) -> list[tuple[int, int, int]]:
    """(start, stop, first_row) of the pieces in which no instrument begins a new segment."""
    starts = np.stack([tape.segment_start[chosen] for tape, chosen in zip(tapes, rows, strict=True)])
    usable = np.ones(starts.shape[1], bool)
    for tape, chosen in zip(tapes, rows, strict=True):
        first_rows = np.repeat([s.first_row for s in tape.segments], [s.stop - s.start for s in tape.segments])
        usable &= chosen >= first_rows[chosen]
    cuts = np.flatnonzero((np.diff(starts, axis=1) != 0).any(axis=0)) + 1
    edges = [0, *cuts.tolist(), starts.shape[1]]
    pieces = []
    for start, stop in pairwise(edges):
        ready = np.flatnonzero(usable[start:stop])
        pieces.append((start, stop, start + int(ready[0]) if len(ready) else stop))
    return pieces


def _check_tapes(tapes: Sequence[MarketTape]) -> None:
    if not tapes:
        raise DataError("no-tapes", "a portfolio needs at least one tape, got none")
    first, seen = tapes[0], set()
    for j, tape in enumerate(tapes):
        place = (f"tape {j} ({tape.symbol})",)
        if len({segment.symbol for segment in tape.segments}) > 1 or (np.diff(tape.timestamps) <= 0).any():
            raise DataError(
                "several-instruments",
                f"tape {j} must hold one instrument in the order of time",
                place=place,
                found=", ".join(segment.symbol for segment in tape.segments),
            )
        if tape.symbol in seen:
            raise DataError("same-instrument", f"the instrument '{tape.symbol}' is given twice", place=place)
        seen.add(tape.symbol)
        if tape.timeframe_ns != first.timeframe_ns:
            raise DataError(
                "other-timeframe",
                f"the bars of '{tape.symbol}' are of another length than those of '{first.symbol}'",
                place=place,
                needed=f"{first.timeframe_ns} ns",
                found=f"{tape.timeframe_ns} ns",
            )
        if tape.feature_names != first.feature_names:
            raise DataError(
                "other-features",
                f"the features of '{tape.symbol}' are not those of '{first.symbol}'",
                place=place,
                needed=", ".join(first.feature_names),
                found=", ".join(tape.feature_names),
            )
