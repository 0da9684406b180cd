"""The equations EnhancedDQN learns by, one function each, pure except for the soft update."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def chosen_value(choosing: Tensor, valuing: Tensor) -> Tensor:
    """valuing(argmax_a choosing(a)), (…) of two (…, A): the double estimate of max_a."""
    return valuing.gather(-1, choosing.argmax(dim=-1, keepdim=True)).squeeze(-1)


def afterstate_target(growth: Tensor, gamma: float, next_value: Tensor, flat: int) -> Tensor:
    """δ target (B, A) = g_a − g_flat + γ·(V(x_a) − V(x_flat)).

    Args:
        growth: (B, A) log growth of each rung from one fill to the next.
        next_value: (B, A) V = max_a′ (cost(x_a, a′) + δ(h′, a′)) at the weight that each rung has
            drifted to; the future that all rungs share cancels, so what is bootstrapped is bounded
            by γ times a cost.
        flat: index of the rung 0.
    """
    return growth - growth[:, flat, None] + gamma * (next_value - next_value[:, flat, None])


def quantile_huber(quantiles: Tensor, targets: Tensor, delta: float = 1.0) -> Tensor:
    """Quantile Huber loss (…) of predicted quantiles (…, N) against target samples (…, M).

    Σ_i mean_j |τ_i − 1{u_ij < 0}|·Huber_δ(u_ij)/δ with u_ij = y_j − θ_i and τ_i = (i + ½)/N.
    Source: Dabney et al. 2018, arXiv:1710.10044.
    """
    n_quantiles = quantiles.shape[-1]
    tau = (torch.arange(n_quantiles, device=quantiles.device, dtype=quantiles.dtype) + 0.5) / n_quantiles
    u = targets.unsqueeze(-2) - quantiles.unsqueeze(-1)
    huber = functional.huber_loss(u, torch.zeros_like(u), reduction="none", delta=delta)
    return ((tau[:, None] - (u.detach() < 0).to(u.dtype)).abs() * huber / delta).mean(dim=-1).sum(dim=-1)


def regime_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of logits (B, 4) over the rows whose label (B,) is known; 0 if none is."""
    known = (labels >= 0).sum().clamp(min=1)
    return functional.cross_entropy(logits, labels, ignore_index=-1, reduction="sum") / known


def regime_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of the known labels (B,) that logits (B, 4) hit; NaN if none is known."""
    known = labels >= 0
    return ((logits.argmax(dim=1) == labels) & known).sum() / known.sum()


@torch.no_grad()
def soft_update(target: Sequence[Tensor], online: Sequence[Tensor], tau: float) -> None:
    """θ⁻ ← τ·θ + (1 − τ)·θ⁻, in place, all tensors in one call."""
    if len(target) != len(online):
        raise ValueError(f"argument 'online' holds {len(online)} tensors, 'target' {len(target)}")
    torch._foreach_lerp_(list(target), list(online), tau)
