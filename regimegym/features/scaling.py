"""Scaling of features with the mean and standard deviation of training rows only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from regimegym.common.checks import check_positive
from regimegym.common.errors import DataError, ModelError
from regimegym.features.pipeline import FeatureTable
from regimegym.features.splits import RowRange

CONSTANT = 1e-12  # standard deviation, relative to the mean, below which a feature is constant


@dataclass(frozen=True, eq=False)
class Scaler:
    """(x − mean)/scale, clipped to ±clip; fitted once, then frozen.

    Attributes:
        names: F feature names, in column order.
        mean: (F,) float64.
        scale: (F,) float64 > 0; 1 where a feature was constant.
        clip: bound of the scaled values, in standard deviations.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    clip: float = 5.0

    def __post_init__(self) -> None:
        check_positive("scaler.clip", self.clip)
        for name in ("mean", "scale"):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != (len(self.names),) or not np.isfinite(array).all():
                raise ModelError("damaged-scaler", f"scaler '{name}' must hold {len(self.names)} finite numbers")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if (self.scale <= 0).any():
            raise ModelError("damaged-scaler", "scaler 'scale' must be positive")

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Scaled float32 of `values` (…, F); NaN stays NaN."""
        scaled = (np.asarray(values, dtype=np.float64) - self.mean) / self.scale
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` gives the equal scaler back, bit for bit."""
        return {
            "names": list(self.names),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "clip": float(self.clip),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Scaler":
        """The scaler of `to_dict`. Raises ModelError `damaged-scaler` when a part is missing."""
        missing = [key for key in ("names", "mean", "scale", "clip") if key not in data]
        if missing:
            raise ModelError("damaged-scaler", f"the scaler lacks {', '.join(missing)}")
        return cls(tuple(data["names"]), np.array(data["mean"]), np.array(data["scale"]), float(data["clip"]))


def fit_scaler(table: FeatureTable, rows: RowRange, clip: float = 5.0) -> Scaler:
    """Mean and standard deviation (ddof 0) of the rows [start, stop) after the warm-ups.

    Raises DataError `too-few-bars` when fewer than two such rows are left.
    """
    start = max(rows.start, table.warm_up)
    values = np.ascontiguousarray(table.values[start : rows.stop])  # so that sums are taken row by row
    values = values[table.is_known[start : rows.stop]]
    if len(values) < 2:
        raise DataError(
            "too-few-bars",
            f"the training rows {rows.start} to {rows.stop} hold {len(values)} bar(s) after the warm-up",
            needed=f"at least 2 after row {table.warm_up}",
        )
    return scaler_of(values, table.names, clip)


def scaler_of(values: np.ndarray, names: tuple[str, ...], clip: float = 5.0) -> Scaler:
    """Mean and standard deviation (ddof 0) of finite `values` (N, F), N ≥ 1; a constant column is only centred."""
    mean, sd = values.mean(axis=0), values.std(axis=0)
    scale = np.where(sd > CONSTANT * np.maximum(1.0, np.abs(mean)), sd, 1.0)
    return Scaler(names, mean, scale, clip)
