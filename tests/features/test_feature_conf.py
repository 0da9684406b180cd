"""The YAML of the groups data, features, regime and split says exactly what the code defaults to."""

import inspect
from pathlib import Path

import pytest
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf

import regimegym.conf
from regimegym.common.errors import ConfigError, DataError
from regimegym.features.bars import Bars
from regimegym.features.pipeline import FeatureSettings, feature_set
from regimegym.features.regimes import RegimeSettings
from regimegym.features.sets import SETS
from regimegym.features.splits import SplitSettings
from regimegym.features.synthetic.worlds import RegimeMarketSettings, regime_switching_market

CONF = Path(regimegym.conf.__file__).parent
GROUPS = ("data", "context", "features", "regime", "split")
FILES = sorted(path for group in GROUPS for path in (CONF / group).glob("*.yaml"))


def test_there_are_files_to_check():
    assert len(FILES) >= 7


# Options that mirror the code; the others choose values of their own.
PLAIN = {"default", "file", "synthetic", "sine", "random_walk", "minimal", "lstm", "xgboost"}
MIRRORS = [path for path in FILES if path.stem in PLAIN]


@pytest.mark.parametrize("path", MIRRORS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_yaml_defaults_are_the_defaults_of_the_code(path):
    config = OmegaConf.to_container(OmegaConf.load(path))
    target = get_object(config.pop("_target_"))
    if target is feature_set:
        assert config.pop("name") == path.stem
    defaults = {name: p.default for name, p in inspect.signature(target).parameters.items()}
    if target is feature_set:
        defaults.pop("name")
    if "settings" in config:
        assert instantiate(config["settings"]) == RegimeMarketSettings()
        config["settings"] = None
    config = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    assert config == defaults


@pytest.mark.parametrize("name", SETS)
def test_every_set_has_a_file_of_its_name(name):
    assert instantiate(OmegaConf.load(CONF / "features" / f"{name}.yaml")).names == SETS[name]


@pytest.mark.parametrize(
    ("group", "expected"),
    [("features", FeatureSettings()), ("regime", RegimeSettings()), ("split", SplitSettings())],
)
def test_settings_are_instantiated_equal_to_their_defaults(group, expected):
    assert instantiate(OmegaConf.load(CONF / group / "default.yaml")) == expected


@pytest.mark.parametrize("name", ["synthetic", "sine", "random_walk"])
def test_synthetic_sources_give_bars(name):
    config = OmegaConf.load(CONF / "data" / f"{name}.yaml")
    config.n_bars = 300
    bars = instantiate(config)
    assert isinstance(bars, Bars)
    assert len(bars) == 300


def test_the_nested_settings_reach_the_synthetic_market():
    config = OmegaConf.load(CONF / "data" / "synthetic.yaml")
    config.n_bars, config.settings.drift = 300, 0.01
    expected = regime_switching_market(300, 7, RegimeMarketSettings(drift=0.01)).bars
    assert instantiate(config).fingerprint == expected.fingerprint


def test_a_file_source_without_a_path_says_what_to_type():
    from regimegym.features import sources

    with pytest.raises(DataError, match="data=file needs the file of the prices") as error:
        sources.file()
    assert error.value.needed == "data.path=FILE (.csv or .parquet)"


def test_a_file_source_takes_its_columns_from_the_configuration(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("date,open,high,low,last\n2024-01-01,1,1,1,1\n2024-01-02,1,1,1,1\n")
    config = OmegaConf.merge(
        OmegaConf.load(CONF / "data" / "file.yaml"), {"path": str(path), "columns": {"close": "last"}}
    )
    assert len(instantiate(config)) == 2


@pytest.mark.parametrize(("name", "least"), [("minimal", 5), ("lstm", 38), ("xgboost", 178)])
def test_a_named_set_is_an_option_of_the_group(name, least):
    settings = instantiate(OmegaConf.load(CONF / "features" / f"{name}.yaml"))
    assert settings == FeatureSettings(SETS[name], missing="omit")
    assert len(settings.names) >= least


def test_the_sets_of_code_and_configuration_are_the_same():
    assert {path.stem for path in (CONF / "features").glob("*.yaml")} == set(SETS)
    assert feature_set("default", missing="raise") == FeatureSettings()


def test_a_set_takes_features_more_and_fewer():
    settings = feature_set("minimal", add=["adx"], drop=["rsi"])
    assert settings.names[-1] == "adx"
    assert "rsi" not in settings.names
    assert len(settings.names) == len(SETS["minimal"])


@pytest.mark.parametrize(
    ("arguments", "sentence", "nearest"),
    [
        (("xgbost",), "there is no set of features 'xgbost'", "xgboost"),
        (("minimal", (), ("rsj",)), "'features.drop' names 'rsj', which is not among the features", "rsi"),
        (("minimal", ("rsi",)), "'features.names' holds 'rsi' twice", None),
    ],
)
def test_a_set_that_cannot_be_made_is_refused(arguments, sentence, nearest):
    with pytest.raises(ConfigError, match=sentence) as error:
        feature_set(*arguments)
    assert error.value.nearest == nearest
