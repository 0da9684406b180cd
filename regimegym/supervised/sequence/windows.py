"""Windows of scaled features, cut where they are needed instead of copied all at once."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CLIP = 5.0  # standard deviations
CONSTANT = 1e-12  # standard deviation, relative to the mean, below which a feature is constant


@dataclass(frozen=True, eq=False)
class Standard:
    """Mean and scale (F,) of the rows that were fitted; scaled values are clipped."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Standard":
        """Of features (N, F) without NaN."""
        mean, sd = features.mean(axis=0), features.std(axis=0)
        return cls(mean, np.where(sd > CONSTANT * np.maximum(1.0, np.abs(mean)), sd, 1.0))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Scaled float32 (N, F); NaN stays NaN."""
        return np.clip((features - self.mean) / self.scale, -CLIP, CLIP).astype(np.float32)


def window_rows(is_usable: np.ndarray, length: int) -> np.ndarray:
    """Rows (n,) int64 that end a whole window of usable rows (N,) bool."""
    if len(is_usable) < length:
        return np.empty(0, np.int64)
    bad = np.concatenate([[0], np.cumsum(~is_usable)])
    return length - 1 + np.flatnonzero(bad[length:] == bad[:-length])


def gather(features: Tensor, rows: Tensor, length: int) -> Tensor:
    """(B, length, F): the windows of features (N, F) that end at and include each of `rows` (B,)."""
    steps = torch.arange(1 - length, 1, device=rows.device)
    return features[rows[:, None] + steps]
