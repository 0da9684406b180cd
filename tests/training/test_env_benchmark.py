"""Rows, verdicts, table and JSON of the environment benchmark; one tiny run for real."""

import json
import math
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from regimegym.common.plain import plain
from regimegym.training.benchmarks import env_benchmark, peers
from regimegym.training.benchmarks.env_benchmark import (
    NOT_INSTALLED,
    OUR_CASES,
    EnvBenchmark,
    benchmark_envs,
    peer_case_names,
)
from regimegym.training.benchmarks.envs import our_cases
from regimegym.training.benchmarks.harness import Rate
from regimegym.training.benchmarks.market import Sizes
from regimegym.training.benchmarks.memory import TapeMemory, tape_memory
from regimegym.training.benchmarks.rows import PEERS, copy_rows, memory_rows, start_rows, step_rows
from regimegym.training.benchmarks.start import StartTimes
from regimegym.training.benchmarks.table import WIDTH, benchmark_table
from regimegym.training.benchmarks.target import Target
from regimegym.training.benchmarks.worker import OURS, WorkerError

ANY, GTE = PEERS
SIZES = Sizes()
TINY = Sizes(n_bars=800, n_features=4, window=8, n_accounts=4, peer_batches=(2,), tape_bars=3_000, tape_features=4)
MEMORY = TapeMemory(arrays=345_000_000, tape=345_010_000, tape_and_env=420_000_000, mapped=29_000, open_seconds=0.0075)
TIMES = StartTimes(cold=16.6, warm=2.5, warm_from_tape=1.49)


def rate(median):
    return Rate(median, 0.9 * median, 1.1 * median, 5)


OURS_RATES = {
    "single": rate(600e3),
    "windows": rate(6.4e6),
    "references": rate(80e6),
    "copies": rate(3.2e6),
    "sb3": rate(1.2e6),
    "gather": rate(15e9),
    "memcpy": rate(20e9),
}
RATES = {
    OURS: OURS_RATES,
    ANY: {
        name: rate(value)
        for name, value in zip(peer_case_names(SIZES), (300e3, 150e3, 160e3, 140e3, 130e3), strict=True)
    },
    GTE: {
        name: rate(value) for name, value in zip(peer_case_names(SIZES), (40e3, 24e3, 29e3, 21e3, 20e3), strict=True)
    },
}


def rows_of(rates):
    return step_rows(rates, SIZES) + copy_rows(rates[OURS], SIZES) + memory_rows(MEMORY, SIZES) + start_rows(TIMES)


def benchmark_of(rates, states):
    return EnvBenchmark(datetime(2026, 1, 1, tzinfo=UTC), 5, 1.0, SIZES, states, rates, rows_of(rates))


def printed(benchmark, width=WIDTH):
    text = StringIO()
    Console(file=text, width=width).print(benchmark_table(benchmark))
    return text.getvalue()


def by_name(rows):
    return {row.name: row for row in rows}


# --- rows ----------------------------------------------------------------------------------------


def test_targets_are_those_of_the_requirements():
    targets = [(row.target.limit, row.target.at_least) for row in rows_of(RATES) if row.target]
    assert targets == [
        *[(10.0, True), (1.8, True), (45.0, True), (400.0, True), (10.0, True)],
        (0.5, True),
        *[(1.2, False), (1.2, False), (1.0, False)],
        *[(2.0, False), (2.0, False)],
    ]


def test_a_single_env_is_compared_with_each_peer():
    rows = step_rows(RATES, SIZES)
    assert [(row.against, row.ratio, row.is_met) for row in rows[:2]] == [(GTE, 15.0, True), (ANY, 2.0, True)]


def test_the_best_peer_through_its_best_wrapper_is_the_measure():
    windows, references, sb3 = step_rows(RATES, SIZES)[2:]
    assert windows.wrappers == {ANY: "dummy-64", GTE: "dummy-64"}
    assert windows.ratio == pytest.approx(6.4e6 / 160e3)
    assert windows.is_met is False
    assert references.ratio == pytest.approx(500.0)
    assert references.is_met is True
    assert (sb3.ratio, sb3.is_met) == (pytest.approx(7.5), False)


def test_sb3_is_compared_with_sb3_only():
    rates = RATES | {ANY: RATES[ANY] | {"sync-64": rate(1e9)}}
    windows, _, sb3 = step_rows(rates, SIZES)[2:]
    assert windows.wrappers[ANY] == "sync-64"
    assert sb3.wrappers[ANY] == "dummy-64"


def test_bytes_per_second_of_steps_are_their_windows():
    gather, steps = copy_rows(OURS_RATES, SIZES)
    assert (gather.ratio, gather.is_met) == (0.75, True)
    assert steps.ours == 3.2e6 * 30 * 20 * 4
    assert steps.is_met is None


def test_a_best_peer_needs_all_peers_for_a_verdict():
    rows = step_rows({who: cases for who, cases in RATES.items() if who != ANY}, SIZES)
    assert [row.is_met for row in rows] == [True, None, None, None, None]
    assert rows[2].ratio == pytest.approx(6.4e6 / 29e3)


def test_limits_are_met_from_their_own_side_and_never_by_nan():
    assert Target(1.8, at_least=True).is_met(1.8)
    assert not Target(1.8, at_least=True).is_met(1.79)
    assert Target(1.2, at_least=False).is_met(1.2)
    assert not Target(1.2, at_least=False).is_met(1.21)
    assert not Target(1.2, at_least=False).is_met(math.nan)


# --- table and JSON ------------------------------------------------------------------------------

STATES = {ANY: "2.0.0", GTE: "0.3.5"}


