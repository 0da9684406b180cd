"""Heads of the Q network; here, and nowhere earlier, the account joins (late fusion)."""

import torch
from torch import Tensor, nn

from regimegym.agents.afterstate import Ladder, log_cost
from regimegym.agents.networks.chain import Chain
from regimegym.agents.networks.noisy import NoisyLinear

EXPOSURE = 0  # column of the account block that holds the weight (envs.observation.ACCOUNT_FIELDS)


class DuelingHeads(nn.Module):
    """Q(h, u)_a = Val(j) + Adv(j)_a − mean_a Adv(j) with j = concat(h, u), for every quantile.

    Source: Wang et al. 2016, "Dueling Network Architectures", arXiv:1511.06581.
    """

    def __init__(
        self,
        memory_width: int,
        n_account: int,
        head_width: int,
        n_actions: int,
        n_quantiles: int = 1,
        noisy: bool = False,
    ) -> None:
        super().__init__()
        joint = memory_width + n_account
        self.shape = (n_actions, n_quantiles)
        self.advantage = _head(joint, head_width, n_actions * n_quantiles, noisy)
        self.value = _head(joint, head_width, n_quantiles, noisy)

    def forward(self, h: Tensor, account: Tensor) -> Tensor:
        """Quantiles of the return (B, A, N), N = 1 being Q itself.

        Args:
            h: (B, H) encodings.
            account: (B, K) account blocks, K = 0 allowed.
        """
        joint = torch.cat([h, account], dim=-1)
        advantage = self.advantage(joint).unflatten(-1, self.shape)
        return self.value(joint).unsqueeze(-2) + advantage - advantage.mean(dim=-2, keepdim=True)

    def best(self, h: Tensor, account: Tensor) -> Tensor:
        """Actions (B,) int64 of the highest Q, where N = 1: Adv decides, Val and the mean are the same for all."""
        assert self.shape[1] == 1
        return self.advantage(torch.cat([h, account], dim=-1)).argmax(dim=-1)


class AfterstateHeads(nn.Module):
    """Q(h, x, a) − Q(h, x, stay flat) = cost(x, a) + δ(h, a), δ(h, flat) = 0; x is the exposure.

    What an action is worth after its order depends on the market alone; the account joins
    through the price of the change, which is known and not learned.
    """

    targets: Tensor
    rates: Tensor
    unit: Tensor
    flat: Tensor

    def __init__(self, memory_width: int, head_width: int, n_actions: int, noisy: bool = False) -> None:
        super().__init__()
        self.advantage = _head(memory_width, head_width, n_actions, noisy)
        self.register_buffer("targets", torch.zeros(n_actions))
        self.register_buffer("rates", torch.zeros(2))  # of a purchase and a sale
        self.register_buffer("unit", torch.ones(()))  # scaled reward of one unit of log growth
        self.register_buffer("flat", torch.zeros(1, dtype=torch.int64))

    def set_ladder(self, ladder: Ladder, unit: float = 1.0) -> None:
        """The rungs, their costs and the scaled reward of one unit of log growth; they travel with the weights."""
        self.targets.copy_(torch.tensor(ladder.targets))
        self.rates.copy_(torch.tensor([ladder.buying, ladder.selling]))
        self.flat.fill_(ladder.flat)
        self.unit.fill_(unit)

    def delta(self, h: Tensor) -> Tensor:
        """δ (B, A) of encodings (B, H), in scaled reward."""
        advantage = self.advantage(h)
        return advantage - advantage.index_select(-1, self.flat)

    def cost(self, x: Tensor, rates: Tensor | None = None) -> Tensor:
        """Cost (…, A) ≤ 0 of changing from the weights x (…), in scaled reward; at other `rates` where given."""
        buying, selling = self.rates if rates is None else rates
        return self.unit * log_cost(x, self.targets, buying, selling)

    def forward(self, h: Tensor, account: Tensor) -> Tensor:
        """(B, A, 1); arguments as in DuelingHeads."""
        return (self.cost(account[:, EXPOSURE]) + self.delta(h)).unsqueeze(-1)


def lower_tail(quantiles: Tensor, level: float) -> Tensor:
    """Mean (B, A) of the lowest share `level` of the quantiles (B, A, N), ⌈level·N⌉ of them: CVaR."""
    n_quantiles = quantiles.shape[-1]
    if n_quantiles == 1:
        return quantiles.squeeze(-1)
    n_lowest = -int(-level * n_quantiles // 1)
    if n_lowest >= n_quantiles:
        return quantiles.mean(dim=-1)
    return quantiles.sort(dim=-1).values[..., :n_lowest].mean(dim=-1)


def _head(joint: int, width: int, outputs: int, noisy: bool) -> Chain:
    layer = NoisyLinear if noisy else nn.Linear
    last = layer(width, outputs)
    # Values start near zero, so the first targets are the rewards and not the initialisation.
    nn.init.uniform_(last.weight, -1e-2, 1e-2)
    nn.init.zeros_(last.bias)
    return Chain(layer(joint, width), nn.ReLU(), last)
