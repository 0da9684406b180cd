"""Ctrl-C and SIGTERM while Ray Tune runs: it saves its state and returns, and we know that it was stopped."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

KINDS = (signal.SIGINT, signal.SIGTERM)


class Stopped:
    """Which signal has come; None so far."""

    by: signal.Signals | None = None


@contextmanager
def tune_stops_when_told() -> Iterator[Stopped]:
    """Inside the block the first signal ends Tune's loop, a second one interrupts at once.

    Tune's own handler of Ctrl-C (which TUNE_DISABLE_SIGINT_HANDLER keeps away) lets it return trials that
    were cut off as if they had ended, and nobody hears SIGTERM. SIGUSR1 does the same to it, and is sent for both.
    """
    stopped = Stopped()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def heard(kind: int, frame: FrameType | None) -> None:
        again, stopped.by = stopped.by is not None, signal.Signals(kind)
        if again or not callable(signal.getsignal(signal.SIGUSR1)):  # Tune does not listen yet
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGUSR1)

    before = {kind: signal.signal(kind, heard) for kind in KINDS}
    own = signal.getsignal(signal.SIGUSR1)
    try:
        yield stopped
    finally:
        for kind, handler in {**before, signal.SIGUSR1: own}.items():
            signal.signal(kind, signal.SIG_DFL if handler is None else handler)
