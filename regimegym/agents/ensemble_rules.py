"""How four specialists decide together: mixture, switch, vote; and how far they disagree (DEFINITIONS §10)."""

from typing import NamedTuple

import numpy as np


class SwitchState(NamedTuple):
    """Who decides for N accounts, and since how many decisions."""

    expert: np.ndarray  # (N,) int64
    age: np.ndarray  # (N,) int64


def contributions(weights: np.ndarray, q: np.ndarray) -> np.ndarray:
    """w_k·Q_k (N, K, A) of gate weights (N, K) and member values (N, K, A); over k they sum to the mixture."""
    return weights[:, :, None] * q


def vote_shares(weights: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Σ_k w_k·1{argmax_a Q_k = a}, (N, A): each expert gives its weight to its best action."""
    best = q.argmax(axis=2)
    shares = np.zeros((q.shape[0], q.shape[2]))
    np.add.at(shares, (np.arange(len(q))[:, None], best), weights)
    return shares


def elect(shares: np.ndarray, tie: int) -> np.ndarray:
    """The action (N,) with the largest share; `tie` (HOLD) where two actions share the lead to 1e-9."""
    leaders = shares >= shares.max(axis=1, keepdims=True) - 1e-9
    return np.where(leaders.sum(axis=1) > 1, tie, shares.argmax(axis=1))


def switch(
    weights: np.ndarray, state: SwitchState | None, starts: np.ndarray, margin: float, dwell: int
) -> SwitchState:
    """Who decides now.

    The expert with the largest weight takes over when its weight exceeds that of the present one by
    `margin` and the present one has decided at least `dwell` times. At an episode's start the largest
    weight decides.

    Args:
        weights: (N, 4) of the gate.
        state: of the previous decision, None at first.
        starts: (N,) bool, where an episode begins.
    """
    best = weights.argmax(axis=1)
    if state is None:
        return SwitchState(best, np.ones(len(best), np.int64))
    everyone = np.arange(len(best))
    ahead = weights[everyone, best] - weights[everyone, state.expert] > margin
    moves = starts | (ahead & (state.age >= dwell) & (best != state.expert))
    return SwitchState(np.where(moves, best, state.expert), np.where(moves, 1, state.age + 1))


def disagreement(weights: np.ndarray, q: np.ndarray) -> np.ndarray:
    """√Σ_k w_k (a_k − ā)², (N,): weighted deviation of the members' advantage of the mixture's best action.

    a_k = Q_k(a*) − mean_a Q_k(a), ā = Σ_k w_k a_k. 0 where one expert decides alone or all agree.
    """
    chosen = np.einsum("nk,nka->na", weights, q).argmax(axis=1)
    advantage = q - q.mean(axis=2, keepdims=True)
    own = np.take_along_axis(advantage, chosen[:, None, None], axis=2)[:, :, 0]
    mean = (weights * own).sum(axis=1, keepdims=True)
    return np.sqrt((weights * (own - mean) ** 2).sum(axis=1))
