"""Bars from CSV and Parquet files."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from regimegym.features.bars import Bars
from regimegym.features.price_table import PriceTable, read_prices
from regimegym.features.text_table import ragged_lines
from regimegym.features.timestamps import NAT
from regimegym.features.validation import Origin, bars_from_arrays

LOG = logging.getLogger(__name__)

BAR_LENGTH = re.compile(r"[_\-. ]\d+(s|m|min|h|d|w)$", re.IGNORECASE)  # BTCUSD_1h is BTCUSD
QUOTES = ("bid", "ask")  # a bar keeps their difference


def load_bars(
    path: str | Path,
    symbol: str | None = None,
    columns: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    periods_per_year: float | None = None,
    dialect: str | None = None,
) -> Bars:
    """Validated bars of one symbol from a CSV or Parquet file.

    Args:
        path: `.csv`, `.txt`, `.tsv` (delimiter found out) or `.parquet`, `.pq`.
        symbol: name of the instrument; None takes the file's name, less a bar length at its end. Of a
            file that holds several instruments it picks the rows.
        columns: our name → the file's name, where the usual names do not stand.
        timezone: zone of timestamps that do not say theirs; they are starts of bars.
        periods_per_year: bars per year; None takes what the timestamps say.
        dialect: one of `dialects.DIALECTS` where the text does not say; None finds out.

    A file whose rows run strictly newest first is turned round (and logged); any other order
    than oldest first is an error. Quoted spreads come from `spread_open`, `spread_close`, or
    from `ask` − `bid` at the close.

    Raises:
        DataError: the file is missing, empty, of an unknown or wrong kind, lacks a column, or
            breaks the data contract (the first three places and the count are named).
        ConfigError: unknown time zone or dialect.
        MachineError: the file may not be read.
    """
    path = Path(path)
    table = read_prices(path, columns, timezone, dialect, symbol)
    if table.ragged:
        raise ragged_lines(table.ragged, table.n_cells, path.name)
    arrays, origin = table.columns, table.origin
    if not table.broken and runs_newest_first(arrays["timestamp"]):
        LOG.info("%s runs newest first and was turned round", path.name)
        arrays, origin = turned_round(table)
    return bars_from_arrays(
        {name: values for name, values in arrays.items() if name not in QUOTES},
        symbol or symbol_of(path),
        origin=origin,
        source=str(path),
        periods_per_year=periods_per_year,
        unreadable=list(table.broken),
    )


def symbol_of(path: Path) -> str:
    """The file's name without its ending and a bar length before that."""
    return BAR_LENGTH.sub("", path.stem) or path.stem


def runs_newest_first(times: np.ndarray) -> bool:
    """Whether (T,) times fall strictly, as CryptoDataDownload writes them."""
    return len(times) >= 3 and not (times == NAT).any() and bool((np.diff(times) < 0).all())


def turned_round(table: PriceTable) -> tuple[dict[str, np.ndarray], Origin]:
    """The columns oldest first, and where their rows come from."""
    lines = table.origin.lines
    numbers = np.arange(len(table))[::-1]
    origin = Origin(table.origin.file, lines[::-1]) if lines is not None else Origin(table.origin.file, numbers, "row")
    return {name: values[::-1] for name, values in table.columns.items()}, origin
