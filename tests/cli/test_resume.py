"""A training that was stopped or killed goes on and ends with the numbers of one that never was."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import TINY, read

from regimegym.cli.main import main
from regimegym.training.callback import TrainingCallback
from regimegym.training.checkpoints import Checkpoints
from regimegym.training.run_folder import RunFolder

AGENTS = {
    "enhanced_dqn": ["agent.learning_starts=64"],
    "ensemble": [
        "agent=ensemble",
        "agent.learning=all_actions",
        "agent.target_copy=interval",
        "agent.target_interval=7",
        "agent.learning_starts=64",
        "agent.updates_per_bar=0.5",
        "replay=regime",
    ],
    "all_actions_prioritized": [
        "agent.learning=all_actions",
        "agent.learning_starts=64",
        "agent.updates_per_bar=0.5",
        "replay=prioritized",
    ],
    "all_actions_regime": [
        "agent.learning=all_actions",
        "agent.learning_starts=64",
        "agent.updates_per_bar=0.5",
        "replay=regime",
    ],
    "dqn": ["agent=dqn", "agent.learning_starts=64"],
    "sac": [
        "agent=sac",
        "env.action.mode=continuous",
        "replay=regime",
        "agent.learning_starts=64",
        "agent.train_freq=4",
    ],
    "recurrent_ppo": [
        "agent=recurrent_ppo",
        "agent.n_steps=16",
        "agent.batch_size=32",
        "agent.lstm_hidden_size=8",
        "agent.n_epochs=2",
    ],
    "ppo": ["agent=ppo", "agent.n_steps=16", "agent.batch_size=32"],
}


class Killed(BaseException):
    """What a test throws where a process would be killed."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def train(agent: str, folder: str) -> int:
    return main(["train", *TINY, *AGENTS[agent], "trainer.checkpoint_steps=100", f"run_dir={folder}"])


def kill_at(monkeypatch, step: int) -> None:
    """Let the training die inside a rollout once `step` steps are done."""
    on_step = TrainingCallback._on_step

    def dying(self):
        if self.num_timesteps >= step:
            raise Killed
        return on_step(self)

    monkeypatch.setattr(TrainingCallback, "_on_step", dying)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A PPO run that was never stopped; its folder."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "whole"
    assert main(["train", *TINY, *AGENTS["ppo"], "trainer.checkpoint_steps=100", f"run_dir={folder}"]) == 0
    return folder


@pytest.mark.parametrize("agent", AGENTS)
def test_killed_and_resumed_it_ends_with_the_same_numbers(agent, monkeypatch, whole):
    if agent != "ppo":
        whole = run_path("whole")
        assert train(agent, "whole") == 0
    with monkeypatch.context() as patched:
        kill_at(patched, 330)
        with pytest.raises(Killed):
            train(agent, "cut")
    assert 0 < max(Checkpoints(run_path("cut") / "checkpoints", 2).steps()) <= 330
    assert main(["train", "resume=cut"]) == 0
    assert read(run_path("cut") / "metrics.json") == read(whole / "metrics.json")
    assert weights(run_path("cut")) == weights(whole)
    assert read(run_path("cut") / "manifest.json")["status"] == "finished"


def run_path(name: str) -> Path:
    return Path.cwd() / name


def weights(run: Path) -> bytes:
    return (run / "model" / "weights.safetensors").read_bytes()


def test_killed_before_the_first_checkpoint_it_begins_anew(monkeypatch, whole):
    with monkeypatch.context() as patched:
        kill_at(patched, 64)
        with pytest.raises(Killed):
            train("ppo", "cut")
    assert not (run_path("cut") / "checkpoints").exists()
    assert main(["train", "resume=cut"]) == 0
    assert read(run_path("cut") / "metrics.json") == read(whole / "metrics.json")


def test_only_the_newest_checkpoints_stay(whole):
    steps = Checkpoints(whole / "checkpoints", 2).steps()
    assert len(steps) == 2
    assert steps[-1] >= 300


def test_a_damaged_checkpoint_is_passed_over(monkeypatch, caplog, whole):
    with monkeypatch.context() as patched:
        kill_at(patched, 380)
        with pytest.raises(Killed):
            train("ppo", "cut")
    newest = Checkpoints(run_path("cut") / "checkpoints", 2).steps()[-1]
    arrays = run_path("cut") / "checkpoints" / f"step_{newest}" / "state.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-100])
    assert main(["train", "resume=cut"]) == 0
    assert "the one before it is taken" in caplog.text
    assert read(run_path("cut") / "metrics.json") == read(whole / "metrics.json")


def test_sigterm_leaves_a_run_that_goes_on(whole):
    """SIGKILL: test_killed_anywhere.py."""
    words = ["train", *TINY, *AGENTS["ppo"], "trainer.checkpoint_steps=32", "run_dir=cut"]
    code = (
        "import os, signal, sys\n"
        "from regimegym.training.callback import TrainingCallback\n"
        "from regimegym.cli.main import main\n"
        "on_step = TrainingCallback._on_step\n"
        "def once(self):\n"
        f"    if self.num_timesteps == 200: os.kill(os.getpid(), {int(signal.SIGTERM)})\n"
        "    return on_step(self)\n"
        "TrainingCallback._on_step = once\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.returncode == 0, ended.stderr
    assert "next     regime-gym train resume=cut" in ended.stderr
    assert read(run_path("cut") / "manifest.json")["status"] == "interrupted"
    assert main(["train", "resume=cut"]) == 0
    assert read(run_path("cut") / "metrics.json") == read(whole / "metrics.json")


def test_a_finished_run_has_nothing_to_go_on_with(capsys, whole):
    assert main(["train", f"resume={whole}"]) == 2
    assert "is finished" in capsys.readouterr().err


def test_resume_stands_alone(capsys):
    assert main(["train", "resume=somewhere", "random_seed=3"]) == 2
    assert "'resume' stands alone" in capsys.readouterr().err
    assert main(["train", "resume=somewhere"]) == 2
    assert "no run folder" in capsys.readouterr().err


def test_two_processes_never_train_in_one_folder(monkeypatch, capsys):
    with monkeypatch.context() as patched:
        kill_at(patched, 200)
        with pytest.raises(Killed):
            train("ppo", "cut")
    with RunFolder(run_path("cut")).held():
        assert main(["train", "resume=cut"]) == 2
    assert "another process is training in" in capsys.readouterr().err
