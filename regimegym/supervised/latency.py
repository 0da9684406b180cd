"""How long a fitted predictor takes from one more row to its answer."""

import time
from typing import NamedTuple

import numpy as np

from regimegym.supervised.base import Predictor

CALLS, TURNS, SECONDS = 100, 10, 10.0
SHARE = 0.95


class Latency(NamedTuple):
    """95th percentile of the seconds for one row: of the processor, all threads together, and on the wall.

    Where nothing else runs both are the same for one thread; on a busy machine the wall counts the others too.
    """

    cpu: float
    wall: float


def row_latency(predictor: Predictor, features: np.ndarray, turns: int = TURNS, seconds: float = SECONDS) -> Latency:
    """The latency of a row of (N, F) features in the quietest of `turns` turns, or of as many as begin in `seconds`."""
    started = time.perf_counter()
    found: list[np.ndarray] = []
    while not found or (len(found) < turns and time.perf_counter() - started < seconds):
        found.append(np.quantile(latencies(predictor, features), SHARE, axis=0))
    cpu, wall = np.min(found, axis=0)
    return Latency(float(cpu), float(wall))


def latencies(predictor: Predictor, features: np.ndarray, n_calls: int = CALLS) -> np.ndarray:
    """(n, 2) seconds, of the processor and on the wall, from each of the last `n_calls` rows to its answer.

    The rows before them, as many as the predictor remembers, are given before the clock runs.
    """
    stream, n_past = predictor.stream(), max(predictor.warm_up, predictor.memory or 0)
    rows = features[-n_calls - n_past :]
    for row in rows[:n_past]:
        stream.push(row)
    taken = []
    for row in rows[n_past:]:
        cpu, wall = time.process_time(), time.perf_counter()
        stream.push(row)
        taken.append((time.process_time() - cpu, time.perf_counter() - wall))
    return np.array(taken)
