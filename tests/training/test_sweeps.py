"""Sweeps: found optima, broken trials, and sweeps that are killed and go on as if nothing had been."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from parabola import Parabola
from searching import search

from regimegym.common.errors import ConfigError, RunError
from regimegym.training.run_folder import RunFolder
from regimegym.training.sweeps.page import sweep_page
from regimegym.training.sweeps.results import Row, SweepResult
from regimegym.training.sweeps.settings import SAMPLERS, SearchSettings


def tried(result) -> list[tuple]:
    """Number, parameters and state of all trials, in order."""
    return sorted((row.number, tuple(row.parameters.items()), row.state) for row in result.rows)


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in ("grid", "nsga2")])
def test_every_sampler_finds_the_top_of_a_known_function(sampler, tmp_path):
    found = search(tmp_path, n_trials=30, sampler=sampler, startup_trials=6)
    best = found.row(found.best[0])
    assert best.parameters["y"] == 1
    assert abs(best.parameters["x"] - 0.5) < (0.5 if sampler == "random" else 0.3)
    assert best.values["log_return"] == max(row.values["log_return"] for row in found.rows)


def test_a_grid_visits_every_combination_once_and_then_ends(tmp_path):
    space = {"a": {"sets": "k.a", "values": [1, 2, 3]}, "x": {"sets": "k.x", "low": 0, "high": 1}}
    space |= {"y": {"sets": "k.y", "values": [0, 1]}}
    found = search(tmp_path, n_trials=50, sampler="grid", space=space)
    assert len(found.rows) == 12
    assert len({tuple(row.parameters.items()) for row in found.rows}) == 12


def test_several_objectives_leave_a_front_that_nothing_dominates(tmp_path):
    objectives = {"log_return": "maximize", "max_drawdown": "minimize"}
    found = search(tmp_path, n_trials=24, sampler="nsga2", population=6, objectives=objectives)
    points = {row.number: (row.values["log_return"], -row.values["max_drawdown"]) for row in found.rows}
    assert len(found.best) > 1
    for number in found.best:
        own = points[number]
        assert not any(other[0] >= own[0] and other[1] >= own[1] and other != own for other in points.values())


def test_a_trial_that_breaks_ends_no_other_and_undefined_scores_stand_last(tmp_path):
    found = search(tmp_path, Parabola(fails=(1,), undefined=(2,)), n_trials=6)
    states = {row.number: row.state for row in found.rows}
    assert states == {0: "complete", 1: "failed", 2: "failed", 3: "complete", 4: "complete", 5: "complete"}
    assert {row.number for row in found.rows[-2:]} == {1, 2}
    assert found.row(1).error == "RuntimeError: the lights went out"
    assert "no defined score" in found.row(2).error
    assert "the lights went out" in (tmp_path / "logs" / "1.txt").read_text()


def test_processes_try_what_one_would_and_a_killed_one_costs_its_trial_one_attempt(tmp_path):
    found = search(tmp_path / "two", Parabola(fails=(3,), killed=(1,), marks=tmp_path), n_trials=5, n_jobs=2)
    assert (tmp_path / "killed-1").exists()
    assert tried(found) == tried(search(tmp_path / "one", Parabola(fails=(3,)), n_trials=5))
    assert [row.state for row in found.rows] == ["complete"] * 4 + ["failed"]


def test_bad_trials_are_given_up_and_good_ones_are_not(tmp_path):
    found = search(tmp_path, n_trials=20, pruner="median", startup_trials=4, warm_up_looks=1)
    states = [row.state for row in found.rows]
    assert states.count("pruned") >= 3
    assert found.rows[0].state == "complete"
    # Those that were given up come behind all that completed.
    assert states == sorted(states)


def test_the_same_folder_continues_the_count(tmp_path):
    search(tmp_path / "twice", n_trials=3, sampler="tpe", startup_trials=2)
    more = search(tmp_path / "twice", n_trials=7, sampler="tpe", startup_trials=2)
    assert tried(more) == tried(search(tmp_path / "once", n_trials=7, sampler="tpe", startup_trials=2))
    assert tried(search(tmp_path / "twice", n_trials=7, sampler="tpe", startup_trials=2)) == tried(more)


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_killed_in_the_middle_it_goes_on_with_the_trials_it_would_have_had(storage, tmp_path):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from parabola import Parabola\n"
        "from searching import search\n"
        "search(Path(sys.argv[1]), Parabola(seconds=0.3), storage=sys.argv[2], sampler='tpe', startup_trials=3)\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "cut"), storage]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    process = subprocess.Popen(words, env=environment)
    log = tmp_path / "cut" / "logs" / "3.txt"
    deadline = time.monotonic() + 120
    while not log.exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut" / "sweep.json").exists()
    found = search(tmp_path / "cut", storage=storage, sampler="tpe", startup_trials=3)
    assert tried(found) == tried(search(tmp_path / "calm", sampler="tpe", startup_trials=3))
    assert len(found.rows) == 8


def test_trials_of_another_search_are_not_mixed_in(tmp_path):
    search(tmp_path, n_trials=2)
    with pytest.raises(RunError, match="other sampler") as mistake:
        search(tmp_path, n_trials=2, sampler="tpe")
    assert mistake.value.kept == "nothing was changed"


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="no folder of a sweep"):
        search(tmp_path, n_trials=1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_two_sweeps_never_share_a_folder(tmp_path):
    search(tmp_path, n_trials=1)
    with RunFolder(tmp_path).held(), pytest.raises(RunError, match="another process"):
        search(tmp_path, n_trials=2)


def test_the_result_is_a_table_a_page_and_data(tmp_path):
    found = search(tmp_path, Parabola(fails=(2,)), n_trials=8)
    assert len((tmp_path / "trials.csv").read_text().splitlines()) == 9
    data = json.loads((tmp_path / "sweep.json").read_text())
    assert [row["number"] for row in data["trials"]] == [row.number for row in found.rows]
    assert set(found.importance) == {"x", "y"}
    assert sum(found.importance.values()) == pytest.approx(1.0)
    page = (tmp_path / "sweep.html").read_text()
    assert page.count("<svg") == 3
    assert "the lights went out" in page
    assert "src=" not in page
    assert "href=" not in page
    assert "://" not in page
    assert len(page) < 60_000


def test_names_on_the_page_cannot_be_code(tmp_path):
    space = {"<script>": {"sets": "a.b", "values": ["<b>", "c"]}, "x": {"sets": "x", "low": 0.0, "high": 1.0}}
    rows = [
        Row(k, "complete", dict(zip(space, values, strict=True)), {"log_return": 0.1 * k}, 0.0, {}, 1.0, "")
        for k, values in enumerate([("<b>", 0.1), ("c", 0.9)])
    ]
    page = sweep_page(SweepResult({"log_return": "maximize"}, rows, [1], {"<script>": 0.6, "x": 0.4}, 0.5, 2), "<i>")
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sampler": "annealing"}, "search.sampler"),
        ({"objectives": {"log_return": "up"}}, "search.objectives.log_return"),
        ({"objectives": {"a": "maximize", "b": "minimize"}, "pruner": "median"}, "cannot be pruned"),
        ({"seeds_per_trial": 0}, "seeds_per_trial"),
    ],
)
def test_a_search_that_cannot_be_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        SearchSettings({"x": {"sets": "x", "values": [1]}}, **settings)
