"""The evaluation benchmark on a size that a test can afford: complete, plain, and honest about its slice."""

import json

import pytest

from regimegym.common.plain import plain
from regimegym.training.benchmarks.evaluate_benchmark import (
    ACCOUNTS,
    Sizes,
    benchmark_evaluate,
    evaluate_table,
    make_scenarios,
)


def test_the_benchmark_measures_batch_loop_statistics_and_report():
    told = []
    found = benchmark_evaluate(1, Sizes(n_scenarios=12, n_seeds=3, n_bars=160), told.append)
    by_name = {row.name: row for row in found.rows}
    assert {"batch / loop", "statistics", "evaluation and report"} < set(by_name)
    fast, slow = by_name["one batch, bars per CPU-s"].value, by_name["loop, bars per CPU-s"].value
    assert by_name["batch / loop"].value == pytest.approx(fast / slow)
    assert fast > slow
    assert by_name["all seeds in batches"].value * fast == pytest.approx(12 * 129 * 3)
    assert found.same_decisions > 0.95
    assert json.loads(json.dumps(plain(found.to_json())))["benchmark"] == "evaluate"
    assert told[-1] == "statistics and report"
    assert evaluate_table(found) is not None


def test_as_many_scenarios_share_a_market_as_in_the_suite():
    scenarios = make_scenarios(30, 80)
    assert len(scenarios) == 30
    assert len({id(scenario.tape) for scenario in scenarios}) == 30 - ACCOUNTS
    assert len({scenario.settings.account.fee_rate for scenario in scenarios[-ACCOUNTS:]}) == 5
