"""What a file of prices holds, as far as it can be read: columns, and everything wrong with their cells."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from regimegym.common.errors import DataError, MachineError, nearest_name
from regimegym.features.columns import chosen_symbol, plain, recognise_columns, symbol_column
from regimegym.features.dialects import Dialect, find_dialect
from regimegym.features.text_table import (
    Header,
    TextTable,
    cells_to_floats,
    read_cells,
    read_header,
    read_text,
    why_no_number,
)
from regimegym.features.timestamps import NAT, Times, check_timezone, epoch_to_times, localise, text_to_times
from regimegym.features.validation import Broken, Origin

TEXT = (".csv", ".txt", ".tsv")
PARQUET = (".parquet", ".pq")
SLIP = 0.7  # share of letters that two names have in common where one is a slip of the other
Recognise = Callable[[Sequence[str], Header | None], dict[str, int]]  # names, header of a text → our name: position


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
    path: Path,
    chosen: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    dialect: str | None = None,
    symbol: str | None = None,
) -> PriceTable:
    """Read a CSV or Parquet file; arguments as in `load_bars`.

    Of a file that holds several symbols only the rows of `symbol` are read.

    Raises:
        DataError: the file is missing, empty, of an unknown or wrong kind, lacks a column, or holds
            several symbols of which none was chosen.
        ConfigError: unknown time zone or dialect.
        MachineError: the file may not be read.
    """

    def recognise(names: Sequence[str], header: Header | None) -> dict[str, int]:
        line, text = (None, "") if header is None else (header.line, header.text)
        return recognise_columns(names, chosen, path.name, line, text)

    return _with_spread(read_table(path, recognise, timezone, dialect, symbol))


def read_table(
    path: Path, recognise: Recognise, timezone: str = "UTC", dialect: str | None = None, symbol: str | None = None
) -> PriceTable:
    """Read any table of times and numbers: `recognise` says which columns; one of them is `timestamp`.

    Raises as `read_prices`.
    """
    known = find_dialect(dialect)
    check_timezone(timezone)
    _check_file(path)
    try:
        if path.suffix.lower() in PARQUET:
            return _read_parquet(path, recognise, timezone, symbol)
        return _read_csv(path, recognise, timezone, known, symbol)
    except PermissionError as error:
        raise MachineError("no-permission", f"{path} may not be read: {error.strerror}") from error


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DataError("is-a-folder", f"{path} is a folder", needed="a file", found=_files_in(path))
    if path.suffix.lower() not in TEXT + PARQUET:
        raise DataError(
            "unknown-extension",
            f"{path.name} has " + (f"the extension '{path.suffix}'" if path.suffix else "no extension"),
            needed=f"one of {', '.join(TEXT + PARQUET)}",
            nearest=_nearest_file(path),
        )
    if not path.is_file():
        raise DataError(
            "missing-file",
            f"there is no file {path}",
            found=None if path.parent.is_dir() else f"no folder {path.parent}",
            nearest=_nearest_file(path),
        )


def _nearest_file(path: Path) -> str | None:
    """The readable file of the same folder whose name differs by little: a slip, another case or extension."""
    if not path.parent.is_dir():
        return None
    names = {
        other.name: other.stem.lower() for other in path.parent.iterdir() if other.suffix.lower() in TEXT + PARQUET
    }
    near = nearest_name(path.stem.lower(), names.values(), least=SLIP)
    return next((name for name, stem in names.items() if stem == near), None)


def _files_in(folder: Path) -> str | None:
    """The first files in `folder` that could be read, None where there is none."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in TEXT + PARQUET)
    return f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''} in it" if names else None


def _read_csv(
    path: Path, recognise: Recognise, timezone: str, dialect: Dialect | None, symbol: str | None
) -> PriceTable:
    body = read_text(path, path.name)
    header = read_header(body, dialect)
    tickers = sorted({ticker for ticker in header.tickers if ticker})
    if len(tickers) > 1:
        header = header.of_ticker(chosen_symbol(tickers, symbol, path.name))
    positions = recognise(header.names, header)
    clock = _clock_column(header.names, positions["timestamp"])
    of_rows = symbol_column(header.names)
    used = {*positions.values(), *clock}
    wanted = sorted(used if of_rows is None else used | {of_rows})
    table = read_cells(body, header, wanted, path.name)
    if of_rows is not None:
        table = _rows_of(table, wanted.index(of_rows), symbol, path.name)
    cells = dict(zip(wanted, table.cells, strict=True))
    dates = cells[positions.pop("timestamp")]
    if clock:
        dates = pc.binary_join_element_wise(dates, cells[clock[0]], " ")
    times = text_to_times(dates.to_pylist(), timezone, path.name)
    arrays, broken = {"timestamp": times.ns}, [*_no_dates(times, dates), *_time_faults(times, timezone)]
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
        tuple(name for i, name in enumerate(header.names) if name and i not in wanted),
    )


