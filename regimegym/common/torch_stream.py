"""Torch draws (initial weights, dropout) from a stream of our own, not the global one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class TorchStream:
    """The default generators of torch behave as this stream inside `use()` and are put back after.

    Dropout takes no generator, so the global state is lent to it for the time it draws; nobody
    else's draws can shift ours, nor ours theirs.
    """

    def __init__(self, random_seed: int, device: torch.device) -> None:
        self._devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(self._devices):
            torch.manual_seed(random_seed)
            self._read()

    @contextmanager
    def use(self) -> Iterator[None]:
        """Draw from this stream inside the block."""
        with torch.random.fork_rng(self._devices):
            torch.set_rng_state(self._cpu)
            for device, state in zip(self._devices, self._others, strict=True):
                torch.cuda.set_rng_state(state, device)
            yield
            self._read()

    def state(self) -> list[torch.Tensor]:
        """Where the stream stands; `load_state` takes it back."""
        return [self._cpu, *self._others]

    def load_state(self, state: list[torch.Tensor]) -> None:
        """The inverse of `state`."""
        self._cpu, *self._others = state

    def _read(self) -> None:
        self._cpu = torch.get_rng_state()
        self._others = [torch.cuda.get_rng_state(device) for device in self._devices]
