"""The feature benchmark: rows, verdicts, table; one tiny run for real. And the line of progress."""

import io
import json

from rich.console import Console

from regimegym.common.plain import plain
from regimegym.training.benchmarks.feature_benchmark import FeatureRow, Target, benchmark_features, feature_table
from regimegym.training.benchmarks.feature_cases import peak_memory
from regimegym.training.feature_progress import feature_progress


def printed(benchmark):
    text = io.StringIO()
    Console(file=text, width=80).print(feature_table(benchmark))
    return text.getvalue()


def test_a_tiny_run_measures_every_row(monkeypatch):
    from regimegym.training.benchmarks import feature_cases

    monkeypatch.setattr(feature_cases, "STREAM_BARS", 2_760)
    monkeypatch.setattr(feature_cases, "TIMED_BARS", 20)
    monkeypatch.setattr(feature_cases, "peak_memory", lambda n_bars: (2_000, 1_000))
    said = []
    benchmark = benchmark_features(1, 6_000, said.append)
    assert all(row.value > 0 for row in benchmark.rows)
    assert [row.target.limit for row in benchmark.rows if row.target] == [5.0, 3.0, 2.0, 0.5]
    assert said[1] == "round 1 of 1"
    text = printed(benchmark)
    assert max(map(len, text.splitlines())) <= 80
    assert "peak memory / output" in text
    record = json.loads(json.dumps(plain(benchmark.to_json()), allow_nan=False))
    assert (record["benchmark"], record["n_bars"], len(record["rows"])) == ("features", 6_000, len(benchmark.rows))


def test_a_target_is_judged_from_its_own_side():
    assert FeatureRow("x", "", "", 5.1, "×", Target(5.0, at_least=True)).is_met
    assert FeatureRow("x", "", "", 2.1, "ms", Target(2.0, at_least=False)).is_met is False
    assert FeatureRow("x", "", "", 2.1, "ms").is_met is None


def test_a_fresh_process_tells_its_peak():
    peak, output = peak_memory(20_000)
    assert output > 20_000 * 200 * 8
    assert peak > 0.5 * output


def test_progress_is_shown_for_large_tables_in_a_terminal_only():
    terminal = Console(file=io.StringIO(), force_terminal=True)
    with feature_progress("X", 30_000_000, terminal) as told:
        told(3, 200, "rsi")
    for console, cells in ((terminal, 1_000), (Console(file=io.StringIO()), 30_000_000)):
        with feature_progress("X", cells, console) as told:
            assert told is None