@pytest.mark.parametrize(
    "states", [STATES, dict.fromkeys(PEERS, NOT_INSTALLED), {ANY: "failed: " + "x" * 200, GTE: "1"}]
)
def test_the_table_fits_80_columns_and_no_figure_is_cut(states):
    rates = RATES if states is STATES else {OURS: OURS_RATES}
    text = printed(benchmark_of(rates, states))
    assert max(map(len, text.splitlines())) <= 80
    body = text.partition("\n\n")[0]
    assert "…" not in body.replace("… ", "")
    for figure in ("600k", "6.40M", "80.00M", "15 GB/s", "75 %", "≥ 400×", "345 MB", "0.00750 s", "16.6 s", "≤ 2 s"):
        assert figure in body


def test_a_row_says_pass_or_miss():
    lines = printed(benchmark_of(RATES, STATES)).splitlines()
    verdicts = [line.split()[-1] for line in lines[2 : 2 + len(rows_of(RATES))]]
    assert verdicts.count("pass") == 7
    assert verdicts.count("MISS") == 4
    assert " ".join(lines[2].split()) == "1 env / gym-trading-env 600k 40k 15.0× ≥ 10× pass"


def test_the_notes_name_the_best_wrapper_and_what_is_missing():
    text = printed(benchmark_of(RATES, STATES))
    assert "gym-anytrading 2.0.0, best wrapper dummy-64" in text
    assert "medians of 5 turns of 1 CPU-s; window 30×20, 10,000 bars" in text
    missing = printed(benchmark_of({OURS: OURS_RATES}, dict.fromkeys(PEERS, NOT_INSTALLED)))
    assert "gym-trading-env not installed (pip install 'regime-gym[bench]')" in missing
    assert missing.count("–") >= 5


def test_the_json_holds_rows_rates_versions_and_machine():
    record = json.loads(json.dumps(plain(benchmark_of(RATES, STATES).to_json()), allow_nan=False))
    assert set(record) == {
        *("format", "benchmark", "started", "repeats", "seconds", "sizes", "machine", "code", "packages"),
        *("peers", "rates", "rows"),
    }
    assert (record["format"], record["benchmark"], record["peers"]) == (1, "envs", STATES)
    assert record["machine"]["cores"] >= 1
    assert record["rates"][ANY]["sync-64"] == {"median": 150e3, "low": 135e3, "high": 165e3, "n": 5}
    assert len(record["rows"]) == len(rows_of(RATES))
    for row in record["rows"]:
        assert set(row) == {"name", "unit", "ours", "peers", "wrappers", "against", "ratio", "target", "met"}
    assert by_name(rows_of(RATES))[record["rows"][2]["name"]].is_met is record["rows"][2]["met"]


# --- peers ---------------------------------------------------------------------------------------


def test_a_missing_peer_is_told_without_importing_anything(monkeypatch):
    monkeypatch.setitem(peers.MODULES, ANY, "no_such_module_anywhere")
    assert peers.peer_version(ANY) is None


def test_a_peer_that_fails_is_left_out_and_says_why():
    def broken(_):
        raise WorkerError("ImportError: no display")

    assert env_benchmark._failure_of({(ANY, "single"): broken}) == "failed: ImportError: no display"
    assert env_benchmark._failure_of({}) is None


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_that_is_installed_runs_every_case(peer):
    if peers.peer_version(peer) is None:
        pytest.skip(f"{peer} is not installed")
    with env_benchmark.Worker(peer, TINY) as worker:
        for case in peer_case_names(TINY):
            assert worker.run_of(case)(0.0).units > 0


# --- for real ------------------------------------------------------------------------------------


def test_our_cases_count_what_they_do():
    cases = our_cases(TINY)
    assert tuple(cases) == OUR_CASES
    done = {name: build()() for name, build in cases.items()}
    assert done["single"] == 1024
    assert done["windows"] == done["references"] == done["copies"] == done["sb3"] == 64 * 4
    assert done["gather"] == done["memcpy"] == 4 * TINY.window_bytes


def test_a_large_tape_costs_its_arrays_and_a_mapped_one_nothing(tmp_path):
    memory = tape_memory(200_000, 16, tmp_path / "tape", 2)
    assert 1.0 <= memory.tape / memory.arrays < 1.16  # records carry what a bar lacks: 24 of 153 bytes at 16 features
    assert memory.tape_and_env > memory.tape
    assert memory.mapped < 0.01 * memory.arrays
    assert 0 < memory.open_seconds < 1


def test_a_tiny_run_without_peers_measures_every_row(monkeypatch):
    said = []
    monkeypatch.setattr(env_benchmark, "peer_version", lambda _: None)
    monkeypatch.setattr(env_benchmark, "start_times", lambda folder, repeats: TIMES)
    benchmark = benchmark_envs(1, 0.01, TINY, said.append)
    assert benchmark.peers == dict.fromkeys(PEERS, NOT_INSTALLED)
    assert all(row.ours > 0 for row in benchmark.rows)
    assert set(benchmark.rates[OURS]) == set(OUR_CASES)
    assert said[1:] == ["round 1 of 1", "memory of a large tape", "first step of a fresh process"]
    assert len(printed(benchmark).splitlines()) > len(benchmark.rows)


def test_a_fresh_process_takes_its_first_step():
    from regimegym.training.benchmarks.start import seconds_to_first_step

    assert 0 < seconds_to_first_step({}) < 60


def test_a_first_step_that_fails_is_no_time(tmp_path):
    from regimegym.training.benchmarks.start import seconds_to_first_step

    with pytest.raises(RuntimeError, match="ended with exit code 1"):
        seconds_to_first_step({}, tmp_path)
