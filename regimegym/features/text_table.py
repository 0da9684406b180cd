"""A delimited text file as columns of text, with the line of every row."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from regimegym.common.errors import DataError
from regimegym.features.dialects import STAMP, Dialect, headerless_columns

DELIMITERS = (",", ";", "\t", "|")
HEAD_LINES = 10  # a header stands within the first lines: vendors put a link or comment above it
MISSING = ("", "nan", "null", "none", "na", "n/a", "-")
QUOTED = re.compile(r'"[^"]*"')  # a quoted cell may hold the delimiter


@dataclass(frozen=True)
class Header:
    """The header line: its text, the names in it, and how many lines stand before the first row.

    `tickers` holds the instrument of each column where a second line says it (yfinance).
    """

    names: tuple[str, ...]
    text: str
    line: int
    skip: int
    delimiter: str
    tickers: tuple[str, ...] = ()

    def of_ticker(self, ticker: str) -> "Header":
        """The header in which columns of other instruments have no name."""
        names = [name if t in ("", ticker) else "" for name, t in zip(self.names, self.tickers, strict=True)]
        return replace(self, names=tuple(names))


@dataclass(frozen=True)
class TextTable:
    """Cells as text without surrounding blanks, one array per wanted column.

    Attributes:
        lines: (T,) line of each row in the file, 1 for the first.
        ragged: lines that are no row of the table, each with its number of cells.
    """

    cells: tuple[pa.Array, ...]
    lines: np.ndarray
    ragged: tuple[tuple[int, int], ...] = ()


def read_text(path: Path, file: str) -> bytes:
    """The file as UTF-8 without byte order mark. Raises DataError when it is empty or no text."""
    body = path.read_bytes()
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):  # MetaTrader writes UTF-16
        body = body.decode("utf-16").encode()
    body = body.removeprefix(b"\xef\xbb\xbf")
    if not body.strip():
        raise DataError("empty-file", f"{file} is empty", needed="a header line and one line per bar")
    if b"\0" in body[:4096] or body[:4] in (b"PAR1", b"PK\x03\x04") or body[:2] == b"\x1f\x8b":
        raise DataError(
            "wrong-kind-of-file",
            f"{file} is not the text that its extension says",
            found="Parquet" if body[:4] == b"PAR1" else "binary data",
            help=("give the file its right extension: .csv for text, .parquet for Parquet",),
        )
    return body


def read_header(body: bytes, dialect: Dialect | None = None) -> Header:
    """Find the header among the first lines, and the delimiter; `dialect` where the user named it."""
    lines = [line.decode("utf-8", "replace").rstrip("\r") for line in body.split(b"\n", HEAD_LINES)[:HEAD_LINES]]
    delimiter = max(DELIMITERS, key=lambda d: _regularity(lines, d))
    most = max(_count(line, delimiter) for line in lines)
    index = next(i for i, line in enumerate(lines) if _count(line, delimiter) == most and line.strip())
    names = tuple(cell.strip().strip('"') for cell in lines[index].split(delimiter))
    named = dialect.columns if dialect is not None else None
    if named is not None and len(named) == len(names) and any(STAMP.match(cell) for cell in names):
        return Header(named, lines[index], index + 1, index, delimiter)
    known = headerless_columns(list(names))
    if known is not None:
        return Header(known, lines[index], index + 1, index, delimiter)
    if names[0].lower() == "price" and len(lines) > index + 2 and lines[index + 2].lower().startswith("date"):
        # yfinance: Price / Ticker / Date lines
        tickers = tuple(cell.strip() for cell in lines[index + 1].split(delimiter))
        tickers = ("", *tickers[1:]) if len(tickers) == len(names) else ()
        return Header(("Date", *names[1:]), lines[index], index + 1, index + 3, delimiter, tickers)
    return Header(names, lines[index], index + 1, index + 1, delimiter)


def _count(line: str, delimiter: str) -> int:
    return QUOTED.sub("", line).count(delimiter)


def _regularity(lines: list[str], delimiter: str) -> tuple[int, int]:
    """How many lines have the most delimiters, and how many those are: 1,5;2,5 has as many commas as semicolons."""
    counts = [_count(line, delimiter) for line in lines]
    return (counts.count(max(counts)) if max(counts) else 0, max(counts))


def read_cells(body: bytes, header: Header, wanted: list[int], file: str) -> TextTable:
    """Cells of the columns `wanted` (positions in the header); blank lines are passed over.

    Raises DataError `unreadable-text` when the lines cannot be taken apart at all.
    """
    table, ragged = _parse(body, header, wanted, file)
    columns = [pc.utf8_trim_whitespace(column.combine_chunks()) for column in table.columns]
    lines = np.arange(len(table) + len(ragged)) + header.skip + 1
    lines = np.delete(lines, [line - header.skip - 1 for line, _ in ragged])
    blank = np.ones(len(table), dtype=bool)
    for column in columns:
        blank &= pc.equal(column, "").to_numpy(zero_copy_only=False)
    kept = pa.array(~blank)
    return TextTable(tuple(column.filter(kept) for column in columns), lines[~blank], ragged)


def _parse(body: bytes, header: Header, wanted: list[int], file: str) -> tuple[pa.Table, tuple[tuple[int, int], ...]]:
    ragged: list[tuple[int, int]] = []

    def note(row: pa_csv.InvalidRow) -> str:
        ragged.append((row.number, row.actual_columns))
        return "skip"

    names = [str(i) for i in range(len(header.names))]
    parse = pa_csv.ParseOptions(delimiter=header.delimiter, ignore_empty_lines=False, invalid_row_handler=note)
    read = pa_csv.ReadOptions(column_names=names, skip_rows=header.skip, use_threads=False)
    as_text = pa_csv.ConvertOptions(
        include_columns=[names[i] for i in wanted],
        column_types={names[i]: pa.string() for i in wanted},
        check_utf8=False,
    )
    if not any(line.strip() for line in body.split(b"\n", header.skip)[header.skip :]):
        raise DataError("empty-file", f"{file} has a header and no rows", needed="one line per bar")
    try:
        table = pa_csv.read_csv(BytesIO(body), read, parse, as_text)
    except pa.ArrowInvalid as error:
        raise DataError("unreadable-text", f"{file} cannot be taken apart into cells", found=str(error)) from error
    return table, tuple(ragged)


def ragged_lines(lines: Sequence[tuple[int, int]], n_columns: int, file: str) -> DataError:
    """The error for `lines` that do not fit: (line, number of cells) of each."""
    line, n_cells = lines[0]
    return DataError(
        "ragged-line",
        f"{file}, line {line}: {n_cells} cells where the header has {n_columns}",
        place=[f"{file}, line {line}: {n_cells} cells" for line, n_cells in lines[:3]],
        needed=f"{n_columns} cells on every line",
        found=f"{len(lines):,} line(s) with another number of cells",
    )


def cells_to_floats(cells: pa.Array, decimal: str = ".") -> tuple[np.ndarray, np.ndarray]:
    """Text to float64 (T,), exactly rounded; NaN where a cell is missing, and rows that are no number."""
    if decimal == ",":
        cells = pc.replace_substring(pc.replace_substring(cells, ".", ""), ",", ".")
    try:
        return pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False), np.empty(0, dtype=np.int64)
    except pa.ArrowInvalid:
        values = [_number(text) for text in cells.to_pylist()]
    wrong = np.flatnonzero([value is None for value in values])
    return np.array([np.nan if value is None else value for value in values]), wrong


def _number(text: str | None) -> float | None:
    """The number, NaN for a missing one, None for other text."""
    if text is None or text.lower() in MISSING:
        return float("nan")
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def why_no_number(text: str) -> str:
    """What a cell that is no number may be: the usual ways of writing 1234.5."""
    if re.fullmatch(r"-?\d+,\d+", text):
        return f"a decimal comma? data.dialect=decimal_comma reads it so; otherwise write {text.replace(',', '.')}"
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text):
        return f"write {text.replace(',', '')}, without thousands separators"
    if re.fullmatch(r"-?\d{1,3}(\.\d{3})+,\d+", text):
        return "data.dialect=decimal_comma reads it"
    if re.fullmatch(r"[$€£¥]\s?-?[\d.,]+|-?[\d.,]+\s?([$€£¥%KMB]|[A-Z]{3})", text):
        return "write the number alone, without a unit"
    return ""
