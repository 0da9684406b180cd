"""Files as vendors write them, by hand: recognised without help where that is safe, else by data.dialect."""

import numpy as np
import pandas as pd
import pytest
from files_of_prices import prices_at, write

from regimegym.common.errors import ConfigError, DataError
from regimegym.features.dialects import DIALECTS
from regimegym.features.loading import load_bars
from regimegym.features.quality.checker import DataQualityChecker

HOUR = 3_600_000_000_000
START = 1_735_689_600_000_000_000  # 2025-01-01 00:00 UTC
BARS = [(100.0, 103.0, 99.0, 102.0, 5.0), (102.0, 102.5, 100.5, 101.0, 0.5), (101.0, 104.0, 101.0, 103.5, 7.25)]
DAILY = 24 * HOUR

BINANCE_ROWS = """{0},100.0,103.0,99.0,102.0,5.0,{1},510.0,12,2.5,255.0,0
{2},102.0,102.5,100.5,101.0,0.5,{3},50.0,3,0.2,20.0,0
{4},101.0,104.0,101.0,103.5,7.25,{5},740.0,31,3.5,360.0,0
"""
MILLI = [1735689600000 + 3_600_000 * i + e for i in range(3) for e in (0, 3_599_999)]
MICRO = [1735689600000000 + 3_600_000_000 * i + e for i in range(3) for e in (0, 3_599_999_999)]

HOURLY = {
    "Binance without header, milliseconds": BINANCE_ROWS.format(*MILLI),
    "Binance without header, microseconds since 2025": BINANCE_ROWS.format(*MICRO),
    "Binance with header": "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n" + BINANCE_ROWS.format(*MILLI),
    "CryptoDataDownload": """https://www.CryptoDataDownload.com
unix,date,symbol,open,high,low,close,Volume BTC,Volume USD
1735696800,2025-01-01 02:00:00,BTC/USD,101.0,104.0,101.0,103.5,7.25,740
1735693200,2025-01-01 01:00:00,BTC/USD,102.0,102.5,100.5,101.0,0.5,50
1735689600,2025-01-01 00:00:00,BTC/USD,100.0,103.0,99.0,102.0,5.0,510
""",
    "Kraken": """1735689600,100.0,103.0,99.0,102.0,5.0,12
1735693200,102.0,102.5,100.5,101.0,0.5,3
1735696800,101.0,104.0,101.0,103.5,7.25,31
""",
    "MetaTrader 4": """2025.01.01,00:00,100.0,103.0,99.0,102.0,5
2025.01.01,01:00,102.0,102.5,100.5,101.0,0.5
2025.01.01,02:00,101.0,104.0,101.0,103.5,7.25
""",
    "MetaTrader 5": """<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>
2025.01.01\t00:00:00\t100.0\t103.0\t99.0\t102.0\t5\t0\t12
2025.01.01\t01:00:00\t102.0\t102.5\t100.5\t101.0\t0.5\t0\t12
2025.01.01\t02:00:00\t101.0\t104.0\t101.0\t103.5\t7.25\t0\t11
""",
    "Alpaca": """symbol,timestamp,open,high,low,close,volume,trade_count,vwap
BTC/USD,2025-01-01 00:00:00+00:00,100.0,103.0,99.0,102.0,5.0,12,101.2
BTC/USD,2025-01-01 01:00:00+00:00,102.0,102.5,100.5,101.0,0.5,3,101.4
BTC/USD,2025-01-01 02:00:00+00:00,101.0,104.0,101.0,103.5,7.25,31,102.9
""",
    "Stooq": """<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>
BTC.V,60,20250101,000000,100.0,103.0,99.0,102.0,5.0,0
BTC.V,60,20250101,010000,102.0,102.5,100.5,101.0,0.5,0
BTC.V,60,20250101,020000,101.0,104.0,101.0,103.5,7.25,0
""",
    "plain": """date,open,high,low,close,volume
2025-01-01 00:00,100.0,103.0,99.0,102.0,5.0
2025-01-01 01:00,102.0,102.5,100.5,101.0,0.5
2025-01-01 02:00,101.0,104.0,101.0,103.5,7.25
""",
    "plain without header": """2025-01-01T00:00:00Z,100.0,103.0,99.0,102.0,5.0
2025-01-01T01:00:00Z,102.0,102.5,100.5,101.0,0.5
2025-01-01T02:00:00Z,101.0,104.0,101.0,103.5,7.25
""",
}
DAYS = {
    "Yahoo's web export": """Date,Open,High,Low,Close,Adj Close,Volume
2025-01-01,100.0,103.0,99.0,102.0,51.0,5.0
2025-01-02,102.0,102.5,100.5,101.0,50.5,0.5
2025-01-03,101.0,104.0,101.0,103.5,51.75,7.25
""",
    "yfinance with three header lines": """Price,Close,High,Low,Open,Volume
Ticker,SPY,SPY,SPY,SPY,SPY
Date,,,,,
2025-01-01,102.0,103.0,99.0,100.0,5.0
2025-01-02,101.0,102.5,100.5,102.0,0.5
2025-01-03,103.5,104.0,101.0,101.0,7.25
""",
    "Stooq, daily": """Date,Open,High,Low,Close,Volume
2025-01-01,100.0,103.0,99.0,102.0,5.0
2025-01-02,102.0,102.5,100.5,101.0,0.5
2025-01-03,101.0,104.0,101.0,103.5,7.25
""",
    "Alpaca's letters": """t,o,h,l,c,v,n,vw
2025-01-01T00:00:00Z,100.0,103.0,99.0,102.0,5.0,12,101.2
2025-01-02T00:00:00Z,102.0,102.5,100.5,101.0,0.5,3,101.4
2025-01-03T00:00:00Z,101.0,104.0,101.0,103.5,7.25,31,102.9
""",
}


