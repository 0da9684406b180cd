"""Value at risk and expected shortfall, their backtests, and stress tables.

Losses are positive fractions of equity. `level` is the confidence: at 0.99 a loss above the value at
risk is expected on one bar in a hundred.

Sources: Kupiec 1995, "Techniques for verifying the accuracy of risk measurement models", J. Derivatives
3(2); Christoffersen 1998, "Evaluating interval forecasts", International Economic Review 39(4); McNeil
and Frey 2000, "Estimation of tail-related risk measures", J. Empirical Finance 7.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtri, xlogy
from scipy.stats import chi2, norm

from regimegym.common.checks import check_at_least, check_between, check_choice, check_not_negative
from regimegym.common.errors import DataError
from regimegym.evaluate.trajectory import Trajectory

SHOCKS = (-0.3, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.3)  # instant moves of the price, fractions
NAN = float("nan")
Method = Literal["historical", "normal"]


class Risk(NamedTuple):
    """Value at risk and expected shortfall ≥ it, positive fractions for losses; scalars or (n,)."""

    value_at_risk: np.ndarray | float
    expected_shortfall: np.ndarray | float


class RiskBacktest(NamedTuple):
    """How forecasts of risk met what happened.

    Attributes:
        n_bars, n_breaches: bars with a forecast, and those whose loss was above the value at risk.
        expected: (1 − level)·n breaches.
        coverage_p: Kupiec: the number of breaches is as promised.
        independence_p: Christoffersen: a breach says nothing about the next bar. NaN without breaches.
        conditional_p: both together.
        shortfall_ratio: mean loss on breaches over the mean forecast shortfall there; above 1 it was too small.
        shortfall_p: McNeil and Frey: one-sided, the shortfall was not too small. NaN below five breaches.
    """

    n_bars: int
    n_breaches: int
    expected: float
    coverage_p: float
    independence_p: float
    conditional_p: float
    shortfall_ratio: float
    shortfall_p: float


class StressRow(NamedTuple):
    """What a shock of the price does to equity, as fractions, at exposures the account really held.

    `worst` is at the mark where it hurts most, `mean` over all marks, `last` at the last one.
    """

    shock: float
    worst: float
    mean: float
    last: float


def normal_risk(mean: float, deviation: float, level: float) -> Risk:
    """Of normal returns: VaR = z·σ − μ, ES = σ·φ(z)/(1 − level) − μ, with z the quantile of `level`."""
    _check_level(level)
    check_not_negative("deviation", deviation)
    z = float(ndtri(level))
    return Risk(z * deviation - mean, deviation * float(norm.pdf(z)) / (1.0 - level) - mean)


def historical_risk(returns: np.ndarray, level: float) -> Risk:
    """Of the sample `returns` (n,): the mildest of the ⌈(1 − level)·n⌉ worst ones, and their mean; NaN if empty."""
    _check_level(level)
    n = len(returns)
    if n == 0:
        return Risk(NAN, NAN)
    worst = _worst(n, level)
    tail = np.partition(returns, worst - 1)[:worst]
    return Risk(float(-tail.max()), float(-tail.mean()))


def _worst(n: int, level: float) -> int:
    return max(1, math.ceil((1.0 - level) * n - 1e-9))


def rolling_risk(returns: np.ndarray, window: int, level: float, method: Method = "historical") -> Risk:
    """Forecasts for every bar from the `window` bars before it, (n,); the first `window` bars have NaN.

    Args:
        returns: (n,) simple returns. method: of the sample, or of the normal law with its mean and deviation.
    """
    _check_level(level)
    check_at_least("window", window, 2)
    check_choice("method", method, ("historical", "normal"))
    forecasts = np.full((2, len(returns)), NAN)
    if len(returns) > window:
        past = np.lib.stride_tricks.sliding_window_view(returns[:-1], window)
        if method == "normal":
            z = float(ndtri(level))
            mean, deviation = past.mean(axis=1), past.std(axis=1, ddof=1)
            forecasts[:, window:] = z * deviation - mean, deviation * norm.pdf(z) / (1.0 - level) - mean
        else:
            worst = _worst(window, level)
            tail = np.partition(past, worst - 1, axis=1)[:, :worst]
            forecasts[:, window:] = -tail.max(axis=1), -tail.mean(axis=1)
    return Risk(*forecasts)


def backtest_risk(returns: np.ndarray, risk: Risk, level: float, generator: np.random.Generator) -> RiskBacktest:
    """Were the forecasts `risk` of `returns` (n,) right? Bars without a forecast (NaN) are left out.

    Raises:
        DataError: no forecast at all.
    """
    _check_level(level)
    limit = np.broadcast_to(np.asarray(risk.value_at_risk, np.float64), returns.shape)
    shortfall = np.broadcast_to(np.asarray(risk.expected_shortfall, np.float64), returns.shape)
    known = np.isfinite(limit) & np.isfinite(shortfall)
    if not known.any():
        raise DataError("no-forecast", "there is no bar with a forecast of its risk")
    losses, limit, shortfall = -returns[known], limit[known], shortfall[known]
    breached = losses > limit
    n, n_breaches = len(losses), int(breached.sum())
    coverage = _coverage_ratio(n, n_breaches, 1.0 - level)
    dependence = _dependence_ratio(breached)
    ratio, shortfall_p = _shortfall_test(losses[breached], shortfall[breached], generator)
    return RiskBacktest(
        n,
        n_breaches,
        (1.0 - level) * n,
        float(chi2.sf(coverage, 1)),
        float(chi2.sf(dependence, 1)),
        float(chi2.sf(coverage + dependence, 2)),
        ratio,
        shortfall_p,
    )


def _coverage_ratio(n: int, n_breaches: int, share: float) -> float:
    """Kupiec's likelihood ratio: the share of breaches found against the one promised."""
    found = n_breaches / n
    kept = n - n_breaches
    at_found = xlogy(n_breaches, found) + xlogy(kept, 1.0 - found)
    at_promised = xlogy(n_breaches, share) + xlogy(kept, 1.0 - share)
    return float(max(0.0, 2.0 * (at_found - at_promised)))


