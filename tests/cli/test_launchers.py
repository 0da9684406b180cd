"""Many runs from one command line: the same results wherever they run, and a failure ends no other."""

import os
import re
import shlex
import signal
import sys
from pathlib import Path

import pytest
from tiny_runs import TINY_DQN, read

from regimegym.cli.main import main
from regimegym.training.display import TrainingDisplay
from regimegym.training.ledger import Ledger

JOBS = ["train", "-m", *TINY_DQN, "random_seed=1,2", "agent.gamma=0.9,7"]


@pytest.fixture(scope="module")
def basic(tmp_path_factory):
    """Folder of the jobs, run one after the other."""
    folder = tmp_path_factory.mktemp("basic")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*JOBS, "run_dir=jobs"]) == 2
    return folder / "jobs"


@pytest.mark.parametrize("launcher", ["joblib", "ray"])
def test_every_launcher_gives_the_results_of_basic_and_lists_what_failed(launcher, basic, tmp_path, monkeypatch, capfd):
    if launcher == "ray":
        pytest.importorskip("ray")
    monkeypatch.chdir(tmp_path)
    wide = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    assert main([*JOBS, "run_dir=jobs", f"hydra/launcher={launcher}", *wide]) == 2
    said = capfd.readouterr()
    for job in ("0", "2"):
        assert read(tmp_path / "jobs" / job / "metrics.json") == read(basic / job / "metrics.json")
        assert set(read(tmp_path / "jobs" / job / "metrics.json")) == {"validation"}
    assert not (tmp_path / "jobs" / "1").exists()
    assert re.search(r"2 of 4 jobs failed", said.err)
    assert re.search(r"job 1 \(random_seed=1 agent.gamma=7\): config/out-of-range", said.err)
    assert re.search(r"job 3 \(random_seed=2 agent.gamma=7\): config/out-of-range", said.err)
    assert re.search(r"job 0 \(random_seed=1 agent.gamma=0.9\): [+-]\d", said.out)
    fingerprint = read(tmp_path / "jobs" / "0" / "manifest.json")["data_fingerprint"]
    ledger = Ledger(tmp_path / "runs" / "ledger.jsonl")
    assert ledger.count_trials(fingerprint) == 2
    assert ledger.count_looks(fingerprint, (0, 2**62)) == 0


DEADLY = """
import os, pathlib, signal

class Deadly:
    def __init__(self, number):
        mark = pathlib.Path("died")
        if number == 1 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def reward(self, step):
        return step.log_return
"""


def test_a_killed_process_fails_its_own_job_and_the_same_command_runs_what_is_missing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("deadly_rule.py").write_text(DEADLY)
    rule = ["reward=custom", "reward.rule._target_=deadly_rule.Deadly", "+reward.rule.number=0,1,2"]
    words = ["train", "-m", *TINY_DQN, *rule, "run_dir=jobs"]
    assert main([*words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]) == 2
    said = capfd.readouterr()
    assert "1 of 3 jobs failed" in said.err
    assert "job 1 (+reward.rule.number=1): run/worker-died the job's process was killed" in said.err
    assert [line.partition(":")[0] for line in said.out.splitlines()] == [
        f"job {k} (+reward.rule.number={k})" for k in (0, 2)
    ]
    assert not Path("jobs/1").exists()
    before = {job: Path("jobs", job, "manifest.json").stat().st_mtime_ns for job in ("0", "2")}
    assert main(words) == 0
    assert len(re.findall(r"^job \d .*: [+-]\d", capfd.readouterr().out, re.MULTILINE)) == 3
    assert read(Path("jobs/1/metrics.json")).keys() == {"validation"}
    assert {job: Path("jobs", job, "manifest.json").stat().st_mtime_ns for job in before} == before
    sys.modules.pop("deadly_rule")


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_stopped_jobs_are_kept_and_the_command_that_is_printed_ends_as_if_nothing_had_been(
    kind, basic, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patched:

        def stop_here(display, line):
            if line.step == 200:
                os.kill(os.getpid(), kind)

        patched.setattr(TrainingDisplay, "validation", stop_here)
        assert main(["train", "-m", *TINY_DQN, "random_seed=1,2", "agent.gamma=0.9"]) == 0
    command = re.search(r"^next +regime-gym (train -m .*)$", capfd.readouterr().err, re.MULTILINE)
    assert command is not None
    folder = tmp_path / re.search(r"run_dir=(\S+)", command[1])[1]
    assert read(folder / "0" / "manifest.json")["status"] == "interrupted"
    assert not (folder / "1").exists()
    assert main(shlex.split(command[1])) == 0
    for job, same in (("0", "0"), ("1", "2")):
        assert read(folder / job / "metrics.json") == read(basic / same / "metrics.json")


def test_a_job_of_other_settings_is_not_taken_for_one_that_goes_on(basic, monkeypatch, capsys):
    monkeypatch.chdir(basic.parent)
    before = (basic / "0" / "metrics.json").read_bytes()
    assert main(["train", "-m", *TINY_DQN, "random_seed=3", "agent.gamma=0.9", "run_dir=jobs"]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert (basic / "0" / "metrics.json").read_bytes() == before


def test_a_bug_in_one_job_ends_no_other_and_is_no_mistake_of_the_user(tmp_path, monkeypatch, capfd):
    def broken(config, overrides, job):
        if config.random_seed == 2:
            raise ZeroDivisionError("a bug of ours")
        return 0.5

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("regimegym.training.job.train_job", broken)
    assert main(["train", "-m", "random_seed=1,2,3"]) == 1
    said = capfd.readouterr()
    assert "Traceback" in said.err
    assert "1 of 3 jobs failed" in said.err
    assert "job 1 (random_seed=2): ZeroDivisionError: a bug of ours" in said.err
    assert "job 2 (random_seed=3): +0.5000" in said.out


def test_a_job_that_hydra_cannot_build_is_listed_too(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    words = ["random_seed=1,2", "+agent.nothing=1"]
    assert main(["train", "-m", *TINY_DQN, *words]) == 2
    assert "'agent.nothing' is not a setting" in capfd.readouterr().err


def test_a_resumed_job_of_a_sweep_still_never_opens_test(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("regimegym.training.trainer.finish", lambda *parts: 0.0)
        assert main(["train", "-m", *TINY_DQN, "random_seed=1", "run_dir=jobs"]) == 0
    assert main(["train", "resume=jobs/0"]) == 0
    assert set(read(tmp_path / "jobs" / "0" / "metrics.json")) == {"validation"}
