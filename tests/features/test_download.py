"""Downloads: paged, paced, retried, resumed, whole at every moment; against an exchange on 127.0.0.1."""

import random
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from klines_server import HOUR_MS, START_MS, KlinesFetcher, exchange, kline

from regimegym.common import files
from regimegym.common.errors import ConfigError, DataError, MachineError
from regimegym.features.download.candles import TransientError, candles
from regimegym.features.download.download import BARS_BETWEEN_WRITES, download
from regimegym.features.download.paging import Clock, Pace, pages
from regimegym.features.download.yahoo_source import YahooFetcher
from regimegym.features.loading import load_bars
from regimegym.features.quality.checker import DataQualityChecker

MS = 1_000_000
START, HOUR = START_MS * MS, HOUR_MS * MS
N = 250
CCXT_MISSING = "ccxt is not installed: pip install 'regime-gym[data]'"


class FakeTime:
    """A clock that only sleeping moves on."""

    def __init__(self, now_ns: int) -> None:
        self.now_s = now_ns / 1e9
        self.slept: list[float] = []

    def clock(self) -> Clock:
        return Clock(lambda: self.now_s, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


@pytest.fixture
def market():
    """A running exchange with N hourly candles."""
    with exchange([kline(i) for i in range(N)]) as running:
        yield running


def fetch(market, path, n=N, now=None, pace=None, **options):
    """Download candles 0 … n − 1, at the time `now` (default: long after)."""
    time = FakeTime(START + 10 * N * HOUR if now is None else now)
    fetcher = options.pop("fetcher", None) or KlinesFetcher(market.url)
    start = options.pop("start", START)
    return download(fetcher, path, start, START + n * HOUR, time.clock(), random.Random(1), pace, **options)


def assert_holds(path, n):
    """The file has candles 0 … n − 1, loads, and passes the check."""
    bars = load_bars(path)
    expected = candles([kline(i) for i in range(n)], MS)
    np.testing.assert_array_equal(bars.timestamps, expected.times)
    np.testing.assert_array_equal(np.c_[bars.open, bars.high, bars.low, bars.close, bars.volume], expected.values)
    assert DataQualityChecker().check_file(path).is_clean


def test_pages_are_joined_to_the_whole_history_and_pass_the_contract(market, tmp_path):
    done = fetch(market, tmp_path / "a.parquet")
    assert (done.n_bars, done.n_new, done.dropped) == (N, N, ())
    assert [int(query["startTime"]) for _, query in market.asked] == [START_MS + i * HOUR_MS for i in (0, 100, 200)]
    assert_holds(tmp_path / "a.parquet", N)
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_a_candle_that_has_not_closed_is_left_out(market, tmp_path):
    now = START + 30 * HOUR + HOUR // 2  # candle 30 is half an hour old
    assert fetch(market, tmp_path / "a.parquet", now=now).n_bars == 30
    assert fetch(market, tmp_path / "a.parquet", now=now + HOUR // 2).n_bars == 31
    assert_holds(tmp_path / "a.parquet", 31)


def test_the_same_call_goes_on_where_a_lost_network_stopped_it(market, tmp_path):
    path = tmp_path / "a.parquet"
    calls = []

    class Breaking(KlinesFetcher):
        def fetch(self, since_ns, stop_ns):
            calls.append(since_ns)
            if len(calls) > 2:
                raise TransientError("connection reset")
            return super().fetch(since_ns, stop_ns)

    with pytest.raises(MachineError, match=r"connection reset \(3 tries\)"):
        fetch(market, path, pace=Pace(retries=2), fetcher=Breaking(market.url))
    assert_holds(path, 200)
    n_asked = len(market.asked)
    done = fetch(market, path)
    assert (done.n_bars, done.n_new) == (N, N - 200)
    assert len(market.asked) == n_asked + 1  # from the last stored bar on, and no page twice
    assert_holds(path, N)


def test_a_stop_by_hand_keeps_what_was_fetched(market, tmp_path):
    def stop(n_bars, time_ns):
        if n_bars >= 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(market, tmp_path / "a.parquet", on_progress=stop)
    assert_holds(tmp_path / "a.parquet", 200)


def test_a_write_that_fails_leaves_the_older_file_whole(market, tmp_path, monkeypatch):
    fetch(market, tmp_path / "a.parquet", n=120)

    def full(file):
        raise OSError(28, "no space left")

    monkeypatch.setattr(files, "flush_to_disk", full)
    with pytest.raises(OSError, match="no space left"):
        fetch(market, tmp_path / "a.parquet")
    assert_holds(tmp_path / "a.parquet", 120)
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_long_histories_are_written_on_the_way(tmp_path):
    path, seen = tmp_path / "a.parquet", []
    rows = [kline(i) for i in range(BARS_BETWEEN_WRITES + 500)]

    class Memory(KlinesFetcher):
        def fetch(self, since_ns, stop_ns):
            first = (since_ns - START) // HOUR
            return candles(rows[first : first + 1000], MS)

    fetch(
        None,
        path,
        len(rows),
        START + 10**6 * HOUR,
        fetcher=Memory("", 1000),
        on_progress=lambda *_: seen.append(path.exists()),
    )
    assert seen == [False] * 20 + [True]
    assert len(load_bars(path)) == len(rows)


def test_no_two_requests_are_nearer_than_the_source_allows(market):
    time = FakeTime(START + 10 * N * HOUR)
    asked = []

    class Timed(KlinesFetcher):
        def fetch(self, since_ns, stop_ns):
            asked.append(time.now_s)
            time.now_s += 0.4  # an answer takes a while
            return super().fetch(since_ns, stop_ns)

    fetcher = Timed(market.url, page_size=20, seconds_between=1.5)
    bars = list(pages(fetcher, START, START + N * HOUR, Pace(), time.clock(), random.Random(0)))
    assert len(bars) == len(asked) == 13
    np.testing.assert_allclose(np.diff(asked), 1.5)


def test_failures_that_pass_are_tried_again_after_longer_and_longer_waits(market, tmp_path):
    market.failures = [(503, {}), (503, {}), (503, {}), (429, {"Retry-After": "40"})]
    time, said = FakeTime(START + 10 * N * HOUR), []
    pace = Pace(first_wait=2.0, longest_wait=6.0)
    bars = list(
        pages(KlinesFetcher(market.url), START, START + HOUR, pace, time.clock(), random.Random(0), said.append)
    )
    assert len(bars) == 1
    low, high = np.array([1, 2, 3, 40]), np.array([2, 4, 6, 40])
    assert ((low <= time.slept) & (time.slept <= high)).all()
    assert said[0].startswith("status 503; trying again in")


def test_times_without_trades_are_passed_over(tmp_path):
    rows = [kline(i) for i in [*range(40), *range(400, 430)]]
    with exchange(rows) as market:
        done = fetch(market, tmp_path / "a.parquet", n=450, now=START + 10**4 * HOUR)
    assert done.n_bars == 70
    assert done.last_ns == START + 429 * HOUR


def test_a_start_before_the_listing_finds_the_first_bar(market, tmp_path):
    done = fetch(market, tmp_path / "a.parquet", start=START - 5000 * HOUR)
    assert (done.first_ns, done.n_bars) == (START, N)


def test_bars_that_come_twice_or_in_disorder_are_put_right(tmp_path):
    rows = [kline(i) for i in (0, 2, 1, 1, 3)]
    with exchange(rows) as market:
        fetch(market, tmp_path / "a.parquet", n=4)
    assert_holds(tmp_path / "a.parquet", 4)


def test_a_bar_that_breaks_the_contract_is_left_out_and_named(tmp_path):
    rows = [kline(i) for i in range(20)]
    rows[7][2] = "1.00"  # high below low
    rows[9][4] = None
    with exchange(rows) as market:
        done = fetch(market, tmp_path / "a.parquet", n=20)
    assert [(bar.time_ns, bar.rule) for bar in done.dropped] == [
        (START + 7 * HOUR, "high-below-low"),
        (START + 9 * HOUR, "missing-value"),
    ]
    assert len(load_bars(tmp_path / "a.parquet")) == 18


def test_a_history_that_was_adjusted_since_is_not_continued(market, tmp_path):
    fetch(market, tmp_path / "a.parquet", n=100)
    before = (tmp_path / "a.parquet").read_bytes()
    market.rows[99][1:5] = [f"{float(price) / 2:.2f}" for price in market.rows[99][1:5]]
    with pytest.raises(DataError, match="no longer gives the bar of 2024-01-05T03:00:00Z"):
        fetch(market, tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == before
    assert fetch(market, tmp_path / "a.parquet", restart=True).n_new == N


def test_files_of_others_are_never_overwritten(market, tmp_path):
    (tmp_path / "text.parquet").write_text("mine")
    load = pd.DataFrame({"date": [1], "open": [1.0]})
    load.to_parquet(tmp_path / "mine.parquet")
    fetch(market, tmp_path / "other.parquet")

    class Other(KlinesFetcher):
        name = "test ETH/USDT 1h"

    for name in ("text", "mine", "other"):
        before = (tmp_path / f"{name}.parquet").read_bytes()
        with pytest.raises(ConfigError, match="is not the download of test ETH/USDT 1h"):
            fetch(market, tmp_path / f"{name}.parquet", fetcher=Other(market.url))
        assert (tmp_path / f"{name}.parquet").read_bytes() == before


def test_an_earlier_start_than_the_files_own_is_refused(market, tmp_path):
    fetch(market, tmp_path / "a.parquet", start=START + 50 * HOUR)
    with pytest.raises(ConfigError, match="was begun at 2024-01-03, after the start 2024-01-01"):
        fetch(market, tmp_path / "a.parquet")
    assert fetch(market, tmp_path / "a.parquet", start=START + 60 * HOUR).n_bars == N - 50


def test_a_market_without_bars_says_so_and_writes_nothing(tmp_path):
    with exchange([]) as market, pytest.raises(DataError, match="has no closed bars"):
        fetch(market, tmp_path / "a.parquet")
    assert not list(tmp_path.iterdir())


# Yahoo: the library's answers stand in; its server cannot be.


class PricesMissing(Exception):
    pass


class TickerMissing(Exception):
    pass


@pytest.fixture
def yahoo(monkeypatch):
    """A module `yfinance` whose `history` calls `answer(start, end, interval)`."""
    module = SimpleNamespace(
        exceptions=SimpleNamespace(YFPricesMissingError=PricesMissing, YFTickerMissingError=TickerMissing),
        config=SimpleNamespace(debug=SimpleNamespace(hide_exceptions=True)),
        answer=None,
    )

    class Ticker:
        def __init__(self, symbol):
            assert symbol == "SPY"

        def history(self, *, start, end, interval, auto_adjust, actions):
            assert auto_adjust
            return module.answer(start, end, interval)

    module.Ticker = Ticker
    monkeypatch.setitem(sys.modules, "yfinance", module)
    return module


def days(start, end):
    index = pd.date_range(
        max(start, pd.Timestamp("2024-01-02", tz="UTC")).date(), end.date(), freq="B", tz="America/New_York"
    )
    index = index[index < end]
    frame = pd.DataFrame({"Open": 10.0, "High": 12.0, "Low": 9.0, "Close": 11.0, "Volume": 7}, index=index)
    frame.iloc[3:4] = np.nan  # yfinance has such rows
    return frame


def test_daily_bars_of_yahoo_carry_their_date(yahoo, tmp_path):
    yahoo.answer = lambda start, end, interval: days(start, end)
    done = fetch(None, tmp_path / "a.parquet", n=20 * 24, fetcher=YahooFetcher("SPY", "1d"))
    bars = load_bars(tmp_path / "a.parquet")
    assert done.n_bars == len(bars) == 13
    assert str(bars.timestamps[:1].view("datetime64[ns]")[0]) == "2024-01-02T00:00:00.000000000"
    assert (bars.timestamps % (24 * HOUR) == 0).all()
    assert not yahoo.config.debug.hide_exceptions


def test_a_refusal_of_yahoo_is_tried_again_and_an_unknown_ticker_is_not(yahoo):
    fetcher = YahooFetcher("SPY", "1d")

    def refuse(error):
        def answer(start, end, interval):
            raise error

        return answer

    yahoo.answer = refuse(RuntimeError("Too Many Requests"))
    with pytest.raises(TransientError, match="Too Many Requests"):
        fetcher.fetch(START, START + 24 * HOUR)
    yahoo.answer = refuse(TickerMissing("delisted"))
    with pytest.raises(DataError, match="Yahoo has no ticker 'SPY'"):
        fetcher.fetch(START, START + 24 * HOUR)
    yahoo.answer = refuse(PricesMissing())
    assert len(fetcher.fetch(START, START + 24 * HOUR).times) == 0


def test_one_request_of_minutes_spans_at_most_the_days_that_yahoo_gives(yahoo):
    asked = []

    def answer(start, end, interval):
        asked.append(((end - start).days, interval))
        raise PricesMissing

    yahoo.answer = answer
    YahooFetcher("SPY", "1m").fetch(START, START + 1000 * HOUR)
    assert asked == [(7, "1m")]


def test_an_unknown_bar_length_of_yahoo_names_the_nearest(yahoo):
    with pytest.raises(ConfigError, match="yahoo has no bars of '1hr'") as error:
        YahooFetcher("SPY", "1hr")
    assert error.value.nearest == "1h"


# The real ccxt against the local exchange.


@pytest.fixture
def ccxt_fetcher():
    pytest.importorskip("ccxt", reason=CCXT_MISSING)
    from regimegym.features.download.ccxt_source import CcxtFetcher

    return CcxtFetcher


def test_ccxt_pages_through_the_local_exchange(market, tmp_path, ccxt_fetcher):
    market.failures = [(429, {}), (503, {})]
    fetcher = ccxt_fetcher("binance", "BTC/USDT", "1h", market.url)
    assert (fetcher.name, fetcher.timeframe_ns, fetcher.page_size) == ("binance BTC/USDT 1h", HOUR, 1000)
    done = fetch(market, tmp_path / "a.parquet", fetcher=fetcher)
    assert done.n_bars == N
    assert_holds(tmp_path / "a.parquet", N)
    market.rows += [kline(i) for i in range(N, N + 30)]
    assert fetch(market, tmp_path / "a.parquet", n=N + 30, fetcher=fetcher).n_new == 30
    assert_holds(tmp_path / "a.parquet", N + 30)


def test_ccxt_names_what_it_does_not_know(market, ccxt_fetcher):
    with pytest.raises(ConfigError, match="ccxt knows no exchange 'binanc'"):
        ccxt_fetcher("binanc", "BTC/USDT", "1h", market.url)
    with pytest.raises(ConfigError, match="binance has no bars of '7h'"):
        ccxt_fetcher("binance", "BTC/USDT", "7h", market.url)
    with pytest.raises(DataError, match="binance has no market 'BTC/USDX'") as error:
        ccxt_fetcher("binance", "BTC/USDX", "1h", market.url).fetch(START, START + HOUR)
    assert error.value.nearest == "BTC/USDT"


def test_an_exchange_that_is_not_there_may_come_back(ccxt_fetcher):
    with pytest.raises(TransientError):
        ccxt_fetcher("binance", "BTC/USDT", "1h", "http://127.0.0.1:9").fetch(START, START + HOUR)
