"""Memory of batches that is used again: fresh memory costs more than the draw."""

import sys
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from regimegym.replay.kernels import CHOICE, DISCOUNT, ENDED, LABEL, N_DRAWN_FLOATS, N_DRAWN_NUMBERS, TOTAL, WEIGHT

Key = TypeVar("Key", bound=Hashable)


Room = tuple[np.ndarray, ...]  # arrays that are written into, and handed out as they are or as tensors


class Rooms(Generic[Key]):
    """The last two rooms: one is held while the next batch is drawn.

    A tensor on an array's memory (torch.from_numpy) holds the array, and so do views of both, graphs that
    will read the tensor, and arrays made of it. Once only the room holds its arrays, their memory is free.

    Args:
        build: the room of a key, say of a batch size.
    """

    def __init__(self, build: Callable[[Key], Room]) -> None:
        self._build = build
        self._rooms: list[tuple[Key, Room, int]] = []

    def take(self, key: Key) -> Room:
        """A room that nobody holds any more, or a new one."""
        for found, room, unheld in self._rooms:
            if found == key and _holders(room) == unheld:
                return room
        room = self._build(key)
        self._rooms = [*self._rooms[-1:], (key, room, _holders(room))]
        return room


def _holders(room: Room) -> int:
    """How many references there are to all of its arrays."""
    return sum(map(sys.getrefcount, room))


class Drawn(NamedTuple):
    """What kernels.sample drew."""

    numbers: np.ndarray  # (6, B) int64, rows NOW … CHOICE
    packed: np.ndarray  # (2, B, S) float32 accounts
    shown: tuple[np.ndarray, ...]  # both account blocks, actions, returns, discounts, terminated, weights, regimes
    ahead: int  # bars between decision and bootstrap, 0 where that differs


def batch_room(batch_size: int, n_fields: int, size: int, n_actions: int, is_discrete: bool) -> Room:
    """Memory of a batch but for its windows.

    The arrays are numbers (6, B), floats (4, B), packed (2, B, S) and words (B, A) of kernels.sample,
    blocks (2B, K), and views of these: Drawn.shown.
    """
    numbers = np.empty((N_DRAWN_NUMBERS, batch_size), np.int64)
    floats = np.empty((N_DRAWN_FLOATS, batch_size), np.float32)
    packed = np.empty((2, batch_size, size), np.float32)
    words = np.empty((batch_size, n_actions), np.int32)
    blocks = np.empty((2 * batch_size, n_fields), np.float32)
    action = numbers[CHOICE] if is_discrete else words.view(np.float32)
    return (
        numbers, floats, packed, words, blocks, blocks[:batch_size], blocks[batch_size:], action,
        floats[TOTAL], floats[DISCOUNT], floats[ENDED], floats[WEIGHT], numbers[LABEL],
    )  # fmt: skip


def on_device(arrays: Iterable[np.ndarray], device: torch.device) -> list[Tensor]:
    """Tensors on the memory of the arrays, or copies of them on another device than the processor."""
    tensors = list(map(torch.from_numpy, arrays))
    return tensors if device.type == "cpu" else [tensor.to(device) for tensor in tensors]
