"""Searches with Ray Tune on a local cluster: a worker is killed, settings change while agents learn."""

import json
import os
import re
import shlex
import signal
import threading
import time
from pathlib import Path

import pytest

ray = pytest.importorskip("ray", reason="needs the extra ray")
psutil = pytest.importorskip("psutil")

from regimegym.cli.main import main  # noqa: E402
from regimegym.common.errors import ConfigError  # noqa: E402
from regimegym.training.compose import compose_config  # noqa: E402
from regimegym.training.ledger import Ledger  # noqa: E402
from regimegym.training.preparation import Job  # noqa: E402
from regimegym.training.sweeps.cluster import cluster  # noqa: E402
from regimegym.training.sweeps.settings import SearchSettings  # noqa: E402
from regimegym.training.sweeps.tune import run_on_cluster  # noqa: E402
from regimegym.training.sweeps.tune_settings import ClusterSettings  # noqa: E402
from regimegym.training.trainer import train  # noqa: E402

WORDS = [
    "data.n_bars=1600",
    "env.episode.length=64",
    "trainer.total_steps=6000",
    "trainer.n_accounts=4",
    "trainer.validate_every=1000",
    "network=mlp",
    "trainer.gate=null",
    "evaluation.random_accounts=3",
    "evaluation.intervals.n_resamples=200",
    "agent.learning_starts=64",
]
SPACE = {"gamma": {"sets": "agent.gamma", "values": [0.9, 0.95]}}


@pytest.fixture(scope="module", autouse=True)
def _local_cluster():
    with cluster(None):
        yield


def on_cluster(folder: Path, scheduler: str, n_trials: int, space=SPACE, **settings):
    search = SearchSettings(space, sampler="random", warm_up_looks=1)
    return run_on_cluster(folder, search, ClusterSettings(scheduler, **settings), n_trials, WORDS, 1, lambda line: None)


def looks_of(folder: Path, number: int) -> list[int]:
    """Looks at validation that a trial told of, in order, over all its attempts."""
    text = (folder / "logs" / f"{number}.txt").read_text()
    return [int(look) for look in re.findall(r"^look (\d+) at step", text, re.MULTILINE)]


def kill_a_trial_after_its_second_look(folder: Path, killed: list[int]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if list(folder.glob("tune/*/checkpoint_000001/place.json")):
            workers = [
                p for p in psutil.Process().children(recursive=True) if "ImplicitFunc" in p.name() + str(p.cmdline())
            ]
            for worker in workers:
                killed.append(worker.pid)
                worker.kill()
            return
        time.sleep(0.02)


def test_a_killed_worker_costs_one_interval_and_no_result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_trial_after_its_second_look, args=(tmp_path / "s", killed))
    killer.start()
    found = on_cluster(tmp_path / "s", "asha", 1)
    killer.join()
    assert killed
    (row,) = found.rows
    assert row.state == "complete"
    words = [*WORDS, "random_seed=1", f"agent.gamma={row.parameters['gamma']}"]
    whole = train(compose_config("train", words), words, Job(0, tmp_path / "whole"))
    assert row.values == {"log_return": whole}
    looks = looks_of(tmp_path / "s", row.number)
    assert set(looks) == {1, 2, 3, 4, 5}  # the sixth is at the end
    assert len(looks) <= 6
    fingerprint = row.metrics["fingerprint"]
    assert Ledger(tmp_path / "runs" / "ledger.jsonl").count_looks(fingerprint, (0, 2**62)) == 0


def test_a_population_takes_over_weights_and_changes_its_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = {"learning_rate": {"sets": "agent.learning_rate", "low": 1e-5, "high": 1e-2, "log": True}}
    found = on_cluster(tmp_path / "s", "pbt", 2, space, perturbation_looks=3, cpus_per_trial=0.5)
    assert [row.state for row in found.rows] == ["complete", "complete"]
    assert found.best == [found.rows[0].number]
    history = [
        json.loads(line)
        for file in (tmp_path / "s").glob("tune/pbt_global.txt")
        for line in file.read_text().splitlines()
    ]
    assert history, "no trial took over the weights of another"


def stop_after_the_second_look(folder: Path) -> None:
    deadline = time.monotonic() + 120
    log = folder / "logs" / "0.txt"
    while time.monotonic() < deadline:
        if log.exists() and "look 2 at step" in log.read_text():
            os.kill(os.getpid(), signal.SIGINT)
            return
        time.sleep(0.02)


def test_a_stopped_sweep_goes_on_with_the_same_trials_and_a_bad_one_is_cut_short(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # Drawn with this random seed: the first trial learns from the start, the second one not before it is judged.
    space = ["search.fixed=[learning_rate,gamma]", "search.overrides=[]"]
    space += ["+search.parameters.starts={sets: agent.learning_starts, values: [64, 5000]}"]
    own = [word for word in WORDS if not word.startswith(("agent.learning_starts", "trainer.gate"))]
    words = ["search=smoke", *space, "search.warm_up_looks=1", *own, "random_seed=1", "n_trials=2", "sweep_dir=s"]
    words += ["cluster.scheduler=asha", "cluster.cpus_per_trial=2"]  # one after the other
    stopper = threading.Thread(target=stop_after_the_second_look, args=(tmp_path / "s",))
    stopper.start()
    assert main(["sweep", *words]) == 0
    stopper.join()
    (command,) = re.findall(r"^next +regime-gym (.*)$", capsys.readouterr().err, re.MULTILINE)
    assert not (tmp_path / "s" / "sweep.json").exists()
    begun = {path.name for path in (tmp_path / "s").glob("tune/train_*")}
    assert main(shlex.split(command)) == 0
    rows = {row["number"]: row for row in json.loads((tmp_path / "s" / "sweep.json").read_text())["trials"]}
    assert [(k, row["state"], row["parameters"]) for k, row in sorted(rows.items())] == [
        (0, "complete", {"starts": 64}),
        (1, "pruned", {"starts": 5000}),
    ]
    trials = {path.name for path in (tmp_path / "s").glob("tune/train_*")}
    assert len(trials) == 2
    assert begun
    assert begun <= trials  # the same trials, no new ones
    # The first went on from its checkpoint, the second ended at its first look of six.
    assert looks_of(tmp_path / "s", 0)[-1] == 5
    assert len(looks_of(tmp_path / "s", 0)) <= 6
    assert looks_of(tmp_path / "s", 1) == [1]
    assert rows[1]["last"] < rows[0]["values"]["log_return"]
    fingerprint = rows[0]["metrics"]["fingerprint"]
    assert Ledger(tmp_path / "runs" / "ledger.jsonl").count_trials(fingerprint) == 2
    assert main(["sweep", *words, "n_trials=3"]) == 2
    assert "other n_trials" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"objectives": {"sharpe_ratio": "maximize"}}, "by validation log return alone"),
        ({"seeds_per_trial": 2}, "is one training"),
    ],
)
def test_a_search_that_the_scheduler_cannot_work_on_is_refused(words, said, tmp_path):
    search = SearchSettings(SPACE, sampler="random", **words)
    with pytest.raises(ConfigError, match=said):
        run_on_cluster(tmp_path / "s", search, ClusterSettings("asha"), 1, WORDS, 1, lambda line: None)
    assert not (tmp_path / "s").exists()
