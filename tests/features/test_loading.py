"""Loading: the dialects of vendors, and the one clear message for every bad file."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regimegym.common.errors import ConfigError, DataError
from regimegym.features.calendars import find_gaps
from regimegym.features.loading import load_bars

HOUR = 3_600_000_000_000
START = 1_704_067_200_000_000_000  # 2024-01-01 00:00 UTC
ROWS = [
    (100.0, 102.5, 99.0, 101.0, 5.0),
    (101.0, 101.5, 100.1, 100.3, 0.0),
    (100.3, 104.0, 100.3, 103.7, 7.25),
]
OHLCV = ["open", "high", "low", "close", "volume"]


def hourly(*stamps: str, header: str, delimiter: str = ",") -> str:
    """A file with one of ROWS behind each stamp (a stamp may hold several cells)."""
    lines = [delimiter.join([stamp, *map(str, row)]) for stamp, row in zip(stamps, ROWS, strict=True)]
    return "\n".join([header, *lines]) + "\n"


def write(tmp_path, text, name="prices.csv"):
    path = tmp_path / name
    path.write_text(text) if isinstance(text, str) else path.write_bytes(text)
    return path


def assert_the_three_bars(bars, start=START):
    np.testing.assert_array_equal(bars.timestamps, start + HOUR * np.arange(3))
    np.testing.assert_array_equal(np.c_[bars.open, bars.high, bars.low, bars.close, bars.volume], ROWS)
    assert bars.timeframe_ns == HOUR


ISO = ("2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00")
DIALECTS = {
    "plain": hourly(*ISO, header="date,open,high,low,close,volume"),
    "upper case": hourly(*ISO, header="DATETIME,OPEN,HIGH,LOW,CLOSE,VOL"),
    "semicolon": hourly(*ISO, header="time;open;high;low;close;volume", delimiter=";"),
    "quoted": hourly(*(f'"{s}"' for s in ISO), header='"Date","Open","High","Low","Close","Volume"'),
    "byte order mark": "\ufeff" + hourly(*ISO, header="date,open,high,low,close,volume"),
    "blanks": hourly(*(f" {s} " for s in ISO), header=" date , open, high, low, close, volume").replace(",", ", "),
    "windows lines": hourly(*ISO, header="date,open,high,low,close,volume").replace("\n", "\r\n"),
    "zone Z": hourly(*(s.replace(" ", "T") + ":00Z" for s in ISO), header="timestamp,open,high,low,close,volume"),
    "zone offset": hourly(
        "2024-01-01T01:00:00+01:00",
        "2024-01-01T02:00:00+01:00",
        "2024-01-01T03:00:00+01:00",
        header="timestamp,open,high,low,close,volume",
    ),
    "zone offset without colon": hourly(
        "2023-12-31T19:00:00-0500",
        "2023-12-31T20:00:00-0500",
        "2023-12-31T21:00:00-0500",
        header="timestamp,open,high,low,close,volume",
    ),
    "zone UTC": hourly(*(f"{s}:00 UTC" for s in ISO), header="timestamp,open,high,low,close,volume"),
    "hours with AM": hourly(
        "2024-01-01 12-AM", "2024-01-01 01-AM", "2024-01-01 02-AM", header="Date,Open,High,Low,Close,Volume"
    ),
    "Binance with header": hourly(
        "1704067200000", "1704070800000", "1704074400000", header="Open time,Open,High,Low,Close,Volume"
    ),
    "seconds": hourly("1704067200", "1704070800", "1704074400", header="unix,open,high,low,close,volume"),
    "microseconds": hourly("1704067200000000", "1704070800000000", "1704074400000000", header="t,o,h,l,c,v"),
    "nanoseconds": hourly("1704067200000000000", "1704070800000000000", "1704074400000000000", header="time,o,h,l,c,v"),
    "MetaTrader 5": hourly(
        "2024.01.01\t00:00:00",
        "2024.01.01\t01:00:00",
        "2024.01.01\t02:00:00",
        header="<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>",
        delimiter="\t",
    ),
    "MetaTrader 4": hourly("2024.01.01,00:00", "2024.01.01,01:00", "2024.01.01,02:00", header="").lstrip(),
    "German": hourly(
        "01.01.2024 00:00", "01.01.2024 01:00", "01.01.2024 02:00", header="Date,Open,High,Low,Close,Volume"
    ),
    "Dukascopy": hourly(
        "01.01.2024 00:00:00.000",
        "01.01.2024 01:00:00.000",
        "01.01.2024 02:00:00.000",
        header="Gmt time,Open,High,Low,Close,Volume",
    ),
    "HistData": hourly(
        "20240101 000000", "20240101 010000", "20240101 020000", header="date,open,high,low,close,volume"
    ),
    "blank lines": hourly(*ISO, header="date,open,high,low,close,volume").replace("\n", "\n\n"),
    "Alpha Vantage": hourly(*ISO, header="timestamp,1. open,2. high,3. low,4. close,5. volume"),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_dialects_of_vendors_give_the_same_bars(tmp_path, dialect):
    assert_the_three_bars(load_bars(write(tmp_path, DIALECTS[dialect])))


def test_utf_16_of_metatrader_is_read(tmp_path):
    assert_the_three_bars(load_bars(write(tmp_path, DIALECTS["MetaTrader 5"].encode("utf-16"))))


def test_binance_klines_without_header_are_read(tmp_path):
    stamps = (1704067200000, 1704070800000, 1704074400000)
    lines = [
        ",".join(map(str, (stamp, *row, stamp + 3599999, 1, 2, 3, 4, 0)))
        for stamp, row in zip(stamps, ROWS, strict=True)
    ]
    assert_the_three_bars(load_bars(write(tmp_path, "\n".join(lines))))


def test_cryptodatadownload_has_a_link_above_the_header_and_runs_newest_first(tmp_path):
    header = "https://www.CryptoDataDownload.com\nunix,date,symbol,open,high,low,close,Volume BTC,Volume USD"
    lines = [
        f"{1704067200 + 3600 * i},2024-01-01 0{i}:00:00,BTC/USD,{','.join(map(str, row[:4]))},{row[4]},99"
        for i, row in enumerate(ROWS)
    ]
    assert_the_three_bars(load_bars(write(tmp_path, "\n".join([header, *lines[::-1]]))))


def test_the_close_of_yahoo_is_close_and_not_adj_close(tmp_path):
    text = "Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-02,10,11,9,10.5,5.25,7\n2024-01-03,10,11,9,10,5,8\n"
    bars = load_bars(write(tmp_path, text))
    np.testing.assert_array_equal(bars.close, [10.5, 10.0])


def test_the_three_header_lines_of_yfinance_are_read(tmp_path):
    text = (
        "Price,Close,High,Low,Open,Volume\nTicker,A,A,A,A,A\nDate,,,,,\n"
        "2024-01-02,10.5,11,9,10,7\n2024-01-03,10,11,9,10,8\n"
    )
    np.testing.assert_array_equal(load_bars(write(tmp_path, text)).close, [10.5, 10.0])


@pytest.mark.parametrize(
    ("stamps", "first"),
    [
        (("01/30/2024", "01/31/2024", "02/01/2024"), "2024-01-30"),
        (("30/01/2024", "31/01/2024", "01/02/2024"), "2024-01-30"),
        (("03/01/2024", "03/02/2024", "03/03/2024"), "2024-03-01"),  # day-first would also be sorted
    ],
)
def test_slashed_dates_are_told_apart_by_the_order_of_the_rows_or_refused(tmp_path, stamps, first):
    path = write(tmp_path, hourly(*stamps, header="date,open,high,low,close,volume"))
    if stamps[0] == "03/01/2024":
        with pytest.raises(DataError, match="'03/01/2024' may be month/day or day/month"):
            load_bars(path)
    else:
        assert load_bars(path).timestamps[0] == pd.Timestamp(first).value


def test_local_times_are_of_the_zone_that_is_named(tmp_path):
    path = write(tmp_path, DIALECTS["plain"])
    assert_the_three_bars(load_bars(path, timezone="America/New_York"), START + 5 * HOUR)
    with pytest.raises(ConfigError, match="no time zone 'Europe/Berlinn'") as error:
        load_bars(path, timezone="Europe/Berlinn")
    assert error.value.nearest == "Europe/Berlin"


def test_a_change_of_clocks_is_followed_or_refused(tmp_path):
    header = "date,open,high,low,close,volume"
    autumn = ("2023-10-29 01:00", "2023-10-29 02:00", "2023-10-29 02:00")
    bars = load_bars(write(tmp_path, hourly(*autumn, header=header)), timezone="Europe/Berlin")
    np.testing.assert_array_equal(np.diff(bars.timestamps), HOUR)
    spring = ("2024-03-31 01:00", "2024-03-31 02:00", "2024-03-31 03:00")
    with pytest.raises(DataError, match="a local time that Europe/Berlin has twice or never"):
        load_bars(write(tmp_path, hourly(*spring, header=header)), timezone="Europe/Berlin")


def test_named_columns_take_the_place_of_usual_names(tmp_path):
    text = hourly(*ISO, header="date,open,high,low,Close Price,amount")
    bars = load_bars(write(tmp_path, text), columns={"close": "Close Price", "volume": "amount"})
    assert_the_three_bars(bars)


def test_a_volume_is_not_needed(tmp_path):
    text = "date,open,high,low,close\n2024-01-02,10,11,9,10.5\n2024-01-03,10,11,9,10\n"
    np.testing.assert_array_equal(load_bars(write(tmp_path, text)).volume, [0.0, 0.0])


def test_numbers_are_parsed_to_the_nearest_float(tmp_path):
    text = (
        "date,open,high,low,close\n"
        "2024-01-02,0.1,0.30000000000000004,0.1,0.2999999999999999889\n2024-01-03,1e2,1e2,1e2,1e2\n"
    )
    bars = load_bars(write(tmp_path, text))
    assert bars.high[0] == 0.30000000000000004
    assert bars.close[0] == 0.3
    assert bars.open[1] == 100.0


def test_spreads_come_from_bid_and_ask_or_their_own_columns(tmp_path):
    quoted = "date,open,high,low,close,bid,ask\n2024-01-02,10,11,9,10.5,10.4,10.6\n2024-01-03,10,11,9,10,9.9,10.1\n"
    own = (
        "date,open,high,low,close,spread_open,spread_close\n"
        "2024-01-02,10,11,9,10.5,.1,.2\n2024-01-03,10,11,9,10,.3,.4\n"
    )
    bars = load_bars(write(tmp_path, quoted))
    np.testing.assert_allclose(bars.spread_close, [0.2, 0.2])
    assert bars.spread_open is None
    bars = load_bars(write(tmp_path, own))
    np.testing.assert_array_equal(bars.spread_open, [0.1, 0.3])
    np.testing.assert_array_equal(bars.spread_close, [0.2, 0.4])


def frame() -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=OHLCV).assign(date=pd.to_datetime(START + HOUR * np.arange(3), utc=True))


PARQUETS = {
    "column of times": lambda: frame(),
    "index of times": lambda: frame().set_index("date"),
    "unnamed index": lambda: frame().set_index("date").rename_axis(None),
    "naive times": lambda: frame().assign(date=frame().date.dt.tz_localize(None)),
    "another zone": lambda: frame().assign(date=frame().date.dt.tz_convert("Asia/Tokyo")),
    "text": lambda: frame().assign(date=frame().date.astype(str)),
    "epoch ms": lambda: frame().drop(columns="date").assign(timestamp=START // 10**6 + 3_600_000 * np.arange(3)),
    "float seconds": lambda: frame().drop(columns="date").assign(time=START / 1e9 + 3600.0 * np.arange(3)),
    "text prices": lambda: frame().astype(dict.fromkeys(OHLCV, str)),
    "capitals": lambda: frame().rename(columns=str.upper),
}


@pytest.mark.parametrize("kind", PARQUETS)
def test_parquet_of_any_kind_gives_the_same_bars(tmp_path, kind):
    path = tmp_path / "BTCUSD.parquet"
    PARQUETS[kind]().to_parquet(path)
    bars = load_bars(path)
    assert_the_three_bars(bars)
    assert bars.symbol == "BTCUSD"
    assert bars.source == str(path)


def test_pq_is_parquet_too(tmp_path):
    frame().to_parquet(tmp_path / "prices.pq")
    assert_the_three_bars(load_bars(tmp_path / "prices.pq"))


def test_a_million_bars_of_parquet_load_in_half_a_second(tmp_path):
    from time import process_time

    from regimegym.features.synthetic.worlds import random_walk_bars

    bars = random_walk_bars(1_000_000, 0, 0.001)
    path = tmp_path / "long.parquet"
    names = ("open", "high", "low", "close", "volume")
    times = pa.array(bars.timestamps).cast(pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"date": times, **{n: getattr(bars, n) for n in names}}), path)
    seconds = []
    for _ in range(3):  # of the processor, best of three: the machine may be busy
        start = process_time()
        loaded = load_bars(path)
        seconds.append(process_time() - start)
    assert loaded.fingerprint == bars.fingerprint
    assert min(seconds) < 0.5


def table(**changes) -> str:
    """A good daily file of eight rows (lines 2 to 9) with `column_row=value` changed."""
    cells = [[f"2024-01-0{i + 1}", "10", "11", "9", "10.5", "3"] for i in range(8)]
    names = ["date", *OHLCV]
    for where, value in changes.items():
        name, row = where.rsplit("_", 1)
        cells[int(row)][names.index(name)] = value
    return "\n".join([",".join(names), *(",".join(row) for row in cells)]) + "\n"


BAD_ROWS = {
    "unsorted": (
        table(date_3="2024-01-01"),
        "prices.csv, line 5: column 'timestamp': 2024-01-01 00:00:00 comes after 2024-01-03 00:00:00",
    ),
    "duplicate-timestamps": (
        table(date_3="2024-01-03"),
        "prices.csv, line 5: column 'timestamp': 2024-01-03 00:00:00 stands there twice",
    ),
    "missing-value": (table(close_4=""), "prices.csv, line 6: column 'close' holds no value (NaN)"),
    "not-a-number": (
        table(high_2="11,5x".replace(",", ".")),
        "line 4: column 'high' holds '11.5x', which is no number",
    ),
    "not-finite": (table(volume_2="inf"), "line 4: column 'volume' holds inf"),
    "high-below-low": (table(high_5="8"), "prices.csv, line 7: column 'high': 8 is below low 9"),
    "close-outside-bar": (table(close_0="11.2"), "line 2: column 'close': 11.2 is above high 11"),
    "open-outside-bar": (table(open_7="8.5"), "line 9: column 'open': 8.5 is below low 9"),
    "non-positive-price": (table(low_1="0"), "line 3: column 'low' must be positive, is 0"),
    "negative-volume": (table(volume_1="-2"), "line 3: column 'volume' must be zero or more, is -2"),
    "unreadable-date": (
        table(date_1="soon"),
        "line 3: column 'timestamp' holds 'soon', which is no date as the others are",
    ),
    "ragged-line": (table() + "2024-01-09,10\n", "prices.csv, line 10: 2 cells where the header has 6"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_named_with_file_line_and_column(tmp_path, name):
    text, message = BAD_ROWS[name]
    with pytest.raises(DataError) as error:
        load_bars(write(tmp_path, text))
    assert error.value.name == name
    assert message in str(error.value)
    assert error.value.exit_code == 2


def test_the_good_rows_of_these_tests_are_good(tmp_path):
    assert len(load_bars(write(tmp_path, table()))) == 8


def test_blank_lines_and_links_do_not_shift_the_line_numbers(tmp_path):
    text = "https://example.org\n" + table(close_4="").replace("2024-01-03", "\n2024-01-03", 1)
    with pytest.raises(DataError, match=r"prices\.csv, line 8: column 'close' holds no value"):
        load_bars(write(tmp_path, text))


def test_the_first_three_places_are_shown_and_all_are_counted(tmp_path):
    text = table(close_4="", low_1="-1", volume_6="-1", high_2="1", open_7="99")
    with pytest.raises(DataError) as error:
        load_bars(write(tmp_path, text))
    places = error.value.place
    assert [place.split(":")[0] for place in places[:3]] == [f"prices.csv, line {n}" for n in (3, 4, 6)]
    assert places[3] == "… and 2 more"
    assert error.value.found == "5 violations"


def test_rows_of_parquet_are_counted_from_0(tmp_path):
    path = tmp_path / "prices.parquet"
    frame().assign(close=[101.0, np.nan, 103.7]).to_parquet(path)
    with pytest.raises(DataError, match=r"prices\.parquet, row 1: column 'close' holds no value"):
        load_bars(path)


@pytest.mark.parametrize("overshoot", [1e-9, 0.9e-6])
def test_round_off_at_the_edge_of_a_bar_is_widened(tmp_path, overshoot):
    bars = load_bars(write(tmp_path, table(close_0=repr(11 * (1 + overshoot)), open_1=repr(9 * (1 - overshoot)))))
    assert bars.high[0] == bars.close[0] == 11 * (1 + overshoot)
    assert bars.low[1] == bars.open[1] == 9 * (1 - overshoot)


def test_more_than_round_off_is_a_violation(tmp_path):
    with pytest.raises(DataError, match="is above high 11"):
        load_bars(write(tmp_path, table(close_0=repr(11 * (1 + 1.2e-6)))))


def test_a_missing_price_column_shows_the_header_with_a_caret(tmp_path):
    path = write(tmp_path, table().replace("close", "Close Price"))
    with pytest.raises(DataError) as error:
        load_bars(path)
    text = "\n".join(error.value.lines())
    assert "error data/missing-column prices.csv has no column 'close' (looked for: close, c, adj close" in text
    assert "  ┌ prices.csv, line 1\n  │ date,open,high,low,Close Price,volume\n" in text
    assert "  │                    ^^^^^^^^^^^ nearest to 'close'" in text
    assert "data.columns={close: Close Price}" in text


def test_a_column_that_the_user_named_must_be_there(tmp_path):
    path = write(tmp_path, table())
    with pytest.raises(DataError, match="has no column 'Closs'") as error:
        load_bars(path, columns={"close": "Closs"})
    assert error.value.nearest == "close"
    with pytest.raises(DataError, match="names 'clos', which bars do not have") as error:
        load_bars(path, columns={"clos": "close"})
    assert error.value.nearest == "close"


def parquet_bytes(tmp_path) -> bytes:
    path = tmp_path / "good.parquet"
    frame().to_parquet(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("file", "content", "name"),
    [
        ("a.csv", "", "empty-file"),
        ("a.csv", "  \n\n", "empty-file"),
        ("a.csv", "date,open,high,low,close\n", "empty-file"),
        ("a.csv", "date,open,high,low,close\n2024-01-01,1,1,1,1\n", "too-few-bars"),
        ("a.csv", table() + '"2024-01-09,10', "ragged-line"),
        ("a.csv", table() + "9" * 3_000_000, "unreadable-text"),
        ("a.parquet", "", "empty-file"),
        ("a.pq", "", "empty-file"),
        ("a.parquet", table(), "wrong-kind-of-file"),
        ("a.csv", None, "wrong-kind-of-file"),
        ("a.xlsx", table(), "unknown-extension"),
        ("a", table(), "unknown-extension"),
        ("a.csv", table().replace("2024-01-0", "week "), "unreadable-dates"),
    ],
)
def test_a_file_that_is_no_price_file_says_so(tmp_path, file, content, name):
    path = write(tmp_path, parquet_bytes(tmp_path) if content is None else content, file)
    with pytest.raises(DataError, match=r"\ba") as error:
        load_bars(path)
    assert error.value.name == name


def test_a_missing_file_names_the_nearest(tmp_path):
    write(tmp_path, table(), "prices_btc.csv")
    with pytest.raises(DataError, match=r"there is no file .*price_btc\.csv") as error:
        load_bars(tmp_path / "price_btc.csv")
    assert error.value.nearest == "prices_btc.csv"


def test_a_folder_is_no_file_and_says_what_it_holds(tmp_path):
    for name in ("b.csv", "a.parquet", "notes.md"):
        write(tmp_path, table(), name)
    with pytest.raises(DataError, match="is a folder") as error:
        load_bars(tmp_path)
    assert (error.value.name, error.value.found) == ("is-a-folder", "a.parquet, b.csv in it")


def test_an_unknown_time_zone_is_refused_even_where_the_times_say_theirs(tmp_path):
    zoned = table().replace("2024-01-0", "2024-01-01T00:00:0").replace(",10", "Z,10", 1)
    with pytest.raises(ConfigError, match="there is no time zone 'Europe/Athen'") as error:
        load_bars(write(tmp_path, zoned), timezone="Europe/Athen")
    assert error.value.nearest == "Europe/Athens"


REAL = {
    "BTCUSD_bitstamp_1h": (33_259, 60, 8760.0, 0),
    "SPY_lean_1d": (5_849, 1440, 252.0, 1_267),
    "AAPL_lean_1d": (5_849, 1440, 252.0, 1_267),
    "IBM_lean_1d": (5_849, 1440, 252.0, 1_267),
    "BAC_lean_1d": (5_849, 1440, 252.0, 1_267),
    "SPY_lean_1h": (40_832, 60, 1764.0, 5_848),
    "EURUSD_oanda_1h": (74_439, 60, 6048.0, 641),
    "XAUUSD_oanda_1h": (76_499, 60, 5796.0, 1_524),
    "EURUSD_oanda_1m": (15_366, 1, None, 389),
    "SPY_lean_1m": (5_412, 1, None, 253),
    "BTCUSD_coinbase_1m": (7_188, 1, None, 10),
    "EURUSD_dukascopy_ask_1h": (6_225, 60, None, 52),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_load_with_their_own_calendar(real_data, name):
    n_bars, minutes, periods_per_year, n_gaps = REAL[name]
    bars = load_bars(real_data(f"{name}.parquet"))
    assert len(bars) == n_bars
    assert bars.timeframe_ns == minutes * 60 * 10**9
    if periods_per_year is not None:
        assert bars.periods_per_year == periods_per_year
    assert find_gaps(bars).count == n_gaps
    assert (bars.spread_close is not None) == (name.startswith(("EURUSD_oanda", "XAU")) or name.endswith("1m"))


def test_csv_and_parquet_of_a_real_file_are_equal(real_data, tmp_path):
    path = real_data("BAC_lean_1d.parquet")
    csv = tmp_path / "BAC.csv"
    pd.read_parquet(path).to_csv(csv, index=False)
    assert load_bars(csv).fingerprint == load_bars(path).fingerprint


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUSD_bitstamp_1h", "BTCUSD_bitstamp"),
        ("SPY-1d", "SPY"),
        ("EURUSD_15min", "EURUSD"),
        ("1h", "1h"),
        ("ES1", "ES1"),
    ],
)
def test_the_symbol_is_the_files_name_less_the_length_of_a_bar(tmp_path, name, symbol):
    frame().to_parquet(tmp_path / f"{name}.parquet")
    assert load_bars(tmp_path / f"{name}.parquet").symbol == symbol


def test_quoted_sizes_are_read_and_belong_to_the_fingerprint(tmp_path):
    rows = ["date,open,high,low,close,bid_size,ask size", "2024-01-01,1,1,1,1,3,4", "2024-01-02,1,1,1,1,5,6"]
    (tmp_path / "x.csv").write_text("\n".join(rows))
    bars = load_bars(tmp_path / "x.csv")
    np.testing.assert_array_equal(bars.bid_size, [3.0, 5.0])
    np.testing.assert_array_equal(bars.ask_size, [4.0, 6.0])
    without = replace(bars, bid_size=None, ask_size=None)
    assert len({bars.fingerprint, without.fingerprint, replace(bars, bid_size=bars.ask_size).fingerprint}) == 3


def test_a_negative_size_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("date,open,high,low,close,bid_size\n2024-01-01,1,1,1,1,3\n2024-01-02,1,1,1,1,-5\n")
    with pytest.raises(DataError, match="column 'bid_size' must be zero or more, is -5") as error:
        load_bars(tmp_path / "x.csv")
    assert error.value.name == "negative-size"