def _dependence_ratio(breached: np.ndarray) -> float:
    """Christoffersen's likelihood ratio: a first-order chain of breaches against independence; NaN without any."""
    before, after = breached[:-1], breached[1:]
    counts = np.array([[np.sum(~before & ~after), np.sum(~before & after)],
                       [np.sum(before & ~after), np.sum(before & after)]], np.float64)  # fmt: skip
    if counts[:, 1].sum() == 0 or counts[1].sum() == 0:
        return NAN
    own = counts[:, 1] / counts.sum(axis=1)
    common = counts[:, 1].sum() / counts.sum()
    chain = (xlogy(counts[:, 1], own) + xlogy(counts[:, 0], 1.0 - own)).sum()
    independent = (xlogy(counts[:, 1], common) + xlogy(counts[:, 0], 1.0 - common)).sum()
    return float(max(0.0, 2.0 * (chain - independent)))


def _shortfall_test(
    losses: np.ndarray, shortfall: np.ndarray, generator: np.random.Generator, n_resamples: int = 2000
) -> tuple[float, float]:
    """Ratio of loss to forecast on breaches, and the one-sided bootstrap p-value of its excess over 0."""
    if len(losses) == 0:
        return NAN, NAN
    ratio = float(losses.mean() / shortfall.mean()) if shortfall.mean() > 0.0 else NAN
    losses, shortfall = losses[shortfall > 0.0], shortfall[shortfall > 0.0]  # no loss was forecast after flat bars
    if len(losses) < 5:
        return ratio, NAN
    excess = losses / shortfall - 1.0
    centred = excess - excess.mean()
    drawn = centred[generator.integers(len(excess), size=(n_resamples, len(excess)))].mean(axis=1)
    return ratio, (1.0 + float((drawn >= excess.mean()).sum())) / (n_resamples + 1.0)


def stress_table(trajectory: Trajectory, shocks: Sequence[float] = SHOCKS) -> list[StressRow]:
    """Change of equity, a fraction, if the price had jumped by each shock before anybody could trade.

    At least −1 is lost: what a gap costs beyond the equity is the broker's.
    """
    exposure = trajectory.exposure
    rows = []
    for shock in shocks:
        change = np.maximum(exposure * shock, -1.0)
        rows.append(StressRow(float(shock), float(change.min()), float(change.mean()), float(change[-1])))
    return rows


def _check_level(level: float) -> None:
    check_between("level", level, 0.5, 0.9999)
