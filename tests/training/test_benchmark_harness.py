"""Turns, medians and the worker's protocol, with a clock that tests can set."""

import io
import json
import sys

import pytest

from regimegym.training.benchmarks import worker as worker_module
from regimegym.training.benchmarks.harness import Rate, Sample, measure, rate_of, run_for
from regimegym.training.benchmarks.market import Sizes, frame_of, random_tape
from regimegym.training.benchmarks.worker import Worker, WorkerError, serve


class Clock:
    """Tells the time and lets it pass."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def work(self, seconds, units):
        """A portion of work that takes `seconds`."""

        def work():
            self.now += seconds
            return units

        return work


def test_work_goes_on_until_the_time_is_over_and_all_of_it_counts():
    clock = Clock()
    assert run_for(clock.work(0.25, 10), 1.0, clock) == Sample(40, 1.0)
    assert run_for(clock.work(0.375, 10), 1.0, clock) == Sample(30, 1.125)


def test_a_portion_longer_than_the_turn_runs_once():
    clock = Clock()
    assert run_for(clock.work(8.0, 10), 1.0, clock) == Sample(10, 8.0)
    assert run_for(clock.work(8.0, 10), 0.0, clock) == Sample(10, 8.0)


def test_a_rate_is_the_median_of_its_samples_with_the_extremes_beside_it():
    samples = [Sample(100, 2.0), Sample(90, 1.0), Sample(1000, 1.0)]
    assert rate_of(samples) == Rate(90.0, 50.0, 1000.0, 3)
    assert rate_of(samples[:2]) == Rate(70.0, 50.0, 90.0, 2)


def test_a_sample_too_short_for_the_clock_does_not_count():
    assert rate_of([Sample(1, 0.0), Sample(10, 2.0)]) == Rate(5.0, 5.0, 5.0, 1)
    nothing = rate_of([Sample(1, 0.0)])
    assert nothing.n == 0
    assert nothing.median != nothing.median


def test_cases_take_turns_every_second_round_backwards_after_an_unmeasured_one():
    calls, rounds = [], []

    def case(name, speed):
        def run(seconds):
            calls.append((name, seconds))
            return Sample(round(speed * (seconds or 1e-9)), seconds or 1e-9)

        return run

    rates = measure({"a": case("a", 100), "b": case("b", 300)}, 3, 2.0, rounds.append)
    assert calls[:2] == [("a", 0.0), ("b", 0.0)]
    assert [name for name, _ in calls[2:]] == ["a", "b", "b", "a", "a", "b"]
    assert {seconds for _, seconds in calls[2:]} == {2.0}
    assert rounds == [1, 2, 3]
    assert rates == {"a": Rate(100, 100, 100, 3), "b": Rate(300, 300, 300, 3)}


def test_a_worker_builds_a_case_once_and_answers_line_by_line():
    built = []

    def build():
        built.append(1)
        return lambda: 7

    questions = io.StringIO('{"case": "x", "seconds": 0.0}\n' * 2)
    answers = io.StringIO()
    serve({"x": build}, questions, answers)
    said = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert [answer["units"] for answer in said] == [7, 7]
    assert built == [1]


def test_a_worker_that_dies_is_reported_with_its_last_words(monkeypatch):
    monkeypatch.setattr(worker_module, "MODULE", "regimegym.no_such_module")
    with Worker("anyone", Sizes()) as worker, pytest.raises(WorkerError, match="no_such_module"):
        worker.run_of("single")(0.1)


def test_children_import_the_same_package_as_their_parent():
    environment = worker_module.child_environment()
    assert environment["PYTHONPATH"].split(":")[0] in [path or "." for path in [*sys.path, environment["PYTHONPATH"]]]
    assert environment["OMP_NUM_THREADS"] == "1"


def test_the_market_is_the_same_for_all_contenders():
    tape = random_tape(200, 5)
    frame = frame_of(tape, 3)
    assert list(frame.columns) == ["open", "high", "low", "close", "volume", "feature_0", "feature_1", "feature_2"]
    assert (frame["close"].to_numpy() == tape.close).all()
    assert (frame["feature_2"].to_numpy() == tape.features[:, 2]).all()
    assert (random_tape(200, 5).features == tape.features).all()
    assert (tape.high >= tape.open).all()
    assert (tape.low <= tape.close).all()
