"""From the start of a process to its first step, with kernels to compile and with kernels cached."""

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from regimegym.training.benchmarks.worker import MODULE, child_environment


@dataclass(frozen=True)
class StartTimes:
    """Seconds of wall time from the start of a process to the end of its first step.

    Attributes:
        cold: no kernel compiled yet; the built-in market.
        warm: kernels cached on disk; the built-in market, which is computed anew.
        warm_from_tape: kernels cached on disk; a saved tape is opened.
    """

    cold: float
    warm: float
    warm_from_tape: float


def start_times(tape_folder: Path, repeats: int) -> StartTimes:
    """Measure with an empty kernel cache of its own; the warm ones are medians over `repeats`."""
    with TemporaryDirectory() as cache:
        kernels = {"NUMBA_CACHE_DIR": cache}
        cold = seconds_to_first_step(kernels)
        seconds_to_first_step(kernels, tape_folder)  # a mapped tape may have kernels of its own
        warm = [seconds_to_first_step(kernels) for _ in range(repeats)]
        from_tape = [seconds_to_first_step(kernels, tape_folder) for _ in range(repeats)]
    return StartTimes(cold, statistics.median(warm), statistics.median(from_tape))


def seconds_to_first_step(environment: dict[str, str], *tape_folder: Path) -> float:
    """Wall time of one fresh process until it has taken a step.

    Args:
        environment: variables to set for it.
        tape_folder: the market; the built-in one where left out.

    Raises:
        RuntimeError: the process ended before its first step.
    """
    began = time.perf_counter()
    command = [sys.executable, "-m", f"{MODULE}.first_step", *map(str, tape_folder)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env=child_environment() | environment)
    assert child.stdout is not None
    stepped = child.stdout.readline()
    passed = time.perf_counter() - began
    child.communicate()
    if not stepped:
        raise RuntimeError(f"the process that takes a first step ended with exit code {child.returncode}")
    return passed