def _rows_of(table: TextTable, position: int, symbol: str | None, file: str) -> TextTable:
    """The rows of one symbol where the column at `position` names several."""
    symbols = sorted(text for text in pc.unique(table.cells[position]).to_pylist() if text)
    if len(symbols) < 2:
        return table
    kept = pc.equal(table.cells[position], chosen_symbol(symbols, symbol, file))
    lines = table.lines[kept.to_numpy(zero_copy_only=False)]
    return TextTable(tuple(column.filter(kept) for column in table.cells), lines, table.ragged)


def _clock_column(names: tuple[str, ...], date: int) -> list[int]:
    """Position of a separate column of clock times beside a column of dates (MetaTrader)."""
    others = [plain(name) for name in names]
    return [others.index("time")] if others[date] == "date" and "time" in others else []


def _no_numbers(name: str, cells: pa.Array, rows: np.ndarray) -> list[Broken]:
    def text(row: int) -> str:
        why = why_no_number(str(cells[row]))
        return f"column '{name}' holds '{cells[row]}', which is no number" + (f" ({why})" if why else "")

    return [Broken("not-a-number", rows, text, name)] if len(rows) else []


def _no_dates(times: Times, cells: pa.Array) -> list[Broken]:
    rows = np.setdiff1d(np.flatnonzero(times.ns == NAT), times.unclear)

    def text(row: int) -> str:
        if not cells[row].as_py():
            return "column 'timestamp' is empty"
        return f"column 'timestamp' holds '{cells[row]}', which is no date as the others are"

    return [Broken("unreadable-date", rows, text, "timestamp")] if len(rows) else []


def _time_faults(times: Times, timezone: str) -> list[Broken]:
    if not len(times.unclear):
        return []

    def text(row: int) -> str:
        wall = str(times.walls[row].astype("datetime64[s]")).replace("T", " ")
        return f"column 'timestamp' holds {wall}, a local time that {timezone} has twice or never (change of clocks)"

    return [Broken("ambiguous-hour", times.unclear, text, "timestamp")]


def _read_parquet(path: Path, recognise: Recognise, timezone: str, symbol: str | None) -> PriceTable:
    try:
        if path.stat().st_size == 0:
            raise DataError("empty-file", f"{path.name} is empty", needed="a Parquet file with one row per bar")
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            positions = recognise(names, None)
            of_rows = symbol_column(names)
            wanted = [*positions.values(), *([] if of_rows is None else [of_rows])]
            table = file.read(columns=[names[i] for i in dict.fromkeys(wanted)])
    except PermissionError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            "wrong-kind-of-file", f"{path.name} is no readable Parquet file", found=str(error).splitlines()[0]
        ) from error
    if len(table) == 0:
        raise DataError("empty-file", f"{path.name} has no rows", needed="one row per bar")
    numbers = None
    if of_rows is not None:
        table, numbers = _arrow_rows_of(table, names[of_rows], symbol, path.name)
    unused = tuple(name for i, name in enumerate(names) if i not in wanted)
    times = _arrow_times(table.column(names[positions.pop("timestamp")]).combine_chunks(), timezone, path.name)
    arrays, broken = {"timestamp": times.ns}, list(_time_faults(times, timezone))
    for name, i in positions.items():
        column = table.column(names[i]).combine_chunks()
        arrays[name], wrong = _arrow_floats(column, names[i], path.name)
        broken += _no_numbers(name, column, wrong)
    return PriceTable(arrays, tuple(broken), Origin(path.name, numbers, "row"), zoned=times.zoned, unused=unused)


def _arrow_rows_of(table: pa.Table, column: str, symbol: str | None, file: str) -> tuple[pa.Table, np.ndarray | None]:
    """The rows of one symbol where `column` names several, and their numbers in the file (None: all)."""
    texts = pc.cast(table.column(column), pa.string())
    symbols = sorted(text for text in pc.unique(texts).to_pylist() if text)
    if len(symbols) < 2:
        return table, None
    kept = pc.equal(texts, chosen_symbol(symbols, symbol, file)).fill_null(False)
    return table.filter(kept), np.flatnonzero(kept.to_numpy())


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
