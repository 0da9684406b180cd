"""The report of one evaluation as an HTML file, from the content of report.json.

Verdict, tables and intervals are rendered here and need no JavaScript; `report.js` only draws the charts.
"""

from pathlib import Path
from string import Template

from regimegym.common.errors import RunError
from regimegym.evaluate.report import (
    calibrated,
    evidence,
    headings,
    histories,
    sections,
    sources,
    summary,
    tables,
    targets,
    walked,
)
from regimegym.evaluate.report.figures import chart_data
from regimegym.evaluate.report.numbers import words
from regimegym.evaluate.report.page import Page, part_of, render_page, write_page
from regimegym.evaluate.report.reading import Report

FORMAT_VERSION = 1
SCRIPTS = ("charts.js", "report.js")
FILES = "The same content as data: <code>report.json</code>, as text: <code>report.md</code>."


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
    return render_page(
        Page(
            tab=words(f"{report['verdict']['stamp']} · {report['title']}"),
            kind="evaluation report",
            title=words(report["title"]),
            facts=summary.facts_strip(report),
            body=Template(part_of("report.html")).substitute(_texts(report)),
            files=FILES,
            scripts=SCRIPTS,
            data=chart_data(report),
        )
    )


def _texts(report: Report) -> dict[str, str]:
    """Everything the template names, ready to stand in HTML."""
    own = {
        "equity_heading": headings.equity_heading(report),
        "trades_heading": headings.exposure_heading(report),
        "regimes_heading": headings.regime_heading(report),
        "metrics_heading": headings.metrics_heading(report),
        "costs_heading": headings.cost_heading(report),
        "weak_heading": headings.weakness_heading(report),
    }
    return {name: words(text) for name, text in own.items()} | {
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
        "target_section": targets.target_section(report),
        "scenario_section": sections.scenario_section(report),
        "walk_forward_section": walked.walk_forward_section(report),
        "statistics_section": evidence.statistics_section(report),
        "history_section": histories.history_section(report),
        "calibration_section": calibrated.calibration_section(report),
        "source_table": sources.source_table(report),
        "trade_facts": sources.trade_facts(report),
    }
