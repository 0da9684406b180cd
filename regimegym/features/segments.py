"""Histories cut at long gaps: each piece is a market of its own, with a warm-up of its own."""

import logging
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from regimegym.common.errors import DataError
from regimegym.features.bars import NS_PER_DAY, Bars
from regimegym.features.splits import RowRange

LOG = logging.getLogger(__name__)
GAP_BARS = 5  # a gap that cuts is longer than this many bars, whatever the days


class Piece(NamedTuple):
    """Rows [start, stop) without a long gap; `first_row` is the first with features and regime."""

    start: int
    stop: int
    first_row: int


def contiguous_rows(bars: Bars, longest_gap_days: float) -> list[RowRange]:
    """The rows between gaps that are longer than so many days and than five bars."""
    longest = max(longest_gap_days * NS_PER_DAY, GAP_BARS * bars.timeframe_ns)
    cuts = np.flatnonzero(np.diff(bars.timestamps) > longest) + 1
    edges = [0, *cuts.tolist(), len(bars)]
    return [RowRange(start, stop) for start, stop in pairwise(edges)]


def longest_stretch(rows: RowRange, pieces: Sequence[Piece], part: str, least: int = 2) -> RowRange:
    """The longest run of `rows` in one piece after its warm-up; what is left out is logged.

    Args:
        rows: a part of the history.
        pieces: the contiguous histories.
        part: what the rows are for, for messages.
        least: rows that are needed.

    Raises:
        DataError: `too-short-stretch` when no run has `least` rows.
    """
    runs = [RowRange(max(rows.start, piece.first_row), min(rows.stop, piece.stop)) for piece in pieces]
    longest = max(runs, key=lambda run: run.count)
    if longest.count < least:
        raise DataError(
            "too-short-stretch",
            f"the rows {rows.start:,} to {rows.stop:,} for {part} hold no {least:,} bars without a long gap",
            needed=f"{least:,} bars in one piece after its warm-up",
            found=f"{max(longest.count, 0):,} bars",
            help=("use another split, or a larger features.longest_gap_days",),
        )
    if longest != rows:
        LOG.info(
            "%s uses rows %d to %d of %d to %d: the longest run without a long gap",
            part,
            longest.start,
            longest.stop,
            rows.start,
            rows.stop,
        )
    return longest
