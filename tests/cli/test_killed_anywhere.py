"""The default agent with priorities, killed by kill -9 in the middle of things, ends as if nothing had been."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import TINY_DQN, read

from regimegym.cli.main import main

# Dies in the n-th call of one of the functions that store, learn, or write a checkpoint.
DYING = """
import os, signal, sys
from regimegym.cli.main import main
from regimegym.replay.regime import RegimeReplayBuffer
left = int(sys.argv[1])

def counted(owner, name):
    function = getattr(owner, name)
    def dying(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    setattr(owner, name, dying)

for owner, name in ([RegimeReplayBuffer, "add"], [RegimeReplayBuffer, "update_priorities"])[: int(sys.argv[2])]:
    counted(owner, name)
if not int(sys.argv[2]):
    counted(os, "fsync")
sys.exit(main(sys.argv[3:]))
"""


def killed(n_calls: int, n_functions: int, words: list[str]) -> None:
    """Run the command until SIGKILL ends it: at add or update number `n_calls`, or fsync where `n_functions` is 0."""
    ended = subprocess.run(
        [sys.executable, "-c", DYING, str(n_calls), str(n_functions), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


@pytest.mark.parametrize("replay", ["prioritized", "regime"])
def test_killed_in_a_step_and_in_a_checkpoint_it_ends_bit_for_bit_the_same(replay, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    words = ["train", *TINY_DQN, f"replay={replay}", "agent.updates_per_bar=0.25", "trainer.checkpoint_steps=100"]
    assert main([*words, "run_dir=whole"]) == 0
    killed(int(rng.integers(45, 110)), 2, [*words, "run_dir=cut"])
    assert Path("cut/checkpoints").exists()
    if replay == "regime":
        killed(int(rng.integers(2, 5)), 0, ["train", "resume=cut"])
    assert read(Path("cut/manifest.json"))["status"] == "running"
    assert main(["train", "resume=cut"]) == 0
    assert read(Path("cut/metrics.json")) == read(Path("whole/metrics.json"))
    weights = [Path(folder, "model", "weights.safetensors").read_bytes() for folder in ("cut", "whole")]
    assert weights[0] == weights[1]
