"""Regime thresholds fitted on training rows, frozen, and the shares of the classes that come of it."""

from dataclasses import replace

import numpy as np

from regimegym.common.errors import DataError
from regimegym.common.regimes import REGIMES, Regime
from regimegym.features.regimes import Regimes, RegimeSettings
from regimegym.features.splits import RowRange


def fit_regimes(regimes: Regimes, settings: RegimeSettings, train: RowRange) -> RegimeSettings:
    """`settings` with the thresholds that `fit` asks for, frozen (`fit` none); as they are without it.

    z_T is the quantile of |z| that leaves `trend_share` of the training rows above it; v_lo is the
    quantile of v among the rows below z_T that makes `plateau_share` of all of them plateaus. The
    shares are met by the hard labels; hysteresis moves them. No score after `train.stop` is looked at.

    Args:
        regimes: any regimes of the T bars with these windows; thresholds do not change their scores.
        settings: what to fit, on what shares.
        train: rows of the training part.

    Raises:
        DataError: `regimes-cannot-fit` where the training rows do not vary enough for a threshold.
    """
    if settings.fit == "none":
        return settings
    z, v = (score[train.start : train.stop] for score in (regimes.z, regimes.v))
    known = ~np.isnan(z)
    z, v = np.abs(z[known]), v[known]
    z_threshold = _quantile(z, 1.0 - settings.trend_share, "z_threshold")
    fitted = replace(settings, fit="none", z_threshold=z_threshold)
    if settings.plateau == "economic":
        return fitted
    rest = v[z < z_threshold]
    share = settings.plateau_share * len(v) / max(1, len(rest))
    return replace(fitted, v_lo=_quantile(rest, min(1.0, share), "v_lo"))


def _quantile(scores: np.ndarray, share: float, name: str) -> float:
    value = float(np.quantile(scores, share)) if len(scores) else 0.0
    if value <= 0:
        raise DataError(
            "regimes-cannot-fit",
            f"the training rows give no positive 'regime.{name}'",
            needed="training rows whose prices move",
            found=f"{len(scores):,} rows, the quantile at {share:.3g} is {value:g}",
            help=("regime.fit=none takes the thresholds as they stand",),
        )
    return value


def regime_shares(labels: np.ndarray) -> dict[str, float]:
    """Share of each regime, by name in the order of Regime, among the labels (T,) that are known; NaN if none is."""
    known = labels[labels != Regime.UNKNOWN]
    return {regime.name: float((known == regime).mean()) if len(known) else float("nan") for regime in REGIMES}
