"""Rates of several cases, taken in turns so that the machine's noise hits all alike."""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple, TypeVar

Name = TypeVar("Name", bound=Hashable)
Work = Callable[[], int]  # does one portion and returns how many units that was
Run = Callable[[float], "Sample"]  # works for about so many CPU-seconds


class Sample(NamedTuple):
    """One measurement: `units` of work done in `seconds` of CPU time of the process."""

    units: int
    seconds: float


class Rate(NamedTuple):
    """Units per CPU-second over `n` samples."""

    median: float
    low: float
    high: float
    n: int


def run_for(work: Work, seconds: float, clock: Callable[[], float] = time.process_time) -> Sample:
    """Do portions of `work`, at least one, until `seconds` have passed on `clock`."""
    units = 0
    start = clock()
    while True:
        units += work()
        passed = clock() - start
        if passed >= seconds:
            return Sample(units, passed)


def rate_of(samples: list[Sample]) -> Rate:
    """Median, lowest and highest rate of the samples; those too short for the clock do not count."""
    rates = [sample.units / sample.seconds for sample in samples if sample.seconds > 0]
    if not rates:
        nan = float("nan")
        return Rate(nan, nan, nan, 0)
    return Rate(statistics.median(rates), min(rates), max(rates), len(rates))


def measure(
    runs: Mapping[Name, Run],
    repeats: int,
    seconds: float,
    on_round: Callable[[int], None] = lambda _: None,
) -> dict[Name, Rate]:
    """Rates of all `runs`, by name.

    Every case runs once unmeasured (kernels compile, caches fill); then come `repeats` rounds in
    which each has its turn, every second round backwards, so that a slow spell of the machine or
    its warming up favours none.

    Args:
        runs: cases by name.
        repeats: rounds, ≥ 1.
        seconds: CPU-seconds of one turn.
        on_round: called with the number of each round, from 1, before it.
    """
    for run in runs.values():
        run(0.0)
    samples: dict[Name, list[Sample]] = {name: [] for name in runs}
    for i in range(repeats):
        on_round(i + 1)
        for name in list(runs)[:: 1 if i % 2 == 0 else -1]:
            samples[name].append(runs[name](seconds))
    return {name: rate_of(taken) for name, taken in samples.items()}
