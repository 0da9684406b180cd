"""The splitter: train, validation and test in the order of time, purged between them."""

from dataclasses import dataclass
from typing import NamedTuple

from regimegym.common.checks import check_number
from regimegym.common.errors import ConfigError, DataError


class RowRange(NamedTuple):
    """Tape rows [start, stop)."""

    start: int
    stop: int

    @property
    def count(self) -> int:  # type: ignore[override]  # no one counts values in a range
        """Number of rows."""
        return self.stop - self.start


class Split(NamedTuple):
    """Three ranges in time order, with purged rows between them."""

    train: RowRange
    validation: RowRange
    test: RowRange


@dataclass(frozen=True)
class SplitSettings:
    """Shares of the rows after warm-up; what is left of them, less the purged rows, is for training."""

    validation_share: float = 0.2
    test_share: float = 0.2

    def __post_init__(self) -> None:
        for name in ("validation_share", "test_share"):
            value = getattr(self, name)
            check_number(f"split.{name}", value, "between 0 and 1", lambda v: 0 < v < 1)
        if self.validation_share + self.test_share >= 1:
            raise ConfigError(
                "out-of-range",
                f"'split.validation_share' + 'split.test_share' must be below 1, "
                f"got {self.validation_share} + {self.test_share}",
            )


def chronological_split(n_rows: int, first_row: int, settings: SplitSettings, purge: int, least: int) -> Split:
    """Split the rows first_row … n_rows − 1 in the order of time.

    Args:
        n_rows: number of tape rows, the bars of warm-up among them.
        first_row: first row after warm-up.
        settings: shares of validation and test.
        purge: rows left out before validation and before test; the window length, so that no
            window of a later part holds a row on which the earlier part decided.
        least: rows that each part needs at least.

    Raises:
        DataError: `too-few-bars`, which says how many bars are needed in total.
    """
    split = _cut(n_rows, first_row, settings, purge)
    if min(part.count for part in split) < least:
        needed = _bars_needed(first_row, settings, purge, least)
        raise DataError(
            "too-few-bars",
            f"{n_rows:,} bars are too few for train, validation and test of at least {least:,} bars each",
            needed=f"{needed:,} bars in total ({first_row:,} of warm-up, twice {purge:,} between the parts)",
            found=f"{n_rows:,} bars",
            help=("use more bars, or a shorter env.episode.window",),
        )
    return split


def _cut(n_rows: int, first_row: int, settings: SplitSettings, purge: int) -> Split:
    usable = max(0, n_rows - first_row)
    test = RowRange(n_rows - round(usable * settings.test_share), n_rows)
    stop = test.start - purge
    validation = RowRange(stop - round(usable * settings.validation_share), stop)
    return Split(RowRange(first_row, validation.start - purge), validation, test)


def _bars_needed(first_row: int, settings: SplitSettings, purge: int, least: int) -> int:
    """Fewest bars that give every part `least` rows."""
    train_share = 1 - settings.validation_share - settings.test_share
    smallest = max(least / settings.validation_share, least / settings.test_share, (least + 2 * purge) / train_share)
    n_rows = first_row + max(0, int(smallest) - 5)  # rounding moves the bound by a few rows
    while min(part.count for part in _cut(n_rows, first_row, settings, purge)) < least:
        n_rows += 1
    return n_rows
