"""`regime-gym report runs=[A,B]`: read run folders, compare them, write and print the comparison."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from regimegym.common.checks import check_choice
from regimegym.common.errors import ConfigError, RunError
from regimegym.common.seeding import generator
from regimegym.evaluate.comparison import ComparedRun, comparison_content
from regimegym.evaluate.intervals import IntervalSettings
from regimegym.evaluate.report.compare import render_comparison
from regimegym.evaluate.report.markdown import markdown_of
from regimegym.evaluate.report.numbers import interval, mark, number, percent
from regimegym.evaluate.report.page import write_page
from regimegym.training.run_folder import RUNS, RunFolder, read_json

PARTS = ("test", "validation")


def compare_runs(names: Sequence[str], part: str, random_seed: int) -> RunFolder:
    """Compare the runs `names` on `part` of their data; returns the folder of the comparison.

    Nothing is evaluated again: what the runs left is read, so no part of the data is looked at once more.

    Raises:
        RunError: no run, one without results on `part`, or runs on other data. ConfigError: a run twice.
    """
    check_choice("part", part, PARTS)
    folders = [RunFolder.open(name) for name in names]
    paths = [str(folder.path.resolve()) for folder in folders]
    if len(set(paths)) < len(paths):
        raise ConfigError("run-twice", "'runs' names a run twice", needed="every run once", found=", ".join(names))
    fingerprint = _same_data(folders)
    labels = _short_names([folder.path.as_posix() for folder in folders])
    runs = [_read(folder, label, part) for folder, label in zip(folders, labels, strict=True)]
    content = comparison_content(runs, part, fingerprint, generator(random_seed, "comparison"), IntervalSettings())
    target = RunFolder.create(None, "comparison", datetime.now().astimezone(), root=RUNS / "comparisons")
    target.write_json("comparison.json", content)
    page = render_comparison(content)
    target.write_text("comparison.md", markdown_of(page))
    write_page(page, target.path / "comparison.html")
    _render(content, target)
    return target


def _same_data(folders: Sequence[RunFolder]) -> str:
    found = [str(folder.read_manifest().get("data_fingerprint")) for folder in folders]
    if len(set(found)) > 1:
        raise RunError(
            "other-data",
            "the runs were trained on different data",
            needed="runs of the same bars",
            found=", ".join(f"{folder.path} {one}" for folder, one in zip(folders, found, strict=True)),
            help=["regime-gym evaluate 'run=[RUN_A,RUN_B]' suite=worlds"],
        )
    return found[0]


def _read(folder: RunFolder, label: str, part: str) -> ComparedRun:
    results = _newest_results(folder, part)
    if results is None:
        raise RunError(
            "no-results",
            f"the run of {folder.path} has no results on its {part} part",
            help=["regime-gym report 'runs=[…]' part=validation"] if part == "test" else [],
        )
    metrics, table, report = (
        read_json(results.metrics)[part],
        pd.read_parquet(results.equity),
        read_json(results.report_json),
    )
    rows = table[table["part"] == part]
    facts = report.get("facts", {})
    return ComparedRun(
        label,
        str(facts.get("agent", "agent")),
        int((facts.get("random_seeds") or [0])[0]),
        rows["timestamp"].astype("datetime64[ns, UTC]").astype("int64").to_numpy(),
        rows["agent_equity"].to_numpy(),
        rows["buy_and_hold_equity"].to_numpy(),
        metrics["agent"],
        int(metrics["agent"].get("trades") or 0),
        str(report.get("verdict", {}).get("stamp", "–")) if report.get("part") == part else "–",
        _newest_scenarios(folder),
    )


def _newest_results(folder: RunFolder, part: str) -> RunFolder | None:
    """Where the newest results on `part` lie: an evaluation, or the run itself."""
    evaluations = sorted((folder.path / "evaluations").glob("*/*"), reverse=True)
    for one in (*map(RunFolder, evaluations), folder):
        if part in read_json(one.metrics) and one.equity.is_file():
            return one
    return None


def _newest_scenarios(folder: RunFolder) -> Mapping[str, Any] | None:
    files = sorted((folder.path / "evaluations").glob("*/*/scenarios.json"))
    return read_json(files[-1]) if files else None


def _short_names(paths: Sequence[str]) -> list[str]:
    """The ends of the paths, as long as it takes to tell them apart."""
    parts = [path.strip("/").split("/") for path in paths]
    for n in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-n:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return list(paths)


def _render(content: Mapping[str, Any], target: RunFolder) -> None:
    console = Console(highlight=False)
    for line in comparison_lines(content):
        console.print(line, soft_wrap=True, no_wrap=True, overflow="ignore", crop=False)
    console.print(f"comparison  {target.path / 'comparison.html'}", soft_wrap=True)


def comparison_lines(content: Mapping[str, Any]) -> list[Text]:
    """The comparison for the terminal."""
    first = content["runs"][0]["name"]
    head = f"{'run':<28}{'return':>12}{'Sharpe':>9}{'drawdown':>11}{'trades':>9}"
    lines = [
        Text(f"{content['part'].capitalize()}, {content['n_bars']:,} common bars, after costs", "bold"),
        Text(head),
    ]
    for run in content["runs"]:
        metrics = run["metrics"]
        lines.append(
            Text(
                f"{run['name'][-27:]:<28}{percent(metrics['total_return'], 1, True):>12}"
                f"{number(metrics['sharpe_ratio']):>9}"
                f"{percent(metrics['max_drawdown']):>11}{number(metrics['trades'], 0):>9}"
            )
        )
    lines.append(Text(""))
    for row in content["against"]:
        marked = mark(row["low"], row["high"], 0.0)
        lines.append(
            Text(
                f"{first} − {row['key']}: {number(row['difference'], 3, True)} in log return "
                f"({interval(row['low'], row['high'], 'log', True)} {marked}, p = {number(row['p_holm'], 3)} after "
                f"Holm)"
            )
        )
    scenarios = content["scenarios"] or {"n_scenarios": 0, "against": []}
    lines += [
        Text(
            f"over {scenarios['n_scenarios']} scenarios {first} − {row['key']}: {number(row['difference'], 3, True)} "
            f"(p = {number(row['p_holm'], 3)} after Holm, better in {percent(row['improvement'], 0)})"
        )
        for row in scenarios["against"]
    ]
    return lines
