"""From scores to probabilities: standardised softmax, uptrend boost, temperature, isotonic calibration.

DEFINITIONS §11, Calibrator. Everything works on NumPy arrays and, where gradients may be wanted, on
torch tensors alike.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression
from torch import Tensor

Array = TypeVar("Array", np.ndarray, Tensor)
Numbers = Sequence[float] | np.ndarray

LEAST_SPREAD = 1e-8  # scores that differ by less are equal
TEMPERATURES = (0.05, 20.0)  # bounds of a fitted temperature


def standardised(scores: Array) -> Array:
    """Q̃ = (Q − mean_a Q)/max(std_a Q, ε), (N, A); std with ddof 0, so the unit of Q drops out (T056)."""
    if isinstance(scores, Tensor):
        spread = scores.std(dim=-1, keepdim=True, unbiased=False).clamp(min=LEAST_SPREAD)
        return (scores - scores.mean(dim=-1, keepdim=True)) / spread
    spread = np.maximum(scores.std(axis=-1, keepdims=True), LEAST_SPREAD)
    return (scores - scores.mean(axis=-1, keepdims=True)) / spread


def score_probabilities(scores: Array, temperature: float) -> Array:
    """π = softmax(Q̃/τ), (N, A)."""
    logits = standardised(scores) / temperature
    if isinstance(logits, Tensor):
        return torch.softmax(logits, dim=-1)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def boost_uptrend(probabilities: Array, p_up: Array, buy: int | None, base: float = 0.5, boost: float = 0.2) -> Array:
    """π′ = (π + b·e_BUY)/(1 + b) with b = boost·clip((p_up − base)/(1 − base), 0, 1), out of place.

    Args:
        probabilities: π (N, A), rows sum to 1.
        p_up: (N,) probability of an uptrend.
        buy: index of BUY; None where no BUY is admissible, and then π′ = π.
        base: p_up up to which nothing happens, in [0, 1). boost: b at p_up = 1.
    """
    if buy is None:
        return probabilities
    if isinstance(probabilities, Tensor):
        b = boost * ((p_up - base) / (1 - base)).clamp(0, 1)
        one_hot = torch.zeros_like(probabilities)
        one_hot[..., buy] = 1.0
        return (probabilities + b[..., None] * one_hot) / (1 + b[..., None])
    b = boost * np.clip((p_up - base) / (1 - base), 0, 1)
    one_hot = np.zeros_like(probabilities)
    one_hot[..., buy] = 1.0
    return (probabilities + b[..., None] * one_hot) / (1 + b[..., None])


def fit_temperature(edge: np.ndarray, rose: np.ndarray) -> float:
    """τ that makes σ(edge/τ) the likeliest forecast of a rise.

    Args:
        edge: (M,) Q̃_buy − Q̃_sell of held-out bars.
        rose: (M,) bool, whether the price rose over the horizon.

    Returns:
        The minimiser of the mean log loss within TEMPERATURES; its upper end where the edge says nothing.
    """
    sign = np.where(rose, 1.0, -1.0)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -sign * edge / np.exp(log_temperature)).mean())

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def fit_isotonic(confidence: np.ndarray, paid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Monotone map from confidence to the frequency with which decisions of that confidence paid.

    Args:
        confidence: (M,) in [0, 1] of held-out decisions. paid: (M,) bool.

    Returns:
        Knots x (K,) increasing and y (K,) not decreasing in [0, 1]; `apply_isotonic` interpolates.
    """
    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(confidence, paid.astype(np.float64))
    return np.asarray(model.X_thresholds_, np.float64), np.asarray(model.y_thresholds_, np.float64)


def apply_isotonic(
    confidence: np.ndarray, knots: tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]
) -> np.ndarray:
    """Calibrated probability (M,); beyond the outermost knots it stays at their value."""
    x, y = (np.asarray(part, np.float64) for part in knots)
    return np.interp(confidence, x, y)


def calibration_error(probability: np.ndarray, happened: np.ndarray, n_bins: int = 10) -> float:
    """ECE: mean over equally wide bins, weighted by their size, of |mean probability − frequency|.

    Source: Naeini et al. 2015. NaN when there is nothing to compare.
    """
    if len(probability) == 0:
        return float("nan")
    places = np.minimum((probability * n_bins).astype(np.int64), n_bins - 1)
    counts = np.bincount(places, minlength=n_bins)
    said = np.bincount(places, probability, n_bins)
    seen = np.bincount(places, happened.astype(np.float64), n_bins)
    return float(np.abs(said - seen).sum() / counts.sum())
