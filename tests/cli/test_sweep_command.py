"""`regime-gym sweep` from the command line to the settings that `train` takes."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_runs import TINY_DQN, read

from regimegym.cli.main import main
from regimegym.cli.sweep_task import left_in_force
from regimegym.common.plain import plain
from regimegym.training.ledger import Ledger
from regimegym.training.sweeps.attempt import attempt
from regimegym.training.sweeps.train_objective import TrainObjective
from regimegym.training.sweeps.trial import TrialRun
from regimegym.training.trainer import TrainingInterrupted

TINY = [word for word in TINY_DQN if not word.startswith("trainer.gate")]
SMOKE = ["search=smoke", "search.overrides=[]", "search.startup_trials=2", *TINY]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The working folder of a finished sweep in `s`."""
    start, before = tmp_path_factory.mktemp("swept"), Path.cwd()
    os.chdir(start)
    try:
        assert main(["sweep", *SMOKE, "n_trials=2", "sweep_dir=s"]) == 0
    finally:
        os.chdir(before)
    return start


def test_every_trial_is_a_run_that_never_opened_test(swept):
    for trial in ("0", "1"):
        assert set(read(swept / "s" / "trials" / trial / "metrics.json")) == {"validation"}
    found = read(swept / "s" / "sweep.json")
    fingerprint = found["best"][0]["metrics"]["fingerprint"]
    ledger = Ledger(swept / "runs" / "ledger.jsonl")
    assert ledger.count_trials(fingerprint) == found["trials_counted"] == 2
    assert ledger.count_looks(fingerprint, (0, 2**62)) == 0


def test_the_score_is_the_unshaped_validation_log_return(swept):
    for row in read(swept / "s" / "sweep.json")["trials"]:
        metrics = read(swept / "s" / "trials" / str(row["number"]) / "metrics.json")
        assert row["values"] == {"log_return": metrics["validation"]["agent"]["log_return"]}


def test_the_best_settings_are_an_experiment_and_the_gate_is_back(swept, monkeypatch):
    monkeypatch.chdir(swept)
    best = read(swept / "s" / "sweep.json")["best"][0]
    text = (swept / "s" / "experiment" / "best.yaml").read_text()
    assert text.startswith("# @package _global_\n# regime-gym train optimised=s\n")
    assert main(["train", "optimised=s", "run_dir=o"]) == 0
    config = yaml.safe_load((swept / "o" / "config.yaml").read_text())
    assert config["agent"]["learning_rate"] == best["parameters"]["learning_rate"]
    assert config["agent"]["gamma"] == best["parameters"]["gamma"]
    assert config["data"]["n_bars"] == 1600
    assert config["network"]["kind"] == "mlp"
    assert config["trainer"]["gate"] == 1.5
    assert set(read(swept / "o" / "metrics.json")) == {"validation", "test"}


def test_the_command_line_stands_above_the_best_settings(swept, monkeypatch):
    monkeypatch.chdir(swept)
    assert main(["train", "optimised=s", "agent.gamma=0.5", "run_dir=above"]) == 0
    assert yaml.safe_load((swept / "above" / "config.yaml").read_text())["agent"]["gamma"] == 0.5


def test_settings_that_were_never_searched_are_a_clear_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "optimised=nowhere"]) == 2
    said = capsys.readouterr().err
    assert "'nowhere' holds no best settings" in said
    assert "nowhere/experiment/best.yaml" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search=smok"], "there is no search 'smok'"),
        (["search=smoke", "agent.gama=1"], "'agent.gama' is not a setting"),
        (["search=smoke", "search.parameters.gamma.sets=agent.gama"], "sets 'agent.gama', which is not a setting"),
        (["search=smoke", "n_trials=0"], "'n_trials' must be"),
        (["search=smoke", "run_dir=x"], "'run_dir' belongs to one run"),
        (["-m", "search=smoke,tpe"], "a sweep chooses the values itself"),
        (["search=smoke", "every=often"], "'every' is 'often'"),
    ],
)
def test_a_mistake_is_named_before_anything_is_written(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.rglob("study*"))


def test_what_a_search_sets_of_a_group_gives_way_to_an_option_that_is_chosen():
    own = ["network=mlp", "data.n_bars=3000", "trainer.total_steps=4000"]
    assert left_in_force(own, ["data=file", "data.path=x.csv"]) == ["network=mlp", "trainer.total_steps=4000"]
    assert left_in_force(own, ["data.n_bars=9000", "random_seed=1"]) == own
    assert left_in_force(own, ["network=small"]) == own[1:]


