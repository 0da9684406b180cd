"""Scaler, tape and alignment: training rows only, warm-up of zeros, nothing filled in."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from regimegym.common.errors import DataError, ModelError
from regimegym.features.loading import load_bars
from regimegym.features.market import align_features, build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings, FeatureTable
from regimegym.features.scaling import Scaler, fit_scaler
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.worlds import regime_switching_market

MARKET = prepare_market(regime_switching_market(1_200, 5).bars)
TABLE = MARKET.table
TRAIN = RowRange(TABLE.warm_up, 800)


def test_training_rows_have_mean_0_and_deviation_1_before_clipping():
    scaler = fit_scaler(TABLE, TRAIN, clip=1e9)
    scaled = scaler.transform(TABLE.values[TRAIN.start : TRAIN.stop])
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, atol=1e-5)


def test_scaled_values_are_clipped():
    assert np.abs(fit_scaler(TABLE, TRAIN).transform(TABLE.values[TRAIN.start :])).max() == 5.0


def test_other_test_rows_leave_the_scaler_as_it_was():
    values = TABLE.values.copy()
    values[800:] = 1e6
    other = FeatureTable(TABLE.timestamps, values, TABLE.names, TABLE.warm_up)
    assert fit_scaler(other, TRAIN).to_dict() == fit_scaler(TABLE, TRAIN).to_dict()


def test_a_constant_feature_is_not_blown_up():
    values = TABLE.values.copy()
    values[:, 0] = 0.1
    scaler = fit_scaler(FeatureTable(TABLE.timestamps, values, TABLE.names, TABLE.warm_up), TRAIN)
    assert scaler.scale[0] == 1.0
    assert (np.abs(scaler.transform(values)[:, 0]) < 1e-6).all()


def test_a_scaler_goes_through_json_bit_for_bit():
    scaler = fit_scaler(TABLE, TRAIN)
    again = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert again.names == scaler.names
    np.testing.assert_array_equal(again.mean, scaler.mean)
    np.testing.assert_array_equal(again.scale, scaler.scale)


def test_a_damaged_scaler_is_refused():
    data = fit_scaler(TABLE, TRAIN).to_dict()
    with pytest.raises(ModelError, match="the scaler lacks mean"):
        Scaler.from_dict({key: value for key, value in data.items() if key != "mean"})
    with pytest.raises(ModelError, match="scaler 'mean' must hold"):
        Scaler.from_dict({**data, "mean": [1.0]})
    with pytest.raises(ModelError, match="must be positive"):
        Scaler.from_dict({**data, "scale": [0.0] * len(data["names"])})


def test_a_scaler_needs_rows_after_the_warm_up():
    with pytest.raises(DataError, match="rows 0 to 151 hold 1 bar"):
        fit_scaler(TABLE, RowRange(0, 151))


def test_the_tape_holds_the_market_row_by_row():
    scaler = fit_scaler(TABLE, TRAIN)
    tape = build_tape(MARKET, scaler)
    assert len(tape) == 1_200
    assert [segment[:4] for segment in tape.segments] == [("SYNTHETIC", 0, 1_200, 150)]
    assert (tape.features[:150] == 0).all()
    np.testing.assert_array_equal(tape.features[150:], scaler.transform(TABLE.values[150:]))
    np.testing.assert_array_equal(tape.close, MARKET.bars.close)
    np.testing.assert_array_equal(tape.regimes, MARKET.regimes.labels)
    np.testing.assert_allclose(tape.regime_probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert (tape.regimes[150:] >= 0).all()
    assert (tape.half_spread_open == 0).all()
    assert not tape.features.flags.writeable


def test_quoted_spreads_become_half_spreads_of_the_price():
    bars = MARKET.bars
    spread = np.linspace(0.01, 0.02, len(bars))
    scaler = fit_scaler(TABLE, TRAIN)
    both = build_tape(replace(MARKET, bars=replace(bars, spread_open=spread, spread_close=2 * spread)), scaler)
    np.testing.assert_allclose(both.half_spread_open, spread / 2 / bars.open)
    np.testing.assert_allclose(both.half_spread_close, spread / bars.close)
    at_close = build_tape(replace(MARKET, bars=replace(bars, spread_close=spread)), scaler)
    np.testing.assert_allclose(at_close.half_spread_open[1:], spread[:-1] / 2 / bars.open[1:])


def test_a_scaler_of_other_features_builds_no_tape():
    few = prepare_market(MARKET.bars, feature_settings=FeatureSettings(("rsi", "adx")))
    with pytest.raises(ModelError, match="the data's features are not the model's") as error:
        build_tape(few, fit_scaler(TABLE, TRAIN))
    assert error.value.name == "feature-mismatch"


def test_features_in_another_order_are_realigned_and_logged(caplog):
    names = TABLE.names[::-1]
    with caplog.at_level(logging.INFO, logger="regimegym.features.market"):
        aligned = align_features(names, TABLE)
    assert aligned.names == names
    np.testing.assert_array_equal(aligned.values[150:], TABLE.values[150:, ::-1])
    assert "realigned by name" in caplog.text
    assert align_features(TABLE.names, TABLE) is TABLE


def test_missing_and_extra_features_are_listed():
    names = ("rsi_28", *TABLE.names[:-2])
    with pytest.raises(ModelError) as error:
        align_features(names, TABLE)
    assert "missing: rsi_28; extra: probability_oscillating, volume_z" in str(error.value)


@pytest.mark.parametrize("name", ["EURUSD_oanda_1h", "SPY_lean_1d", "SPY_lean_1m", "BTCUSD_coinbase_1m"])
def test_real_markets_become_finite_tapes(real_data, name):
    market = prepare_market(load_bars(real_data(f"{name}.parquet")))
    tape = build_tape(market, fit_scaler(market.table, RowRange(150, len(market.bars) // 2)))
    assert np.isfinite(tape.features).all()
    assert (tape.half_spread_open >= 0).all()
    assert set(np.unique(tape.regimes[market.table.is_known])) == {0, 1, 2, 3}
