"""Layers that the networks share. Nothing is normalised over a batch: a window's answer is its own."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Output(NamedTuple):
    """What a network says of a batch of windows."""

    logits: Tensor  # (B, C)
    attention: Tensor | None = None  # (B, L), of the bars of the window; rows sum to 1
    variables: Tensor | None = None  # (B, F), of the features; rows sum to 1


class RecurrentLayer(nn.Module):
    """norm(LSTM(x) + P x) with dropout; P projects where the widths differ."""

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.memory = nn.LSTM(inputs, width, batch_first=True)
        self.project = nn.Identity() if inputs == width else nn.Linear(inputs, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, inputs) to (B, L, width)."""
        return self.dropout(self.norm(self.memory(x)[0] + self.project(x)))


class LastStepAttention(nn.Module):
    """Self-attention as the last bar of a window asks for it: which of the bars matters now.

    a = Σ_s softmax_s(q_L·k_s / √d) v_s per head; the last bar's own state is added and normalised.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ask = nn.Linear(width, width)
        self.tell = nn.Linear(width, 2 * width)
        self.mix = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L, width) to the state (B, width) and the weights (B, L), the mean of the heads."""
        batch, steps, width = x.shape
        query = self.ask(x[:, -1]).view(batch, self.heads, 1, -1)
        keys, values = self.tell(x).view(batch, steps, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(query @ keys.transpose(-1, -2) / math.sqrt(width // self.heads), dim=-1)
        found = (weights @ values).reshape(batch, width)
        return self.norm(x[:, -1] + self.mix(found)), weights.mean(dim=1)[:, 0]


class AdditivePooling(nn.Module):
    """Σ_s softmax_s(v·tanh(W x_s + U x_L)) x_s (Bahdanau et al. 2015, arXiv:1409.0473)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.each = nn.Linear(width, width)
        self.last = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L, width) to (B, width) and the weights (B, L)."""
        scores = self.score(torch.tanh(self.each(x) + self.last(x[:, -1:])))
        weights = torch.softmax(scores[..., 0], dim=-1)
        return torch.einsum("bl,bld->bd", weights, x), weights


class FeatureAttention(nn.Module):
    """The last bar's features, each weighted by how much it matters now: softmax(W x) ⊙ x · F."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.score = nn.Linear(n_features, n_features)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F) to (B, F) and the weights (B, F)."""
        weights = torch.softmax(self.score(x), dim=-1)
        return weights * x * x.shape[-1], weights


class GatedResidual(nn.Module):
    """norm(P x + σ(g) ⊙ h), h and g of a small network of x (Lim et al. 2021, arXiv:1912.09363, §4.1)."""

    def __init__(self, inputs: int, width: int, dropout: float, outputs: int | None = None) -> None:
        super().__init__()
        outputs = width if outputs is None else outputs
        self.body = nn.Sequential(
            nn.Linear(inputs, width),
            nn.ELU(),
            nn.Linear(width, width),
            nn.Dropout(dropout),
            nn.Linear(width, 2 * outputs),
        )
        self.project = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs, bias=False)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs)."""
        return self.norm(self.project(x) + nn.functional.glu(self.body(x), dim=-1))
