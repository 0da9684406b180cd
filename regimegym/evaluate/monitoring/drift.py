"""Drift: are features, and results, still what they were? Asked so that nothing is found where nothing is.

A p-value for independent rows is wrong here: neighbouring bars are alike, so two stretches of the same
process differ by more than it believes, and among forty features two are below 0.05 by chance. So the
size of the difference is measured (PSI or KS), its law without drift comes from blocks of the reference
laid behind one another, and the false discovery rate is controlled over all features.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from regimegym.common.checks import check_at_least, check_choice, check_not_negative, check_number
from regimegym.common.errors import DataError, MachineError
from regimegym.evaluate.ab_test import false_discovery
from regimegym.evaluate.intervals import resampled_moments
from regimegym.features.stability import BINS, LEAST_SHARE
from regimegym.features.synthetic.bootstrap import block_rows

KS_BINS = 50  # quantiles of the reference at which the two distribution functions are compared
LEAST_BLOCK = 5.0  # bars
LEAST_EFFECT = 1e-12  # whose logarithm is taken
Statistic = Literal["psi", "ks"]
Measure = Callable[[np.ndarray, np.ndarray], float]
STATISTICS = {"psi": BINS, "ks": KS_BINS}


@dataclass(frozen=True)
class DriftSettings:
    """How drift is looked for.

    Attributes:
        statistic: `psi`, population stability index, or `ks`, largest distance of the distribution functions.
        false_discovery_rate: share of wrongly named features among the named ones, at most.
        least_effect: smaller differences are not named, however sure; PSI 0.1 is commonly called noticeable.
        n_resamples: bootstrap pairs of stretches per feature.
        block_factor: mean block length, in autocorrelation times of the feature.
    """

    statistic: Statistic = "psi"
    false_discovery_rate: float = 0.05
    least_effect: float = 0.1
    n_resamples: int = 200
    block_factor: float = 6.0

    def __post_init__(self) -> None:
        check_choice("statistic", self.statistic, STATISTICS)
        check_number("false_discovery_rate", self.false_discovery_rate, "between 0 and 1", lambda rate: 0 < rate < 1)
        check_not_negative("least_effect", self.least_effect)
        check_at_least("n_resamples", self.n_resamples, 50)
        check_number("block_factor", self.block_factor, "≥ 1", lambda factor: factor >= 1)


class FeatureDrift(NamedTuple):
    """One feature.

    Attributes:
        effect: its PSI or KS distance. threshold: what 95 % of the pairs without drift stay below.
        p_value, q_value: of no drift, alone and after Benjamini and Hochberg over all features.
        drifted: named. reason: why; "" where it is not.
    """

    name: str
    effect: float
    threshold: float
    p_value: float
    q_value: float
    drifted: bool
    reason: str


def feature_drift(
    reference: np.ndarray,
    current: np.ndarray,
    names: Sequence[str],
    generator: np.random.Generator,
    settings: DriftSettings | None = None,
) -> list[FeatureDrift]:
    """Drift of every feature between the rows of training and later ones.

    Args:
        reference: (n, F) float, in the order of time. current: (m, F) float, in the order of time.
        names: of the F features.

    A value that is missing now and was not before is drift, and so is a constant that moves.

    Raises:
        DataError: fewer rows than bins, or another number of features.
    """
    settings = settings or DriftSettings()
    n_bins = STATISTICS[settings.statistic]
    if reference.ndim != 2 or current.ndim != 2 or not reference.shape[1] == current.shape[1] == len(names):
        raise DataError(
            "other-features",
            f"drift needs the same features on both sides, got {reference.shape} and {current.shape} "
            f"for {len(names)} names",
        )
    if min(len(reference), len(current)) < n_bins:
        raise DataError(
            "too-few-values",
            f"{len(reference)} and {len(current)} rows are too few to look for drift",
            needed=f"{n_bins} on each side",
        )
    found = [
        _one(name, before, now, generator, settings)
        for name, before, now in zip(names, reference.T, current.T, strict=True)
    ]
    adjusted = false_discovery(np.array([drift.p_value for drift in found]))
    return [_named(drift._replace(q_value=float(q)), settings) for drift, q in zip(found, adjusted, strict=True)]


def _named(drift: FeatureDrift, settings: DriftSettings) -> FeatureDrift:
    if drift.drifted:
        return drift
    is_named = drift.q_value <= settings.false_discovery_rate and drift.effect >= settings.least_effect
    reason = f"{settings.statistic.upper()} {drift.effect:.2f}, without drift below {drift.threshold:.2f}"
    return drift._replace(drifted=is_named, reason=reason if is_named else "")


def _one(
    name: str, reference: np.ndarray, current: np.ndarray, generator: np.random.Generator, settings: DriftSettings
) -> FeatureDrift:
    nan = math.nan
    known, now = reference[np.isfinite(reference)], current[np.isfinite(current)]
    missing = 1.0 - len(now) / len(current)
    if missing > 1.0 - len(known) / len(reference):
        return FeatureDrift(name, nan, nan, 0.0, nan, True, f"{100 * missing:.1f} % of the values are missing")
    n_bins = STATISTICS[settings.statistic]
    if min(len(known), len(now)) < n_bins:
        return FeatureDrift(name, nan, nan, nan, nan, False, "")
    if np.ptp(known) == 0:
        moved = bool((now != known[0]).any())
        return FeatureDrift(name, nan, nan, 0.0 if moved else 1.0, nan, moved, "no longer constant" if moved else "")
    edges = np.unique(np.quantile(known, np.arange(1, n_bins) / n_bins))
    before, after = (np.searchsorted(edges, values, side="left") for values in (known, now))
    measure = _effect(settings.statistic, len(edges) + 1)
    effect = measure(before, after)
    mean_block = block_length(known, settings.block_factor)
    draws = _without_drift(before, len(after), measure, mean_block, generator, settings.n_resamples)
    p_value, threshold = _tail(effect, draws)
    return FeatureDrift(name, effect, threshold, p_value, nan, False, "")


def _effect(statistic: Statistic, n_bins: int) -> Measure:
    """The measure of two samples of bin numbers."""

    def shares(codes: np.ndarray) -> np.ndarray:
        return np.bincount(codes, minlength=n_bins) / len(codes)

    def psi(before: np.ndarray, after: np.ndarray) -> float:
        p, q = (np.maximum(shares(codes), LEAST_SHARE) for codes in (before, after))
        return float(((q - p) * np.log(q / p)).sum())

    def ks(before: np.ndarray, after: np.ndarray) -> float:
        return float(np.abs(np.cumsum(shares(before) - shares(after))).max())

    return psi if statistic == "psi" else ks


def _without_drift(
    codes: np.ndarray,
    n_after: int,
    measure: Measure,
    mean_block: float,
    generator: np.random.Generator,
    n_resamples: int,
) -> np.ndarray:
    """The measure (B,) of pairs of stretches that are both made of blocks of the reference."""
    n = len(codes)
    draws = np.empty(n_resamples)
    for k in range(n_resamples):
        rows, _ = block_rows(n, n + n_after, mean_block, generator)
        drawn = codes[rows]
        draws[k] = measure(drawn[:n], drawn[n:])
    return draws


def _tail(effect: float, draws: np.ndarray) -> tuple[float, float]:
    """p-value and 95 % bound, by the log-normal law of `draws`; its tail is as heavy as theirs.

    Counting alone could never get below 1/(B + 1), which is more than forty features together allow.
    """
    logs = np.log(np.maximum(draws, LEAST_EFFECT))
    mean, deviation = float(logs.mean()), float(logs.std(ddof=1))
    if deviation <= 0.0:
        return (0.0 if effect > draws.max() else 1.0), float(draws.max())
    z = (math.log(max(effect, LEAST_EFFECT)) - mean) / deviation
    return float(ndtr(-z)), math.exp(mean + float(ndtri(0.95)) * deviation)


def block_length(values: np.ndarray, factor: float) -> float:
    """Mean block length for `values` (n,): `factor` autocorrelation times, at least 5 bars, at most n/4.

    The autocorrelation time 1 + 2·Σ ρ_k is summed until the first ρ_k below 0.05.
    """
    n = len(values)
    centred = values - values.mean()
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    autocovariance = np.fft.irfft(spectrum * spectrum.conj(), size)[: n // 2]
    if not autocovariance[0] > 0.0:
        return LEAST_BLOCK
    correlation = autocovariance / autocovariance[0]
    low = np.flatnonzero(correlation < 0.05)
    last = int(low[0]) if len(low) else len(correlation)
    time = 1.0 + 2.0 * float(correlation[1:last].sum())
    return max(1.0, min(max(LEAST_BLOCK, factor * time), n / 4.0))


class PerformanceDrift(NamedTuple):
    """Mean result per bar now against before.

    Attributes:
        before, now: means. change: now − before. error: its standard error, by blocks.
        p_value: one-sided, of no change for the worse. An improvement has a large one.
    """

    before: float
    now: float
    change: float
    error: float
    p_value: float


def performance_drift(
    before: np.ndarray,
    now: np.ndarray,
    generator: np.random.Generator,
    better: Literal["high", "low"] = "high",
    mean_block: float = 20.0,
    n_resamples: int = 1000,
) -> PerformanceDrift:
    """Is a result per bar, such as the log return or the error of a forecast, worse than it was?

    It is the difference that is judged by its own error, so a reference of 0 is as good as any.

    Args:
        before: (n,) results on data the model had not seen either (validation, not training).
        now: (m,) results since.
        better: `high` for returns, `low` for errors.
    """
    check_choice("better", better, ("high", "low"))
    parts = []
    for part in (before, now):
        centred = (part - part.mean())[None]
        sums, _ = resampled_moments(centred, max(1.0, min(mean_block, len(part) / 4.0)), n_resamples, generator)
        parts.append(sums[:, 0] / len(part))
    change = float(now.mean() - before.mean())
    draws = parts[1] - parts[0]
    worse = draws <= change if better == "high" else draws >= change
    p_value = (1.0 + float(worse.sum())) / (n_resamples + 1.0)
    return PerformanceDrift(float(before.mean()), float(now.mean()), change, float(draws.std(ddof=1)), p_value)


def adaptive_windows(values: np.ndarray, delta: float = 0.002) -> list[int]:
    """Positions in `values` (n,) at which ADWIN sees the mean change, in either direction, as they arrive.

    Raises:
        MachineError: `river` (extra `drift`) is not installed.
    """
    check_number("delta", delta, "between 0 and 1", lambda value: 0 < value < 1)
    try:
        from river.drift import ADWIN
    except ImportError as error:
        raise MachineError(
            "no-river", "adaptive windows need the package river", help=("pip install 'regime-gym[drift]'",)
        ) from error
    detector, found = ADWIN(delta=delta), []
    for k, value in enumerate(values.tolist()):
        detector.update(value)
        if detector.drift_detected:
            found.append(k)
    return found
