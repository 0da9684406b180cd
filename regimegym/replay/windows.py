"""Feature windows of sampled references as tensors, gathered by the processor or on the device of the tape."""

import sys
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from regimegym.features.tape import MarketTape
from regimegym.features.windows import gather_windows

FREE = 3  # references to a room that only the list, the loop and the question itself hold


class HostWindows:
    """Windows copied from the tapes' own memory, then sent to `device`."""

    def __init__(self, length: int, device: torch.device) -> None:
        self.length = length
        self.device = device
        self._rooms: list[np.ndarray] = []

    def gather(self, tapes: Sequence[MarketTape], references: np.ndarray, length: int | None = None) -> Tensor:
        """(N, W, F) float32 windows that end at `references` (N,); zeros before a segment.

        `length` stands in for W.
        """
        windows = self._room((len(references), length or self.length, tapes[0].n_features))
        gather_windows(tapes, references, windows)
        return torch.from_numpy(windows).to(self.device)

    def pair(self, tapes: Sequence[MarketTape], references: np.ndarray) -> tuple[Tensor, Tensor]:
        """Windows that end at `references` (2, B): of the decisions, and of some bars later."""
        return _pair(self, tapes, references)

    def _room(self, shape: tuple[int, ...]) -> np.ndarray:
        """An array that nobody holds any more: memory fresh from the system costs more than the copy into it."""
        for room in self._rooms:
            if room.shape == shape and sys.getrefcount(room) <= FREE:
                return room
        self._rooms = [*self._rooms[-1:], np.empty(shape, np.float32)]
        return self._rooms[-1]


class DeviceWindows:
    """Windows gathered by index on `device`, which holds a copy of the features of all tapes."""

    def __init__(self, length: int, device: torch.device) -> None:
        self.length = length
        self.device = device
        self._n_tapes = 0
        self._features = self._first = torch.empty(0)

    def gather(self, tapes: Sequence[MarketTape], references: np.ndarray, length: int | None = None) -> Tensor:
        """As HostWindows.gather."""
        if len(tapes) != self._n_tapes:
            self._load(tapes)
        length = length or self.length
        ends = torch.from_numpy(references).to(self.device)
        steps = ends[:, None] + torch.arange(1 - length, 1, device=self.device)
        inside = steps >= self._first[ends][:, None]
        windows = self._features.index_select(0, steps.clamp_(min=0).flatten()).view(len(ends), length, -1)
        return windows.masked_fill_(~inside[:, :, None], 0.0)

    def pair(self, tapes: Sequence[MarketTape], references: np.ndarray) -> tuple[Tensor, Tensor]:
        """As HostWindows.pair."""
        return _pair(self, tapes, references)

    def _load(self, tapes: Sequence[MarketTape]) -> None:
        self._n_tapes = len(tapes)
        self._features = torch.from_numpy(np.concatenate([tape.features for tape in tapes])).to(self.device)
        first = [tape.segment_start + k * len(tape) for k, tape in enumerate(tapes)]
        self._first = torch.from_numpy(np.concatenate(first)).to(self.device)


def _pair(
    windows: HostWindows | DeviceWindows, tapes: Sequence[MarketTape], references: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Two windows a transition. Where all are as many bars apart, they overlap: one block holds both.

    No transition leads from one segment of a tape into the next.
    """
    ahead, length = references[1] - references[0], windows.length
    n = int(ahead[0])
    if n < length and (ahead == n).all():
        block = windows.gather(tapes, references[1], length + n)
        return block[:, :length], block[:, n:]
    both = windows.gather(tapes, references.reshape(-1))
    return both[: len(ahead)], both[len(ahead) :]


def windows_of(tape_device: str, length: int, device: torch.device) -> HostWindows | DeviceWindows:
    """Gathers as `ReplaySettings.tape_device` says; a learner on the processor shares the tapes' memory."""
    if tape_device == "cpu" or device.type == "cpu":
        return HostWindows(length, device)
    return DeviceWindows(length, device)
