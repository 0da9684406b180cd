"""Focal loss of class logits (DEFINITIONS §12, for any number of classes)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


class FocalLoss(nn.Module):
    """Mean of −a_y (1 − p_y)^γ ln p_y over the rows, p = softmax of the logits.

    For two classes and logits (0, z) this is the loss of z in §12: a_1 = α, a_0 = 1 − α. Source: Lin et al. 2017.

    Args:
        gamma: γ ≥ 0; 0 is cross entropy.
        weights: a of each class; None weighs all rows alike.
    """

    weights: Tensor | None

    def __init__(self, gamma: float = 2.0, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer("weights", None if weights is None else torch.tensor(weights, dtype=torch.float32))

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Logits (B, C) and class indices (B,) int64 to a scalar."""
        log_p = torch.log_softmax(logits, dim=-1).gather(1, labels[:, None])[:, 0]
        # 1 − p through expm1, so that a sure row keeps its gradient.
        loss = -((-torch.expm1(log_p)).clamp_min(1e-12) ** self.gamma) * log_p if self.gamma else -log_p
        return (loss if self.weights is None else loss * self.weights[labels]).mean()


def class_weights(labels: np.ndarray, n_classes: int, alpha: float | str | None) -> list[float] | None:
    """a of each class for these labels (N,): `auto` gives 1 − its share, a number (1 − α, α), None none.

    A number is for two classes; with more it stands for `auto`.
    """
    if alpha is None:
        return None
    if alpha != "auto" and n_classes == 2:
        return [1.0 - float(alpha), float(alpha)]
    shares = np.bincount(labels.astype(np.int64), minlength=n_classes) / len(labels)
    return (1.0 - shares).tolist()
