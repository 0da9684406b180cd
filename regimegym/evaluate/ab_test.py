"""A/B of agents: is one better, or was it luck? The scenario is the unit of evidence.

Random seeds of one scenario share its market, so they are averaged first; what is left is one paired
difference per scenario. If the agents are equally good, each difference could as well have had the
other sign: the test flips signs. On a single path blocks of bars take the place of scenarios.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from regimegym.common.checks import check_at_least, check_between, check_choice
from regimegym.common.errors import ConfigError, DataError, nearest_name
from regimegym.evaluate.intervals import Interval, resampled_moments
from regimegym.evaluate.statistics import check_scores, improvement

EXACT = 13  # scenarios up to which all 2^S sign patterns are counted
N_RESAMPLES = 9999
ROUND_OFF = 1e-12  # relative; equal sums differ by less
Alternative = Literal["two-sided", "greater"]


class Comparison(NamedTuple):
    """One agent against another.

    Attributes:
        name, other: which, `other` the reference.
        difference: mean difference per scenario, with its interval.
        p_value: of the sign-flip test, two-sided.
        p_holm: the same after Holm over all comparisons made together.
        improvement: probability that a run of `name` is above one of `other` on the same scenario.
        n_scenarios: independent pieces of evidence.
    """

    name: str
    other: str
    difference: Interval
    p_value: float
    p_holm: float
    improvement: float
    n_scenarios: int


def sign_flip_p(
    differences: np.ndarray,
    generator: np.random.Generator,
    alternative: Alternative = "two-sided",
    n_resamples: int = N_RESAMPLES,
) -> float:
    """p-value of the mean of paired `differences` (S,), by flipping their signs.

    Exact up to 13 scenarios, so the smallest two-sided p-value of S scenarios is 2^(1 − S); from there on by
    `n_resamples` random patterns, the observed one counted among them. NaN when a difference is.
    """
    check_choice("alternative", alternative, ("two-sided", "greater"))
    check_at_least("n_resamples", n_resamples, 99)
    _check_differences(differences)
    if np.isnan(differences).any():
        return float("nan")
    flipped = _subsets(len(differences), generator, n_resamples)
    sums = differences.sum() - 2.0 * (flipped @ differences)
    observed = differences.sum()
    slack = ROUND_OFF * np.abs(differences).sum()
    two_sided = alternative == "two-sided"
    extreme = np.abs(sums) >= abs(observed) - slack if two_sided else sums >= observed - slack
    # No sign flipped is the observed pattern itself.
    return (1.0 + float(extreme.sum())) / (len(flipped) + 1.0)


def difference_interval(
    differences: np.ndarray,
    generator: np.random.Generator,
    level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
) -> Interval:
    """Mean of paired `differences` (S,) with the interval that the sign-flip test does not reject.

    It is made of means of random subsets; exact for differences that are symmetric about the truth. With too
    few scenarios for `level` a bound is infinite. Source: Hartigan 1969, "Using subsample values as typical
    values", JASA 64, 1303-1317.
    """
    check_between("level", level, 0.5, 0.999)
    _check_differences(differences)
    value = float(differences.mean())
    if np.isnan(value):
        return Interval(value, value, value)
    chosen = _subsets(len(differences), generator, n_resamples)
    chosen = chosen[chosen.any(axis=1)]
    means = np.sort(chosen @ differences / chosen.sum(axis=1))
    outside = int((1.0 - level) / 2.0 * (len(means) + 1))
    if outside == 0:
        return Interval(value, -np.inf, np.inf)
    return Interval(value, float(means[outside - 1]), float(means[-outside]))


def _check_differences(differences: np.ndarray) -> None:
    if differences.ndim != 1 or len(differences) == 0:
        raise DataError("no-differences", f"one difference per scenario is needed, got the shape {differences.shape}")


def _subsets(n: int, generator: np.random.Generator, n_resamples: int) -> np.ndarray:
    """Subsets of n scenarios as rows (B, n) of bool: all but the empty one, or random ones."""
    if n <= EXACT:
        return (np.arange(1, 2**n)[:, None] >> np.arange(n)[None]) & 1 == 1
    return generator.random((n_resamples, n)) < 0.5


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values (M,) of M comparisons; NaN stays NaN and counts as no comparison.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6.
    """
    p_values = np.asarray(p_values, np.float64)
    adjusted = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    weights = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(weights * p_values[order]))
    return adjusted


def false_discovery(p_values: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's adjusted p-values (M,); NaN stays NaN and counts as no comparison.

    Source: Benjamini and Hochberg 1995, "Controlling the false discovery rate", JRSS B 57, 289-300.
    """
    p_values = np.asarray(p_values, np.float64)
    adjusted = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    raw = p_values[order] * (len(order) / (1.0 + np.arange(len(order))))
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(raw[::-1])[::-1])
    return adjusted


def compare_agents(
    scores: Mapping[str, np.ndarray], reference: str, generator: np.random.Generator, level: float = 0.95
) -> list[Comparison]:
    """Every agent of `scores` against the `reference`, Holm over all of them.

    Args:
        scores: by name (R, S): random seeds × scenarios, the scenarios of all in the same order.
        reference: name of the agent to compare with.
        level: of the intervals, each for itself.

    Raises:
        ConfigError: no such reference. DataError: other scenarios.
    """
    if reference not in scores:
        raise ConfigError(
            "unknown-agent",
            f"there is no agent '{reference}' to compare with",
            needed=f"one of {', '.join(scores)}",
            nearest=nearest_name(reference, scores),
        )
    other = scores[reference]
    check_scores(other)
    found = []
    for name, own in scores.items():
        if name == reference:
            continue
        check_scores(own, other.shape[1])
        differences = own.mean(axis=0) - other.mean(axis=0)
        interval = difference_interval(differences, generator, level)
        p_value = sign_flip_p(differences, generator)
        better = improvement(own, other)
        found.append(Comparison(name, reference, interval, p_value, np.nan, better, len(differences)))
    adjusted = holm(np.array([comparison.p_value for comparison in found]))
    return [comparison._replace(p_holm=float(p)) for comparison, p in zip(found, adjusted, strict=True)]


def path_p(
    differences: np.ndarray, block_length: float, generator: np.random.Generator, n_resamples: int = 2000
) -> float:
    """Two-sided p-value of the sum of paired `differences` (n,) per bar on one path, by the stationary bootstrap.

    Blocks of mean length `block_length` keep the dependence of neighbouring bars; the mean is taken out of
    them, so what is resampled has no difference. One path is one piece of evidence, however long. NaN
    without any difference.
    """
    _check_differences(differences)
    total = float(differences.sum())
    if not np.ptp(differences) > 0.0:
        return float("nan")
    centred = differences - differences.mean()
    sums, _ = resampled_moments(centred[None], block_length, n_resamples, generator)
    return (1.0 + float((np.abs(sums[:, 0]) >= abs(total)).sum())) / (n_resamples + 1.0)
