"""The training benchmark in miniature: what it measures is what it says, and the table is at most 80 wide."""

from dataclasses import replace

import pytest
from rich.console import Console

from regimegym.training.benchmarks import train_benchmark
from regimegym.training.benchmarks.lstm_memory import LstmSize
from regimegym.training.benchmarks.train_benchmark import TrainSizes, benchmark_train
from regimegym.training.benchmarks.train_table import train_table

TINY = TrainSizes(
    steps=300,
    learning_starts=100,
    full_steps=640,
    updates=2,
    wide_batch=8,
    agreement_rows=20,
    cached_bars=80,
    stepwise_bars=20,
)


@pytest.fixture(scope="module")
def measured():
    """Everything once; the LSTM's processes are left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_benchmark, "lstm_sizes", lambda _told: [LstmSize(1, 32, 1000, 0.01, None)])
        patch.setattr(train_benchmark, "peer_version", lambda _name: None)
        yield benchmark_train(1, TINY)


def test_a_missing_peer_leaves_its_cells_empty(measured):
    assert measured.peer is None
    assert "not installed" in measured.peer_state
    assert measured.ours > 0


def test_a_table_of_encodings_is_faster_than_windows_by_hand(measured):
    assert [time.network for time in measured.evaluation] == ["small", "full"]
    assert all(0 < time.cached < time.stepwise for time in measured.evaluation)
    assert 0 <= measured.agreement <= 1


def test_the_table_fits_a_terminal_and_names_what_missed(measured):
    console = Console(width=80, record=True)
    console.print(train_table(replace(measured, peer=measured.ours, peer_state="0.0")))
    text = console.export_text()
    assert "MISS" in text  # as fast as the peer is not 1.7 times as fast
    assert max(map(len, text.splitlines())) <= 80
    assert measured.to_json()["benchmark"] == "train"
