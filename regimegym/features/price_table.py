"""What a file of prices holds, as far as it can be read: columns, and everything wrong with their cells."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from regimegym.common.errors import DataError, MachineError, nearest_name
from regimegym.features.columns import plain, recognise_columns
from regimegym.features.dialects import Dialect, find_dialect
from regimegym.features.text_table import cells_to_floats, read_cells, read_header, read_text, why_no_number
from regimegym.features.timestamps import NAT, Times, epoch_to_times, localise, text_to_times
from regimegym.features.validation import Broken, Origin

TEXT = (".csv", ".txt", ".tsv")
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class PriceTable:
    """One file of bars before the data contract is asked.

    Attributes:
        columns: `timestamp` int64 UTC nanoseconds (NAT where unreadable) and float64 columns, all (T,).
        broken: what reading the cells has found: no dates, no numbers, crossed quotes.
        origin: where rows come from.
        ragged: lines of text that are no row, each with its number of cells.
        n_cells: cells of the header.
        zoned: the times say their zone or are epochs; others were read as times of the zone asked for.
        unused: names in the file that bars have no use for.
    """

    columns: dict[str, np.ndarray]
    broken: tuple[Broken, ...]
    origin: Origin
    ragged: tuple[tuple[int, int], ...] = ()
    n_cells: int = 0
    zoned: bool = True
    unused: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.columns["timestamp"])


def read_prices(
    path: Path, chosen: Mapping[str, str] | None = None, timezone: str = "UTC", dialect: str | None = None
) -> PriceTable:
    """Read a CSV or Parquet file; arguments as in `load_bars`.

    Raises:
        DataError: the file is missing, empty, of an unknown or wrong kind, or lacks a column.
        ConfigError: unknown time zone or dialect.
        MachineError: the file may not be read.
    """
    known = find_dialect(dialect)
    _check_file(path)
    try:
        if path.suffix.lower() in PARQUET:
            table = _read_parquet(path, chosen, timezone)
        else:
            table = _read_csv(path, chosen, timezone, known)
    except PermissionError as error:
        raise MachineError("no-permission", f"{path} may not be read: {error.strerror}") from error
    return _with_spread(table)


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


def _read_csv(path: Path, chosen: Mapping[str, str] | None, timezone: str, dialect: Dialect | None) -> PriceTable:
    body = read_text(path, path.name)
    header = read_header(body, dialect)
    positions = recognise_columns(header.names, chosen, path.name, header.line, header.text)
    clock = _clock_column(header.names, positions["timestamp"])
    used = {*positions.values(), *clock}
    table = read_cells(body, header, sorted(used), path.name)
    cells = dict(zip(sorted(used), table.cells, strict=True))
    dates = cells[positions.pop("timestamp")]
    if clock:
        dates = pc.binary_join_element_wise(dates, cells[clock[0]], " ")
    times = text_to_times(dates.to_pylist(), timezone, path.name)
    arrays, broken = {"timestamp": times.ns}, list(_time_faults(times, timezone))
    for name, i in positions.items():
        arrays[name], wrong = cells_to_floats(cells[i], "." if dialect is None else dialect.decimal)
        broken += _no_numbers(name, cells[i], wrong)
    return PriceTable(
        arrays,
        tuple(broken),
        Origin(path.name, table.lines),
        table.ragged,
        len(header.names),
        times.zoned,
        tuple(name for i, name in enumerate(header.names) if i not in used),
    )


def _clock_column(names: tuple[str, ...], date: int) -> list[int]:
    """Position of a separate column of clock times beside a column of dates (MetaTrader)."""
    others = [plain(name) for name in names]
    return [others.index("time")] if others[date] == "date" and "time" in others else []


def _no_numbers(name: str, cells: pa.Array, rows: np.ndarray) -> list[Broken]:
    def text(row: int) -> str:
        why = why_no_number(str(cells[row]))
        return f"column '{name}' holds '{cells[row]}', which is no number" + (f" ({why})" if why else "")

    return [Broken("not-a-number", rows, text, name)] if len(rows) else []


def _time_faults(times: Times, timezone: str) -> list[Broken]:
    if not len(times.unclear):
        return []

    def text(row: int) -> str:
        wall = str(times.walls[row].astype("datetime64[s]")).replace("T", " ")
        return f"column 'timestamp' holds {wall}, a local time that {timezone} has twice or never (change of clocks)"

    return [Broken("ambiguous-hour", times.unclear, text, "timestamp")]


def _read_parquet(path: Path, chosen: Mapping[str, str] | None, timezone: str) -> PriceTable:
    try:
        if path.stat().st_size == 0:
            raise DataError("empty-file", f"{path.name} is empty", needed="a Parquet file with one row per bar")
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            positions = recognise_columns(names, chosen, path.name, None)
            table = file.read(columns=[names[i] for i in positions.values()])
    except PermissionError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            "wrong-kind-of-file", f"{path.name} is no readable Parquet file", found=str(error).splitlines()[0]
        ) from error
    if len(table) == 0:
        raise DataError("empty-file", f"{path.name} has no rows", needed="one row per bar")
    unused = tuple(name for i, name in enumerate(names) if i not in positions.values())
    times = _arrow_times(table.column(names[positions.pop("timestamp")]).combine_chunks(), timezone, path.name)
    arrays, broken = {"timestamp": times.ns}, list(_time_faults(times, timezone))
    for name, i in positions.items():
        column = table.column(names[i]).combine_chunks()
        arrays[name], wrong = _arrow_floats(column, names[i], path.name)
        broken += _no_numbers(name, column, wrong)
    return PriceTable(arrays, tuple(broken), Origin(path.name), zoned=times.zoned, unused=unused)


def _arrow_times(column: pa.Array, timezone: str, file: str) -> Times:
    """Any kind of time column to UTC nanoseconds (T,); NAT where it is null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        try:
            ns = pc.cast(column, pa.timestamp("ns", zone))
        except pa.ArrowInvalid as error:
            raise DataError("unreadable-dates", f"{file} holds times outside 1678 to 2262") from error
        values = ns.cast(pa.int64()).fill_null(NAT).to_numpy(zero_copy_only=False)
        return Times(values, zoned=True) if zone is not None else localise(values, timezone)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return epoch_to_times(column.to_numpy(zero_copy_only=False), file)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return text_to_times(column.fill_null("").to_pylist(), timezone, file)
    raise DataError("unreadable-dates", f"{file} holds a time column of kind {kind}", needed="times, text or epochs")


def _arrow_floats(column: pa.Array, name: str, file: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of any kind to float64 (T,), NaN where null; and rows of text that is no number."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return cells_to_floats(pc.utf8_trim_whitespace(column.fill_null("")))
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise DataError("not-a-number", f"{file}, column '{name}' is of kind {kind}", needed="numbers")
    return pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False), np.empty(0, dtype=np.int64)


def _with_spread(table: PriceTable) -> PriceTable:
    """`spread_close` = ask − bid where the file quotes both and names no spread of its own."""
    bid, ask = table.columns.get("bid"), table.columns.get("ask")
    if bid is None or ask is None:
        return table
    crossed = Broken(
        "crossed-quotes",
        np.flatnonzero(bid > ask),
        lambda i: f"bid {bid[i]:.10g} is above ask {ask[i]:.10g}",
        "spread_close",
    )
    columns = {"spread_close": ask - bid, **table.columns}
    return replace(table, columns=columns, broken=(*table.broken, *([crossed] if len(crossed.rows) else [])))
