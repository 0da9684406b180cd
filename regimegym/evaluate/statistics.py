"""What several random seeds on several scenarios say together: robust means, improvement, profiles.

`scores` is (R, S) float64: R random seeds on S scenarios, larger is better, on a scale on which
scenarios may be averaged (log return per year, or a share of what hindsight earns). A NaN anywhere
makes the result NaN: what is not defined is not averaged away.

Source: Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import trim_mean

from regimegym.common.checks import check_at_least, check_between
from regimegym.common.errors import DataError
from regimegym.evaluate.intervals import Interval

AT_ONCE = 2_000_000  # resampled scores held at once, about 16 MB
Aggregate = Callable[[np.ndarray], np.ndarray]


class Profile(NamedTuple):
    """Share of runs above each threshold τ, with a pointwise band; all (T,)."""

    thresholds: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


def interquartile_mean(scores: np.ndarray) -> np.ndarray:
    """Mean of the middle half of the R·S scores of (…, R, S), over the last two axes: (…)."""
    flat = scores.reshape(*scores.shape[:-2], -1)
    return np.where(np.isnan(flat).any(axis=-1), np.nan, trim_mean(flat, 0.25, axis=-1))


def mean_score(scores: np.ndarray) -> np.ndarray:
    """Mean of the R·S scores of (…, R, S), over the last two axes: (…)."""
    return scores.mean(axis=(-2, -1))


def resampled(
    scores: np.ndarray, aggregate: Aggregate, n_resamples: int, generator: np.random.Generator, new_scenarios: bool
) -> np.ndarray:
    """`aggregate` of (R, S) `scores` in `n_resamples` stratified bootstrap samples: (n_resamples, …).

    Random seeds are drawn within each scenario. With `new_scenarios` the scenarios are drawn too, and then
    what is found holds for scenarios like these; without, for these scenarios alone.
    """
    check_scores(scores)
    check_at_least("n_resamples", n_resamples, 100)
    n_seeds, n_scenarios = scores.shape
    per_time = max(1, AT_ONCE // scores.size)
    found = []
    for first in range(0, n_resamples, per_time):
        n = min(per_time, n_resamples - first)
        seeds = generator.integers(n_seeds, size=(n, n_seeds, n_scenarios))
        scenarios = np.arange(n_scenarios)[None]
        if new_scenarios:
            scenarios = generator.integers(n_scenarios, size=(n, n_scenarios))
        found.append(aggregate(scores[seeds, scenarios[:, None, :]]))
    return np.concatenate(found)


def score_interval(
    scores: np.ndarray,
    generator: np.random.Generator,
    aggregate: Aggregate = interquartile_mean,
    level: float = 0.95,
    n_resamples: int = 2000,
    new_scenarios: bool = True,
) -> Interval:
    """`aggregate` of `scores` with its stratified bootstrap interval (percentile); arguments as of `resampled`.

    Below about ten random seeds and ten scenarios the interval is somewhat too narrow.
    """
    check_between("level", level, 0.5, 0.999)
    draws = resampled(scores, aggregate, n_resamples, generator, new_scenarios)
    return Interval(float(aggregate(scores)), *quantile_bounds(draws, level))


def quantile_bounds(draws: np.ndarray, level: float) -> tuple[float, float]:
    """The two-sided percentile bounds of `draws` (B,)."""
    low, high = np.quantile(draws, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def improvement(ours: np.ndarray, theirs: np.ndarray) -> float:
    """P(a run of ours scores above a run of theirs on the same scenario), ties by half, averaged over scenarios.

    Args:
        ours, theirs: (R, S) and (R′, S), scenarios in the same order.
    """
    check_scores(ours)
    check_scores(theirs, ours.shape[1])
    gaps = ours[:, None, :] - theirs[None, :, :]
    return float(np.mean((np.sign(gaps) + 1.0) / 2.0))


def improvement_interval(
    ours: np.ndarray,
    theirs: np.ndarray,
    generator: np.random.Generator,
    level: float = 0.95,
    n_resamples: int = 2000,
) -> Interval:
    """Probability of improvement with its interval: seeds of both, and the scenarios, are drawn anew."""
    check_between("level", level, 0.5, 0.999)
    value = improvement(ours, theirs)
    # P(ours > theirs) needs counts only: the table of wins of every pair of runs, drawn by rows and columns.
    wins = (np.sign(ours[:, None, :] - theirs[None, :, :]) + 1.0) / 2.0
    n_ours, n_theirs, n_scenarios = wins.shape
    draws = np.empty(n_resamples)
    for k in range(n_resamples):
        scenarios = generator.integers(n_scenarios, size=n_scenarios)
        own = _multiplicities(n_ours, n_scenarios, generator)
        other = _multiplicities(n_theirs, n_scenarios, generator)
        draws[k] = np.einsum("ijs,is,js->s", wins[:, :, scenarios], own, other).mean()
    return Interval(value, *quantile_bounds(draws, level))


def _multiplicities(n: int, n_scenarios: int, generator: np.random.Generator) -> np.ndarray:
    """How often each of n runs is drawn in each scenario, as shares (n, S)."""
    return generator.multinomial(n, np.full(n, 1.0 / n), size=n_scenarios).T / n


def performance_profile(
    scores: np.ndarray,
    thresholds: np.ndarray,
    generator: np.random.Generator,
    level: float = 0.95,
    n_resamples: int = 500,
) -> Profile:
    """Share of the runs that score above each of `thresholds` (T,), with a pointwise bootstrap band."""
    check_scores(scores)

    def shares(drawn: np.ndarray) -> np.ndarray:
        flat = np.sort(drawn.reshape(len(drawn), -1), axis=1)
        below = np.stack([np.searchsorted(row, thresholds, side="right") for row in flat])
        return 1.0 - below / flat.shape[1]

    draws = resampled(scores, shares, n_resamples, generator, new_scenarios=True)
    low, high = np.quantile(draws, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
    return Profile(thresholds, shares(scores[None])[0], low, high)


def check_scores(scores: np.ndarray, n_scenarios: int | None = None) -> None:
    """Raise DataError unless `scores` is a table of random seeds × scenarios, of `n_scenarios` where given."""
    if scores.ndim != 2 or 0 in scores.shape:
        raise DataError("no-scores", f"scores must be (random seeds, scenarios), got the shape {scores.shape}")
    if n_scenarios is not None and scores.shape[1] != n_scenarios:
        raise DataError(
            "other-scenarios",
            f"scores of {scores.shape[1]} scenarios cannot be compared with those of {n_scenarios}",
            needed="the same scenarios in the same order",
        )


def standard_error(values: np.ndarray) -> float:
    """sd/√n of (n,), ddof 1; NaN below two values."""
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else float("nan")
