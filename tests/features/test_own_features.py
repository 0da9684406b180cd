"""Features of the user's own by import path: found, registered, refused in one message."""

import sys

import numpy as np
import pytest

from regimegym.common.errors import ConfigError
from regimegym.features.feature import FEATURES
from regimegym.features.market import prepare_market
from regimegym.features.pipeline import FeatureSettings, chosen_features
from regimegym.features.sets import DEFAULT_SET
from regimegym.features.synthetic.worlds import random_walk_bars

MODULE = """
import numpy as np
from regimegym.features.feature import feature

@feature("range_place", warm_up=0, memory=1)
def place(inputs):
    return (inputs.bars.close - inputs.bars.low) / inputs.bars.low

@feature("beside_it", warm_up=0, memory=1)
def beside(inputs):
    return np.zeros(len(inputs))

@feature("too_short", warm_up=0, memory=1)
def short(inputs):
    return np.zeros(3)

@feature("one_number", warm_up=0, memory=1)
def one_number(inputs):
    return 1.0

@feature("breaks", warm_up=0, memory=1)
def breaks(inputs):
    return inputs.bars.clse

def plain(inputs):
    return inputs.bars.close
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """`own_place` can be imported; the registry is as before afterwards."""
    (tmp_path / "own_place.py").write_text(MODULE)
    (tmp_path / "own_twin.py").write_text(MODULE.replace('"range_place"', '"rsi"'))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(FEATURES, "_parts", dict(FEATURES._parts))
    yield
    for name in ("own_place", "own_twin"):
        sys.modules.pop(name, None)


def test_own_features_stand_last_and_their_modules_others_can_be_added(module):
    chosen = chosen_features(("rsi", "adx"), add=["beside_it"], drop=["rsi"], own=["own_place.place"])
    assert chosen == FeatureSettings(("adx", "beside_it", "range_place"))
    again = chosen_features(("rsi",), own="own_place.place")
    assert again.names == ("rsi", "range_place")


def test_an_own_feature_is_a_column_like_any_other(module):
    bars = random_walk_bars(400, 1)
    table = prepare_market(bars, feature_settings=chosen_features(("rsi",), own=["own_place.place"])).table
    np.testing.assert_array_equal(table.values[200:, 1], ((bars.close - bars.low) / bars.low)[200:])


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        ("place", "no-such-feature", "'features.own=place' names no module"),
        ("no_such_place.place", "no-such-feature", "No module named 'no_such_place'"),
        ("own_place.plase", "no-such-feature", "'own_place' has no function 'plase'"),
        ("own_place.plain", "not-a-feature", "which is not registered as a feature"),
        ("own_twin.place", "feature-failed", "raised ValueError: feature 'rsi' is registered twice"),
    ],
)
def test_a_path_that_leads_to_no_feature_is_one_message(module, path, name, said):
    with pytest.raises(ConfigError, match=said) as error:
        chosen_features(own=[path])
    assert error.value.name == name


def test_the_nearest_function_is_named(module):
    with pytest.raises(ConfigError) as error:
        chosen_features(own=["own_place.plase"])
    assert error.value.nearest == "place"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("breaks", "feature 'breaks' raised AttributeError: 'Bars' object has no attribute 'clse'"),
        ("short", r"feature 'too_short' raised ValueError: its shape is \(3,\), one value per bar is \(400,\)"),
        ("one_number", r"its shape is \(\), one value per bar is \(400,\)"),
    ],
)
def test_what_an_own_feature_does_wrong_is_one_message(module, function, said):
    settings = chosen_features(("rsi",), own=[f"own_place.{function}"])
    with pytest.raises(ConfigError, match=said) as error:
        prepare_market(random_walk_bars(400, 1), feature_settings=settings)
    assert error.value.place


def test_the_default_set_takes_features_more_and_fewer_too():
    chosen = chosen_features(add=["momentum_10"], drop=["rsi", "adx"])
    assert chosen.names == (*(name for name in DEFAULT_SET if name not in ("rsi", "adx")), "momentum_10")
    with pytest.raises(ConfigError, match="'rsj', which is not among") as error:
        chosen_features(drop=["rsj"])
    assert error.value.nearest == "rsi"


def test_an_own_feature_can_only_be_named_by_keyword():
    """Whoever checks a stranger's configuration looks for the key; a place in `_args_` has none."""
    with pytest.raises(TypeError, match="positional"):
        chosen_features(("rsi",), (), (), "raise", 10.0, "off", ["own_place.place"])