def assert_the_three_bars(bars, step):
    np.testing.assert_array_equal(bars.timestamps, START + step * np.arange(3))
    np.testing.assert_array_equal(np.c_[bars.open, bars.high, bars.low, bars.close, bars.volume], BARS)


@pytest.mark.parametrize("vendor", HOURLY)
def test_hourly_files_are_recognised_without_help(tmp_path, vendor):
    assert_the_three_bars(load_bars(write(tmp_path, HOURLY[vendor])), HOUR)


@pytest.mark.parametrize("vendor", DAYS)
def test_daily_files_are_recognised_without_help(tmp_path, vendor):
    assert_the_three_bars(load_bars(write(tmp_path, DAYS[vendor])), DAILY)


NAMED = {
    "binance": HOURLY["Binance without header, milliseconds"],
    "kraken": HOURLY["Kraken"],
    "cryptodatadownload": HOURLY["CryptoDataDownload"],
    "yahoo": DAYS["Yahoo's web export"],
    "metatrader": HOURLY["MetaTrader 4"],
    "alpaca": HOURLY["Alpaca"],
    "stooq": HOURLY["Stooq"].split("\n", 1)[1],  # without its header only the dialect can tell
    "plain": HOURLY["plain without header"],
    "bitfinex": """1735689600000,100.0,102.0,103.0,99.0,5.0
1735693200000,102.0,101.0,102.5,100.5,0.5
1735696800000,101.0,103.5,104.0,101.0,7.25
""",
    "decimal_comma": """Datum;Eröffnung;Hoch;Tief;Schluss;Volumen
01.01.2025;100,0;103,0;99,0;102,0;5
02.01.2025;102,0;102,5;100,5;101,0;0,5
03.01.2025;101,0;104,0;101,0;103,5;7,25
""",
}
GERMAN = {
    "timestamp": "Datum",
    "open": "Eröffnung",
    "high": "Hoch",
    "low": "Tief",
    "close": "Schluss",
    "volume": "Volumen",
}


