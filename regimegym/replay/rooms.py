"""Memory of batches that is used again: fresh memory, and fresh tensors on it, cost more than the draw."""

import sys
from collections.abc import Callable, Hashable
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

Key = TypeVar("Key", bound=Hashable)


class Room(NamedTuple):
    """Arrays that are written into, and the tensors on their memory that are handed out, all made once."""

    arrays: tuple[np.ndarray, ...]
    tensors: tuple[Tensor, ...]


class Drawn(NamedTuple):
    """What kernels.sample drew."""

    numbers: np.ndarray  # (4, B) int64, rows NOW … GENERATION
    packed: np.ndarray  # (2, B, S) float32 accounts
    ahead: int  # bars between decision and bootstrap, 0 where that differs
    room: Room  # of batch_room


class Rooms(Generic[Key]):
    """The last two rooms: one is held while the next batch is drawn.

    Args:
        build: the room of a key, say of a batch size.
    """

    def __init__(self, build: Callable[[Key], Room]) -> None:
        self._build = build
        self._rooms: list[tuple[Key, _Watched]] = []

    def take(self, key: Key) -> Room:
        """A room that nobody holds any more, or a new one."""
        for found, watched in self._rooms:
            if found == key and watched.is_free:
                return watched.room
        room = self._build(key)
        self._rooms = [*self._rooms[-1:], (key, _Watched(room))]
        return room


class _Watched:
    """A room, and who held it when nobody outside did."""

    def __init__(self, room: Room) -> None:
        self.room = room
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in room.tensors}
        self._storages = list(storages.values())
        self._handles = [storage._cdata for storage in self._storages]
        self._free = self._holders()

    @property
    def is_free(self) -> bool:
        """Whether nobody outside holds a tensor, a view of one, or a graph that will read one."""
        return self._holders() == self._free

    def _holders(self) -> list[int]:
        # A tensor is held by names in Python and by graphs in C++; views and arrays of it hold its storage.
        private: Any = torch._C
        tensors = self.room.tensors
        return [
            *map(sys.getrefcount, tensors),
            *map(private.TensorBase._use_count, tensors),
            *map(private._storage_Use_Count, self._handles),
        ]


def batch_room(batch_size: int, n_fields: int, n_actions: int, is_discrete: bool) -> Room:
    """Memory of a batch but for its windows.

    The arrays are blocks (2B, K), actions, their words (B, A), floats (4, B) and labels (B,) of
    kernels.sample. The tensors are both blocks, actions, returns, discounts, terminated, weights, labels.
    """
    blocks = np.empty((2 * batch_size, n_fields), np.float32)
    words = np.empty((batch_size, n_actions), np.int32)
    action = np.empty(batch_size, np.int64) if is_discrete else words.view(np.float32)
    floats, labels = np.empty((4, batch_size), np.float32), np.empty(batch_size, np.int64)
    tensors = (
        *torch.from_numpy(blocks).view(2, batch_size, n_fields).unbind(0),
        torch.from_numpy(action),
        *torch.from_numpy(floats).unbind(0),
        torch.from_numpy(labels),
    )
    return Room((blocks, action, words, floats, labels), tensors)
