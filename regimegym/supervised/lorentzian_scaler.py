"""Scaling for Lorentzian distances: by median and quartiles, the middle kept in proportion, outliers drawn in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from regimegym.common.checks import check_positive
from regimegym.common.errors import ModelError

QUARTILES = 1.349  # interquartile range of a normal distribution, in standard deviations


@dataclass(frozen=True, eq=False)
class LorentzianScaler:
    """z = (x − centre)/spread, unchanged up to ±core, and from there drawn in so that it never reaches ±2·core.

    Beyond the core y = core + e/(1 + e/core) with e = |z| − core: rising everywhere, so it can be
    inverted. Distances inside the core keep their proportions; an outlier is far, but not ever farther.

    Attributes:
        names: F feature names.
        centre: (F,) medians of the rows it was fitted on.
        spread: (F,) interquartile ranges in units of a standard deviation, times `width`.
        core: how many spreads are left as they are.
    """

    names: tuple[str, ...]
    centre: np.ndarray
    spread: np.ndarray
    core: float = 5.0

    def __post_init__(self) -> None:
        check_positive("scaler.core", self.core)
        for name in ("centre", "spread"):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != (len(self.names),) or not np.isfinite(array).all():
                raise ModelError("damaged-scaler", f"scaler '{name}' must hold {len(self.names)} finite numbers")
            object.__setattr__(self, name, array)
        if (self.spread <= 0).any():
            raise ModelError("damaged-scaler", "scaler 'spread' must be positive")

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Scaled float64 of `values` (…, F), inside ±2·core; NaN stays NaN."""
        z = (np.asarray(values, dtype=np.float64) - self.centre) / self.spread
        excess = np.maximum(np.abs(z) - self.core, 0.0)
        return np.where(excess > 0, np.sign(z) * (self.core + excess / (1.0 + excess / self.core)), z)

    def inverse(self, scaled: np.ndarray) -> np.ndarray:
        """The values (…, F) that `transform` scaled."""
        y = np.asarray(scaled, dtype=np.float64)
        excess = np.maximum(np.abs(y) - self.core, 0.0)
        z = np.where(excess > 0, np.sign(y) * (self.core + excess / (1.0 - excess / self.core)), y)
        return z * self.spread + self.centre

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        centre, spread = self.centre.tolist(), self.spread.tolist()
        return {"names": list(self.names), "centre": centre, "spread": spread, "core": float(self.core)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LorentzianScaler":
        """The scaler of `to_dict`. Raises KeyError or ModelError when it is damaged."""
        return cls(tuple(data["names"]), np.array(data["centre"]), np.array(data["spread"]), float(data["core"]))


def fit_lorentzian_scaler(
    values: np.ndarray, names: tuple[str, ...], width: float = 1.0, core: float = 5.0
) -> LorentzianScaler:
    """The scaler of finite `values` (N, F), N ≥ 1.

    A wider `width` makes all differences small, where ln(1 + d) ≈ d and the distance is that of city
    blocks; a narrow one lets it count by how many features two rows differ, more than by how much.
    """
    low, centre, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    spread = (high - low) / QUARTILES
    fallback = np.std(values, axis=0)  # a feature that mostly stands still has no quartiles
    spread = np.where(spread > 1e-12 * np.maximum(1.0, np.abs(centre)), spread, fallback)
    spread = np.where(spread > 1e-12 * np.maximum(1.0, np.abs(centre)), spread, 1.0)
    return LorentzianScaler(names, centre, width * spread, core)
