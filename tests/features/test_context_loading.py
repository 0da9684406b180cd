"""Files beside the bars: read as they are, refused with the place where they are wrong."""

import numpy as np
import pandas as pd
import pytest

from regimegym.common.errors import ConfigError, DataError
from regimegym.features import order_book
from regimegym.features.bars import Bars
from regimegym.features.context import check_overlap
from regimegym.features.context_loading import load_book, load_context, load_series, load_trades
from regimegym.features.synthetic.worlds import random_walk_bars

HOUR = 3_600_000_000_000


def written(tmp_path, text: str, name: str = "s.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_series_is_read_with_its_publication_times(tmp_path):
    path = written(tmp_path, "published,value\n2024-01-01 00:00,0.5\n2024-01-01 00:00,-1\n2024-01-02 12:30,2\n")
    series = load_series(path, "sentiment")
    assert series.name == "sentiment"
    np.testing.assert_array_equal(series.values, [0.5, -1.0, 2.0])
    expected = pd.to_datetime(["2024-01-01 00:00", "2024-01-01 00:00", "2024-01-02 12:30"]).as_unit("ns").asi8
    np.testing.assert_array_equal(series.published, expected)


def test_times_of_a_series_lie_in_the_zone_they_are_said_to(tmp_path):
    path = written(tmp_path, "date;score\n2024-07-01 10:00;1\n2024-07-01 11:00;2\n")
    utc, new_york = load_series(path, "news"), load_series(path, "news", "America/New_York")
    assert (new_york.published - utc.published == 4 * HOUR).all()
    zoned = written(tmp_path, "published,value\n2024-07-01T10:00:00+02:00,1\n2024-07-01T11:00:00+02:00,1\n", "z.csv")
    assert (load_series(zoned, "news").published == utc.published - 2 * HOUR).all()


@pytest.mark.parametrize(
    ("text", "name", "sentence"),
    [
        ("published,value\n2024-01-02,1\n2024-01-01,1\n", "unsorted", "line 3: lies before the row above it"),
        ("published,value\n2024-01-01,1\n2024-01-02,\n", "not-finite", "line 3: column 'value' holds nan"),
        ("published,value\n2024-01-01,1\n2024-01-02,x\n", "not-a-number", "column 'value' holds 'x'"),
        ("published,value\n2024-01-01,1\nsoon,2\n", "unreadable-date", "line 3: holds no time"),
        ("published,valuex\n2024-01-01,1\n", "missing-column", "s.csv has no column 'value'"),
        ("published,value\n", "empty-file", "header and no rows"),
    ],
)
def test_a_series_that_cannot_be_trusted_is_refused(tmp_path, text, name, sentence):
    with pytest.raises(DataError) as error:
        load_series(written(tmp_path, text), "sentiment")
    assert error.value.name == name
    assert sentence in " ".join([error.value.sentence, *error.value.place])


def book_frame(n: int = 6, levels: int = 3) -> pd.DataFrame:
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=n, freq="s", tz="UTC")})
    for level in range(1, levels + 1):
        frame[f"bid_{level}"], frame[f"ask_{level}"] = 100.0 - level, 100.0 + level
        frame[f"bid_size_{level}"], frame[f"ask_size_{level}"] = float(level), 2.0 * level
    return frame


def test_a_book_is_read_with_all_its_levels(tmp_path):
    path = tmp_path / "book.parquet"
    book_frame().to_parquet(path)
    book = load_book(path)
    assert (len(book), book.n_levels) == (6, 3)
    np.testing.assert_array_equal(book.bid[0], [99, 98, 97])
    np.testing.assert_array_equal(book.ask_size[5], [2, 4, 6])


def set_cell(column: str, value: float):
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[2, column] = value
        return frame

    return change


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (set_cell("bid_1", 101.5), "crossed-book"),
        (set_cell("bid_2", 99.5), "levels-out-of-order"),
        (set_cell("ask_size_3", -1.0), "negative-size"),
        (set_cell("bid_3", np.nan), "not-finite"),
        (set_cell("bid_3", -5.0), "non-positive-price"),
        (lambda frame: frame.drop(columns="ask_size_2"), "missing-column"),
        (lambda frame: frame.iloc[::-1], "unsorted"),
    ],
)
def test_a_book_that_cannot_be_is_refused(tmp_path, change, name):
    path = tmp_path / "book.parquet"
    change(book_frame()).to_parquet(path)
    with pytest.raises(DataError) as error:
        load_book(path)
    assert error.value.name == name
    assert "book.parquet" in error.value.sentence


