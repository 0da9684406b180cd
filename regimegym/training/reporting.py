"""`regime-gym report run=…`: what a run and its evaluations left, put together as one report."""

from pathlib import Path
from typing import Any

from rich.console import Console

from regimegym.common.errors import RunError
from regimegym.evaluate.report.reading import Report
from regimegym.training.outcome import write_reports
from regimegym.training.run_folder import RunFolder, read_json


def report_run(name: str, walk_forward: str | None = None) -> RunFolder:
    """Write report.json, report.md and report.html of the run `name` anew, into its folder.

    Shown is the newest evaluation of the test part (of validation, where test was never opened), one with scenarios
    before one without; verdict and checks are its own. The folds of the walk-forward in the folder `walk_forward`
    are joined to it. No part of the data is looked at.

    Raises:
        RunError: no run, one without results, or no walk-forward there.
    """
    run = RunFolder.open(name)
    reports = _reports(run)
    if not reports:
        raise RunError(
            "no-results",
            f"the run of {run.path} has no results to report",
            help=[f"regime-gym train resume={run.path}", f"regime-gym evaluate run={run.path}"],
        )
    newest: Report = max(reports, key=lambda report: (report["part"] == "test", report.get("scenarios") is not None))
    if walk_forward is not None:
        newest = newest | {"walk_forward": _folds(Path(walk_forward))}
    write_reports(run, newest)
    Console(highlight=False).print(f"report  {run.report_html}", soft_wrap=True)
    return run


def _reports(run: RunFolder) -> list[Report]:
    """The reports of the run's own data, newest first."""
    files = [*sorted((run.path / "evaluations").glob("*/*/report.json"), reverse=True), run.report_json]
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
