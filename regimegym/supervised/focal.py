"""Focal loss of a logit z against y ∈ {0, 1}, with both derivatives (DEFINITIONS §12).

s = 2y − 1, p_t = σ(sz), a_t = α for y = 1 and 1 − α for y = 0 (α None: 1). Source: Lin et al. 2017.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit

LEAST_HESSIAN = 1e-6  # the second derivative is negative on part of the range, and a tree needs a curvature


class _Terms(NamedTuple):
    s: np.ndarray
    p: np.ndarray
    q: np.ndarray  # 1 − p, without the cancellation
    log_p: np.ndarray
    a: np.ndarray | float


def _terms(z: np.ndarray, y: np.ndarray, alpha: float | None) -> _Terms:
    s = 2.0 * y - 1.0
    a = 1.0 if alpha is None else np.where(y == 1, alpha, 1.0 - alpha)
    return _Terms(s, expit(s * z), expit(-s * z), log_expit(s * z), a)


def focal_loss(z: np.ndarray, y: np.ndarray, gamma: float, alpha: float | None) -> np.ndarray:
    """−a_t (1 − p_t)^γ ln p_t of every row (N,)."""
    t = _terms(z, y, alpha)
    return -t.a * t.q**gamma * t.log_p


def focal_gradient(z: np.ndarray, y: np.ndarray, gamma: float, alpha: float | None) -> np.ndarray:
    """dFL/dz = a_t s (1 − p_t)^γ (γ p_t ln p_t + p_t − 1) of every row (N,)."""
    t = _terms(z, y, alpha)
    return t.a * t.s * t.q**gamma * (gamma * t.p * t.log_p - t.q)


def focal_hessian(z: np.ndarray, y: np.ndarray, gamma: float, alpha: float | None) -> np.ndarray:
    """d²FL/dz² = a_t p_t (1−p_t) [(1−p_t)^γ (γ ln p_t + γ + 1) − γ (1−p_t)^(γ−1) (γ p_t ln p_t + p_t − 1)], (N,).

    Written with (1−p_t)^γ taken out of the bracket, so that γ < 1 divides by nothing.
    """
    t = _terms(z, y, alpha)
    inner = t.q * (gamma * t.log_p + gamma + 1.0) - gamma * (gamma * t.p * t.log_p - t.q)
    return t.a * t.p * t.q**gamma * inner
