"""The augmented Dickey-Fuller test: does a column wander (unit root) or return to a level?"""

from dataclasses import dataclass

import numpy as np

# MacKinnon (2010), Critical values for cointegration tests, table 2, constant: β∞ + β₁/T + β₂/T² + β₃/T³.
CRITICAL = {
    0.01: (-3.43035, -6.5393, -16.786, -79.433),
    0.05: (-2.86154, -2.8903, -4.234, -40.040),
    0.10: (-2.56677, -1.5384, -2.809, 0.0),
}
LEAST = 50  # values; below, the table's corrections are larger than what they correct
NEWEST = 100_000  # values looked at: more would only cost time


@dataclass(frozen=True)
class Stationarity:
    """What the test says of one column.

    Attributes:
        statistic: t value of the level's coefficient; very negative means it returns to a level.
            NaN where the column is constant or too short.
        lags: differences taken into the regression.
        n: rows of the regression.
        critical: 5 % critical value for n.
    """

    statistic: float
    lags: int
    n: int
    critical: float

    @property
    def verdict(self) -> str:
        """`stationary`, `unit root` (not rejected at 5 %), or `undecided` where nothing could be tested."""
        if not np.isfinite(self.statistic):
            return "undecided"
        return "stationary" if self.statistic < self.critical else "unit root"


def critical_value(level: float, n: int) -> float:
    """Critical value for n rows of a regression with a constant; `level` is a key of CRITICAL."""
    return sum(beta / n**power for power, beta in enumerate(CRITICAL[level]))


def dickey_fuller(values: np.ndarray, lags: int | None = None) -> Stationarity:
    """ADF with a constant by ordinary least squares: Δy_t = a + ρ y_{t−1} + Σ_i g_i Δy_{t−i} + e_t.

    Args:
        values: (T,) float64; values that are not finite at its beginning or end are left out, and only
            the newest 100,000 are looked at.
        lags: differences in the regression; None takes ⌊4 (T/100)^¼⌋, at most 12.

    A property of the sample as a whole: for reports, never a feature or a decision of an agent.
    """
    values = values[np.isfinite(values)][-NEWEST:]
    n_lags = min(12, int(4 * (len(values) / 100) ** 0.25)) if lags is None else lags
    n = len(values) - 1 - n_lags
    if len(values) < LEAST or n <= n_lags + 2 or np.ptp(values) == 0:
        return Stationarity(np.nan, n_lags, max(n, 0), critical_value(0.05, max(n, 1)))
    values = (values - values.mean()) / values.std()
    change = np.diff(values)
    target = change[n_lags:]
    past = [change[n_lags - i : len(change) - i] for i in range(1, n_lags + 1)]
    design = np.column_stack([values[n_lags:-1], np.ones(n), *past])
    gram = design.T @ design
    if np.linalg.cond(gram) > 1e14:
        return Stationarity(np.nan, n_lags, n, critical_value(0.05, n))
    inverse = np.linalg.inv(gram)
    coefficients = inverse @ (design.T @ target)
    residual = target - design @ coefficients
    variance = residual @ residual / (n - design.shape[1])
    if variance <= 0:
        return Stationarity(np.nan, n_lags, n, critical_value(0.05, n))
    return Stationarity(float(coefficients[0] / np.sqrt(variance * inverse[0, 0])), n_lags, n, critical_value(0.05, n))
