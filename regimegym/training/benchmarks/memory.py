"""What a large tape costs in memory, and how fast it is opened from disk."""

import statistics
import time
import tracemalloc
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from regimegym.envs.trading_env import TradingEnv
from regimegym.features.tape import MarketTape
from regimegym.features.tape_file import open_tape, save_tape
from regimegym.training.benchmarks.market import random_tape

WARM_UP_BARS = 2_000


@dataclass(frozen=True)
class TapeMemory:
    """Bytes that Python and NumPy hold, and seconds of wall time.

    Attributes:
        arrays: bytes of the tape's own arrays.
        tape: bytes held once the tape stands.
        tape_and_env: bytes held with a TradingEnv on it that has taken a step.
        mapped: bytes held by the same tape opened from disk.
        open_seconds: median time of open_tape.
    """

    arrays: int
    tape: int
    tape_and_env: int
    mapped: int
    open_seconds: float


def tape_memory(n_bars: int, n_features: int, folder: Path, repeats: int) -> TapeMemory:
    """Measure a tape of `n_bars` × `n_features`; it is saved to `folder` and left there.

    Raises:
        MachineError: the disk or its permissions refuse.
    """
    _one_step(random_tape(WARM_UP_BARS, n_features))  # loads or compiles the kernels
    tracemalloc.start()
    try:
        tape = random_tape(n_bars, n_features)
        held = tracemalloc.get_traced_memory()[0]
        env = _one_step(tape)
        with_env = tracemalloc.get_traced_memory()[0]
        arrays = sum(value.nbytes for value in _arrays(tape))
        save_tape(tape, folder)
        del tape, env
        before = tracemalloc.get_traced_memory()[0]
        mapped = open_tape(folder)
        held_mapped = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    del mapped
    return TapeMemory(arrays, held, with_env, held_mapped, statistics.median(_open(folder) for _ in range(repeats)))


def _arrays(tape: MarketTape) -> list[np.ndarray]:
    """What the tape was made of, array by array."""
    values = [getattr(tape, field.name) for field in fields(tape) if field.init]
    return [value for value in values if isinstance(value, np.ndarray)]


def _one_step(tape: MarketTape) -> TradingEnv:
    env = TradingEnv(tape)
    env.reset(seed=0)
    env.step(0)
    return env


def _open(folder: Path) -> float:
    began = time.perf_counter()
    open_tape(folder)
    return time.perf_counter() - began
