"""regime-gym data download: arguments, what it says, mistakes. The download itself: tests/features/test_download.py."""

import sys

import numpy as np
import pandas as pd
import pytest

from regimegym.cli.main import main
from regimegym.features.download import yahoo_source
from regimegym.features.download.candles import Candles
from regimegym.features.loading import load_bars

DAY = 86_400_000_000_000


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def yahoo(monkeypatch):
    """Stands in for Yahoo: daily bars from 2020-01-01 on, one of them broken; holds what it was asked."""
    asked = []

    class Fake:
        timeframe_ns, page_size, seconds_between = DAY, 50, 0.0

        def __init__(self, symbol, timeframe):
            self.name = f"yahoo {symbol} {timeframe}"

        def fetch(self, since_ns, stop_ns):
            asked.append(since_ns)
            times = np.arange(since_ns - since_ns % DAY, min(stop_ns, since_ns + 50 * DAY), DAY)
            values = np.tile([10.0, 12.0, 9.0, 11.0, 5.0], (len(times), 1))
            values[times == pd.Timestamp("2020-01-04").value, 1] = 1.0
            return Candles(times, values)

    monkeypatch.setattr(yahoo_source, "YahooFetcher", Fake)
    return asked


WORDS = ["data", "download", "SPY", "--source", "yahoo", "--timeframe", "1d", "--start", "2020-01-01"]


def test_a_download_says_what_it_has_and_goes_on_from_there(here, yahoo, capsys):
    assert main([*WORDS, "--stop", "2020-04-01"]) == 0
    said = capsys.readouterr().out
    assert "SPY_yahoo_1d.parquet: 90 bars, 90 of them new · 2020-01-01 00:00 … 2020-03-31 00:00" in said
    assert "left out 2020-01-04 00:00: high-below-low" in said
    assert "next: regime-gym data check SPY_yahoo_1d.parquet" in said
    assert main([*WORDS, "--stop", "2020-05-01"]) == 0
    assert "120 bars, 30 of them new" in capsys.readouterr().out
    assert len(load_bars("SPY_yahoo_1d.parquet")) == 120
    assert main(["data", "check", "SPY_yahoo_1d.parquet"]) == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data", "download"], "the following arguments are required: SYMBOL, --start"),
        ([*WORDS, "--stop", "2019-01-01"], "'--start 2020-01-01' is not before the stop"),
        ([*WORDS[:-1], "soon"], "'--start soon' is no date"),
        ([*WORDS, "--out", "bars.csv"], "'--out bars.csv' must end in .parquet"),
        ([*WORDS, "--retries", "-1"], "'retries' must be a whole number ≥ 0, got -1"),
        ([*WORDS, "--seconds-between", "-1"], "'seconds_between' must be ≥ 0, got -1.0"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(here, yahoo, capsys, words, sentence):
    assert main(words) == 2
    assert sentence in capsys.readouterr().err
    assert yahoo == []
    assert not list(here.iterdir())


@pytest.mark.parametrize(("source", "library"), [("binance", "ccxt"), ("yahoo", "yfinance")])
def test_a_missing_library_names_the_extra(here, monkeypatch, capsys, source, library):
    monkeypatch.setitem(sys.modules, library, None)
    assert main(["data", "download", "BTC/USDT", "--source", source, "--start", "2020-01-01"]) == 3
    said = capsys.readouterr().err
    assert f"need {library}, which is not installed" in said
    assert 'pip install "regime-gym[data]"' in said
