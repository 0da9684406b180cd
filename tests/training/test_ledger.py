"""The ledger counts trials and looks, also when several processes write and one is killed."""

import json
import logging
import subprocess
import sys

from regimegym.training.ledger import Ledger

WRITER = """
import sys
from regimegym.training.ledger import Ledger
ledger = Ledger(sys.argv[1])
for i in range(50):
    ledger.record_trial("data", (0, 10), f"run {i} " + "x" * 500, 0.5)
"""


def test_an_absent_ledger_counts_nothing(tmp_path):
    ledger = Ledger(tmp_path / "runs" / "ledger.jsonl")
    assert (ledger.count_trials("data"), ledger.count_looks("data", (0, 10))) == (0, 0)
    assert not ledger.path.exists()


def test_trials_and_looks_are_counted_apart_and_per_data(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.record_trial("data", (0, 10), "a", 0.1)
    ledger.record_trial("data", (0, 10), "b", float("nan"))
    ledger.record_trial("other", (0, 10), "c", 0.1)
    ledger.record_look("data", (10, 20), "a")
    assert (ledger.count_trials("data"), ledger.count_trials("other")) == (2, 1)
    assert ledger.count_looks("data", (10, 20)) == 1
    assert json.loads(ledger.path.read_text().splitlines()[1])["score"] is None


def test_a_look_counts_wherever_the_intervals_overlap(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.record_look("data", (10, 20), "a")
    counts = [ledger.count_looks("data", interval) for interval in [(0, 10), (0, 11), (19, 30), (20, 30), (12, 13)]]
    assert counts == [0, 1, 1, 0, 1]


def test_a_damaged_line_is_skipped_and_said_once_and_swallows_no_other(tmp_path, caplog):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.record_trial("data", (0, 10), "a", 0.1)
    with ledger.path.open("a") as file:
        file.write('{"kind": "trial", "fingerp')
    with caplog.at_level(logging.WARNING):
        assert ledger.count_trials("data") == 1
        ledger.record_trial("data", (0, 10), "b", 0.1)
        assert ledger.count_trials("data") == 2
    assert [r.getMessage() for r in caplog.records] == [
        f"{ledger.path}, line 2 is damaged (a process was killed while writing) and is not counted"
    ]


def test_lines_of_several_processes_do_not_mix(tmp_path):
    path = tmp_path / "ledger.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert Ledger(path).count_trials("data") == 150
    lines = [line for line in path.read_text().splitlines() if line]
    assert [json.loads(line)["kind"] for line in lines] == ["trial"] * 150