def test_every_dialect_has_a_sample():
    assert NAMED.keys() == DIALECTS.keys()


@pytest.mark.parametrize("dialect", NAMED)
def test_a_dialect_may_be_named(tmp_path, dialect):
    columns = GERMAN if dialect == "decimal_comma" else None
    bars = load_bars(write(tmp_path, NAMED[dialect]), columns=columns, dialect=dialect)
    assert_the_three_bars(bars, DAILY if dialect in ("yahoo", "decimal_comma") else HOUR)


def test_a_bitfinex_file_that_is_taken_for_a_plain_one_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"is above high|is below low"):
        load_bars(write(tmp_path, NAMED["bitfinex"]))


def test_thousands_points_and_decimal_commas_together(tmp_path):
    text = "date;open;high;low;close\n2025-01-01;1.234,5;1.240;1.200,25;1.239\n2025-01-02;1.239;1.300;1.239;1.250\n"
    bars = load_bars(write(tmp_path, text), dialect="decimal_comma")
    np.testing.assert_array_equal(bars.open, [1234.5, 1239.0])
    np.testing.assert_array_equal(bars.low, [1200.25, 1239.0])


def test_an_unknown_dialect_names_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r"'data\.dialect' must be one of") as error:
        load_bars(write(tmp_path, HOURLY["plain"]), dialect="krakn")
    assert error.value.nearest == "kraken"


def two_symbols() -> pd.DataFrame:
    times = pd.date_range("2025-01-01", periods=30, freq="h")
    both = [prices_at(times, seed).assign(symbol=name) for seed, name in ((1, "AAA"), (2, "BBB"))]
    return pd.concat(both).sort_values(["date", "symbol"], ignore_index=True)


@pytest.mark.parametrize("name", ["both.csv", "both.parquet"])
def test_of_a_file_of_several_symbols_one_is_chosen_by_name(tmp_path, name):
    frame = two_symbols()
    path = write(tmp_path, frame, name)
    with pytest.raises(DataError, match="holds 2 symbols") as error:
        load_bars(path, symbol="BB")
    assert (error.value.found, error.value.nearest) == ("AAA, BBB", "BBB")
    bars = load_bars(path, symbol="BBB")
    np.testing.assert_array_equal(bars.close, frame.close[frame.symbol == "BBB"])
    assert bars.symbol == "BBB"


@pytest.mark.parametrize(("name", "place"), [("both.csv", "line 13"), ("both.parquet", "row 11")])
def test_rows_of_a_chosen_symbol_keep_their_place_in_the_file(tmp_path, name, place):
    frame = two_symbols()
    frame.loc[11, "close"] = np.nan  # a row of BBB
    report = DataQualityChecker().check_file(write(tmp_path, frame, name), symbol="BBB")
    assert report.violations[0].places[0].startswith(f"{place}: column 'close'")
    assert DataQualityChecker().check_file(tmp_path / name, symbol="AAA").is_clean


def test_a_yfinance_file_of_several_tickers_needs_the_choice(tmp_path):
    text = """Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume
Ticker,AAA,BBB,AAA,BBB,AAA,BBB,AAA,BBB,AAA,BBB
Date,,,,,,,,,,
2025-01-01,102.0,9,103.0,9,99.0,9,100.0,9,5.0,1
2025-01-02,101.0,9,102.5,9,100.5,9,102.0,9,0.5,1
2025-01-03,103.5,9,104.0,9,101.0,9,101.0,9,7.25,1
"""
    path = write(tmp_path, text)
    with pytest.raises(DataError, match="holds 2 symbols"):
        load_bars(path)
    assert_the_three_bars(load_bars(path, symbol="AAA"), DAILY)
    np.testing.assert_array_equal(load_bars(path, symbol="BBB").close, [9.0, 9.0, 9.0])
