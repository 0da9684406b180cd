"""What could this much data have shown? The smallest effect that a test would probably have found.

A result that is "not significant" says nothing until it is known what would have been.
"""

import math

import numpy as np
from scipy.special import ndtri
from scipy.stats import t as student

from regimegym.common.checks import check_at_least, check_between, check_not_negative, check_positive

LEVEL, POWER = 0.95, 0.8


def detectable_sharpe(n_bars: int, periods_per_year: float, level: float = LEVEL, power: float = POWER) -> float:
    """Annual Sharpe ratio above 0 that `n_bars` show with probability `power`: (z_level + z_power)/√years.

    Two-sided, independent returns; dependence and fat tails need more.
    """
    check_at_least("n_bars", n_bars, 1)
    check_positive("periods_per_year", periods_per_year)
    return _z(level, power) * math.sqrt(periods_per_year / n_bars)


def years_needed(sharpe: float, level: float = LEVEL, power: float = POWER) -> float:
    """Years that show an annual Sharpe ratio of `sharpe` > 0 with probability `power`."""
    check_positive("sharpe", sharpe)
    return (_z(level, power) / sharpe) ** 2


def detectable_difference(differences: np.ndarray, level: float = LEVEL, power: float = POWER) -> float:
    """Mean paired difference that as many scenarios, as noisy as `differences` (S,), show with probability `power`.

    (t_level + t_power)·sd/√S with S − 1 degrees of freedom, in the unit of the differences; NaN below two.
    """
    n = len(differences)
    if n < 2:
        return float("nan")
    _check(level, power)
    factor = student.ppf((1.0 + level) / 2.0, n - 1) + student.ppf(power, n - 1)
    return float(factor * np.std(differences, ddof=1) / math.sqrt(n))


def scenarios_needed(difference: float, deviation: float, level: float = LEVEL, power: float = POWER) -> int:
    """Scenarios that show a mean difference > 0 whose deviation between scenarios is `deviation`."""
    check_positive("difference", difference)
    check_not_negative("deviation", deviation)
    wanted = max(2, math.ceil((_z(level, power) * deviation / difference) ** 2))
    while wanted < 10**9:
        factor = student.ppf((1.0 + level) / 2.0, wanted - 1) + student.ppf(power, wanted - 1)
        least = math.ceil((factor * deviation / difference) ** 2 - 1e-9)
        if least <= wanted:
            return wanted
        wanted += 1
    return wanted


def detectable_sum(resampled_sums: np.ndarray, level: float = LEVEL, power: float = POWER) -> float:
    """Difference of the log return on one path that would have been shown: (z_level + z_power)·sd of `resampled_sums`.

    Args:
        resampled_sums: (B,) sums over bootstrap paths (`intervals.resampled_moments`), so dependence counts.
    """
    return _z(level, power) * float(np.std(resampled_sums, ddof=1))


def power_statement(n_bars: int, periods_per_year: float, differences: np.ndarray | None = None) -> str:
    """One sentence for a report: what this much data could have shown.

    Args:
        differences: (S,) paired differences in log return by scenario, where there are scenarios.
    """
    sharpe = detectable_sharpe(n_bars, periods_per_year)
    years = n_bars / periods_per_year
    text = (
        f"{n_bars:,} bars ({years:.2f} years) show an annual Sharpe ratio of {sharpe:.1f} or more "
        f"in {100 * POWER:.0f} % of the cases; one of 1.0 needs {years_needed(1.0):.0f} years"
    )
    if differences is None or len(differences) < 2:
        return f"{text}."
    least = detectable_difference(differences)
    return f"{text}; {len(differences)} scenarios show a difference of {least:.3f} in log return."


def _z(level: float, power: float) -> float:
    _check(level, power)
    return float(ndtri((1.0 + level) / 2.0) + ndtri(power))


def _check(level: float, power: float) -> None:
    check_between("level", level, 0.5, 0.999)
    check_between("power", power, 0.5, 0.999)
