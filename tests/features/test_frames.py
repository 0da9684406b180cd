"""Bars from frames and mappings: the usual names, real times, and nothing filled in."""

import numpy as np
import pandas as pd
import pytest

from regimegym.common.errors import DataError
from regimegym.features.frames import bars_from_frame

DATES = pd.date_range("2024-01-01", periods=5, freq="h")
PRICES = {"Open": [1.0, 2, 3, 4, 5], "High": [2, 3, 4, 5, 6], "Low": [1, 1, 2, 3, 4], "Close": [2, 2, 3, 4, 5]}
NS = DATES.as_unit("ns").astype("int64").to_numpy()


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame(PRICES, index=DATES),
        pd.DataFrame(PRICES, index=DATES.tz_localize("UTC").tz_convert("Asia/Tokyo")),
        pd.DataFrame({"Date": DATES, **PRICES}),
        pd.DataFrame({"Date": DATES.astype(str), **PRICES}),
        {"timestamp": NS, **PRICES},
        {"time": NS // 10**9, **PRICES},
        {"datetime": DATES.to_numpy(), **PRICES},
    ],
    ids=["index", "index with a zone", "column", "text", "nanoseconds", "seconds", "numpy times"],
)
def test_times_are_read_from_index_column_or_epochs(data):
    bars = bars_from_frame(data, "X")
    np.testing.assert_array_equal(bars.timestamps, NS)
    np.testing.assert_array_equal(bars.close, PRICES["Close"])
    assert (bars.symbol, bars.timeframe_ns) == ("X", 3_600_000_000_000)


def test_spreads_and_the_calendar_are_taken_over():
    quoted = [0.1] * 5
    bars = bars_from_frame(pd.DataFrame({**PRICES, "spread_close": quoted}, index=DATES), periods_per_year=252)
    np.testing.assert_array_equal(bars.spread_close, quoted)
    assert bars.spread_open is None
    assert bars.periods_per_year == 252


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Close": [2, 2, np.nan, 4, 5]}, "the frame, row 2: column 'close' holds no value"),
        ({"Close": [2, 2, "x", 4, 5]}, "column 'close' of the frame holds what is no number"),
        ({"Close": [2, 2, 3, 4]}, "the columns differ in length"),
        ({"timestamp": ["then"] * 5}, "the frame holds dates of an unknown form: 'then'"),
        ({"timestamp": [*DATES[:2], pd.NaT, *DATES[3:]]}, "the frame, row 2: column 'timestamp' holds no date"),
        ({"timestamp": [*NS[:4], NS[0]]}, "the frame, row 4: column 'timestamp': 2024-01-01 00:00:00 comes after"),
    ],
)
def test_broken_columns_are_named(changes, message):
    with pytest.raises(DataError, match=message):
        bars_from_frame({"timestamp": NS, **PRICES, **changes})
