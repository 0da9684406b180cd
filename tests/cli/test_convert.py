"""An old configuration becomes one of today; what nobody knows fails loudly."""

import pytest
import yaml

from regimegym.cli.main import main
from regimegym.training.compose import compose_config, flat_values
from regimegym.training.migration import GONE, RENAMED

OLD = """
reward:
  UPTREND_REWARD_SCALE: 2.0
  OVERTRADING_PENALTY: 0.002
training:
  lr: 0.0005
  update_frequency: 4
agent.gamma: 0.95
seed: 7
"""


def test_every_new_name_is_a_setting():
    known = flat_values(compose_config("train", []))
    assert {renamed.key for renamed in RENAMED.values()} <= set(known)
    assert set(GONE.values()) <= set(known)


def test_old_names_become_an_experiment_that_composes(tmp_path, capsys):
    (tmp_path / "old.yaml").write_text(OLD)
    assert main(["convert", str(tmp_path / "old.yaml")]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# @package _global_\n# regime-gym train --config-dir mine experiment=old\n")
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "old.yaml").write_text(text)
    config = compose_config("train", [f"hydra.searchpath=[file://{tmp_path}/mine]", "experiment=old"])
    assert config.reward.uptrend_reward_scale == 2.0
    assert config.reward.overtrading_penalty == 0.002
    assert config.agent.learning_rate == 0.0005
    assert config.agent.updates_per_bar == 0.25
    assert config.agent.gamma == 0.95
    assert config.random_seed == 7


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"agent": {"learning_rats": 1}}, "'agent.learning_rats' is no setting, neither today nor under an old name"),
        ({"UPTREND_THRESHOLD": 0.5}, "regime.z_threshold, without a unit"),
        ({"lr": 1e-3, "learning_rate": 1e-4}, "'agent.learning_rate', which another line sets already"),
        (["lr"], "holds no settings"),
    ],
)
def test_what_cannot_be_converted_is_an_error(settings, said, tmp_path, capsys):
    (tmp_path / "old.yaml").write_text(yaml.safe_dump(settings))
    assert main(["convert", str(tmp_path / "old.yaml")]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
