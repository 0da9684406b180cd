"""Tables made block by block: the same bits as in one piece."""

from dataclasses import replace

import numpy as np
import pytest
from market_context import quoted_bars

from regimegym.common.errors import DataError
from regimegym.features.feature import FEATURES, Feature, FeatureInputs
from regimegym.features.pipeline import compute_columns
from regimegym.features.regimes import classify_regimes
from regimegym.features.sets import XGBOOST_SET

N, BLOCK = 1_500, 170
BARS = quoted_bars(N, 5)
WINDOWED = [feature for name in FEATURES if (feature := FEATURES.get(name)).windowed]


def inputs_of_bars() -> FeatureInputs:
    return FeatureInputs(BARS, classify_regimes(BARS.close))


def test_most_of_the_largest_set_is_made_in_blocks():
    assert len({feature.name for feature in WINDOWED} & set(XGBOOST_SET)) > 110


@pytest.mark.parametrize("block_rows", [BLOCK, 512])
def test_a_table_made_in_blocks_is_equal_bit_for_bit(block_rows: int):
    names = [name for name in XGBOOST_SET if not FEATURES.get(name).lacks(inputs_of_bars())]
    features = [FEATURES.get(name) for name in names if not name.endswith("min") and not name.startswith("change")]
    whole = compute_columns(inputs_of_bars(), features, block_rows=N)
    blocks = compute_columns(inputs_of_bars(), features, block_rows=block_rows)
    assert blocks.warm_up == whole.warm_up
    np.testing.assert_array_equal(blocks.values, whole.values)


def test_each_windowed_feature_needs_no_more_bars_than_it_says():
    whole = inputs_of_bars()
    for feature in WINDOWED:
        assert feature.memory is not None
        first = N - 30 - feature.memory + 1
        part = feature.compute(whole.rows(first, N))[feature.memory - 1 :]
        np.testing.assert_array_equal(part, feature.compute(whole)[N - 30 :], err_msg=feature.name)


def test_progress_counts_up_over_blocks_and_columns():
    told: list[tuple[int, int]] = []
    features = [FEATURES.get(name) for name in ("momentum_10", "rsi", "body", "adx")]
    compute_columns(inputs_of_bars(), features, lambda done, of, _: told.append((done, of)), BLOCK)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert {of for _, of in told} == {4}
    assert told[-1][0] == 3


def test_a_value_that_is_not_finite_is_refused_with_its_row():
    def broken(inputs: FeatureInputs) -> np.ndarray:
        return np.where(inputs.bars.close == BARS.close[1_234], np.inf, 1.0)

    feature = replace(FEATURES.get("body"), name="broken", compute=broken)
    assert isinstance(feature, Feature)
    with pytest.raises(DataError, match="'broken' is inf on row 1234"):
        compute_columns(inputs_of_bars(), [feature], block_rows=BLOCK)
