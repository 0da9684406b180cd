"""Feature windows of sampled references as tensors, gathered by the processor or on the device of the tape."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from regimegym.features.tape import MarketTape
from regimegym.features.windows import gather_windows
from regimegym.replay.rooms import Rooms, placing

Block = TypeVar("Block", np.ndarray, Tensor)


class HostWindows:
    """Windows copied from the tapes' own memory, then sent to `device`."""

    def __init__(self, length: int, device: torch.device) -> None:
        self.length = length
        self._is_here = device.type == "cpu"
        self._place = placing(device)
        self._rooms = Rooms(_window_room)

    def gather(self, tapes: Sequence[MarketTape], references: np.ndarray) -> Tensor:
        """(N, W, F) float32 windows that end at `references` (N,); zeros before a segment."""
        whole, _, _ = self._gathered(tapes, references, 0)
        return self._place(whole)

    def pair(self, tapes: Sequence[MarketTape], references: np.ndarray, ahead: int) -> tuple[Tensor, Tensor]:
        """Windows that end at `references` (2, B): of the decisions, and `ahead` bars later, 0 where that differs.

        Where it does not differ, the two windows of a transition overlap: one block holds both. No
        transition leads from one segment of a tape into the next.
        """
        overlap = ahead if ahead < self.length else 0
        ends = references[1] if overlap else references.reshape(-1)
        whole, now, later = self._gathered(tapes, ends, overlap)
        if self._is_here:
            return self._place(now), self._place(later)
        return _cut(self._place(whole), overlap)

    def _gathered(self, tapes: Sequence[MarketTape], ends: np.ndarray, overlap: int) -> tuple[np.ndarray, ...]:
        room = self._rooms.take((len(ends), self.length, tapes[0].n_features, overlap))
        gather_windows(tapes, ends, room[0])
        return room


class DeviceWindows:
    """Windows gathered by index on `device`, which holds a copy of the features of all tapes."""

    def __init__(self, length: int, device: torch.device) -> None:
        self.length = length
        self.device = device
        self._n_tapes = 0
        self._features = self._first = torch.empty(0)

    def gather(self, tapes: Sequence[MarketTape], references: np.ndarray) -> Tensor:
        """As HostWindows.gather."""
        return self._gathered(tapes, references, 0)

    def pair(self, tapes: Sequence[MarketTape], references: np.ndarray, ahead: int) -> tuple[Tensor, Tensor]:
        """As HostWindows.pair."""
        overlap = ahead if ahead < self.length else 0
        return _cut(self._gathered(tapes, references[1] if overlap else references.reshape(-1), overlap), overlap)

    def _gathered(self, tapes: Sequence[MarketTape], references: np.ndarray, overlap: int) -> Tensor:
        if len(tapes) != self._n_tapes:
            self._load(tapes)
        length = self.length + overlap
        ends = torch.from_numpy(references).to(self.device)
        steps = ends[:, None] + torch.arange(1 - length, 1, device=self.device)
        inside = steps >= self._first[ends][:, None]
        windows = self._features.index_select(0, steps.clamp_(min=0).flatten()).view(len(ends), length, -1)
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


def _window_room(shape: tuple[int, int, int, int]) -> tuple[np.ndarray, ...]:
    """Windows (N, W + overlap, F), whole and cut."""
    n, length, width, overlap = shape
    whole = np.empty((n, length + overlap, width), np.float32)
    return (whole, *_cut(whole, overlap))


def _cut(block: Block, overlap: int) -> tuple[Block, Block]:
    """The first and the second windows: both of a row where they overlap, else one half after the other."""
    if overlap:
        return block[:, :-overlap], block[:, overlap:]
    return block[: len(block) // 2], block[len(block) // 2 :]
