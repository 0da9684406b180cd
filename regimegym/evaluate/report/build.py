"""One self-contained HTML file from the content of report.json.

Verdict, tables and intervals are rendered here and need no JavaScript; `report.js` only draws
the charts. The file loads nothing: its content security policy forbids the network and every
script but its own.
"""

import base64
import hashlib
import os
import tempfile
from importlib import resources
from pathlib import Path
from string import Template

from regimegym.common.errors import MachineError, RunError
from regimegym.evaluate.report import headings, sections, summary, tables
from regimegym.evaluate.report.figures import chart_data, embed_json
from regimegym.evaluate.report.numbers import words
from regimegym.evaluate.report.reading import Report

FORMAT_VERSION = 1
SCRIPTS = ("charts.js", "report.js")


def write_report(report: Report, path: Path) -> None:
    """Write the report as one HTML file, whole or not at all.

    Args:
        report: content of report.json, format version 1.
        path: file to write; its folder is created when it is missing.

    Raises:
        RunError: the content has another format version.
        MachineError: the file cannot be written.
    """
    write_page(render_report(report), Path(path))


def write_page(text: str, path: Path) -> None:
    """Write one HTML file, whole or not at all. Raises MachineError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(text, path)
    except OSError as error:
        raise MachineError("report-not-written", f"the report cannot be written to {path}: {error.strerror}") from error


def _write_whole(text: str, path: Path) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".report-", suffix=".html")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def render_report(report: Report) -> str:
    """The HTML text. Raises RunError when the content has another format version."""
    found = report.get("format_version")
    if found != FORMAT_VERSION:
        raise RunError(
            "report-format",
            "the content of report.json has another format",
            needed=f"format_version {FORMAT_VERSION}",
            found=f"format_version {found}",
        )
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Template(part_of("template.html")).substitute(
        _texts(report),
        script=script,
        script_hash=f"sha256-{digest}",
        style=part_of("style.css"),
        data=embed_json(chart_data(report)),
    )


def _texts(report: Report) -> dict[str, str]:
    """Everything the template names, ready to stand in HTML."""
    own = {
        "title": report["title"],
        "stamp": report["verdict"]["stamp"],
        "equity_heading": headings.equity_heading(report),
        "trades_heading": headings.exposure_heading(report),
        "regimes_heading": headings.regime_heading(report),
        "metrics_heading": headings.metrics_heading(report),
        "costs_heading": headings.cost_heading(report),
        "weak_heading": headings.weakness_heading(report),
    }
    return {name: words(text) for name, text in own.items()} | {
        "facts": summary.facts_strip(report),
        "verdict": summary.verdict(report),
        "key_figures": summary.key_figures(report),
        "trade_note": tables.trade_note(report),
        "regime_table": tables.regime_table(report),
        "metric_table": tables.metric_table(report),
        "difference_table": tables.difference_table(report),
        "cost_facts": tables.cost_facts(report),
        "cost_table": tables.cost_table(report),
        "weaknesses": summary.weakness_list(summary.weaknesses(report)),
        "run_card": tables.run_card(report),
        "navigation": sections.navigation(report),
        "month_table": sections.month_table(report),
        "scenario_section": sections.scenario_section(report),
        "walk_forward_section": sections.walk_forward_section(report),
        "statistics_section": sections.statistics_section(report),
        "calibration_section": sections.calibration_section(report),
    }


def _script() -> str:
    return "(() => {\n" + "\n".join(map(part_of, SCRIPTS)) + "})();"


def part_of(name: str) -> str:
    """The text of a file of this folder: template, style or script."""
    return (resources.files("regimegym.evaluate.report") / name).read_text(encoding="utf-8")
