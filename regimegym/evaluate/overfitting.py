"""How much of a Sharpe ratio is left once the number of trials is counted.

Sharpe ratios here are per bar, not annualised: the tests are of whether they are above a value, and
a year is only a unit. `returns` (n,) and `trials` (K, n) are simple net returns per bar, fractions.

Sources: Bailey and López de Prado 2012, "The Sharpe ratio efficient frontier", J. Risk 15(2);
the same 2014, "The deflated Sharpe ratio", J. Portfolio Management 40(5); Bailey, Borwein, López de
Prado and Zhu 2017, "The probability of backtest overfitting", J. Computational Finance 20(4);
Hansen 2005, "A test for superior predictive ability", J. Business & Economic Statistics 23(4).
"""

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import kurtosis, rankdata, skew

from regimegym.common.checks import check_at_least, check_between, check_not_negative, check_positive
from regimegym.common.errors import ConfigError, DataError, MachineError
from regimegym.evaluate.metrics import MIN_DEVIATION, sharpe_ratio

EULER_GAMMA = float(np.euler_gamma)
NAN = float("nan")


def sharpe_deviation(returns: np.ndarray) -> float:
    """Standard error of the Sharpe ratio per bar of dependence-free `returns` (n,): fat tails widen it.

    √((1 − γ₃·SR + (γ₄ − 1)/4·SR²)/(n − 1)) with skewness γ₃ and kurtosis γ₄ (3 for the normal law).
    NaN with fewer than three returns or without variance.
    """
    ratio = sharpe_ratio(returns, 1.0) if len(returns) > 2 else NAN
    if math.isnan(ratio):
        return NAN
    gamma_3, gamma_4 = float(skew(returns)), float(kurtosis(returns, fisher=False))
    spread = 1.0 - gamma_3 * ratio + (gamma_4 - 1.0) / 4.0 * ratio**2
    return math.sqrt(max(spread, 0.0) / (len(returns) - 1)) or NAN


def probabilistic_sharpe_ratio(returns: np.ndarray, benchmark: float = 0.0) -> float:
    """P(true Sharpe ratio > `benchmark`), both per bar: Φ((SR − SR*)/se), of `returns` (n,). NaN as of its error."""
    deviation = sharpe_deviation(returns)
    return NAN if math.isnan(deviation) else float(ndtr((sharpe_ratio(returns, 1.0) - benchmark) / deviation))


def expected_maximum_sharpe(n_trials: int, variance: float) -> float:
    """Sharpe ratio that the best of `n_trials` independent trials without skill shows on average.

    √V·((1 − γ)·Φ⁻¹(1 − 1/N) + γ·Φ⁻¹(1 − 1/(N·e))), γ Euler's constant; 0 for a single trial.

    Args:
        variance: V of the trials' Sharpe ratios, per bar.
    """
    check_at_least("n_trials", n_trials, 1)
    check_not_negative("variance", variance)
    if n_trials == 1:
        return 0.0
    best = (1.0 - EULER_GAMMA) * ndtri(1.0 - 1.0 / n_trials) + EULER_GAMMA * ndtri(1.0 - 1.0 / (n_trials * math.e))
    return math.sqrt(variance) * float(best)


def deflated_sharpe_ratio(returns: np.ndarray, n_trials: int, trial_sharpes: np.ndarray | None = None) -> float:
    """P(true Sharpe ratio > 0) of the best of `n_trials`: probabilistic, above what luck alone gives the best.

    Args:
        returns: (n,) of the selected trial, on bars of which all trials were scored.
        n_trials: how many were tried, the ledger's count; trials that are alike count as if they were not,
            which errs on the strict side.
        trial_sharpes: (K,) Sharpe ratios per bar of trials, for their variance; undefined ones are left out.
            Where None, or fewer than two are defined, the variance of trials without skill, 1/(n − 1).

    Returns:
        A probability; NaN where the Sharpe ratio is not defined.
    """
    known = np.empty(0) if trial_sharpes is None else trial_sharpes[np.isfinite(trial_sharpes)]
    variance = float(np.var(known, ddof=1)) if len(known) > 1 else 1.0 / max(len(returns) - 1, 1)
    return probabilistic_sharpe_ratio(returns, expected_maximum_sharpe(n_trials, variance))


def minimum_track_record(returns: np.ndarray, level: float = 0.95, benchmark: float = 0.0) -> float:
    """Bars after which a Sharpe ratio like this one is above `benchmark` with probability `level`.

    ∞ where it is not above it; NaN where it is not defined.
    """
    check_between("level", level, 0.5, 0.999)
    deviation = sharpe_deviation(returns)
    if math.isnan(deviation):
        return NAN
    above = sharpe_ratio(returns, 1.0) - benchmark
    spread = deviation**2 * (len(returns) - 1)
    return 1.0 + spread * float(ndtri(level) / above) ** 2 if above > 0 else math.inf


