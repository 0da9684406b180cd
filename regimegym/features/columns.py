"""Which column of a vendor's file is which: usual names, recognised whatever their case."""

import re
from collections.abc import Mapping, Sequence

from regimegym.common.errors import DataError, nearest_name

PRICES = ("open", "high", "low", "close")
# Usual names in order of preference, in the form that `plain` gives them.
KNOWN = {
    "timestamp": (
        "datetime",
        "date",
        "timestamp",
        "open time",
        "opentime",
        "time",
        "date time",
        "gmt time",
        "local time",
        "time utc",
        "timestamp utc",
        "date utc",
        "unix timestamp",
        "unix time",
        "unix",
        "t",
        "index level 0",
    ),
    "open": ("open", "o", "open price", "adj open"),
    "high": ("high", "h", "high price", "adj high"),
    "low": ("low", "l", "low price", "adj low"),
    "close": ("close", "c", "adj close", "adjclose"),
    # MetaTrader 5 has TICKVOL beside VOL, and VOL is zero wherever there is no exchange.
    "volume": ("volume", "tickvol", "tick volume", "vol", "v", "volume btc", "ticks"),
    "spread_open": ("spread open",),
    "spread_close": ("spread close",),
    "funding_rate": ("funding rate", "fundingrate", "funding"),
    "bid": ("bid", "bid close"),
    "ask": ("ask", "ask close"),
    "bid_size": ("bid size", "bidsize", "bid volume"),
    "ask_size": ("ask size", "asksize", "ask volume"),
}
REQUIRED = ("timestamp", *PRICES)
OPTIONAL = ", ".join(name for name in KNOWN if name not in REQUIRED)
SYMBOLS = ("symbol", "ticker", "tic", "instrument")
_NO_NUMBERS = re.compile(r"^\d+[.)] *")  # Alpha Vantage writes "1. open"


def plain(name: str) -> str:
    """`name` in lower case, without brackets, quotes and numbering, words parted by one space."""
    text = re.sub(r"[<>\"'()\[\]]", " ", name.lower()).strip()
    return re.sub(r"[\s_\-.]+", " ", _NO_NUMBERS.sub("", text)).strip()


def recognise_columns(
    found: Sequence[str],
    chosen: Mapping[str, str] | None,
    file: str,
    header_line: int | None,
    header: str = "",
) -> dict[str, int]:
    """Position of each of our columns in the file: our name → index into `found`.

    Args:
        found: column names of the file, in its order.
        chosen: our name → the file's name, where the user says so.
        file: name of the file, for messages.
        header_line: line of the header, 1 for the first; None where the file has no lines.
        header: text of the header, shown in messages.

    Raises:
        DataError: `missing-column` when a required one is not there, `unknown-column-key`
            when `chosen` names something that bars do not have.
    """
    positions = {}
    names = [plain(name) for name in found]
    for ours, theirs in (chosen or {}).items():
        _check_key(ours, file)
        if theirs not in found:
            raise _missing(ours, theirs, found, file, header_line, header)
        positions[ours] = list(found).index(theirs)
    for ours, usual in KNOWN.items():
        hits = [names.index(name) for name in usual if name in names]
        if ours == "volume":  # CryptoDataDownload: "Volume BTC", "Volume EUR", …; the base asset first
            hits += [i for i, name in enumerate(names) if name.startswith("volume ")]
        if ours not in positions and hits:
            positions[ours] = hits[0]
    missing = [ours for ours in REQUIRED if ours not in positions]
    if missing:
        raise _missing(missing[0], missing[0], found, file, header_line, header, missing[1:])
    return positions


def symbol_column(found: Sequence[str]) -> int | None:
    """Position of a column that names the instrument of each row; None without one."""
    names = [plain(name) for name in found]
    return next((names.index(name) for name in SYMBOLS if name in names), None)


def chosen_symbol(there: Sequence[str], symbol: str | None, file: str) -> str:
    """The one of the several symbols `there` that the user asked for.

    Raises:
        DataError: `several-symbols` when he asked for none of them.
    """
    if symbol in there:
        return str(symbol)
    more = f", … ({len(there):,} in all)" if len(there) > 8 else ""
    raise DataError(
        "several-symbols",
        f"{file} holds {len(there):,} symbols, bars are of one",
        needed="data.symbol=NAME of one of them",
        found=", ".join(there[:8]) + more,
        nearest=None if symbol is None else nearest_name(symbol, there),
    )


def _check_key(ours: str, file: str) -> None:
    if ours not in KNOWN:
        raise DataError(
            "unknown-column-key",
            f"data.columns for {file} names '{ours}', which bars do not have",
            needed=f"one of {', '.join(KNOWN)}",
            nearest=nearest_name(ours, KNOWN),
        )


def _missing(
    ours: str,
    wanted: str,
    found: Sequence[str],
    file: str,
    header_line: int | None,
    header: str,
    also: Sequence[str] = (),
) -> DataError:
    """The error; `also` are the other columns that are not there either."""
    by_plain = {plain(name): name for name in reversed(found)}
    near = nearest_name(plain(wanted), by_plain)
    nearest = None if near is None else by_plain[near]
    place = [] if header_line is None else [f"{file}, line {header_line}", header]
    if place and nearest is not None and nearest in header:
        place.append(" " * header.index(nearest) + "^" * len(nearest) + f" nearest to '{wanted}'")
    looked_for = ", ".join(KNOWN[ours]) if wanted == ours else wanted
    names = ", ".join([f"{ours}: {nearest or 'NAME'}", *(f"{other}: NAME" for other in also)])
    return DataError(
        "missing-column",
        f"{file} has no column '{wanted}' (looked for: {looked_for})",
        place=place,
        needed=f"{', '.join(REQUIRED)} (optional: {OPTIONAL})",
        found=", ".join(found),
        nearest=nearest,
        help=("say which column it is, NAME as in the file:", f"'data.columns={{{names}}}'"),
    )
