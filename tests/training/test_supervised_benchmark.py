"""The benchmark of predictors: one tiny run for real, verdicts, the table."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from regimegym.common.errors import ConfigError
from regimegym.common.plain import plain
from regimegym.supervised.ensemble.settings import STRATEGIES
from regimegym.supervised.latency import latencies, row_latency
from regimegym.supervised.registry import get_predictor
from regimegym.training.benchmarks.supervised_benchmark import (
    LORENTZIAN_TARGET,
    PeerRow,
    PredictorRow,
    benchmark_supervised,
    supervised_table,
)
from regimegym.training.benchmarks.supervised_cases import fit_throughput, market_lesson, subject_names, subject_of


def test_a_tiny_run_measures_every_row():
    said = []
    names = ["majority", "logistic", "hmm"]
    benchmark = benchmark_supervised(1, 0.1, names, 1_000, said.append)
    assert [row.name for row in benchmark.predictors] == names
    assert all(min(row.fit_rate, row.predict_rate, row.wall_ms, row.cpu_ms) > 0 for row in benchmark.predictors)
    assert benchmark.n_features == 178
    assert len(benchmark.peers) == 2
    assert all(min(peer.ours, peer.theirs) > 0 for peer in benchmark.peers)
    assert len(said) == 5
    text = io.StringIO()
    Console(file=text, width=80).print(supervised_table(benchmark))
    assert max(map(len, text.getvalue().splitlines())) <= 80
    assert "HMM filter of 20,000 bars / hmmlearn" in text.getvalue()
    record = json.loads(json.dumps(plain(benchmark.to_json()), allow_nan=False))
    assert (record["benchmark"], len(record["predictors"]), len(record["peers"])) == ("supervised", 3, 2)


def test_a_slow_fit_sees_as_many_rows_as_the_time_allows(monkeypatch):
    lesson = market_lesson(3_000)
    clock = iter(np.cumsum([0.0, 1.0, 0.0, 2.0]))
    monkeypatch.setattr("regimegym.training.benchmarks.supervised_cases.time.process_time", lambda: next(clock))
    _, taken = fit_throughput(lambda: get_predictor("majority"), lesson, 2.5)
    assert (taken.n_rows, taken.seconds, taken.rate) == (2_500, 2.0, 1_250)


def test_a_filter_is_asked_row_by_row(monkeypatch):
    lesson = market_lesson(1_000)
    hmm = get_predictor("hmm").fit(lesson, np.random.default_rng(0))
    monkeypatch.setattr(type(hmm), "predict_proba", lambda *_: pytest.fail("the whole history again"))
    assert len(latencies(hmm, lesson.features, 20)) == 20


@pytest.mark.parametrize(("memory", "asked"), [(0, 1), (119, 120)])
def test_a_row_is_asked_about_with_as_much_history_as_is_remembered(memory, asked):
    seen = []

    class Remembering(type(get_predictor("majority"))):
        def predict_proba(self, features, names=None):
            seen.append(len(features))
            return super().predict_proba(features, names)

    Remembering.memory = memory
    lesson = market_lesson(1_000)
    assert len(latencies(Remembering().fit(lesson, np.random.default_rng(0)), lesson.features, 7)) == 7
    assert set(seen[-7:]) == {asked}


def test_the_latency_is_that_of_the_quietest_turn(monkeypatch):
    turns = iter([[3.0] * 20, [2.0] * 20, [1.0] * 18 + [9.0] * 2])
    beside = np.full(20, 4.0)
    monkeypatch.setattr("regimegym.supervised.latency.latencies", lambda *_: np.column_stack([next(turns), beside]))
    assert row_latency(None, None, turns=3) == (2.0, 4.0)


def test_every_file_and_every_strategy_of_the_ensemble_is_measured():
    names = subject_names()
    assert len(names) == 18 + len(STRATEGIES) - 1
    assert {"lstm_hybrid", "xgboost_plain", "ensemble", "ensemble/regime"} <= set(names)
    assert subject_of("ensemble/regime").make().settings.strategy == "regime"
    gru = subject_of("gru")
    assert (gru.passes, gru.make().settings.epochs) == (40, 1)
    assert subject_of("xgboost").asked().settings.early_stopping_rounds == 0


def test_the_time_of_a_whole_fit_counts_every_pass():
    assert PredictorRow("gru", 1_000, 500.0, 1, 1.0, 1.0, 1.0, passes=40).whole_fit(50_000) == 4_000.0


def test_targets_are_judged_from_their_own_side():
    assert PredictorRow("xgboost", 1, 1.0, 1, 1.0, 4.9, 9.0).is_met
    assert not PredictorRow("xgboost", 1, 1.0, 1, 1.0, 5.1, 9.0).is_met
    assert PredictorRow("lstm", 1, 1.0, 1, 1.0, 99.0, 99.0).is_met
    assert not PeerRow("x", 1.0, 49.0, LORENTZIAN_TARGET).is_met


def test_an_unknown_predictor_is_refused_before_anything_is_measured():
    with pytest.raises(ConfigError, match="'--predictor' must be one of"):
        benchmark_supervised(1, 1.0, ["xgbost"])
