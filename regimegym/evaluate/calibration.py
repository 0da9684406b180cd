"""Did it mean what it said? Probabilities against frequencies, predicted values against realised ones.

Everything here is for held-out bars; what is fitted or chosen is so on validation and shown on test.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri
from scipy.stats import spearmanr

from regimegym.agents.decision.fit import HeldOut
from regimegym.agents.decision.probabilities import apply_isotonic, calibration_error, fit_isotonic
from regimegym.agents.decision.roles import ActionRoles
from regimegym.common.checks import check_at_least
from regimegym.common.errors import DataError, ModelError
from regimegym.common.regimes import REGIMES
from regimegym.evaluate.intervals import Interval, resampled_moments, wilson_bounds
from regimegym.evaluate.statistics import quantile_bounds, standard_error

BINS = 10
NAN = float("nan")


class Reliability(NamedTuple):
    """A reliability diagram: stated probability against frequency in bins that hold something, all (B,).

    `low` and `high` are Wilson's 95 % interval of the frequency, for independent bars; `error` is the
    expected calibration error, `brier` the mean squared error of the probabilities.
    """

    stated: np.ndarray
    happened: np.ndarray
    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray
    error: float
    brier: float


class Recalibration(NamedTuple):
    """Reliability of one part before and after a map that was fitted on another part."""

    before: Reliability
    after: Reliability


class ActionValue(NamedTuple):
    """Predicted against realised value of one action, in bins of equal size by prediction, all (B,).

    Attributes:
        action: its index.
        predicted, realised: mean of each bin; `error` is the standard error of the realised mean.
        rank_correlation: Spearman's over all bars, NaN where either is constant.
    """

    action: int
    predicted: np.ndarray
    realised: np.ndarray
    error: np.ndarray
    rank_correlation: float


class ThresholdCurve(NamedTuple):
    """What trading only above a threshold of confidence gives, all (T,).

    Attributes:
        thresholds: tried ones. coverage: share of the decisions that are taken.
        hit_rate: share of the taken ones that paid. mean: mean net log return of a taken one; NaN where none is.
        total: sum over the taken ones.
    """

    thresholds: np.ndarray
    coverage: np.ndarray
    hit_rate: np.ndarray
    mean: np.ndarray
    total: np.ndarray


class ThresholdImpact(NamedTuple):
    """Threshold chosen on validation, the curves of both parts, and what it changed on test.

    `gain` is the test total at the chosen threshold minus that at the first one tried, with its interval.
    """

    chosen: float
    validation: ThresholdCurve
    test: ThresholdCurve
    gain: Interval


def reliability(probability: np.ndarray, happened: np.ndarray, n_bins: int = BINS) -> Reliability:
    """Of probabilities (N,) in [0, 1] and what happened (N,) bool, in equally wide bins; NaN errors if empty."""
    check_at_least("n_bins", n_bins, 2)
    places = np.minimum((probability * n_bins).astype(np.int64), n_bins - 1)
    counts = np.bincount(places, minlength=n_bins)
    used = counts > 0
    n = counts[used]
    stated = np.bincount(places, probability, n_bins)[used] / n
    seen = np.bincount(places, happened.astype(np.float64), n_bins)[used] / n
    low, high = wilson_bounds(seen, n)
    brier = float(np.mean((probability - happened) ** 2)) if len(probability) else NAN
    return Reliability(stated, seen, low, high, n, calibration_error(probability, happened, n_bins), brier)


def regime_reliability(probabilities: np.ndarray, truth: np.ndarray, n_bins: int = BINS) -> dict[str, Reliability]:
    """By regime: its probability (N, 4) against how often it was the true one, `truth` (N,) labels ≥ 0."""
    return {regime.name.lower(): reliability(probabilities[:, regime], truth == regime, n_bins) for regime in REGIMES}


def recalibrate(
    validation: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], n_bins: int = BINS
) -> Recalibration:
    """Isotonic map fitted on `validation` (probability, happened), shown on `test`: error before and after."""
    knots = fit_isotonic(*validation)
    probability, happened = test
    return Recalibration(
        reliability(probability, happened, n_bins),
        reliability(apply_isotonic(probability, knots), happened, n_bins),
    )


def action_values(scores: np.ndarray, realised: np.ndarray, n_bins: int = BINS) -> list[ActionValue]:
    """Realised return against predicted value, action by action.

    Args:
        scores: (N, A) predicted value of each action, such as Q. realised: (N, A) what each action would
            have earned on the same bars, from the same position; prices are exogenous, so all are known.
        n_bins: at most one per two bars.

    Raises:
        DataError: different shapes, or fewer than four bars.
    """
    if scores.shape != realised.shape or scores.ndim != 2 or len(scores) < 4:
        raise DataError(
            "no-values",
            f"predicted {scores.shape} and realised {realised.shape} values cannot be compared",
            needed="the same (bars, actions), four bars or more",
        )
    return [_action_value(a, scores[:, a], realised[:, a], n_bins) for a in range(scores.shape[1])]


def _action_value(action: int, predicted: np.ndarray, realised: np.ndarray, n_bins: int) -> ActionValue:
    bins = np.array_split(np.argsort(predicted, kind="stable"), min(n_bins, len(predicted) // 2))
    varies = np.ptp(predicted) > 0 and np.ptp(realised) > 0
    return ActionValue(
        action,
        np.array([predicted[rows].mean() for rows in bins]),
        np.array([realised[rows].mean() for rows in bins]),
        np.array([standard_error(realised[rows]) for rows in bins]),
        float(spearmanr(predicted, realised).statistic) if varies else NAN,
    )


def policy_action_values(
    held_out: HeldOut, roles: ActionRoles, one_way_cost: float, n_bins: int = BINS
) -> list[ActionValue]:
    """`action_values` of what a policy said on held-out bars (`agents.decision.fit.ask`), from a flat account.

    An action with target weight w earns w·R − 2·|w|·`one_way_cost` over the horizon, R the log return of the
    market from the fill on; one that keeps the position earns 0. Predictions are in the policy's own unit.

    Raises:
        ModelError: the policy has no scores.
    """
    scores = held_out.decision.scores
    if scores is None:
        raise ModelError("no-scores", "the policy states no value of its actions", needed="a policy with scores")
    weights = np.nan_to_num(roles.weights)
    realised = held_out.returns[:, None] * weights[None] - 2.0 * one_way_cost * np.abs(weights)[None]
    return action_values(np.asarray(scores, np.float64), realised, n_bins)


def threshold_curve(confidence: np.ndarray, net_returns: np.ndarray, thresholds: Sequence[float]) -> ThresholdCurve:
    """Of decisions with a confidence (N,) and a net log return (N,) each; taken where confidence ≥ threshold."""
    tried = np.asarray(thresholds, np.float64)
    taken = confidence[None] >= tried[:, None]
    n = taken.sum(axis=1)
    total = np.where(taken, net_returns[None], 0.0).sum(axis=1)
    hits = (taken & (net_returns[None] > 0)).sum(axis=1)
    some = n > 0
    share = 1.0 / np.maximum(n, 1)
    return ThresholdCurve(
        tried,
        n / max(len(confidence), 1),
        np.where(some, hits * share, NAN),
        np.where(some, total * share, NAN),
        total,
    )


def threshold_impact(
    validation: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    thresholds: Sequence[float],
    block_length: float,
    generator: np.random.Generator,
    level: float = 0.95,
) -> ThresholdImpact:
    """The threshold that earned most on `validation` (confidence, net returns), and what it does on `test`.

    Ties go to the lower threshold. The interval of the gain is by the stationary bootstrap over the test's
    decisions in their order, with blocks of mean length `block_length`.
    """
    curve, shown = (threshold_curve(*part, thresholds) for part in (validation, test))
    chosen = float(curve.thresholds[int(np.argmax(curve.total))])
    confidence, returns = test
    change = np.where(confidence >= chosen, returns, 0.0) - np.where(confidence >= curve.thresholds[0], returns, 0.0)
    if len(change) < 2:
        return ThresholdImpact(chosen, curve, shown, Interval(float(change.sum()), NAN, NAN))
    sums, _ = resampled_moments(change[None], block_length, 2000, generator)
    return ThresholdImpact(chosen, curve, shown, Interval(float(change.sum()), *quantile_bounds(sums[:, 0], level)))


def regime_threshold_impact(
    validation: tuple[np.ndarray, np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray, np.ndarray],
    thresholds: Sequence[float],
    block_length: float,
    generator: np.random.Generator,
    level: float = 0.95,
) -> Mapping[str, ThresholdImpact]:
    """`threshold_impact` regime by regime; each part is (confidence, net returns, regime labels), (N,) each.

    Regimes without a decision on validation have no threshold and are left out.
    """
    found = {}
    for regime in REGIMES:
        fitted, shown = ((part[0][part[2] == regime], part[1][part[2] == regime]) for part in (validation, test))
        if len(fitted[0]):
            found[regime.name.lower()] = threshold_impact(fitted, shown, thresholds, block_length, generator, level)
    return found


def interval_coverage(
    predicted: np.ndarray, deviation: np.ndarray, realised: np.ndarray, levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95)
) -> dict[float, float]:
    """Share of `realised` (N,) within predicted ± z·deviation, by level: is an ensemble's spread its uncertainty?

    Args:
        predicted: (N,) mean of the members. deviation: (N,) ≥ 0, their standard deviation, or a calibrated one.
    """
    off = np.abs(realised - predicted)
    return {level: float(np.mean(off <= float(ndtri((1.0 + level) / 2.0)) * deviation)) for level in levels}
