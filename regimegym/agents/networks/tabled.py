"""Values over a table of encodings: what knows no account is computed once for every bar."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from regimegym.agents.folded_heads import FoldedHeads, write_values_of
from regimegym.agents.networks.dueling import DuelingHeads


class Values(Protocol):
    """Q by row of a table and account."""

    def __call__(self, rows: np.ndarray, account: np.ndarray) -> np.ndarray:
        """Q (B, A) float32 of rows (B,) int64 and account blocks (B, K) float32."""
        ...


class TabledValues:
    """Values of any network from its encodings (R, H), which stay on their device.

    Args:
        q: QNetwork.q.
    """

    def __init__(self, q: Callable[[Tensor, Tensor], Tensor], hidden: Tensor) -> None:
        self._q = q
        self._hidden = hidden

    @torch.no_grad()
    def __call__(self, rows: np.ndarray, account: np.ndarray) -> np.ndarray:
        """See Values."""
        h = self._hidden[torch.from_numpy(rows).to(self._hidden.device)]
        return self._q(h, torch.from_numpy(account).to(h.device)).cpu().numpy()


class FoldedValues:
    """Dueling heads as two matrices: the first layer's share of the encoding is tabled, its share of the account added.

    Values, advantages and the mean of these are linear in the last layers, so that one matrix does them all.
    It is the heads' arithmetic in another order: equal to float32 rounding.

    Args:
        heads: as they are now; evaluating, so that noisy ones are their means.
        risk: Q (…, A) of quantiles (…, A, N), where there are several.
        hidden: encodings (R, H).

    Attributes:
        heads: the matrices, whose values are quantiles.
        n_quantiles: N.
    """

    @torch.no_grad()
    def __init__(self, heads: DuelingHeads, risk: Callable[[Tensor], Tensor], hidden: Tensor) -> None:
        layers: list[Any] = [*heads.advantage, *heads.value]
        advantage_in, _, advantage_out, value_in, _, value_out = layers
        weight = torch.cat([advantage_in.weight, value_in.weight])  # (2W, H + K)
        bias = torch.cat([advantage_in.bias, value_in.bias])
        width = hidden.shape[1]
        n_actions, self.n_quantiles = self._shape = heads.shape
        advantage = torch.cat([advantage_out.weight, advantage_out.bias[:, None]], dim=1).unflatten(0, self._shape)
        advantage = advantage - advantage.mean(dim=0)
        value = torch.cat([value_out.weight, value_out.bias[:, None]], dim=1).expand(n_actions, self.n_quantiles, -1)
        both = torch.cat([advantage[..., :-1], value[..., :-1]], dim=-1).flatten(0, 1)  # (A·N, 2W)
        self.heads = FoldedHeads(
            table=torch.addmm(bias, hidden, weight[:, :width].T).cpu().numpy(),
            account=np.ascontiguousarray(weight[:, width:].T.cpu().numpy()),
            last=np.ascontiguousarray(both.T.cpu().numpy()),
            bias=(advantage[..., -1] + value[..., -1]).flatten().cpu().numpy(),
        )
        self._risk = risk

    def __call__(self, rows: np.ndarray, account: np.ndarray) -> np.ndarray:
        """See Values."""
        quantiles = np.empty((len(rows), len(self.heads.bias)), np.float32)
        write_values_of(self.heads, rows, account, quantiles)
        if self.n_quantiles == 1:
            return quantiles
        return self._risk(torch.from_numpy(quantiles).unflatten(-1, self._shape)).numpy()
