"""conf/predictor/: a file for every registered predictor, which says the defaults of the code."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

import regimegym.conf
from regimegym.supervised.registry import PREDICTORS, list_predictors, predictor_of
from regimegym.training.wiring import build

FOLDER = Path(regimegym.conf.__file__).parent / "predictor"
FILES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", list_predictors())
def test_yaml_says_what_the_code_defaults_to(name):
    node = OmegaConf.load(FOLDER / f"{name}.yaml")
    settings = build(node)
    assert settings == PREDICTORS.get(name).settings_type()
    assert set(node) - {"_target_"} == set(settings.__dataclass_fields__)


@pytest.mark.parametrize("name", FILES)
def test_every_file_makes_a_predictor(name):
    predictor = predictor_of(build(OmegaConf.load(FOLDER / f"{name}.yaml")))
    assert name.startswith(predictor.name)
