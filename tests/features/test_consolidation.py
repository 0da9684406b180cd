"""Consolidation: recognised where it was planted, and what test_sets asks of every feature."""

import numpy as np
import pytest

from regimegym.features.regimes import classify_regimes
from regimegym.features.sets import FEATURES, XGBOOST_SET, FeatureInputs
from regimegym.features.synthetic.catalogue import draw_world

NAMES = ("choppiness_14", "choppiness_50", "compression_20", "compression_60", "stay_in_range_20", "stay_in_range_60")


def column(world: str, name: str, n_bars: int = 2_000) -> np.ndarray:
    bars = draw_world(world, n_bars, np.random.default_rng(2)).bars
    return FEATURES.get(name).compute(FeatureInputs(bars, classify_regimes(bars.close)))


@pytest.mark.parametrize("name", NAMES)
def test_consolidation_features_are_registered_and_in_the_large_set(name):
    assert name in FEATURES
    assert name in XGBOOST_SET


def test_choppiness_is_none_on_a_straight_line_and_high_in_an_oscillation():
    assert column("uptrend", "choppiness_14")[20:].max() < 1e-9
    assert column("oscillation", "choppiness_50")[60:].min() > 0.4
    assert (column("flat", "choppiness_14")[20:] == 1.0).all()


def test_a_plateau_compresses_the_range_and_is_not_left():
    """It begins at bar 1,000 and lasts 150 bars."""
    compression, stay = column("plateau", "compression_60"), column("plateau", "stay_in_range_60")
    assert compression[1_060:1_150].mean() < 0.6 * compression[300:1_000].mean()
    assert stay[1_060:1_150].mean() > 1.5 * stay[300:1_000].mean()


def test_the_stay_ends_on_the_bar_that_leaves_the_range():
    bars = draw_world("gap", 2_000, np.random.default_rng(2)).bars
    stay = FEATURES.get("stay_in_range_20").compute(FeatureInputs(bars, classify_regimes(bars.close)))
    assert stay[1_000] == 0.0
    for t in range(200, 400):
        left = [
            i
            for i in range(t - 119, t + 1)
            if not bars.low[i - 20 : i].min() <= bars.close[i] <= bars.high[i - 20 : i].max()
        ]
        assert stay[t] == pytest.approx((t - left[-1] if left else 120) / 120)


def test_choppiness_equals_its_definition():
    bars = draw_world("gbm", 200, np.random.default_rng(2)).bars
    found = FEATURES.get("choppiness_14").compute(FeatureInputs(bars, classify_regimes(bars.close)))
    high, low, close = np.log(bars.high), np.log(bars.low), np.log(bars.close)
    true = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
    for t in (14, 50, 199):
        span = high[t - 13 : t + 1].max() - low[t - 13 : t + 1].min()
        assert found[t] == pytest.approx(np.log(true[t - 14 : t].sum() / span) / np.log(14))
