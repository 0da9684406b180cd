"""The file of a download: a Parquet of bars that is complete and valid at every moment."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from regimegym.common.errors import ConfigError, DataError
from regimegym.common.files import write_whole
from regimegym.features.download.candles import COLUMNS, NO_CANDLES, Candles
from regimegym.features.validation import find_broken_rules

SOURCE, START = b"regime-gym source", b"regime-gym start"
AGREE = 1e-9  # relative; prices that a source gives twice


@dataclass(frozen=True)
class Dropped:
    """A bar of the source that breaks the contract: its time (UTC nanoseconds) and the rule."""

    time_ns: int
    rule: str


class Stored(NamedTuple):
    """Bars of a file, and the time from which on they were asked for."""

    bars: Candles
    start_ns: int


def read_store(path: Path, source: str, start_ns: int) -> Stored:
    """What an earlier download of `source` left at `path`; no bars without a file.

    Raises:
        ConfigError: the file is none of ours, of another source, or was begun later than `start_ns`.
    """
    if not path.exists():
        return Stored(NO_CANDLES, start_ns)
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise _foreign(path, source, "no Parquet file") from error
    metadata = table.schema.metadata or {}
    found = metadata.get(SOURCE, b"").decode()
    if found != source:
        raise _foreign(path, source, found or "a file that no download wrote")
    if start_ns < int(metadata[START]):
        raise ConfigError(
            "starts-later",
            f"{path} was begun at {_day(int(metadata[START]))}, after the start {_day(start_ns)} that is asked for",
            help=("download the whole again with --restart, or name another file with --out",),
            kept="the file is as it was",
        )
    times = table.column("date").combine_chunks().cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_numpy()
    values = np.column_stack([table.column(name).to_numpy() for name in COLUMNS])
    return Stored(Candles(times, values), int(metadata[START]))


def _foreign(path: Path, source: str, found: str) -> ConfigError:
    return ConfigError(
        "another-file",
        f"{path} is not the download of {source}",
        found=found,
        help=("name another file with --out",),
        kept="the file is as it was",
    )


def _day(ns: int) -> str:
    return str(np.datetime64(ns, "ns").astype("datetime64[D]"))


def write_store(path: Path, source: str, start_ns: int, bars: Candles) -> None:
    """Put all bars, asked for from `start_ns` on, in the place of `path`, whole or not at all. Raises OSError."""
    times = pa.array(bars.times).cast(pa.timestamp("ns", "UTC")).cast(pa.timestamp("us", "UTC"))
    columns = {name: bars.values[:, i] for i, name in enumerate(COLUMNS)}
    metadata = {SOURCE: source.encode(), START: str(start_ns).encode()}
    table = pa.table({"date": times, **columns}).replace_schema_metadata(metadata)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue())


def joined(parts: list[Candles]) -> Candles:
    """The parts behind each other."""
    return Candles(np.concatenate([part.times for part in parts]), np.concatenate([part.values for part in parts]))


def without_broken(bars: Candles) -> tuple[Candles, list[Dropped]]:
    """The bars that keep the data contract, and those that do not."""
    columns = {"timestamp": bars.times, **{name: bars.values[:, i] for i, name in enumerate(COLUMNS)}}
    bad: dict[int, str] = {}
    for rule in find_broken_rules(columns):
        for row in rule.rows:
            bad.setdefault(int(row), rule.name)
    good = np.ones(len(bars.times), dtype=bool)
    good[list(bad)] = False
    dropped = [Dropped(int(bars.times[row]), rule) for row, rule in sorted(bad.items())]
    return Candles(bars.times[good], bars.values[good]), dropped


def check_same_history(path: Path, stored: Candles, page: Candles) -> None:
    """Raise DataError `history-changed` unless the source still gives the last stored bar as it stands in the file.

    Prices that are adjusted for splits and dividends change backwards; half of the one and half of
    the other would be neither.
    """
    at = np.flatnonzero(page.times == stored.times[-1])
    if len(at) and np.allclose(page.values[at[0], :4], stored.values[-1, :4], rtol=AGREE, atol=0):
        return
    when = np.datetime64(int(stored.times[-1]), "ns").astype("datetime64[s]")
    raise DataError(
        "history-changed",
        f"the source no longer gives the bar of {when}Z as it stands in {path}",
        found="another price" if len(at) else "no such bar",
        help=("download the whole again: --restart",),
        kept="the file is as it was",
    )
