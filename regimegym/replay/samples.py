"""What a replay buffer hands to the learner."""

from typing import NamedTuple

import numpy as np
from torch import Tensor


class ReplayBatch(NamedTuple):
    """B sampled transitions on the learner's device."""

    market: Tensor  # (B, W, F) float32 windows of the decisions
    account: Tensor  # (B, K) float32
    action: Tensor  # (B,) int64
    reward_n: Tensor  # (B,) float32, discounted sum of up to n rewards
    next_market: Tensor  # (B, W, F) float32 windows to bootstrap from
    next_account: Tensor  # (B, K) float32
    discount: Tensor  # (B,) float32, γ to the number of rewards summed
    terminated: Tensor  # (B,) float32, 1 where nothing may be bootstrapped
    regime: Tensor  # (B,) int64 causal label of the decision's bar, −1 unknown
    weights: Tensor  # (B,) float32 importance weights, 1 for uniform sampling
    slots: np.ndarray  # (B,) int64 where the transitions lie, for priority updates


class Transitions(NamedTuple):
    """M finished n-step transitions, as references into the tape."""

    row: np.ndarray  # (M,) int64 tape row of the decision
    account: np.ndarray  # (M, K) float32
    action: np.ndarray  # (M,) int64
    reward_n: np.ndarray  # (M,) float32
    next_row: np.ndarray  # (M,) int64
    next_account: np.ndarray  # (M, K) float32
    discount: np.ndarray  # (M,) float32
    terminated: np.ndarray  # (M,) bool
