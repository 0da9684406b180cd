"""The features equal their plain pandas versions, which are also the benchmark's peer."""

import numpy as np
import pytest

from regimegym.features.feature import FEATURES, FeatureInputs
from regimegym.features.regimes import classify_regimes
from regimegym.training.benchmarks.feature_cases import minute_bars
from regimegym.training.benchmarks.pandas_features import NAMES, pandas_columns

BARS = minute_bars(4_000)
INPUTS = FeatureInputs(BARS, classify_regimes(BARS.close))
EXPECTED = pandas_columns(BARS)


def test_most_of_the_largest_set_is_compared():
    assert len(NAMES) == len(EXPECTED.columns) > 160


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_equals_its_pandas_version(name):
    warm_up = FEATURES.get(name).warm_up_on(INPUTS)
    found, expected = INPUTS.column(name)[warm_up:], EXPECTED[name].to_numpy()[warm_up:]
    assert len(found) > 1_000
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * np.std(expected))
