"""Memory of batches that is used again: fresh memory costs more than the draw."""

import sys
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from regimegym.replay.layout import (
    CHOICE,
    DISCOUNT,
    ENDED,
    GENERATION,
    LABEL,
    N_DRAWN_FLOATS,
    N_DRAWN_NUMBERS,
    SLOT,
    TOTAL,
    WEIGHT,
)

Key = TypeVar("Key", bound=Hashable)
Room = TypeVar(
    "Room", bound=tuple[np.ndarray, ...]
)  # arrays that are written into, and handed out as such or as tensors


class Rooms(Generic[Key, Room]):
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


def _holders(room: tuple[np.ndarray, ...]) -> int:
    """How many references there are to all of its arrays."""
    return sum(map(sys.getrefcount, room))


class BatchRoom(NamedTuple):
    """Memory of a batch but for its windows; what `drawing.sample` writes, and views of it."""

    uniforms: np.ndarray  # (B + 1,) float64
    numbers: np.ndarray  # (6, B) int64, rows NOW … CHOICE
    floats: np.ndarray  # (4, B) float32, rows TOTAL … WEIGHT
    packed: np.ndarray  # (2, B, S) float32 accounts
    words: np.ndarray  # (B, A) int32 actions
    all_packed: np.ndarray  # (2B, S), the same accounts
    blocks: np.ndarray  # (2B, K) float32
    account: np.ndarray  # (B, K), and so on as in ReplayBatch
    next_account: np.ndarray
    action: np.ndarray
    reward_n: np.ndarray
    discount: np.ndarray
    terminated: np.ndarray
    weights: np.ndarray
    regime: np.ndarray
    slots: np.ndarray
    born: np.ndarray
    references: np.ndarray


def batch_room(batch_size: int, n_fields: int, size: int, n_actions: int, is_discrete: bool) -> BatchRoom:
    """Memory for B transitions with K account fields, S numbers of a packed account, A words of an action."""
    numbers = np.empty((N_DRAWN_NUMBERS, batch_size), np.int64)
    floats = np.empty((N_DRAWN_FLOATS, batch_size), np.float32)
    packed = np.empty((2, batch_size, size), np.float32)
    words = np.empty((batch_size, n_actions), np.int32)
    blocks = np.empty((2 * batch_size, n_fields), np.float32)
    return BatchRoom(
        uniforms=np.empty(batch_size + 1),
        numbers=numbers,
        floats=floats,
        packed=packed,
        words=words,
        all_packed=packed.reshape(-1, size),
        blocks=blocks,
        account=blocks[:batch_size],
        next_account=blocks[batch_size:],
        action=numbers[CHOICE] if is_discrete else words.view(np.float32),
        reward_n=floats[TOTAL],
        discount=floats[DISCOUNT],
        terminated=floats[ENDED],
        weights=floats[WEIGHT],
        regime=numbers[LABEL],
        slots=numbers[SLOT],
        born=numbers[GENERATION],
        references=numbers[:SLOT],
    )


def placing(device: torch.device) -> Callable[[np.ndarray], Tensor]:
    """Makes tensors on the memory of arrays, or copies of them on another device than the processor."""
    if device.type == "cpu":
        return torch.from_numpy
    return lambda array: torch.from_numpy(array).to(device)
