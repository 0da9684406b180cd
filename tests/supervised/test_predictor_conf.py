"""conf/predictor/ and conf/target/: a file for each, which says the defaults of the code."""

import pytest
from omegaconf import OmegaConf
from small_predictors import FOLDER

from regimegym.supervised.registry import PREDICTORS, list_predictors, predictor_of
from regimegym.supervised.targets import Target
from regimegym.training.wiring import build

TARGETS = FOLDER.parent / "target"
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


@pytest.mark.parametrize("path", sorted(TARGETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_target_says_what_the_code_defaults_to(path):
    node = OmegaConf.load(path)
    target = build(node)
    assert target == type(target)()
    assert set(target.__dataclass_fields__) - set(node) <= {"classes", "regimes"}


def test_every_target_has_a_file():
    named = {OmegaConf.load(path)["_target_"].rpartition(".")[2] for path in TARGETS.glob("*.yaml")}
    assert named == {kind.__name__ for kind in Target.__subclasses__()}
