"""Four regime pathways side by side, and their mixture by the detector's gate."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from regimegym.common.regimes import N_REGIMES


class RegimePathways(nn.Module):
    """u_k = MLP_k(a), Linear-ReLU twice, for the four regimes in the order of `Regime`."""

    def __init__(self, width: int, pathway_width: int) -> None:
        super().__init__()
        self.pathway_width = pathway_width
        self.first = nn.Linear(width, N_REGIMES * pathway_width)
        self.second_weight = nn.Parameter(torch.empty(N_REGIMES, pathway_width, pathway_width))
        self.second_bias = nn.Parameter(torch.zeros(N_REGIMES, 1, pathway_width))
        for k in range(N_REGIMES):
            nn.init.kaiming_uniform_(self.second_weight.data[k], nonlinearity="relu")

    def forward(self, a: Tensor) -> list[Tensor]:
        """The four u_k (B, T, pathway_width) of a (B, T, width).

        One pathway after the other: batched products would read the first layers' outputs with gaps between
        them, and in bf16 that means to copy them first.
        """
        layers = zip(
            self.first.weight.chunk(N_REGIMES), self.first.bias.chunk(N_REGIMES),
            self.second_weight.unbind(), self.second_bias.unbind(), strict=True,
        )  # fmt: skip
        rows = a.flatten(0, -2)
        u = [_relu_linear(_relu_linear(rows, w1, b1), w2, b2.squeeze(0)) for w1, b1, w2, b2 in layers]
        return [u_k.unflatten(0, a.shape[:-1]) for u_k in u]


def mix(gate: Tensor, pathways: Sequence[Tensor]) -> Tensor:
    """Mixture c = Σ_k g_k u_k: gate (B, T, 4) and four pathways (B, T, D) give (B, T, D)."""
    parts = [g * u for g, u in zip(gate.to(pathways[0].dtype).split(1, dim=-1), pathways, strict=True)]
    return parts[0] + parts[1] + parts[2] + parts[3]


def _relu_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """ReLU(x·W + b) of rows (N, D); with more dimensions it were a view, whose change in place autograd copies."""
    return functional.linear(x, weight, bias).relu_()
