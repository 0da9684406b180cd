"""`regime-gym report run=…`: what a run and its evaluations left, put together as one report."""

from pathlib import Path
from typing import Any

from rich.console import Console

from regimegym.common.errors import RunError
from regimegym.common.seeding import generator
from regimegym.evaluate.report.reading import Report
from regimegym.evaluate.report_statistics import scenario_statistics
from regimegym.training.outcome import write_reports
from regimegym.training.run_folder import RunFolder, read_json

PARTS = ("scenarios", "walk_forward", "calibration", "look_ahead")  # taken over from where they were measured last


def report_run(name: str, walk_forward: str | None = None) -> RunFolder:
    """Write report.json, report.md and report.html of the run `name` anew, into its folder.

    The newest evaluation of the run's own data is shown; what only an earlier one measured (scenarios, audit) and the
    folds of the walk-forward in the folder `walk_forward` are joined to it. No part of the data is looked at.

    Raises:
        RunError: no run, or one without results.
    """
    run = RunFolder.open(name)
    reports = _reports(run)
    if not reports:
        raise RunError(
            "no-results",
            f"the run of {run.path} has no results to report",
            help=[f"regime-gym train resume={run.path}", f"regime-gym evaluate run={run.path}"],
        )
    newest = dict(reports[-1])
    for part in PARTS:
        found = [report[part] for report in reports if report.get(part) is not None]
        newest[part] = found[-1] if found else None
    if walk_forward is not None:
        newest["walk_forward"] = _folds(Path(walk_forward))
    if newest["scenarios"] is not None and newest["statistics"].get("scenarios") is None:
        seeds = newest["facts"]["random_seeds"]
        draws = generator(int(seeds[0]) if seeds else 0, "report")
        newest["statistics"] |= {"scenarios": scenario_statistics(newest["scenarios"], draws)}
    write_reports(run, newest)
    Console(highlight=False).print(f"report  {run.report_html}", soft_wrap=True)
    return run


def _reports(run: RunFolder) -> list[Report]:
    """The reports of the run's own data, oldest first."""
    files = [run.report_json, *sorted((run.path / "evaluations").glob("*/*/report.json"))]
    found = [read_json(file) for file in files if file.is_file()]
    return [report for report in found if report.get("part") in ("test", "validation")]


def _folds(folder: Path) -> dict[str, Any]:
    content = read_json(folder / "walk_forward.json")
    if not content.get("folds"):
        raise RunError(
            "no-walk-forward",
            f"'{folder}' holds no finished walk-forward",
            needed="walk_forward.json, as walkforward writes it at the end",
            help=[f"regime-gym train resume={folder}", "regime-gym walkforward rolling.window=4mo rolling.step=2mo"],
        )
    return {"folds": content["folds"]}
