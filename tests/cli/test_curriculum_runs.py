"""`regime-gym train curriculum=…`: every kind of agent, killed and resumed, in sweeps, with stages of one's own."""

import pytest
from hydra import compose, initialize_config_module
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tiny_runs import TINY, read

from regimegym.cli.main import main
from regimegym.curriculum.settings import CurriculumSettings, GateSettings
from regimegym.training.callback import TrainingCallback
from regimegym.training.wiring import build

STAGED = [
    *TINY,
    "trainer.total_steps=960",
    "trainer.checkpoint_steps=100",
    "env.episode.length=32",
    "curriculum=staged",
    "curriculum.n_tapes=2",
    "features=minimal",
]
AGENTS = {
    "enhanced_dqn": ["agent.learning_starts=64"],
    "afterstate": [
        "agent.learning=afterstate",
        "agent.learning_starts=64",
        "agent.target_copy=interval",
        "env.action.mode=target",
        "env.account.rebalance=always",
        "env.account.margin_check=none",
        "reward=log_return",
    ],
    "ppo": [
        "agent=ppo",
        "agent.n_steps=16",
        "agent.batch_size=32",
        "agent.n_epochs=1",
        "curriculum=gated",
        "curriculum.gate.threshold=-0.05",
        "curriculum.gate.step_back=-0.2",
    ],
}


class Killed(BaseException):
    """What a test throws where a process would be killed."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def composed(*overrides):
    with initialize_config_module("regimegym.conf", version_base="1.3"):
        return compose("train", overrides=list(overrides))


def test_yaml_says_the_stages_of_the_code():
    assert build(composed("curriculum=staged").curriculum) == CurriculumSettings()
    assert build(composed("curriculum=gated").curriculum) == CurriculumSettings(gate=GateSettings())
    assert build(composed().curriculum) == CurriculumSettings(stages={})


@pytest.mark.parametrize("agent", AGENTS)
def test_killed_and_resumed_a_staged_run_ends_with_the_same_numbers(agent, monkeypatch, tmp_path):
    words = ["train", *STAGED, *AGENTS[agent]]
    assert main([*words, "run_dir=whole"]) == 0
    on_step = TrainingCallback._on_step

    def dying(self):
        if self.num_timesteps >= 530:
            raise Killed
        return on_step(self)

    with monkeypatch.context() as patched:
        patched.setattr(TrainingCallback, "_on_step", dying)
        with pytest.raises(Killed):
            main([*words, "run_dir=cut"])
    assert main(["train", "resume=cut"]) == 0
    assert read(tmp_path / "cut" / "metrics.json") == read(tmp_path / "whole" / "metrics.json")
    weights = [(tmp_path / run / "model" / "weights.safetensors").read_bytes() for run in ("cut", "whole")]
    assert weights[0] == weights[1]
    if agent != "ppo":
        stages = scalars(tmp_path / "whole", "curriculum/stage")
        assert stages == sorted(stages)
        assert (stages[0], stages[-1]) == (1.0, 3.0)  # the first episodes have begun when the first step is counted
        for tag in ("cost_rate", "noise_level", "pool_size", "episodes"):
            assert len(scalars(tmp_path / "whole", f"curriculum/{tag}")) == len(stages)


def scalars(folder, tag):
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [event.value for event in events.Scalars(tag)]


def test_a_sweep_takes_curricula_and_single_values(tmp_path):
    words = ["curriculum=none,staged", "hydra.sweep.dir=sweep", "trainer.total_steps=200", "features=minimal"]
    assert main(["train", "-m", *TINY, "env.episode.length=32", *AGENTS["ppo"][:4], *words]) == 0
    weights = [(tmp_path / "sweep" / job / "model" / "weights.safetensors").read_bytes() for job in "01"]
    assert weights[0] != weights[1]
    for job, name in (("0", "none"), ("1", "staged")):  # a job says what it was, and nothing of the test part
        events = EventAccumulator(str(tmp_path / "sweep" / job / "tensorboard"))
        events.Reload()
        plugin = events.summary_metadata["_hparams_/session_start_info"].plugin_data
        about = plugin_data_pb2.HParamsPluginData.FromString(plugin.content).session_start_info.hparams
        assert (about["curriculum"].string_value, about["agent"].string_value) == (name, "ppo")
        final = {tag for tag in events.Tags()["scalars"] if tag.startswith("final/")}
        assert final
        assert all(tag.startswith("final/validation/") for tag in final)


OWN = """# two stages of my own
_target_: regimegym.curriculum.settings.CurriculumSettings
stages:
  calm:
    _target_: regimegym.curriculum.settings.StageSettings
    share: 1
    regimes: [plateau, oscillating]
    data_complexity: moderate
  all:
    _target_: regimegym.curriculum.settings.StageSettings
    share: 3
    noise_level: 0.02
n_tapes: 1
"""


def test_stages_of_ones_own_are_a_yaml_file(tmp_path):
    (tmp_path / "mine" / "curriculum").mkdir(parents=True)
    (tmp_path / "mine" / "curriculum" / "calm_first.yaml").write_text(OWN)
    words = [*TINY, "agent=ensemble", "replay=regime", "agent.learning_starts=64", "features=minimal", "run_dir=run"]
    assert main(["train", "--config-dir", "mine", "curriculum=calm_first", *words]) == 0
    assert scalars(tmp_path / "run", "curriculum/stage") == [1.0]
    assert scalars(tmp_path / "run", "curriculum/cost_rate") == [pytest.approx(0.0015)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trainer.total_steps=100"], "3 episodes do not fill 4 stages"),
        (["env.episode.length=null"], "env.episode.length is null"),
        (["env.episode.regimes=[uptrend]"], "a curriculum chooses the episodes"),
        (["curriculum.stages.basic.cost_rate=2"], "cost_rate' must be in [0, 1), got 2"),
        (["curriculum.stages.basic.costrate=2"], "costrate"),
    ],
)
def test_a_mistake_is_one_message_before_anything_is_written(words, message, capsys, tmp_path):
    assert main(["train", *STAGED, *words, "run_dir=run"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
