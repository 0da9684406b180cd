"""Noisy layers: exploration by weights that are disturbed, by amounts that are learned."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class NoisyLinear(nn.Linear):
    """y = (μ_w + σ_w ⊙ ε_w)x + μ_b + σ_b ⊙ ε_b with factorised noise while training, y = μ_w x + μ_b else.

    Source: Fortunato et al. 2018, "Noisy Networks for Exploration", arXiv:1706.10295. The noise is
    drawn from torch's generator whenever `resample` is called and holds until the next call.
    """

    noise_in: Tensor
    noise_out: Tensor

    def __init__(self, inputs: int, outputs: int, sigma: float = 0.5) -> None:
        super().__init__(inputs, outputs)
        scale = sigma / math.sqrt(inputs)
        self.weight_sigma = nn.Parameter(torch.full((outputs, inputs), scale))
        self.bias_sigma = nn.Parameter(torch.full((outputs,), scale))
        self.register_buffer("noise_in", torch.zeros(inputs), persistent=False)
        self.register_buffer("noise_out", torch.zeros(outputs), persistent=False)

    @torch.no_grad()
    def resample(self) -> None:
        """Draw the noise anew."""
        for noise in (self.noise_in, self.noise_out):
            noise.normal_()
            noise.copy_(noise.sign() * noise.abs().sqrt())

    def forward(self, x: Tensor) -> Tensor:
        """(…, outputs) of (…, inputs)."""
        if not self.training:
            return functional.linear(x, self.weight, self.bias)
        weight = self.weight + self.weight_sigma * self.noise_out[:, None] * self.noise_in
        return functional.linear(x, weight, self.bias + self.bias_sigma * self.noise_out)
