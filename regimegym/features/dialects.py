"""The forms in which vendors and programs write bars as text."""

import re
from dataclasses import dataclass

from regimegym.common.checks import check_choice

STAMP = re.compile(r"^\d[\d.:/\- T]*Z?$")  # a date, a time, an epoch: no name of a column
CLOCK = re.compile(r"^\d{1,2}:\d{2}(:\d{2})?$")
OHLCV = ("open", "high", "low", "close", "volume")
BINANCE = ("open time", *OHLCV, *(f"binance {i}" for i in range(6)))
BITFINEX = ("t", "open", "close", "high", "low", "volume")
KRAKEN = ("unix", *OHLCV, "trades")
METATRADER = ("date", "time", *OHLCV)
STOOQ = ("ticker", "per", "date", "time", *OHLCV, "openint")


@dataclass(frozen=True)
class Dialect:
    """What a file does not say about itself.

    Attributes:
        note: whose files these are, for people.
        columns: names of the columns where the file has no header.
        decimal: the decimal sign; the other one of `.` and `,` groups thousands.
    """

    note: str
    columns: tuple[str, ...] | None = None
    decimal: str = "."


DIALECTS = {
    "plain": Dialect("time, open, high, low, close, volume; with or without header", ("timestamp", *OHLCV)),
    "binance": Dialect("klines of data.binance.vision or of the REST interface", BINANCE),
    "bitfinex": Dialect("candles: time, open, close, high, low, volume", BITFINEX),
    "kraken": Dialect("OHLCVT downloads", KRAKEN),
    "cryptodatadownload": Dialect("a link above the header, newest row first"),
    "yahoo": Dialect("the web export, and what yfinance writes with one or three header lines"),
    "metatrader": Dialect("exports of MetaTrader 4 (no header) and 5 (<DATE> <TIME> …)", METATRADER),
    "alpaca": Dialect("bars of the data API: timestamp, open, …, trade_count, vwap"),
    "stooq": Dialect("<TICKER>,<PER>,<DATE>,<TIME>,… or Date,Open,…", STOOQ),
    "decimal_comma": Dialect("any of these with 1.234,56 for 1234.56", decimal=","),
}


def find_dialect(name: str | None) -> Dialect | None:
    """The dialect that the user named; None where he left it to be found out.

    Raises:
        ConfigError: unknown name.
    """
    if name is None:
        return None
    check_choice("data.dialect", name, DIALECTS)
    return DIALECTS[name]


def headerless_columns(cells: list[str]) -> tuple[str, ...] | None:
    """Names of the columns of a file that begins with the row `cells`; None where it may be a header.

    Only forms that leave no choice: the contract of bars proves the order of the prices.
    """
    if not cells or not STAMP.match(cells[0]):
        return None
    if len(cells) == 7:
        return METATRADER if CLOCK.match(cells[1]) else KRAKEN
    return {5: ("timestamp", *OHLCV[:4]), 6: ("timestamp", *OHLCV), 12: BINANCE}.get(len(cells))
