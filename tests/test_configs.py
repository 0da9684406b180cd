"""House rules of conf/: every file composes, builds, and says what the code says."""

from dataclasses import asdict
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

import regimegym.conf
from regimegym.envs.settings import EnvSettings
from regimegym.evaluate.settings import EvaluationSettings
from regimegym.replay.settings import KINDS, ReplaySettings
from regimegym.supervised.cross_validation import ForwardFolds
from regimegym.supervised.targets import Direction
from regimegym.training.experiment import build_experiment
from regimegym.training.settings import TrainerSettings
from regimegym.training.wiring import build, leaves

CONF = Path(regimegym.conf.__file__).parent
# Chosen through predictors/ or by sweep: tests/supervised/test_predictor_conf.py, tests/training/test_sweep_space.py
OTHERS = {"predictor", "search"}
GROUPS = sorted(p.name for p in CONF.iterdir() if p.is_dir() and list(p.glob("*.yaml")) and p.name not in OTHERS)
OPTIONS = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
# These need something of the user's: a file, a class, dates. Tests of their own give it.
USERS = {("data", "file"), ("reward", "custom"), ("split", "dates")}
# Groups that `regime-gym train` does not know, by the command that does.
ELSEWHERE = {"suite": "evaluate"}
READY = [pair for pair in OPTIONS if pair not in USERS and pair[0] not in ELSEWHERE]


def composed(*overrides: str, command: str = "train"):
    """The config of a command with `overrides`."""
    with initialize_config_module("regimegym.conf", version_base="1.3"):
        return compose(command, overrides=list(overrides))


def test_there_are_options_to_check():
    assert len(OPTIONS) >= 20
    assert {"data", "agent", "network", "env", "costs", "reward", "trainer", "evaluation"} <= set(GROUPS)


@pytest.mark.parametrize(("group", "option"), READY, ids=lambda name: name)
def test_every_option_composes_and_builds(group, option):
    config = composed(f"{group}={option}" if group != "experiment" else f"experiment={option}")
    parts = ("data", "regime", "features", "split", "env", "network", "agent", "curriculum", "trainer", "evaluation")
    for part in parts:
        assert build(config[part]) is not None


@pytest.mark.parametrize(("group", "option"), [pair for pair in OPTIONS if pair[0] in ELSEWHERE], ids=lambda name: name)
def test_an_option_of_another_command_composes_and_builds_there(group, option):
    assert build(composed(f"{group}={option}", command=ELSEWHERE[group])[group]).name == option


def test_the_table_of_contents_names_every_group():
    named = {
        next(iter(line))
        for line in OmegaConf.to_container(OmegaConf.load(CONF / "train.yaml").defaults)
        if isinstance(line, dict)
    }
    assert set(GROUPS) <= named | set(ELSEWHERE)


@pytest.mark.parametrize("settings", [EnvSettings, TrainerSettings, EvaluationSettings])
def test_yaml_says_what_the_code_defaults_to(settings):
    part = {EnvSettings: "env", TrainerSettings: "trainer", EvaluationSettings: "evaluation"}[settings]
    assert asdict(build(composed()[part])) == asdict(settings())


def test_the_default_costs_a_known_share_of_every_trade():
    account = build_experiment(composed("data.n_bars=3000", "env.episode.length=64")).settings.account
    assert account.fee_rate + account.half_spread + account.slippage == pytest.approx(0.0015)


def test_no_default_is_a_place_of_one_machine():
    values = [value for _, value in leaves(OmegaConf.to_container(composed(), resolve=True)) if isinstance(value, str)]
    assert values
    assert not [value for value in values if value.startswith("/")]


def test_the_readme_configuration_of_a_users_file_composes(tmp_path):
    config = composed("data=file", "data.path=prices.csv", "agent=ppo", "trainer.total_steps=200_000")
    assert config.data.path == "prices.csv"
    assert config.trainer.total_steps == 200_000


@pytest.mark.parametrize("kind", KINDS)
def test_every_replay_says_the_defaults_of_the_code(kind):
    settings = build(composed(f"replay={kind}").replay)
    assert settings == ReplaySettings(kind=kind)
    assert sorted(path.stem for path in (CONF / "replay").glob("*.yaml")) == sorted(KINDS)


def test_every_predictor_can_be_chosen_for_a_training():
    """`train predictors=[NAME]` takes conf/predictors/NAME.yaml: three lines like those of its neighbours."""
    names = {path.stem for path in (CONF / "predictor").glob("*.yaml")}
    assert {path.stem for path in (CONF / "predictors").glob("*.yaml")} == names
    chosen = composed(f"predictors=[{','.join(sorted(names))}]").predictors
    for name in names:
        assert chosen[name] == OmegaConf.load(CONF / "predictor" / f"{name}.yaml")
    assert "predictors" not in composed()


def test_folds_and_target_say_the_defaults_of_the_code():
    assert build(composed().folds) == ForwardFolds()
    assert build(composed().target) == Direction()


def test_an_experiment_stands_above_the_values_of_train_yaml(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nrandom_seed: 7\nname: mine\n")
    config = composed(f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine")
    assert (config.random_seed, config.name) == (7, "mine")
    assert composed("experiment=sine").name == "sine"