class Overfitting(NamedTuple):
    """What cross-validation says of choosing the best trial.

    Attributes:
        probability: share of the partitions on which the best in-sample trial is below the median
            out of sample. About one half without any skill, 0 where the choice carries over.
        ranks: (C,) relative rank in (0, 1) of the chosen trial out of sample, by partition.
        in_sample, out_of_sample: (C,) Sharpe ratio per bar of the chosen trial.
        loss_probability: share of the partitions on which the chosen trial loses out of sample.
        slope: of the regression of out-of-sample on in-sample ratios; below 0 the better a trial looks, the worse.

    Partitions on which no trial has a ratio in sample (nobody traded), or all have the same, choose nothing and
    do not count; NaN where that leaves none.
    """

    probability: float
    ranks: np.ndarray
    in_sample: np.ndarray
    out_of_sample: np.ndarray
    loss_probability: float
    slope: float


def backtest_overfitting(trials: np.ndarray, n_blocks: int = 16) -> Overfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation.

    The bars are cut into `n_blocks` blocks; every half of them is once the sample in which the best trial
    is chosen, and the other half judges it. A trial without variance ranks last.

    Args:
        trials: (K, n) returns of K ≥ 2 trials on common bars.
        n_blocks: even, 4 … 18; n must hold two bars per block.

    Raises:
        DataError: too few trials or bars.
    """
    check_between("n_blocks", n_blocks, 4, 18)
    if n_blocks % 2:
        raise ConfigError("out-of-range", f"'n_blocks' must be even, got {n_blocks}")
    n_trials, n = trials.shape
    if n_trials < 2 or n < 2 * n_blocks:
        raise DataError(
            "too-few-trials",
            f"{n_trials} trials of {n} bars tell nothing about overfitting in {n_blocks} blocks",
            needed=f"2 trials and {2 * n_blocks} bars",
        )
    edges = np.linspace(0, n, n_blocks + 1).astype(np.int64)
    sums = [np.add.reduceat(power, edges[:-1], axis=1) for power in (trials, trials**2)]
    chosen = np.zeros((math.comb(n_blocks, n_blocks // 2), n_blocks))
    for row, blocks in enumerate(combinations(range(n_blocks), n_blocks // 2)):
        chosen[row, list(blocks)] = 1.0
    inside, outside = (_block_sharpes(part, np.diff(edges), *sums) for part in (chosen, 1.0 - chosen))
    best = inside.argmax(axis=1)
    at = np.arange(len(best))
    ranks = rankdata(outside, axis=1)[at, best] / (n_trials + 1)
    found, later = inside[at, best], outside[at, best]
    is_choice = np.isfinite(found) & (found > inside.min(axis=1))  # elsewhere nobody traded, or all alike
    probability, losses = (
        float(np.mean(bad[is_choice])) if is_choice.any() else NAN for bad in (ranks <= 0.5, later < 0)
    )
    return Overfitting(probability, ranks, found, later, losses, _slope(found, later))


def _block_sharpes(chosen: np.ndarray, sizes: np.ndarray, sums: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Sharpe ratios (C, K) of K trials on C choices (C, S) of blocks; −∞ without variance."""
    n = (chosen @ sizes)[:, None]
    total, square = chosen @ sums.T, chosen @ squares.T
    deviation = np.sqrt(np.maximum(square - total**2 / n, 0.0) / (n - 1.0))
    defined = deviation > MIN_DEVIATION
    return np.where(defined, total / n / np.where(defined, deviation, 1.0), -np.inf)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return NAN
    x, y = x[known] - x[known].mean(), y[known] - y[known].mean()
    return float(x @ y / (x @ x)) if x @ x > 0 else NAN


def superior_predictive_ability(
    trials: np.ndarray, benchmark: np.ndarray, block_length: float, random_seed: int, n_resamples: int = 1000
) -> float:
    """p-value of Hansen's SPA test: no trial's mean return is above that of the benchmark, such as buy and hold.

    Small values say that the best of the trials beats it, the search among them accounted for. Consistent
    version, studentized, stationary bootstrap.

    Args:
        trials: (K, n) returns. benchmark: (n,) returns on the same bars.
        block_length: mean length of the bootstrap's blocks, bars.
        random_seed: of the bootstrap.

    Raises:
        MachineError: `arch` (extra `stats`) is not installed.
    """
    check_positive("block_length", block_length)
    try:
        from arch.bootstrap import SPA
    except ImportError as error:
        raise MachineError(
            "no-arch", "the SPA test needs the package arch", help=("pip install 'regime-gym[stats]'",)
        ) from error
    differs = np.ptp(trials - benchmark, axis=1) > MIN_DEVIATION
    if not differs.any():
        return NAN
    test = SPA(
        -benchmark,  # losses
        -trials[differs].T,
        block_size=max(1, round(block_length)),
        reps=n_resamples,
        bootstrap="stationary",
        studentize=True,
        seed=random_seed,
    )
    test.compute()
    return float(test.pvalues["consistent"])
