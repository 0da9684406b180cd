"""A long history page by page: paced, retried, complete bars only."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from regimegym.common.checks import check_at_least, check_not_negative, check_positive
from regimegym.common.errors import MachineError
from regimegym.features.download.candles import Candles, Fetcher, TransientError

NS = 1_000_000_000


@dataclass(frozen=True)
class Pace:
    """How patiently a source is asked.

    Attributes:
        retries: requests that are tried again after a failure that may pass.
        first_wait: seconds before the first retry; doubles with every further one.
        longest_wait: seconds; no wait is longer unless the source asks for it.
        seconds_between: least time between requests; None takes what the source asks for.
    """

    retries: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0
    seconds_between: float | None = None

    def __post_init__(self) -> None:
        check_at_least("retries", self.retries, 0)
        check_positive("first_wait", self.first_wait)
        check_positive("longest_wait", self.longest_wait)
        if self.seconds_between is not None:
            check_not_negative("seconds_between", self.seconds_between)


@dataclass(frozen=True)
class Clock:
    """Time as the download sees it: `now` seconds since 1970, `sleep` waits seconds."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


def pages(
    fetcher: Fetcher,
    start_ns: int,
    stop_ns: int,
    pace: Pace,
    clock: Clock,
    generator: random.Random,
    on_wait: Callable[[str], None] = lambda text: None,
) -> Iterator[Candles]:
    """Bars that start in [start, stop) and have closed, in pages with strictly rising times.

    `generator` spreads the waits of retries, so that many clients do not come back at once; `on_wait`
    is told of every retry.

    Raises:
        MachineError: `source-unreachable` after the last retry.
        DataError: the source will never answer.
    """
    asker = _Asker(fetcher, pace, clock, generator, on_wait)
    since = start_ns
    while since < stop_ns:
        page = asker.ask(since, stop_ns)
        now_ns = int(clock.now() * NS)
        good = (page.times >= since) & (page.times < stop_ns)
        closed = page.times + fetcher.timeframe_ns <= now_ns
        times, first = np.unique(page.times[good & closed], return_index=True)
        if len(times):
            yield Candles(times, page.values[good & closed][first])
            since = int(times[-1]) + fetcher.timeframe_ns
        else:  # nothing was traded here, or this is before the listing
            since += fetcher.page_size * fetcher.timeframe_ns
        if since + fetcher.timeframe_ns > now_ns or (good & ~closed).any():
            return


class _Asker:
    """Asks one source: never faster than it allows, again where a failure may pass."""

    def __init__(
        self, fetcher: Fetcher, pace: Pace, clock: Clock, generator: random.Random, on_wait: Callable[[str], None]
    ) -> None:
        self._fetcher = fetcher
        self._pace = pace
        self._clock = clock
        self._generator = generator
        self._on_wait = on_wait
        self._between = fetcher.seconds_between if pace.seconds_between is None else pace.seconds_between
        self._next = 0.0

    def ask(self, since_ns: int, stop_ns: int) -> Candles:
        """One page; raises as `pages`."""
        for attempt in range(self._pace.retries + 1):
            self._pause()
            try:
                return self._fetcher.fetch(since_ns, stop_ns)
            except TransientError as error:
                if attempt == self._pace.retries:
                    raise MachineError(
                        "source-unreachable",
                        f"{self._fetcher.name}: {error} ({attempt + 1} tries)",
                        help=("the same command goes on where this one stopped",),
                    ) from error
                self._wait(error, attempt)
        raise AssertionError("every attempt returns or raises")

    def _pause(self) -> None:
        now = self._clock.now()
        if now < self._next:
            self._clock.sleep(self._next - now)
        self._next = self._clock.now() + self._between

    def _wait(self, error: TransientError, attempt: int) -> None:
        """Twice as long after every failure, spread over half of it; longer where the source says so."""
        seconds = min(self._pace.longest_wait, self._pace.first_wait * 2**attempt)
        seconds *= self._generator.uniform(0.5, 1.0)
        if error.wait is not None:
            seconds = max(seconds, error.wait)
        self._on_wait(f"{error}; trying again in {seconds:.0f} s")
        self._clock.sleep(seconds)
