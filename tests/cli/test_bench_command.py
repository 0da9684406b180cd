"""regime-gym bench: arguments, table, JSON, mistakes."""

import json
from datetime import UTC, datetime

import pytest

from regimegym.cli.main import main
from regimegym.training.benchmarks import env_benchmark
from regimegym.training.benchmarks.env_benchmark import NOT_INSTALLED, EnvBenchmark
from regimegym.training.benchmarks.market import Sizes
from regimegym.training.benchmarks.rows import PEERS, start_rows
from regimegym.training.benchmarks.start import StartTimes


@pytest.fixture
def measured(monkeypatch):
    """Stands in for the measuring; holds what it was asked."""
    asked = []

    def fake(repeats, seconds, on_progress):
        asked.append((repeats, seconds))
        on_progress("round 1 of 1")
        missing = dict.fromkeys(PEERS, NOT_INSTALLED)
        now = datetime(2026, 1, 1, tzinfo=UTC)
        return EnvBenchmark(now, repeats, seconds, Sizes(), missing, {}, start_rows(StartTimes(9.0, 1.5, 1.0)))

    monkeypatch.setattr(env_benchmark, "benchmark_envs", fake)
    return asked


def test_bench_prints_the_table_and_writes_the_json(measured, tmp_path, capsys):
    path = tmp_path / "new" / "bench.json"
    assert main(["bench", "envs", "--repeats", "3", "--seconds", "0.5", "--json", str(path)]) == 0
    said = capsys.readouterr()
    assert measured == [(3, 0.5)]
    assert "first step, kernels cached" in said.out
    assert "not installed (pip install 'regime-gym[bench]')" in said.out
    assert f"written to {path}" in said.out
    assert said.err == "round 1 of 1\n"
    record = json.loads(path.read_text())
    assert [row["met"] for row in record["rows"]] == [True, True, None]


def test_bench_alone_measures_the_environments_with_the_defaults(measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["bench"]) == 0
    assert measured == [(5, 1.0)]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["env"],
            "'benchmark' must be one of curriculum, envs, evaluate, features, rare, replay, supervised",
        ),
        (
            ["curriculum", "--curriculum", "stagd"],
            "'--curriculum' must be one of none, staged, gated, staged-own-costs",
        ),
        (["curriculum", "--market", "regim"], "'--market' must be one of synthetic, regime"),
        (["--repeats", "0"], "'--repeats' must be a whole number ≥ 1, got 0"),
        (["--seconds", "-1"], "'--seconds' must be > 0, got -1.0"),
        (["--seconds", "nan"], "'--seconds' must be > 0, got nan"),
        (["--repeats", "few"], "bench: argument --repeats: invalid int value: 'few'"),
        (["--jsn=a.json"], "bench: unrecognized arguments: --jsn=a.json"),
        (["--json", "."], "'--json' must be a file, got the folder ."),
    ],
)
def test_a_mistake_is_told_before_anything_is_measured(measured, capsys, words, sentence):
    assert main(["bench", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert measured == []


def test_a_json_that_cannot_be_written_is_the_machines_fault(measured, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["bench", "--json", str(tmp_path / "file" / "bench.json")]) == 3
    said = capsys.readouterr()
    assert "first step, kernels cached" in said.out
    assert "error machine/" in said.err


def test_help_names_every_argument(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    for word in ("envs", "--repeats", "--seconds", "--json FILE"):
        assert word in said
