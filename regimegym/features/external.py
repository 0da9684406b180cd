"""Series from outside the market: values that count from the moment they were published."""

from dataclasses import dataclass

import numpy as np

from regimegym.common.errors import DataError
from regimegym.features.bars import freeze_arrays


@dataclass(frozen=True, eq=False)
class ExternalSeries:
    """M values of one quantity with the times at which the world could know them; read-only.

    Attributes:
        name: name of the quantity.
        published: (M,) int64 UTC nanoseconds, not decreasing.
        values: (M,) float64, finite.
    """

    name: str
    published: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        freeze_arrays(self)
        if self.published.shape != self.values.shape or self.published.ndim != 1:
            raise DataError(
                "unequal-lengths",
                f"series '{self.name}' must hold one value per publication time",
                found=f"{self.values.shape} values, {self.published.shape} times",
            )
        if (np.diff(self.published) < 0).any():
            row = int(np.argmax(np.diff(self.published) < 0)) + 1
            raise DataError("unsorted", f"series '{self.name}', row {row}: published before the row above it")
        if not np.isfinite(self.values).all():
            row = int(np.argmin(np.isfinite(self.values)))
            raise DataError("not-finite", f"series '{self.name}', row {row} holds {self.values[row]}")

    def __len__(self) -> int:
        return len(self.values)
