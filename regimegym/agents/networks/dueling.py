"""Dueling heads; here, and nowhere earlier, the account joins (late fusion)."""

import torch
from torch import Tensor, nn


class DuelingHeads(nn.Module):
    """Q(h, u)_a = Val(j) + Adv(j)_a − mean_a Adv(j) with j = concat(h, u).

    Source: Wang et al. 2016, "Dueling Network Architectures", arXiv:1511.06581.
    """

    def __init__(self, memory_width: int, n_account: int, head_width: int, n_actions: int) -> None:
        super().__init__()
        joint = memory_width + n_account
        self.advantage = _head(joint, head_width, n_actions)
        self.value = _head(joint, head_width, 1)

    def forward(self, h: Tensor, account: Tensor) -> Tensor:
        """Q (B, A) of h (B, H) and the account block (B, K), K = 0 allowed."""
        joint = torch.cat([h, account], dim=-1)
        advantage = self.advantage(joint)
        return self.value(joint) + advantage - advantage.mean(dim=-1, keepdim=True)


def _head(joint: int, width: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(width, outputs)
    # Values start near zero, so the first targets are the rewards and not the initialisation.
    nn.init.uniform_(last.weight, -1e-2, 1e-2)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(joint, width), nn.ReLU(), last)
