"""Rows and verdicts of the replay benchmark, and its cases at a tiny size."""

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from regimegym.common.plain import plain
from regimegym.training.benchmarks import replay
from regimegym.training.benchmarks.harness import Rate
from regimegym.training.benchmarks.market import Sizes
from regimegym.training.benchmarks.replay import CPPRB, LARGE, OURS, SB3, SMALL, Held, measure_held, sb3_bytes
from regimegym.training.benchmarks.replay_benchmark import (
    WIDTH,
    ReplayBenchmark,
    byte_rows,
    cycle_rows,
    replay_table,
)

TINY = Sizes(n_bars=900, n_features=4, window=8)
HELD = Held(bytes=68.0, bytes_with_trees=78.0, file_bytes=76_000_000, save_seconds=0.4)


def rate(median):
    return Rate(median, 0.9 * median, 1.1 * median, 5)


RATES = {
    (OURS, SMALL): rate(8000.0),
    (CPPRB, SMALL): rate(1500.0),
    (SB3, SMALL): rate(2200.0),
    (OURS, LARGE): rate(4000.0),
    (CPPRB, LARGE): rate(1000.0),
}


def rows_of(rates, has_cpprb=True):
    return cycle_rows(rates) + byte_rows(HELD, Sizes(), has_cpprb)


def test_targets_are_those_of_the_requirements_and_verdicts_follow():
    rows = rows_of(RATES)
    targets = [(row.target.limit, row.target.at_least) for row in rows]
    assert targets == [(5.0, True), (4.5, True), (60.0, True), (40.0, True), (150e6, False), (5.0, False)]
    assert [row.is_met for row in rows] == [True, False, True, True, True, True]
    assert rows[2].sb3 == 4820.0


def test_a_missing_peer_leaves_no_verdict():
    ours = {key: value for key, value in RATES.items() if key[0] == OURS}
    rows = rows_of(ours, has_cpprb=False)
    assert [row.is_met for row in rows[:3]] == [None, None, True]
    assert rows[2].cpprb is None


def test_the_table_fits_and_the_record_is_json():
    peers = {CPPRB: "11.0.0", SB3: "2.9.2"}
    benchmark = ReplayBenchmark(datetime(2026, 1, 1, tzinfo=UTC), 5, 1.0, Sizes(), peers, RATES, rows_of(RATES))
    text = StringIO()
    Console(file=text, width=WIDTH).print(replay_table(benchmark))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= WIDTH
    for word in ("8,000", "5.33×", "MISS", "76 MB", "0.40 s", "cpprb 11.0.0"):
        assert word in text.getvalue()
    record = json.loads(json.dumps(plain(benchmark.to_json())))
    assert record["benchmark"] == "replay"
    assert [row["met"] for row in record["rows"]][:2] == [True, False]


@pytest.mark.parametrize("make", [replay._our_cycles, replay._cpprb_cycles, replay._sb3_cycles])
def test_a_case_does_the_cycles_it_says(make):
    if make is replay._cpprb_cycles:
        pytest.importorskip("cpprb")
    assert make(2000, TINY)() == replay.CYCLES


def test_memory_and_file_are_measured(tmp_path):
    held = measure_held(TINY, 2000, tmp_path)
    assert held.bytes == 68.0
    assert 68.0 + 8.0 < held.bytes_with_trees < 120.0
    assert held.file_bytes > 2000 * 68
    assert sb3_bytes(TINY) == 2 * 8 * 4 * 4 + 20
