"""Bars from what a notebook holds: a pandas frame or a mapping of arrays with the usual names."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from regimegym.common.errors import DataError
from regimegym.features.bars import Bars
from regimegym.features.columns import recognise_columns
from regimegym.features.timestamps import NAT, epoch_to_ns, text_to_ns
from regimegym.features.validation import Origin, bars_from_arrays

NAME = "the frame"
OURS = (
    *("open", "high", "low", "close", "volume", "spread_open", "spread_close"),
    *("funding_rate", "bid_size", "ask_size"),
)


def bars_from_frame(
    data: pd.DataFrame | Mapping[str, Any], symbol: str = "", periods_per_year: float | None = None
) -> Bars:
    """Validated bars from columns of length T, oldest first.

    Args:
        data: open, high, low, close, optionally volume, spread_open, spread_close, under the usual
            names; times in a column, or as the index of the frame. Times are pandas or numpy times
            (UTC where they do not say) or epochs of any unit.
        symbol: name of the instrument.
        periods_per_year: bars per year; None takes what the times say.

    Raises:
        DataError: a column is missing, holds no numbers or times, or breaks the data contract.
    """
    given = {str(name): data[name] for name in data}  # type: ignore[index]
    if isinstance(data, pd.DataFrame) and isinstance(data.index, pd.DatetimeIndex):
        given = {"datetime": data.index, **given}
    names = list(given)
    positions = recognise_columns(names, None, NAME, None)
    arrays = {"timestamp": _times(given[names[positions["timestamp"]]])}
    arrays |= {ours: _numbers(ours, given[names[positions[ours]]]) for ours in OURS if ours in positions}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError("unequal-lengths", f"the columns differ in length: {lengths}", needed="one value per bar")
    return bars_from_arrays(
        arrays, symbol, origin=Origin(NAME), source="a frame in memory", periods_per_year=periods_per_year
    )


def _times(values: Any) -> np.ndarray:
    """(T,) int64 UTC nanoseconds; NAT where there is no time."""
    series = pd.Series(values)
    if pd.api.types.is_numeric_dtype(series):
        return epoch_to_ns(series.to_numpy())
    if not pd.api.types.is_datetime64_any_dtype(series):
        return text_to_ns(series.astype(str).to_list(), "UTC", NAME)
    ns = pd.to_datetime(series, utc=True).dt.as_unit("ns").astype("int64").to_numpy()
    return np.where(series.isna(), NAT, ns)


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values, np.float64)
    except (ValueError, TypeError) as error:
        raise DataError("not-a-number", f"column '{name}' of {NAME} holds what is no number: {error}") from error
