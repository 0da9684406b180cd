"""What a replay buffer hands out."""

from typing import NamedTuple

import numpy as np
from torch import Tensor


class ReplayBatch(NamedTuple):
    """B sampled transitions; tensors are on the learner's device."""

    market: Tensor  # (B, W, F) float32 windows of the decisions
    account: Tensor  # (B, K) float32
    action: Tensor  # (B,) int64, or (B, A) float32 where actions are continuous
    reward_n: Tensor  # (B,) float32, discounted sum of up to n rewards
    next_market: Tensor  # (B, W, F) float32 windows to bootstrap from
    next_account: Tensor  # (B, K) float32
    discount: Tensor  # (B,) float32, γ to the number of rewards summed
    terminated: Tensor  # (B,) float32, 1 where nothing may be bootstrapped
    regime: Tensor  # (B,) int64 causal label of the decision's bar, −1 unknown
    weights: Tensor  # (B,) float32 importance weights ≤ 1, all 1 for uniform sampling
    slots: np.ndarray  # (B,) int64 where the transitions lie, and …
    born: np.ndarray  # (B,) int64 … their generation there, for priority updates
    references: np.ndarray  # (2, B) int64 of the decisions and of the bootstraps, tape · T + row
    packed: np.ndarray  # (2, B, S) float32 accounts there, as the source packed them


class Transitions(NamedTuple):
    """M stored n-step transitions, as references into the tapes."""

    reference: np.ndarray  # (M,) int64 of the decision
    account: np.ndarray  # (M, S) float32, packed
    action: np.ndarray  # (M, A) int32 words of the action
    reward_n: np.ndarray  # (M,) float32
    next_reference: np.ndarray  # (M,) int64
    next_account: np.ndarray  # (M, S) float32, packed
    terminated: np.ndarray  # (M,) bool
    regime: np.ndarray  # (M,) int64


class RegimeUse(NamedTuple):
    """How a buffer was used since the last look, by regime in the order of Regime; NaN: unknown."""

    fill: np.ndarray  # (4,) share of what is held
    sampled: np.ndarray  # (4,) share of what was drawn
    priority: np.ndarray  # (4,) mean priority of what is held
    td_error: np.ndarray  # (4,) mean |TD error| of what was learned from
    age: np.ndarray  # (4,) transitions stored since, mean over what was drawn
