"""What an edge in scores has been worth: a Bayesian linear regression of returns on the edge."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

PRIOR_PRECISION = 1.0  # of slope and intercept, in units of the returns' standard deviation


@dataclass(frozen=True)
class EdgeForecast:
    """r = β₀ + β₁·edge + ε with ε ~ N(0, σ²); β has a normal posterior around `coefficients`.

    Attributes:
        coefficients: posterior means (β₀, β₁). covariance: their posterior covariance, row by row.
        variance: σ² of the returns around the line.
        horizon: bars over which r is the log return.
    """

    coefficients: tuple[float, float]
    covariance: tuple[float, float, float, float]
    variance: float
    horizon: int

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "EdgeForecast":
        """The forecast whose fields `data` holds, lists in the place of tuples."""
        a, b = data["coefficients"]
        w, x, y, z = data["covariance"]
        return cls((a, b), (w, x, y, z), float(data["variance"]), int(data["horizon"]))

    def moments(self, edge: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean m (N,) of the return over the horizon, and the variance s² (N,) of that mean."""
        design = np.stack([np.ones_like(edge), edge], axis=1)
        covariance = np.asarray(self.covariance).reshape(2, 2)
        return design @ np.asarray(self.coefficients), np.einsum("ni,ij,nj->n", design, covariance, design)


def fit_forecast(edge: np.ndarray, returns: np.ndarray, horizon: int) -> EdgeForecast:
    """Posterior of a linear regression with a prior centred on zero: no evidence, no forecast.

    Returns of overlapping horizons are not independent: M bars count as M/horizon observations.

    Args:
        edge, returns: (M,) of held-out bars. horizon: bars each return spans.
    """
    design = np.stack([np.ones_like(edge), edge], axis=1)
    variance = float(max(returns.var(), 1e-18))
    weight = 1.0 / horizon
    precision = PRIOR_PRECISION / variance * np.eye(2) + weight / variance * design.T @ design
    covariance = np.linalg.inv(precision)
    mean = covariance @ (weight / variance * design.T @ returns)
    residual = float(((returns - design @ mean) ** 2).mean())
    a, b = mean.tolist()
    w, x, y, z = covariance.ravel().tolist()
    return EdgeForecast((a, b), (w, x, y, z), residual, horizon)
