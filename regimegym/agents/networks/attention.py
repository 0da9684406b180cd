"""Causal self-attention over the bars of a window."""

import math

import torch
from torch import Tensor, nn


class TemporalAttentionLayer(nn.Module):
    """One head of scaled dot-product attention in which no bar sees a later one.

    a_t = Σ_{s ≤ t} softmax_s(q_t·k_s / √d) v_s    (Vaswani et al. 2017, arXiv:1706.03762)
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.project = nn.Linear(width, 3 * width)

    def forward(self, f: Tensor, padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            f: (B, T, width) float32.
            padding: (B, T) bool, True where the window has no bar; nobody attends to such a step,
                except a padded step to itself, which keeps its row of the softmax defined.

        Returns:
            a (B, T, width) and the weights (B, T, T), whose rows sum to 1.
        """
        q, k, v = self.project(f).chunk(3, dim=-1)
        scores = torch.baddbmm(_mask(f, padding), q, k.transpose(1, 2), alpha=1 / math.sqrt(self.width))
        weights = torch.softmax(scores, dim=-1)
        return torch.bmm(weights, v), weights


def _mask(f: Tensor, padding: Tensor | None) -> Tensor:
    """0 where a step may look and −∞ where it may not, (T, T) or (B, T, T)."""
    steps = f.shape[1]
    hidden = torch.ones(steps, steps, dtype=torch.bool, device=f.device).triu(1)
    if padding is not None:
        itself = torch.eye(steps, dtype=torch.bool, device=f.device)
        hidden = hidden | (padding[:, None, :] & ~itself)
    return torch.zeros_like(hidden, dtype=f.dtype).masked_fill_(hidden, -torch.inf)
