"""`regime-gym train` from the command line to the files it leaves."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from tiny_runs import TINY, TINY_DQN, read, train

from regimegym.agents.checkpoint import load_policy
from regimegym.cli.main import main
from regimegym.training.ledger import Ledger
from regimegym.training.validator import Validator


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder of a finished run; the working folder is the one it was started in."""
    start = tmp_path_factory.mktemp("finished")
    before = os.getcwd()
    os.chdir(start)
    try:
        assert train("run_dir=runs/first") == 0
    finally:
        os.chdir(before)
    return start / "runs" / "first"


def test_a_run_is_a_folder_that_explains_itself(finished):
    names = {path.name for path in finished.iterdir()}
    wanted = {
        "config.yaml",
        "overrides.yaml",
        "manifest.json",
        "metrics.json",
        "equity.parquet",
        "report.html",
        "report.json",
        "model",
        "tensorboard",
    }
    assert wanted <= names
    manifest = read(finished / "manifest.json")
    assert manifest["status"] == "finished"
    assert manifest["execution"] == "next_open"
    assert manifest["random_seed"] == 1
    assert len(manifest["data_fingerprint"]) == 16


def test_metrics_are_nested_by_part_policy_and_name(finished):
    metrics = read(finished / "metrics.json")
    assert set(metrics) == {"validation", "test"}
    assert {"agent", "buy_and_hold", "flat", "random", "ma_cross", "hindsight"} < set(metrics["test"])
    assert metrics["test"]["flat"]["total_return"] == 0.0
    assert metrics["test"]["flat"]["sharpe_ratio"] is None
    assert metrics["test"]["buy_and_hold"]["trades"] == 1


def test_equity_ends_at_the_final_value_of_the_metrics(finished):
    table = pd.read_parquet(finished / "equity.parquet")
    metrics = read(finished / "metrics.json")
    for part in ("validation", "test"):
        last = table[table["part"] == part].iloc[-1]
        for policy in ("agent", "buy_and_hold", "ma_cross"):
            assert last[f"{policy}_equity"] == pytest.approx(metrics[part][policy]["final_value"], rel=1e-12)


def test_parts_do_not_touch_each_other(finished):
    table = pd.read_parquet(finished / "equity.parquet")
    validation, test = (table[table["part"] == part]["timestamp"] for part in ("validation", "test"))
    assert (test.min() - validation.max()) / pd.Timedelta("1h") > 30


def test_the_model_is_data_and_knows_its_features(finished):
    assert sorted(path.suffix for path in (finished / "model").iterdir()) == [".json", ".safetensors"]
    _, card = load_policy(finished / "model")
    assert card.n_features == len(card.feature_names)
    assert card.trained_steps in (200, 400)


def test_the_same_command_writes_the_same_metrics(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train("run_dir=again") == 0
    assert (tmp_path / "again" / "metrics.json").read_bytes() == (finished / "metrics.json").read_bytes()


def test_another_seed_writes_other_metrics(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train("run_dir=other", "random_seed=2") == 0
    assert read(tmp_path / "other" / "metrics.json") != read(finished / "metrics.json")


def test_a_single_run_looks_at_test_once(finished):
    ledger = Ledger(finished.parent / "ledger.jsonl")
    fingerprint = read(finished / "manifest.json")["data_fingerprint"]
    assert ledger.count_trials(fingerprint) == 1
    assert ledger.count_looks(fingerprint, (0, 2**62)) == 1


def test_evaluate_repeats_the_numbers_of_the_training(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished.parents[1])
    assert main(["evaluate", "run=last"]) == 0
    (target,) = (finished / "evaluations").glob("*/*")
    assert read(target / "metrics.json")["test"] == read(finished / "metrics.json")["test"]
    assert (target / "report.html").exists()
    assert str(target.relative_to(finished.parents[1])) in capsys.readouterr().out


def test_evaluate_takes_data_the_model_never_saw(finished, monkeypatch):
    monkeypatch.chdir(finished.parents[1])
    words = ["data=synthetic", "data.n_bars=900", "data.market_seed=8"]
    assert main(["evaluate", "run=runs/first", *words]) == 0
    targets = [path for path in (finished / "evaluations").glob("*/*") if "new" in path.name]
    assert len(targets) == 1
    metrics = read(targets[0] / "metrics.json")
    assert np.isfinite(metrics["new"]["agent"]["total_return"])


def test_jobs_of_a_sweep_never_open_the_test_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train("-m", "agent.learning_rate=1e-3,1e-4", "run_dir=sweep") == 0
    for job in ("0", "1"):
        assert set(read(tmp_path / "sweep" / job / "metrics.json")) == {"validation"}
    fingerprint = read(tmp_path / "sweep" / "0" / "manifest.json")["data_fingerprint"]
    ledger = Ledger(tmp_path / "runs" / "ledger.jsonl")
    assert ledger.count_trials(fingerprint) == 2
    assert ledger.count_looks(fingerprint, (0, 2**62)) == 0


def test_an_agent_of_sb3_is_tested_too(tmp_path, monkeypatch):
    """That every agent trains and is validated: test_every_config_trains.py."""
    monkeypatch.chdir(tmp_path)
    assert main(["train", *TINY, "agent=qrdqn", "run_dir=run"]) == 0
    assert set(read(tmp_path / "run" / "metrics.json")) == {"validation", "test"}


def test_ctrl_c_saves_and_says_where(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    score = Validator.__call__
    calls = []

    def stop_at_the_second(self, algorithm):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return score(self, algorithm)

    monkeypatch.setattr(Validator, "__call__", stop_at_the_second)
    assert train("run_dir=stopped", "trainer.total_steps=4000") == 0
    said = capsys.readouterr().err
    assert "stopped by Ctrl-C at step 400" in said
    assert "stopped/checkpoints/step_400" in said
    assert "next     regime-gym train resume=stopped" in said
    assert (tmp_path / "stopped" / "checkpoints" / "step_400" / "state.json").is_file()
    load_policy(tmp_path / "stopped" / "model")
    assert read(tmp_path / "stopped" / "manifest.json")["status"] == "interrupted"


def test_a_real_interrupt_ends_a_real_process(tmp_path):
    words = [sys.executable, "-m", "regimegym.cli.main", "train", *TINY_DQN]
    process = subprocess.Popen(
        [*words, "trainer.total_steps=10_000_000", "run_dir=run"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A test run that was started in the background ignores SIGINT, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "run" / "model" / "model.json").exists():
            assert time.monotonic() < deadline, "no model after two minutes"
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    assert "stopped by Ctrl-C" in said
    assert list((tmp_path / "run" / "checkpoints").glob("step_*/state.json"))


def test_a_training_ends_early_when_validation_has_no_new_best(tmp_path, monkeypatch, capsys):
    """The looks come every 100 steps; after the best one there are `patience` more."""
    monkeypatch.chdir(tmp_path)
    words = ["agent.learning_rate=1e-9", "agent.final_learning_rate=0", "trainer.total_steps=4_000"]
    assert train(*words, "trainer.patience=2", "trainer.validate_every=100", "run_dir=run") == 0
    heartbeat = read(tmp_path / "run" / "heartbeat.json")
    assert heartbeat["total_steps"] == 4_000
    assert heartbeat["step"] == 300
    assert "Training finished early, no new best in 2 looks at validation" in capsys.readouterr().out
