"""Four regime pathways side by side, and their mixture by the detector's gate."""

import torch
from torch import Tensor, nn

from regimegym.common.regimes import N_REGIMES


class RegimePathways(nn.Module):
    """u_k = MLP_k(a), Linear-ReLU twice, for the four regimes in the order of `Regime`.

    The four first layers are one matrix, the four second layers one batched product.
    """

    def __init__(self, width: int, pathway_width: int) -> None:
        super().__init__()
        self.pathway_width = pathway_width
        self.first = nn.Linear(width, N_REGIMES * pathway_width)
        self.second_weight = nn.Parameter(torch.empty(N_REGIMES, pathway_width, pathway_width))
        self.second_bias = nn.Parameter(torch.zeros(N_REGIMES, 1, pathway_width))
        for k in range(N_REGIMES):
            nn.init.kaiming_uniform_(self.second_weight.data[k], nonlinearity="relu")

    def forward(self, a: Tensor) -> Tensor:
        """u (4, B, T, pathway_width) of a (B, T, width): the regime comes first, as it is computed."""
        out = self.second(torch.relu(self.first(a)).reshape(-1, N_REGIMES * self.pathway_width))
        return out.reshape(N_REGIMES, *a.shape[:-1], self.pathway_width)

    def second(self, hidden: Tensor) -> Tensor:
        """Second layers (4, B, pathway_width) over the first ones' outputs (B, 4·pathway_width)."""
        parts = hidden.unflatten(-1, (N_REGIMES, self.pathway_width)).transpose(0, 1)
        return torch.baddbmm(self.second_bias, parts, self.second_weight.transpose(1, 2)).relu_()


def mix(gate: Tensor, pathways: Tensor) -> Tensor:
    """Mixture c = Σ_k g_k u_k: gate (B, T, 4) and pathways (4, B, T, D) give (B, T, D).

    A product and a sum: einsum would call one tiny matrix product per bar.
    """
    return (gate.movedim(-1, 0).unsqueeze(-1) * pathways).sum(dim=0)
