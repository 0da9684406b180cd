"""Sliding windows for sequence models: of variable length, padded in front, never across a split or a segment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from regimegym.common.checks import check_at_least, check_between, check_not_negative
from regimegym.common.errors import ConfigError, DataError
from regimegym.features.splits import RowRange, Split
from regimegym.features.tape import MarketTape, Segment


@dataclass(frozen=True)
class SequenceSettings:
    """Windows in bars; a window holds its own row and bars before it.

    Attributes:
        length: bars of a whole window L.
        stride: bars from the end of one window to the end of the next in its segment.
        min_length: fewest bars of a window; rows with less history in their part have no window.
            Equal to `length` no window is padded.
    """

    length: int = 30
    stride: int = 1
    min_length: int = 1

    def __post_init__(self) -> None:
        for name in ("length", "stride", "min_length"):
            check_at_least(name, getattr(self, name), 1)
        if self.min_length > self.length:
            raise ConfigError("out-of-range", f"'min_length' must be ≤ 'length' ({self.length}), got {self.min_length}")


class Sequences(NamedTuple):
    """N windows.

    Attributes:
        values: (N, L, F) float32, oldest bar first; zeros where there is no bar.
        mask: (N, L) bool, True where there is a bar; the last step of every window is one.
        rows: (N,) int64 tape row of the last bar.
    """

    values: np.ndarray
    mask: np.ndarray
    rows: np.ndarray


def split_sequences(tape: MarketTape, split: Split, settings: SequenceSettings | None = None) -> dict[str, Sequences]:
    """Windows of each part of `split`, by its name: train, validation, test."""
    return {part: part_sequences(tape, rows, settings) for part, rows in split._asdict().items()}


def part_sequences(tape: MarketTape, part: RowRange, settings: SequenceSettings | None = None) -> Sequences:
    """Windows that lie in the rows of `part`, warm-up left out. Raises DataError where none does."""
    settings = settings or SequenceSettings()
    rows, first = window_rows(tape.segments, part, settings)
    return gather_sequences(tape.features, rows, first, settings.length)


def window_rows(
    segments: Sequence[Segment], part: RowRange, settings: SequenceSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Last row of every window, and the first row it may hold, both (N,) int64.

    Raises:
        DataError: `no-window` where no segment has `min_length` rows in the part.
    """
    ends, firsts = [], []
    for segment in segments:
        first, stop = max(segment.first_row, part.start), min(segment.stop, part.stop)
        own = np.arange(first + settings.min_length - 1, stop, settings.stride)
        ends.append(own)
        firsts.append(np.full(len(own), first))
    rows = np.concatenate(ends)
    if not len(rows):
        raise DataError(
            "no-window",
            f"no window of {settings.min_length:,} bars lies in the rows {part.start:,} … {part.stop - 1:,}",
            help=("use a smaller 'min_length', or more bars",),
        )
    return rows, np.concatenate(firsts)


def gather_sequences(features: np.ndarray, rows: np.ndarray, first: np.ndarray, length: int) -> Sequences:
    """The windows of `features` (T, F) that end at `rows` (N,) and hold no row before `first` (N,)."""
    steps = rows[:, None] + np.arange(1 - length, 1)
    mask = steps >= first[:, None]
    values = features[np.where(mask, steps, 0)].astype(np.float32, copy=False)
    values[~mask] = 0.0
    return Sequences(values, mask, rows)


def augmented(
    sequences: Sequences, rng: np.random.Generator, noise: float = 0.05, scale: float = 0.0, shortened: float = 0.0
) -> Sequences:
    """Changed copies of training windows; padding stays zero and the last bar is always kept.

    Args:
        sequences: windows of scaled features.
        rng: draws the changes.
        noise: deviation that is added to every value, in the features' own unit (1 after scaling).
        scale: deviation of the log of one factor per window.
        shortened: share of the windows that lose a random number of their oldest bars, in [0, 1].
    """
    check_not_negative("noise", noise)
    check_not_negative("scale", scale)
    check_between("shortened", shortened, 0.0, 1.0)
    n, length, _ = sequences.values.shape
    factor = np.exp(scale * rng.standard_normal((n, 1, 1)))
    values = (factor * (sequences.values + noise * rng.standard_normal(sequences.values.shape))).astype(np.float32)
    kept = np.where(rng.random(n) < shortened, rng.integers(1, length + 1, size=n), length)
    mask = sequences.mask & (np.arange(length) >= length - kept[:, None])
    values[~mask] = 0.0
    return Sequences(values, mask, sequences.rows)