def test_trades_are_read_and_refused(tmp_path):
    path = written(tmp_path, "time,price,qty\n2024-01-01 00:00:00.5,100,2\n2024-01-01 00:00:01,101,3\n")
    trades = load_trades(path)
    np.testing.assert_array_equal(trades.price, [100.0, 101.0])
    np.testing.assert_array_equal(trades.size, [2.0, 3.0])
    for text, name in (("100,0", "not-positive"), ("-1,3", "not-positive"), ("inf,3", "not-finite")):
        with pytest.raises(DataError) as error:
            load_trades(written(tmp_path, f"time,price,qty\n2024-01-01,100,2\n2024-01-02,{text}\n"))
        assert error.value.name == name


def bars_csv(tmp_path, bars: Bars, name: str) -> str:
    columns = {n: getattr(bars, n) for n in ("open", "high", "low", "close", "volume")}
    path = tmp_path / name
    pd.DataFrame({"date": bars.timestamps.view("datetime64[ns]")} | columns).to_csv(path, index=False)
    return str(path)


def test_a_context_holds_what_was_named_in_its_order(tmp_path):
    bars = random_walk_bars(50, 1)
    others = [bars_csv(tmp_path, random_walk_bars(50, seed), name) for seed, name in ((2, "B.csv"), (3, "A.csv"))]
    series = str(written(tmp_path, "published,value\n2020-01-01 05:00,1\n2020-01-01 06:00,1\n"))
    context = load_context(others, {"news": series})
    assert list(context.others) == ["B", "A"]
    assert list(context.series) == ["news"]
    check_overlap(bars, context)
    assert not load_context().others


def test_two_files_of_one_symbol_are_refused(tmp_path):
    path = bars_csv(tmp_path, random_walk_bars(50, 1), "A.csv")
    with pytest.raises(DataError, match=r"'context\.others' holds A twice"):
        load_context([path, path])


def test_a_series_that_no_feature_knows_is_refused():
    with pytest.raises(ConfigError) as error:
        load_context(series={"sentimnt": "x.csv"})
    assert error.value.nearest == "sentiment"


def test_data_of_another_time_is_refused(tmp_path):
    path = written(tmp_path, "published,value\n1999-01-01,1\n1999-01-02,1\n")
    with pytest.raises(DataError, match="the series 'news' and the bars of SYNTHETIC never meet") as error:
        check_overlap(random_walk_bars(50, 1), load_context(series={"news": str(path)}))
    assert "2020-01-01 00:00" in error.value.needed
    assert "1999-01-01" in error.value.found


def test_the_real_book_and_trades_say_alike_where_the_price_went(real_data):
    book = load_book(real_data("book/BTCUSDT_usdm_20240808_L2top5_200ms.parquet"))
    trades = load_trades(real_data("book/BTCUSDT_usdm_20240808_trades.parquet"))
    assert (len(book), book.n_levels, len(trades)) == (1_631, 5, 21_313)
    opens = np.arange(book.times[0], book.times[-1] - 10**9, 10**9)
    closes = opens + 10**9
    flow = order_book.order_flow_on_bars(book, opens, closes)
    signed = order_book.signed_volume_on_bars(trades, opens, closes)
    mid = (book.bid[:, 0] + book.ask[:, 0]) / 2
    at_close = mid[np.maximum(order_book.last_before(book.times, closes), 0)]
    change = np.diff(at_close, prepend=at_close[0])
    assert np.corrcoef(flow, change)[0, 1] > 0.3
    assert np.corrcoef(signed, change)[0, 1] > 0.2
    counts = order_book.trade_intensity_on_bars(trades, opens, closes)
    inside = (trades.times >= opens[0]) & (trades.times < closes[-1])
    assert counts.sum() == pytest.approx(inside.sum())
