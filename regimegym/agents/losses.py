"""The equations EnhancedDQN learns by, one function each, pure except for the soft update."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional


def double_q_target(
    reward_n: Tensor, discount: Tensor, terminated: Tensor, next_q_online: Tensor, next_q_target: Tensor
) -> Tensor:
    """Double-DQN target y = R_n + γⁿ·(1 − terminated)·Q⁻(s′, argmax_a Q(s′, a)).

    Source: van Hasselt et al. 2016, arXiv:1509.06461. A truncated episode is bootstrapped.

    Args:
        reward_n: (B,) discounted n-step return.
        discount: (B,) γ to the number of steps that were summed.
        terminated: (B,) 1 where the episode ended by its own rules, else 0.
        next_q_online, next_q_target: (B, A) values of s′.
    """
    best = next_q_online.argmax(dim=1, keepdim=True)
    return reward_n + discount * (1 - terminated) * next_q_target.gather(1, best).squeeze(1)


def weighted_huber(td_error: Tensor, weights: Tensor, delta: float = 1.0) -> Tensor:
    """Mean over the batch of ω·Huber_δ(TD error), both (B,)."""
    zeros = torch.zeros_like(td_error)
    return (weights * functional.huber_loss(td_error, zeros, reduction="none", delta=delta)).mean()


def regime_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of logits (B, 4) over the rows whose label (B,) is known; 0 if none is."""
    known = (labels >= 0).sum().clamp(min=1)
    return functional.cross_entropy(logits, labels, ignore_index=-1, reduction="sum") / known


def regime_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of the known labels (B,) that logits (B, 4) hit; NaN if none is known."""
    known = labels >= 0
    return ((logits.argmax(dim=1) == labels) & known).sum() / known.sum()


@torch.no_grad()
def soft_update(target: Iterable[Tensor], online: Iterable[Tensor], tau: float) -> None:
    """θ⁻ ← τ·θ + (1 − τ)·θ⁻, in place, tensor by tensor."""
    for theta_target, theta in zip(target, online, strict=True):
        theta_target.lerp_(theta, tau)
