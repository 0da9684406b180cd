"""Feature windows of sampled references as tensors, gathered by the processor or on the device of the tape."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from regimegym.features.tape import MarketTape
from regimegym.features.windows import gather_windows


class HostWindows:
    """Windows copied from the tapes' own memory, then sent to `device`."""

    def __init__(self, length: int, device: torch.device) -> None:
        self.length = length
        self.device = device

    def gather(self, tapes: Sequence[MarketTape], references: np.ndarray) -> Tensor:
        """(N, W, F) float32 windows that end at `references` (N,); zeros before a segment."""
        windows = np.empty((len(references), self.length, tapes[0].n_features), np.float32)
        gather_windows(tapes, references, windows)
        return torch.from_numpy(windows).to(self.device)


class DeviceWindows:
    """Windows gathered by index on `device`, which holds a copy of the features of all tapes."""

    def __init__(self, length: int, device: torch.device) -> None:
        self.length = length
        self.device = device
        self._n_tapes = 0
        self._features = self._first = torch.empty(0)
        self._back = torch.arange(1 - length, 1, device=device)

    def gather(self, tapes: Sequence[MarketTape], references: np.ndarray) -> Tensor:
        """As HostWindows.gather."""
        if len(tapes) != self._n_tapes:
            self._load(tapes)
        ends = torch.from_numpy(references).to(self.device)
        steps = ends[:, None] + self._back
        inside = steps >= self._first[ends][:, None]
        windows = self._features.index_select(0, steps.clamp_(min=0).flatten()).view(len(ends), self.length, -1)
        return windows.masked_fill_(~inside[:, :, None], 0.0)

    def _load(self, tapes: Sequence[MarketTape]) -> None:
        self._n_tapes = len(tapes)
        self._features = torch.from_numpy(np.concatenate([tape.features for tape in tapes])).to(self.device)
        first = [tape.segment_start + k * len(tape) for k, tape in enumerate(tapes)]
        self._first = torch.from_numpy(np.concatenate(first)).to(self.device)


def windows_of(tape_device: str, length: int, device: torch.device) -> HostWindows | DeviceWindows:
    """Gathers as `ReplaySettings.tape_device` says; a learner on the processor shares the tapes' memory."""
    if tape_device == "cpu" or device.type == "cpu":
        return HostWindows(length, device)
    return DeviceWindows(length, device)
