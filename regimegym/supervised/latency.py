"""How long a fitted predictor takes from one more row to its answer."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from regimegym.supervised.base import Predictor
from regimegym.supervised.hidden_markov import HiddenMarkov
from regimegym.supervised.signals import all_answers

CALLS, TURNS, SECONDS = 100, 10, 10.0
HISTORY = 1_000  # rows before the asked one, where a predictor remembers all of them


def row_latency(predictor: Predictor, features: np.ndarray, turns: int = TURNS, seconds: float = SECONDS) -> float:
    """95th percentile of the seconds on the wall for one row of (N, F) features, in the quietest of several turns.

    What other processes take of the machine is not the predictor's: the quietest turn has least of it. There are
    `turns` of them, or as many as begin within `seconds`.
    """
    started, found = time.perf_counter(), [float(np.quantile(latencies(predictor, features), 0.95))]
    while len(found) < turns and time.perf_counter() - started < seconds:
        found.append(float(np.quantile(latencies(predictor, features), 0.95)))
    return min(found)


def latencies(predictor: Predictor, features: np.ndarray, n_calls: int = CALLS) -> np.ndarray:
    """(n,) seconds of each of `n_calls` questions about the last rows, or of as many as have their history.

    Each question holds as many rows before the asked one as the predictor remembers, `HISTORY` where that is all;
    a filter is a stream, which is given the row alone.
    """
    if isinstance(predictor, HiddenMarkov):
        filter_ = predictor.stream()
        return _timed([lambda row=row: filter_.push(row) for row in features[-n_calls:]])  # type: ignore[misc]
    n_past = HISTORY if predictor.memory is None else predictor.memory
    rows = features[-n_calls - n_past :]
    n_past = min(n_past, max(predictor.warm_up, len(rows) - n_calls))
    windows = [rows[i : i + n_past + 1] for i in range(len(rows) - n_past)]
    return _timed([lambda window=window: all_answers(predictor, window) for window in windows])  # type: ignore[misc]


def _timed(calls: list[Callable[[], Any]]) -> np.ndarray:
    calls[0]()
    taken = []
    for call in calls:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return np.array(taken)
