"""The named sets on real files: enough columns at every bar length, none constant, none twice."""

import numpy as np
import pytest

from regimegym.features.loading import load_bars
from regimegym.features.market import prepare_market
from regimegym.features.pipeline import feature_set

FILES = ("SPY_lean_1d", "IBM_lean_1d", "BTCUSD_bitstamp_1h", "EURUSD_oanda_1h", "EURUSD_oanda_1m", "SPY_lean_1m")


@pytest.mark.parametrize("name", FILES)
def test_the_largest_set_has_178_columns_none_constant_and_none_twice(real_data, name):
    table = prepare_market(load_bars(real_data(f"{name}.parquet")), feature_settings=feature_set("xgboost")).table
    values = table.values[table.is_known]
    assert len(values) > 2_000
    assert len(table.names) >= 178
    sd = values.std(axis=0)
    assert sd.min() > 1e-7
    scaled = (values - values.mean(axis=0)) / sd
    correlation = np.abs(np.triu(scaled.T @ scaled / len(scaled), 1))
    twice = [(table.names[i], table.names[j]) for i, j in np.argwhere(correlation > 1.0 - 1e-6)]
    assert twice == []


@pytest.mark.parametrize("name", FILES)
def test_the_set_for_sequences_has_38_columns(real_data, name):
    table = prepare_market(load_bars(real_data(f"{name}.parquet")), feature_settings=feature_set("lstm")).table
    assert len(table.names) >= 38
    assert np.isfinite(table.values[table.is_known]).all()
