"""SIGTERM, as a cluster or a container sends it, is heard as Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt inside the block."""

    def heard(kind: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, heard)
    try:
        yield
    finally:
        # None: installed by a library that is not Python, and out of reach.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
