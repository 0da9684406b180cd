"""Bars from CSV and Parquet files."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from regimegym.common.errors import DataError, MachineError, nearest_name
from regimegym.features.bars import Bars
from regimegym.features.columns import plain, recognise_columns
from regimegym.features.text_table import cells_to_floats, read_cells, read_header, read_text
from regimegym.features.timestamps import NAT, epoch_to_ns, localise, text_to_ns
from regimegym.features.validation import Broken, Origin, bars_from_arrays

LOG = logging.getLogger(__name__)
TEXT = (".csv", ".txt", ".tsv")
PARQUET = (".parquet", ".pq")
Table = tuple[dict[str, np.ndarray], list[Broken], np.ndarray | None]

BAR_LENGTH = re.compile(r"[_\-. ]\d+(s|m|min|h|d|w)$", re.IGNORECASE)  # BTCUSD_1h is BTCUSD


def load_bars(
    path: str | Path,
    symbol: str | None = None,
    columns: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    periods_per_year: float | None = None,
) -> Bars:
    """Validated bars of one symbol from a CSV or Parquet file.

    Args:
        path: `.csv`, `.txt`, `.tsv` (delimiter found out) or `.parquet`, `.pq`.
        symbol: name of the instrument; None takes the file's name, less a bar length at its end.
        columns: our name → the file's name, where the usual names do not stand.
        timezone: zone of timestamps that do not say theirs; they are starts of bars.
        periods_per_year: bars per year; None takes what the timestamps say.

    A file whose rows run strictly newest first is turned round (and logged); any other order
    than oldest first is an error. Quoted spreads come from `spread_open`, `spread_close`, or
    from `ask` − `bid` at the close.

    Raises:
        DataError: the file is missing, empty, of an unknown or wrong kind, lacks a column, or
            breaks the data contract (the first three places and the count are named).
        ConfigError: unknown time zone.
    """
    path = Path(path)
    _check_file(path)
    read = _read_parquet if path.suffix.lower() in PARQUET else _read_csv
    arrays, unreadable, lines = read(path, columns, timezone)
    if not unreadable:
        arrays, lines = _oldest_first(arrays, lines, path)
    return bars_from_arrays(
        _with_spread(arrays),
        symbol or BAR_LENGTH.sub("", path.stem) or path.stem,
        origin=Origin(path.name, lines),
        source=str(path),
        periods_per_year=periods_per_year,
        unreadable=unreadable,
    )


def _check_file(path: Path) -> None:
    if path.suffix.lower() not in TEXT + PARQUET:
        raise DataError(
            "unknown-extension",
            f"{path.name} has the extension '{path.suffix}'",
            needed=f"one of {', '.join(TEXT + PARQUET)}",
        )
    if not path.is_file():
        folder = path.parent
        neighbours = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        raise DataError(
            "missing-file",
            f"there is no file {path}" if not path.is_dir() else f"{path} is a folder",
            nearest=nearest_name(path.name, neighbours),
        )


def _read_csv(path: Path, chosen: Mapping[str, str] | None, timezone: str) -> Table:
    body = _readable(path)
    header = read_header(body)
    positions = recognise_columns(header.names, chosen, path.name, header.line, header.text)
    clock = _clock_column(header.names, positions["timestamp"])
    wanted = [*positions.values(), *clock]
    distinct = sorted(set(wanted))
    table = read_cells(body, header, distinct, path.name)
    cells = {name: table.cells[distinct.index(i)] for name, i in positions.items()}
    dates = cells.pop("timestamp")
    if clock:
        dates = pc.binary_join_element_wise(dates, table.cells[distinct.index(clock[0])], " ")
    arrays = {"timestamp": text_to_ns(dates.to_pylist(), timezone, path.name)}
    unreadable = []
    for name, column in cells.items():
        arrays[name], wrong = cells_to_floats(column)
        if len(wrong):
            unreadable.append(_no_number(name, column, wrong))
    return arrays, unreadable, table.lines


def _readable(path: Path) -> bytes:
    try:
        return read_text(path, path.name)
    except PermissionError as error:
        raise MachineError("no-permission", f"{path} may not be read: {error.strerror}") from error


def _clock_column(names: tuple[str, ...], date: int) -> list[int]:
    """Position of a separate column of clock times beside a column of dates (MetaTrader)."""
    others = [plain(name) for name in names]
    return [others.index("time")] if others[date] == "date" and "time" in others else []


def _no_number(name: str, cells: pa.Array, rows: np.ndarray) -> Broken:
    return Broken("not-a-number", rows, lambda i: f"column '{name}' holds '{cells[i]}', which is no number")


def _read_parquet(path: Path, chosen: Mapping[str, str] | None, timezone: str) -> Table:
    try:
        if path.stat().st_size == 0:
            raise DataError("empty-file", f"{path.name} is empty", needed="a Parquet file with one row per bar")
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            positions = recognise_columns(names, chosen, path.name, None)
            table = file.read(columns=[names[i] for i in positions.values()])
    except PermissionError as error:
        raise MachineError("no-permission", f"{path} may not be read: {error.strerror}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            "wrong-kind-of-file", f"{path.name} is no readable Parquet file", found=str(error).splitlines()[0]
        ) from error
    if len(table) == 0:
        raise DataError("empty-file", f"{path.name} has no rows", needed="one row per bar")
    arrays, unreadable = {}, []
    for name, i in positions.items():
        column = table.column(names[i]).combine_chunks()
        if name == "timestamp":
            arrays[name] = _arrow_times(column, timezone, path.name)
            continue
        arrays[name], wrong = _arrow_floats(column, names[i], path.name)
        if len(wrong):
            unreadable.append(_no_number(name, column, wrong))
    return arrays, unreadable, None


def _arrow_times(column: pa.Array, timezone: str, file: str) -> np.ndarray:
    """Any kind of time column to UTC nanoseconds (T,); NAT where it is null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        try:
            ns = pc.cast(column, pa.timestamp("ns", kind.tz if pa.types.is_timestamp(kind) else None))
        except pa.ArrowInvalid as error:
            raise DataError("unreadable-dates", f"{file} holds times outside 1678 to 2262") from error
        values = ns.cast(pa.int64()).fill_null(NAT).to_numpy(zero_copy_only=False)
        aware = pa.types.is_timestamp(kind) and kind.tz is not None
        return values if aware else localise(values, timezone, file)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return epoch_to_ns(column.to_numpy(zero_copy_only=False))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return text_to_ns(column.fill_null("").to_pylist(), timezone, file)
    raise DataError("unreadable-dates", f"{file} holds a time column of kind {kind}", needed="times, text or epochs")


def _arrow_floats(column: pa.Array, name: str, file: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of any kind to float64 (T,), NaN where null; and rows of text that is no number."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return cells_to_floats(pc.utf8_trim_whitespace(column.fill_null("")))
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise DataError("not-a-number", f"{file}, column '{name}' is of kind {kind}", needed="numbers")
    return pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False), np.empty(0, dtype=np.int64)


def _oldest_first(
    arrays: dict[str, np.ndarray], lines: np.ndarray | None, path: Path
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Turn round a file that runs strictly newest first, as CryptoDataDownload writes it."""
    times = arrays["timestamp"]
    if len(times) < 3 or (times == NAT).any() or (np.diff(times) >= 0).any():
        return arrays, lines
    LOG.info("%s runs newest first and was turned round", path.name)
    turned = len(times) - 1 - np.arange(len(times))
    lines = turned if lines is None else lines[::-1]
    return {name: values[::-1] for name, values in arrays.items()}, lines


def _with_spread(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`spread_close` = ask − bid where the file quotes both; a column without its pair is left out."""
    bid, ask = arrays.pop("bid", None), arrays.pop("ask", None)
    if "spread_close" not in arrays and bid is not None and ask is not None:
        arrays["spread_close"] = ask - bid
    return arrays
