"""Download of a market's history into one Parquet file, from where an earlier one stopped."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from regimegym.common.errors import DataError
from regimegym.features.download.candles import NO_CANDLES, Candles, Fetcher
from regimegym.features.download.paging import Clock, Pace, pages
from regimegym.features.download.store import (
    Dropped,
    Stored,
    check_same_history,
    joined,
    read_store,
    without_broken,
    write_store,
)

BARS_BETWEEN_WRITES = 20_000


@dataclass(frozen=True)
class Download:
    """What a download has done.

    Attributes:
        path: the file.
        n_bars: bars in it.
        n_new: of these, fetched now.
        first_ns, last_ns: UTC nanoseconds of the first and last bar.
        dropped: bars of the source that break the data contract and were left out.
    """

    path: Path
    n_bars: int
    n_new: int
    first_ns: int
    last_ns: int
    dropped: tuple[Dropped, ...]


def download(
    fetcher: Fetcher,
    path: Path,
    start_ns: int,
    stop_ns: int,
    clock: Clock,
    generator: random.Random,
    pace: Pace | None = None,
    restart: bool = False,
    on_progress: Callable[[int, int], None] = lambda n_bars, time_ns: None,
    on_wait: Callable[[str], None] = lambda text: None,
) -> Download:
    """Fetch all closed bars that start in [start, stop) and keep them at `path`.

    The file is complete and keeps the data contract after every write, so a stopped download loses at
    most the last pages, and the same call goes on behind the last bar that the file holds.

    Raises:
        ConfigError: `path` holds something else, or was begun later than `start` (then: `restart`).
        DataError: the source has no bars, will not answer, or changed its history.
        MachineError: the source cannot be reached; what was fetched is kept.
        OSError: the disk refuses.
    """
    stored, begun = Stored(NO_CANDLES, start_ns) if restart else read_store(path, fetcher.name, start_ns)
    n_old = len(stored.times)
    since = int(stored.times[-1]) if n_old else start_ns
    parts, n_waiting = [stored], 0
    dropped: list[Dropped] = []
    must_agree = n_old > 0

    def keep() -> None:
        bars = joined(parts)
        if len(bars.times):
            write_store(path, fetcher.name, begun, bars)

    try:
        for fetched in pages(fetcher, since, stop_ns, pace or Pace(), clock, generator, on_wait):
            page = fetched
            if must_agree:
                check_same_history(path, stored, page)
                page = Candles(page.times[1:], page.values[1:])
                must_agree = False
            page, bad = without_broken(page)
            dropped += bad
            parts.append(page)
            n_waiting += len(page.times)
            on_progress(sum(len(part.times) for part in parts), int(fetched.times[-1]))
            if n_waiting >= BARS_BETWEEN_WRITES:
                keep()
                n_waiting = 0
    finally:
        if n_waiting:
            keep()
    bars = joined(parts)
    if not len(bars.times):
        raise DataError("no-bars", f"{fetcher.name} has no closed bars in the time asked for")
    return Download(
        path, len(bars.times), len(bars.times) - n_old, int(bars.times[0]), int(bars.times[-1]), tuple(dropped)
    )
