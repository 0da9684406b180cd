"""Forward filtering of a Gaussian hidden Markov model: what was known of the state at each bar, and no more.

α_t ∝ (α_{t−1} A) ∘ b(x_t), in logarithms, normalised at every bar: O(S²) per bar (DEFINITIONS §3). Smoothing
and Viterbi look ahead, so there are none here.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

ENOUGH = 1e-290  # a predicted probability below this is added up in logarithms, where nothing underflows


class Gaussians(NamedTuple):
    """A hidden Markov model with S states and D observed values.

    Attributes:
        start: (S,) distribution of the first state.
        transition: (S, S) rows sum to 1.
        means: (S, D).
        covariances: (S, D, D), positive definite.
    """

    start: np.ndarray
    transition: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


class _Prepared(NamedTuple):
    log_start: np.ndarray
    transition: np.ndarray
    log_transition: np.ndarray
    means: np.ndarray
    whitening: np.ndarray  # (S, D, D) lower triangles: whitening·(x − mean) has unit covariance
    constants: np.ndarray  # (S,) logarithm of the density at the mean


class Filtered(NamedTuple):
    """`probabilities` (N, S) of the state given the bars so far, and the log likelihood of all bars."""

    probabilities: np.ndarray
    log_likelihood: float


class MarkovFilter:
    """The filter as it stands after the bars it was given; a NaN bar tells nothing, and time goes on.

    Args:
        model: as fitted.
    """

    def __init__(self, model: Gaussians) -> None:
        self._model = _prepared(model)
        self._log_belief = self._model.log_start.copy()
        self._belief = np.exp(self._log_belief)  # beside it, so that a stream rounds as a batch does
        self._is_first = True

    def push(self, observation: np.ndarray) -> np.ndarray:
        """(S,) probabilities after one more bar (D,)."""
        return self.run(np.asarray(observation, dtype=np.float64)[None]).probabilities[0]

    def run(self, observations: np.ndarray) -> Filtered:
        """Probabilities after each of the next N bars (N, D); the same as pushing them one by one."""
        rows = np.array(observations, dtype=np.float64, order="C")
        out = np.empty((len(rows), len(self._log_belief)))
        log_likelihood = _forward(rows, *self._model, self._log_belief, self._belief, self._is_first, out)
        self._is_first = self._is_first and not len(rows)
        return Filtered(out, log_likelihood)


def filtered(model: Gaussians, observations: np.ndarray) -> Filtered:
    """The filter over `observations` (N, D) from the start."""
    return MarkovFilter(model).run(observations)


def stationary(transition: np.ndarray) -> np.ndarray:
    """(S,) distribution that a long run of the chain (S, S) from anywhere comes to."""
    lazy = 0.5 * (np.eye(len(transition)) + transition)  # a chain that alternates has no limit, its lazy one has
    for _ in range(40):
        lazy = lazy @ lazy
        lazy /= lazy.sum(axis=1, keepdims=True)
    return lazy.mean(axis=0)


def _prepared(model: Gaussians) -> _Prepared:
    factors = np.linalg.cholesky(model.covariances)
    whitening = np.linalg.inv(factors)
    log_roots = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    constants = -log_roots - 0.5 * model.means.shape[1] * np.log(2.0 * np.pi)
    with np.errstate(divide="ignore"):  # a state that is never entered has log probability −∞
        logs = np.log(model.start), np.log(model.transition)
    arrays = logs[0], model.transition, logs[1], model.means, whitening, constants
    return _Prepared(*(np.array(array, dtype=np.float64, order="C") for array in arrays))


@njit(cache=True)
def _forward(
    observations: np.ndarray,
    log_start: np.ndarray,
    transition: np.ndarray,
    log_transition: np.ndarray,
    means: np.ndarray,
    whitening: np.ndarray,
    constants: np.ndarray,
    log_belief: np.ndarray,
    belief: np.ndarray,
    is_first: bool,
    out: np.ndarray,
) -> float:
    """Fill `out` (N, S), leave the last belief (S,) in both its forms, and return the log likelihood."""
    n_states = len(log_start)
    ahead = np.empty(n_states)
    total = 0.0
    for t in range(len(observations)):
        if is_first:
            for k in range(n_states):
                ahead[k] = log_start[k]
            is_first = False
        else:
            _step(log_belief, belief, transition, log_transition, ahead)
        _observe(observations[t], means, whitening, constants, ahead)
        top = ahead.max()
        norm = 0.0
        for k in range(n_states):
            belief[k] = np.exp(ahead[k] - top)
            norm += belief[k]
        log_norm = top + np.log(norm)
        total += log_norm
        for k in range(n_states):
            belief[k] /= norm
            log_belief[k] = ahead[k] - log_norm
            out[t, k] = belief[k]
    return total


@njit(cache=True)
def _step(
    log_belief: np.ndarray, belief: np.ndarray, transition: np.ndarray, log_transition: np.ndarray, ahead: np.ndarray
) -> None:
    """ahead_k = ln Σ_i belief_i A_ik."""
    for k in range(len(belief)):
        mass = 0.0
        for i in range(len(belief)):
            mass += belief[i] * transition[i, k]
        if mass > ENOUGH:
            ahead[k] = np.log(mass)
            continue
        top = -np.inf
        for i in range(len(belief)):
            top = max(top, log_belief[i] + log_transition[i, k])
        if top == -np.inf:
            ahead[k] = top
            continue
        mass = 0.0
        for i in range(len(belief)):
            mass += np.exp(log_belief[i] + log_transition[i, k] - top)
        ahead[k] = top + np.log(mass)


@njit(cache=True)
def _observe(
    row: np.ndarray, means: np.ndarray, whitening: np.ndarray, constants: np.ndarray, ahead: np.ndarray
) -> None:
    """Add ln b_k(x) to ahead_k, for each state; nothing for a row with a NaN."""
    for value in row:
        if np.isnan(value):
            return
    for k in range(len(ahead)):
        square = 0.0
        for i in range(len(row)):
            part = 0.0
            for j in range(i + 1):
                part += whitening[k, i, j] * (row[j] - means[k, j])
            square += part * part
        ahead[k] += constants[k] - 0.5 * square
