"""regime-gym data download: a market's history as Parquet that keeps the data contract, resumable."""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from regimegym.cli.arguments import Parser
from regimegym.common.errors import ConfigError

if TYPE_CHECKING:
    from regimegym.features.download.candles import Fetcher
    from regimegym.features.download.download import Download

YAHOO = "yahoo"
BYTES_PER_BAR = 48


def run(words: list[str]) -> None:
    """Fetch, keep, and say what was fetched.

    Raises:
        ConfigError: a wrong argument, an unknown exchange or bar length, a file of something else.
        DataError: the source has no such market or no bars.
        MachineError: a missing extra, no network, or the disk refuses.
    """
    options = _options(words)
    start_ns, stop_ns = _ns("--start", options.start), _ns("--stop", options.stop)
    if start_ns >= stop_ns:
        raise ConfigError("empty-interval", f"'--start {options.start}' is not before the stop")
    # Everything heavy is imported once the arguments are known to be right.
    from regimegym.features.download.download import download
    from regimegym.features.download.paging import Clock, Pace
    from regimegym.training.run_folder import refused_by_machine

    fetcher = _fetcher(options)
    out = options.out or Path(
        f"{options.symbol.replace('/', '').replace(':', '-')}_{options.source}_{options.timeframe}.parquet"
    )
    pace = Pace(retries=options.retries, seconds_between=options.seconds_between)
    n_bytes = (stop_ns - start_ns) // fetcher.timeframe_ns * BYTES_PER_BAR
    with _progress(start_ns, stop_ns) as (on_progress, on_wait), refused_by_machine(out, n_bytes, kept=str(out)):
        done = download(
            fetcher,
            out,
            start_ns,
            stop_ns,
            Clock(time.time, time.sleep),
            random.Random(),
            pace,
            options.restart,
            on_progress,
            on_wait,
        )
    _say(done, Console())


def _fetcher(options: argparse.Namespace) -> "Fetcher":
    if options.source == YAHOO:
        from regimegym.features.download.yahoo_source import YahooFetcher

        return YahooFetcher(options.symbol, options.timeframe)
    from regimegym.features.download.ccxt_source import CcxtFetcher

    return CcxtFetcher(options.source, options.symbol, options.timeframe, options.api_url)


def _say(done: "Download", console: Console) -> None:
    span = f"{_time(done.first_ns)} … {_time(done.last_ns)}"
    lines = [
        f"{done.path}: {done.n_bars:,} bars, {done.n_new:,} of them new · {span}",
        *(f"  left out {_time(bar.time_ns)}: {bar.rule}" for bar in done.dropped[:3]),
    ]
    if len(done.dropped) > 3:
        lines.append(f"  … {len(done.dropped) - 3:,} more that break the data contract")
    lines.append(f"next: regime-gym data check {done.path}")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _options(words: list[str]) -> argparse.Namespace:
    parser = Parser("data download", __doc__.partition(": ")[2])
    parser.add_argument("symbol", metavar="SYMBOL", help="BTC/USDT for an exchange, SPY for yahoo")
    parser.add_argument("--source", default="binance", help="an exchange of ccxt, or yahoo (binance)")
    parser.add_argument("--timeframe", default="1h", help="length of a bar as the source writes it: 1m, 1h, 1d (1h)")
    parser.add_argument("--start", required=True, metavar="DATE", help="first bar: 2020-01-01, UTC")
    parser.add_argument("--stop", metavar="DATE", help="bars before this time (now)")
    parser.add_argument("--out", type=Path, metavar="FILE", help=".parquet (SYMBOL_SOURCE_TIMEFRAME.parquet)")
    parser.add_argument("--restart", action="store_true", help="fetch all again instead of going on")
    parser.add_argument("--retries", type=int, default=6, help="tries after a failure that may pass (6)")
    parser.add_argument(
        "--seconds-between", type=float, metavar="S", help="between requests (what the source asks for)"
    )
    parser.add_argument("--api-url", metavar="URL", help="another host that speaks the exchange's interface")
    options = parser.parse_args(words)
    if options.out is not None and options.out.suffix.lower() not in (".parquet", ".pq"):
        raise ConfigError("unknown-extension", f"'--out {options.out}' must end in .parquet")
    return options


def _ns(name: str, text: str | None) -> int:
    """A date of the command line to UTC nanoseconds; now without one."""
    import pandas as pd

    if text is None:
        return time.time_ns()
    try:
        stamp = pd.Timestamp(text)
    except ValueError as error:
        raise ConfigError("unreadable-date", f"'{name} {text}' is no date", needed="2020-01-01") from error
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return int(stamp.as_unit("ns").value)


def _time(ns: int) -> str:
    import numpy as np

    return str(np.datetime64(ns, "ns").astype("datetime64[m]")).replace("T", " ")


@contextmanager
def _progress(start_ns: int, stop_ns: int) -> Iterator[tuple[Callable[[int, int], None], Callable[[str], None]]]:
    """Callbacks for bars and waits: one line that changes in a terminal, waits alone anywhere else."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda n_bars, time_ns: None, lambda text: console.print(text, markup=False, soft_wrap=True)
        return
    with console.status("asking for the first bars") as status:

        def told(n_bars: int, time_ns: int) -> None:
            share = (time_ns - start_ns) / (stop_ns - start_ns)
            status.update(f"{n_bars:,} bars, until {_time(time_ns)} · {share:.0%}")

        yield told, status.update
