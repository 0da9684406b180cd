"""Jump labels: t+1 … t+h only, none on the last h rows, the end where the label was decided."""

import numpy as np
import pytest

from regimegym.common.errors import ConfigError
from regimegym.features.labels import price_jump_labels


def test_labels_worked_out_by_hand():
    close = np.array([100.0, 100.5, 102.0, 101.0, 95.0, 95.0, 95.5])
    labels = price_jump_labels(close, 0.015, 2)
    np.testing.assert_array_equal(labels.values, [1, 0, -1, -1, 0, np.nan, np.nan])
    np.testing.assert_array_equal(labels.ends, [2, 3, 4, 4, 6, -1, -1])


def test_a_fall_before_a_rise_is_a_fall():
    assert price_jump_labels(np.array([100.0, 98.0, 103.0]), 0.01, 2).values[0] == -1


def test_a_label_uses_the_next_h_bars_and_no_other():
    rng = np.random.default_rng(0)
    close = np.exp(rng.normal(0, 0.01, 300).cumsum())
    labels = price_jump_labels(close, 0.02, 10)
    assert np.isnan(labels.values[-10:]).all()
    assert np.isfinite(labels.values[:-10]).all()
    assert {-1.0, 0.0, 1.0} == set(labels.values[:-10])
    for t in (0, 57, 200, 289):
        other = close.copy()
        other[:t], other[t + 11 :] = 7.0, 0.001
        assert price_jump_labels(other, 0.02, 10).values[t] == labels.values[t]
        beyond = close.copy()
        beyond[int(labels.ends[t]) + 1 :] = 1e6
        assert price_jump_labels(beyond, 0.02, 10).values[t] == labels.values[t]


def test_a_series_shorter_than_the_horizon_has_no_labels():
    labels = price_jump_labels(np.array([1.0, 2.0]), 0.1, 2)
    assert np.isnan(labels.values).all()
    assert (labels.ends == -1).all()


@pytest.mark.parametrize(("threshold", "horizon"), [(0.0, 5), (-0.01, 5), (0.01, 0)])
def test_settings_out_of_range_are_refused(threshold, horizon):
    with pytest.raises(ConfigError):
        price_jump_labels(np.ones(9), threshold, horizon)
