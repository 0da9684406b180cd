"""`regime-gym evaluate suite=NAME`: what it writes, what it counts, and how it is refused."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from fresh_run import make_run

from regimegym.cli.main import main
from regimegym.training.ledger import Ledger

SMALL = ["suite.families.worlds.n_bars=700", "suite.families.worlds.draws=1", "suite.random_accounts=3"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of other seeds on the same data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("suites"))
        yield [make_run(f"run_dir=runs/{name}", f"random_seed={seed}") for name, seed in (("a", 1), ("b", 2))]


@pytest.fixture(scope="module")
def folder(runs):
    """One suite of both runs."""
    assert main(["evaluate", "run=[runs/a,runs/b]", "suite=default", *SMALL]) == 0
    (target,) = runs[0].folder.path.glob("evaluations/*/*")
    return target


def test_the_suite_lies_beside_the_report(folder):
    content = json.loads((folder / "scenarios.json").read_text())
    assert content["suite"] == "default"
    assert [run["random_seed"] for run in content["runs"]] == [1, 2]
    assert len(content["scenarios"]) >= 35
    assert all(len(one["per_seed"]) == 2 for one in content["scenarios"])
    assert [one["name"] for one in content["skipped"]] == ["slow_bleed 1"]  # 700 bars do not hold it
    assert (folder / "report.html").exists()
    assert ET.parse(folder / "scenarios.svg").getroot().tag.endswith("svg")
    assert (folder / "scenarios.md").read_text().startswith("# Scenarios: default")


def test_of_several_seeds_the_median_is_shown_in_a_band_of_all(folder):
    report = json.loads((folder / "report.json").read_text())
    assert [one["random_seed"] for one in report["seeds"]] == [1, 2] == report["facts"]["random_seeds"]
    agent = report["policies"][0]
    assert agent["metrics"]["log_return"] == pytest.approx(min(one["log_return"] for one in report["seeds"]))
    low, high = agent["band"]["low"], agent["band"]["high"]
    assert all(a <= b <= c for a, b, c in zip(low, agent["equity"], high, strict=True))
    assert low != high
    assert "Shown is the run with the median, never the best" in (folder / "report.html").read_text()


def test_a_suite_adds_what_the_model_does_where_the_truth_is_known(folder):
    report = json.loads((folder / "report.json").read_text())
    found = {(one["world"], one["who"]): one for one in report["checks"]["detection"]}
    assert {world for world, _ in found} == {"regime_switches", "regime"}
    assert all(0.0 <= one["plain_accuracy"] <= one["accuracy"] <= 1.0 for one in found.values())
    assert len(report["checks"]["shocks"]) == 4
    assert report["drift"]["n"] > 0
    page = (folder / "report.html").read_text()
    assert "Regimes where the truth is planted" in page
    assert "Inputs shocked" in page


def test_the_test_part_is_opened_once_and_the_looks_before_are_said(runs, folder):
    ledger, manifest = Ledger("runs/ledger.jsonl"), json.loads((runs[0].folder.path / "manifest.json").read_text())
    fingerprint = manifest["data_fingerprint"]
    assert ledger.count_looks(fingerprint, (0, 2**62)) == 1
    assert json.loads((folder / "scenarios.json").read_text())["test_looks_before"] == 0
    test = runs[0].experiment.interval(runs[0].experiment.split.test)
    assert ledger.count_looks(fingerprint, test) == 1


def test_a_suite_on_validation_opens_no_test_data(runs, folder, capsys):
    before = (runs[0].folder.path.parent / "ledger.jsonl").read_text()
    assert main(["evaluate", "run=runs/a", "suite=blocks", "suite.least_bars=5", "part=validation"]) == 0
    assert (runs[0].folder.path.parent / "ledger.jsonl").read_text() == before
    said = capsys.readouterr().out
    assert "Suite blocks, 21 scenarios, one run, after costs" in said
    (target,) = runs[0].folder.path.glob("evaluations/*/*validation")
    content = json.loads((target / "scenarios.json").read_text())
    assert {one["seen"] for one in content["scenarios"]} == {"validation"}


def test_a_suite_runs_on_data_the_model_never_saw(runs, capsys):
    words = ["data=world", "data.name=regime", "data.n_bars=900"]
    assert main(["evaluate", "run=runs/a", "suite=stress", *words]) == 0
    (target,) = runs[0].folder.path.glob("evaluations/*/*new")
    content = json.loads((target / "scenarios.json").read_text())
    assert {one["seen"] for one in content["scenarios"]} == {"new"}
    assert "worst scenario" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["run=runs/a", "suite=nothing"], "nothing"),
        (["run=[runs/a,runs/b]"], "needed    suite=default"),
        (["run=[]", "suite=stress"], "error run/no-run-named"),
        (["run=runs/a", "suite=stress", "suite.least_bars=100000"], "none of the"),
    ],
)
def test_a_mistake_ends_with_one_message_and_nothing_is_written(runs, folder, capsys, words, text):
    before = sorted(runs[0].folder.path.rglob("*"))
    assert main(["evaluate", *words]) == 2
    assert text in capsys.readouterr().err
    assert sorted(runs[0].folder.path.rglob("*")) == before


def test_the_report_shows_the_newest_test_with_scenarios_and_looks_at_nothing(runs, folder):
    before = (runs[0].folder.path.parent / "ledger.jsonl").read_text()
    assert main(["report", "run=runs/a"]) == 0
    report = json.loads(runs[0].folder.report_json.read_text())
    assert report["part"] == "test"
    assert report["scenarios"]["suite"] == "default"
    states = {check["key"]: check["state"] for check in report["verdict"]["checks"]}
    assert states["scenario_test"] != "unknown"  # the verdict speaks of what the page shows
    assert states["no_look_ahead"] == "yes"
    assert report["look_ahead"]["found"] is False
    assert report["statistics"]["scenarios"] is None or report["statistics"]["scenarios"]["n_scenarios"] >= 6
    page = runs[0].folder.report_html.read_text()
    for anchor in ("scenarios", "statistics", "calibration"):
        assert f'<section id="{anchor}">' in page
    assert runs[0].folder.report_md.read_text().startswith("# ")
    assert (runs[0].folder.path.parent / "ledger.jsonl").read_text() == before


def test_runs_are_compared_on_the_bars_that_both_traded(runs, folder, capsys):
    assert main(["evaluate", "run=runs/b"]) == 0
    capsys.readouterr()
    assert main(["report", "runs=[runs/a,runs/b]"]) == 0
    said = capsys.readouterr().out
    (target,) = Path("runs/comparisons").glob("*/*")
    content = json.loads((target / "comparison.json").read_text())
    assert [run["name"] for run in content["runs"]] == ["a", "b"]
    assert [row["key"] for row in content["against"]] == ["b", "buy and hold"]
    gap = content["runs"][0]["metrics"]["log_return"] - content["runs"][1]["metrics"]["log_return"]
    assert content["against"][0]["difference"] == pytest.approx(gap, abs=1e-9)
    assert content["equity"]["a"][-1] == pytest.approx(content["runs"][0]["metrics"]["total_return"] + 1, abs=1e-6)
    assert "a − b" in said
    page = (target / "comparison.html").read_text()
    assert "https:" not in page
    assert "default-src 'none'" in page
    assert (target / "comparison.md").exists()


def test_a_comparison_needs_two_runs_of_the_same_bars(runs, capsys):
    assert main(["report", "runs=[runs/a]"]) == 2
    assert main(["report", "runs=[runs/a,runs/a]"]) == 2
    assert main(["report", "runs=[runs/a,runs/b]", "part=training"]) == 2
    assert "names a run twice" in capsys.readouterr().err


def test_the_model_trades_other_histories_of_the_same_blocks(runs, capsys):
    assert main(["evaluate", "run=runs/a", "monte_carlo=20"]) == 0
    said = capsys.readouterr().out
    target = max(runs[0].folder.path.glob("evaluations/*/*"), key=lambda path: path.stat().st_mtime_ns)
    content = json.loads((target / "monte_carlo.json").read_text())
    assert content["n_paths"] == 20
    assert 0.0 <= content["ruin"]["low"] <= content["ruin"]["value"] <= content["ruin"]["high"] <= 1.0
    assert content["tails"]["log_return"] == sorted(content["tails"]["log_return"])
    assert "Monte Carlo, 20 histories" in said
    assert "targets " in said
    page = (target / "report.html").read_text()
    assert '<section id="histories">' in page
    assert "of 20 other histories" in (target / "report.md").read_text()
    assert (target / "trades.csv").read_text().startswith("entry_time,exit_time,side,")
    assert main(["evaluate", "run=runs/a", "monte_carlo=5"]) == 2
    assert "n_paths" in capsys.readouterr().err
