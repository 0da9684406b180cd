"""Features of several instruments: correlation and its breaks, beta, lead and lag, relative strength.

All inputs are (T,) or (N, T) float64 that stand on the rows of one instrument's bars (features.alignment).
NaN in an input means "not known then"; it stays NaN in the result as long as a window holds it.
"""

import numpy as np

from regimegym.features.rolling import divide, rolling_mean_sd

ROUND_OFF = 1e-9  # deviation per bar of a log return that is float noise
LARGEST_CORRELATION = 0.999  # beyond it the z-transform grows without bound


def log_changes(close: np.ndarray) -> np.ndarray:
    """ln C_t − ln C_{t−1} along the last axis, NaN on row 0 and beside a NaN."""
    out = np.full(close.shape, np.nan)
    out[..., 1:] = np.diff(np.log(close), axis=-1)
    return out


def rolling_correlation(x: np.ndarray, y: np.ndarray, window: int) -> np.ndarray:
    """Pearson's correlation of the last `window` pairs, (T,) in [−1, 1]; 0 where either does not move."""
    covariance, sd_x, sd_y = _moments(x, y, window)
    return np.clip(divide(covariance, sd_x * sd_y, 0.0), -1.0, 1.0)


def rolling_beta(x: np.ndarray, reference: np.ndarray, window: int) -> np.ndarray:
    """Slope of `x` on `reference` over the last `window` pairs, (T,); 0 where the reference does not move."""
    covariance, _, sd = _moments(x, reference, window)
    return divide(covariance, sd * sd, 0.0)


def residual_return(x: np.ndarray, reference: np.ndarray, window: int) -> np.ndarray:
    """x_t − β_{t−1}·reference_t, (T,): what the reference does not explain, β from the window before t."""
    beta_tm1 = np.full(len(x), np.nan)
    beta_tm1[1:] = rolling_beta(x, reference, window)[:-1]
    return x - beta_tm1 * reference


def correlation_break(x: np.ndarray, y: np.ndarray, fast: int, slow: int) -> np.ndarray:
    """Change of the correlation in standard errors, (T,): the last `fast` pairs against the `slow` before them.

    (artanh ρ_fast − artanh ρ_slow) / √(1/(fast − 3) + 1/(slow − 3)); about N(0, 1) at one bar when
    pairs are independent and normal and the correlation does not change (Fisher, 1921).
    """
    now = _z_transform(rolling_correlation(x, y, fast))
    before = np.full(len(x), np.nan)
    before[fast:] = _z_transform(rolling_correlation(x, y, slow))[: len(x) - fast]
    return (now - before) / np.sqrt(1.0 / (fast - 3) + 1.0 / (slow - 3))


def lead_correlation(x: np.ndarray, leader: np.ndarray, lag: int, window: int) -> np.ndarray:
    """Correlation of x_t with leader_{t−lag} over the last `window` pairs, (T,), lag ≥ 0."""
    shifted = np.full(len(leader), np.nan)
    shifted[lag:] = leader[: len(leader) - lag]
    return rolling_correlation(x, shifted, window)


def lead_lag(x: np.ndarray, leader: np.ndarray, most_lags: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Lag k in 1 … most_lags at which `leader` best foretold `x` so far, and that correlation, each (T,).

    k_t maximises |corr(x, leader shifted by k)| over the `window` pairs that end at t; the
    smallest on a tie. NaN until the window of the longest lag is full.
    """
    found = np.stack([lead_correlation(x, leader, lag, window) for lag in range(1, most_lags + 1)])
    unknown = np.isnan(found).any(axis=0)
    best = np.argmax(np.where(np.isnan(found), -1.0, np.abs(found)), axis=0)
    strength = np.take_along_axis(found, best[None], axis=0)[0]
    return np.where(unknown, np.nan, best + 1.0), np.where(unknown, np.nan, strength)


def momentum(close: np.ndarray, window: int) -> np.ndarray:
    """ln C_t − ln C_{t−window} along the last axis, NaN on the first `window` rows."""
    out = np.full(close.shape, np.nan)
    out[..., window:] = np.log(close[..., window:] / close[..., : close.shape[-1] - window])
    return out


def relative_strength(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Own momentum (T,) less the mean momentum of the others (N, T), (T,); only others known at t count."""
    known = ~np.isnan(others)
    count = known.sum(axis=0)
    mean = divide(np.where(known, others, 0.0).sum(axis=0), count.astype(np.float64), 0.0)
    return np.where(count > 0, own - mean, np.nan)


def rotation_ranks(momenta: np.ndarray) -> np.ndarray:
    """Rank of each of N instruments by momentum (N, T), scaled to 0 (weakest) … 1 (strongest), (N, T).

    Equal ones share the mean of their ranks; NaN where an instrument is unknown, and where fewer
    than two are known there is nothing to compare: ½.
    """
    known = ~np.isnan(momenta)
    count = known.sum(axis=0)
    below = (momenta[None, :, :] < momenta[:, None, :]).sum(axis=1)
    equal = (momenta[None, :, :] == momenta[:, None, :]).sum(axis=1) - 1  # less itself
    with np.errstate(invalid="ignore", divide="ignore"):
        ranks = (below + 0.5 * equal) / (count - 1)
    return np.where(known, np.where(count > 1, ranks, 0.5), np.nan)


def _moments(x: np.ndarray, y: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariance and both deviations (ddof 0) of the last `window` pairs; a deviation of float noise counts as 0.

    Pairs of which one is missing make the window unknown; the sums are taken about each window's mean.
    """
    missing = np.isnan(x) | np.isnan(y)
    x, y = np.where(missing, np.nan, x), np.where(missing, np.nan, y)
    sd_x, sd_y = rolling_mean_sd(x, window)[1], rolling_mean_sd(y, window)[1]
    # var(x + y) − var(x − y) = 4·cov: two sums of squares about their own means, no cancellation of levels.
    covariance = (rolling_mean_sd(x + y, window)[1] ** 2 - rolling_mean_sd(x - y, window)[1] ** 2) / 4.0
    return covariance, _without_round_off(sd_x), _without_round_off(sd_y)


def _without_round_off(sd: np.ndarray) -> np.ndarray:
    return np.where(sd > ROUND_OFF, sd, 0.0 * sd)


def _z_transform(correlation: np.ndarray) -> np.ndarray:
    return np.arctanh(np.clip(correlation, -LARGEST_CORRELATION, LARGEST_CORRELATION))