def test_a_dry_run_says_whether_a_search_is_due_and_does_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", "search=smoke", "every=7d", "dry_run=true"]) == 0
    assert "due: no search has finished yet" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def scores(folder):
    """Number, parameters and score of all trials of a finished sweep."""
    return [(row["number"], row["parameters"], row["values"]) for row in read(folder / "sweep.json")["trials"]]


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_sweep_prints_how_it_goes_on_and_ends_with_the_trials_it_would_have_had(
    kind, swept, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    report = TrialRun.report

    def stop_here(trial, look, value):
        os.kill(os.getpid(), kind)
        report(trial, look, value)

    with monkeypatch.context() as patched:
        patched.setattr(TrialRun, "report", stop_here)
        assert main(["sweep", *SMOKE, "n_trials=2", "sweep_dir=s"]) == 0
    said = capsys.readouterr().err
    assert "stopped; all trials are kept" in said
    (command,) = re.findall(r"^next +regime-gym (.*)$", said, re.MULTILINE)
    assert read(Path("s/trials/0/manifest.json"))["status"] == "interrupted"
    assert not Path("s/sweep.json").exists()
    assert main(shlex.split(command)) == 0
    assert scores(Path("s")) == scores(swept / "s")


DYING = """
import os, signal, sys
from regimegym.cli.main import main
from regimegym.training.sweeps.trial import TrialRun
report, left = TrialRun.report, int(sys.argv[1])

def dying(trial, look, value):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    report(trial, look, value)

TrialRun.report = dying
sys.exit(main(sys.argv[2:]))
"""


def test_killed_by_kill_9_in_a_training_the_same_command_ends_with_the_trials_it_would_have_had(
    swept, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words = ["sweep", *SMOKE, "trainer.checkpoint_steps=100", "n_trials=2", "sweep_dir=s"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", DYING, "2", *words], env=environment, check=False, capture_output=True, timeout=200
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert read(Path("s/trials/1/manifest.json"))["status"] == "running"
    assert list(Path("s/trials/1/checkpoints").iterdir())
    assert main(words) == 0
    assert scores(Path("s")) == scores(swept / "s")
    ledger = Ledger(Path("runs/ledger.jsonl"))
    assert ledger.count_trials(read(Path("s/sweep.json"))["best"][0]["metrics"]["fingerprint"]) == 2


def test_return_against_latency_leaves_a_front_with_both_numbers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    search = ["search.sampler=nsga2", "search.pruner=none", "search.population=2"]
    search += ["+search.objectives.latency=minimize"]
    assert main(["sweep", *SMOKE, *search, "n_trials=3", "sweep_dir=s"]) == 0
    found = read(Path("s/sweep.json"))
    assert found["objectives"] == {"log_return": "maximize", "latency": "minimize"}
    points = {row["number"]: (row["values"]["log_return"], -row["values"]["latency"]) for row in found["trials"]}
    assert len(points) == 3
    assert all(-value > 0.0 for _, value in points.values())
    front = {k for k, p in points.items() if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in points.values())}
    assert {row["number"] for row in found["best"]} == front
    assert "on the Pareto front" in capsys.readouterr().out or len(front) == 1
    page = Path("s/sweep.html").read_text()
    assert "<h2>Pareto front</h2>" in page
    assert page.count('class="front"') == len(front)


def test_a_stopped_trial_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objective = TrainObjective((*TINY, "trainer.gate=null", "trainer.checkpoint_steps=100"), (1,))
    looks: list[int] = []

    def stop(look, value):
        looks.append(look)
        raise TrainingInterrupted("enough")

    whole = objective(TrialRun(0, {}, (), tmp_path / "whole" / "0"))
    cut = attempt(objective, TrialRun(0, {}, (), tmp_path / "cut" / "0", stop), tmp_path / "log.txt")
    assert cut.kind == "stopped"
    assert looks == [1]
    again = objective(TrialRun(0, {}, (), tmp_path / "cut" / "0"))
    assert plain({**again, "run": ""}) == plain({**whole, "run": ""})
    # And a trial that had finished, but not told, is not run again.
    assert objective(TrialRun(0, {}, (), tmp_path / "cut" / "0", stop))["log_return"] == again["log_return"]


def test_a_trial_that_is_given_up_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objective = TrainObjective((*TINY, "trainer.gate=null"), (1,))
    given_up = attempt(
        objective, TrialRun(0, {}, (), tmp_path / "t" / "0", lambda look, value: True), tmp_path / "log.txt"
    )
    assert given_up.kind == "pruned"
    manifest = read(tmp_path / "t" / "0" / "manifest.json")
    assert manifest["status"] == "pruned"
    assert Ledger(tmp_path / "runs" / "ledger.jsonl").count_trials(manifest["data_fingerprint"]) == 1
