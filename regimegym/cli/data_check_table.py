"""The reports of `regime-gym data check` as they stand in the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from regimegym.features.quality.report import FileReport, Finding, total_score
from regimegym.features.quality.subject import counted

DIM = "bright_black"
MARKS = {True: ("✗", "bold red"), False: ("·", "yellow")}


def print_report(report: FileReport, console: Console) -> None:
    """One file: what it holds, its violations with the first places, its notes, what its columns are like."""
    _say(console, Text.assemble((report.file, "bold"), ("  " + _facts(report), DIM)))
    for finding in report.findings:
        _say(console, _headline(finding))
        for place in finding.places:
            _say(console, Text(f"      {place}", DIM if not finding.is_violation else ""))
        if finding.places and finding.count > len(finding.places):
            _say(console, Text(f"      … and {finding.count - len(finding.places):,} more", DIM))
    if report.stationarity:
        _say(console, Text(f"  {_columns(report)}", DIM))
    _say(console, _verdict(report))
    _say(console, Text())


def print_total(reports: Sequence[FileReport], console: Console) -> None:
    """The last line over several files."""
    if len(reports) > 1:
        clean = sum(report.is_clean for report in reports)
        bars = sum(report.n_bars for report in reports)
        score = score_text(total_score(reports))
        _say(console, Text(f"{len(reports)} files, {clean} clean · {bars:,} bars · score {score}", "bold"))


def score_text(score: float) -> str:
    """Per cent with two digits; only what is perfect reads 100 %."""
    return "100 %" if score == 100 else f"{min(score, 99.99):.2f} %"


def _facts(report: FileReport) -> str:
    if not report.n_bars:
        return "cannot be read"
    if report.first is None:
        return f"{report.n_bars:,} bars"
    return f"{report.n_bars:,} bars of {report.timeframe} · {report.first} … {report.last} · {report.calendar}"


def _headline(finding: Finding) -> Text:
    mark, style = MARKS[finding.is_violation]
    count = f"{finding.count:,}"
    line = Text.assemble("  ", (mark, style), " ", (f"{finding.rule:<21}", "bold"), f"{count:>7}  ")
    return line.append(finding.sentence)


def _columns(report: FileReport) -> str:
    """Verdicts of the Dickey-Fuller test, columns that share one together."""
    verdicts: dict[str, list[str]] = {}
    for name, test in report.stationarity:
        verdicts.setdefault(test.verdict, []).append(name)
    return "stationarity (ADF, 5 %): " + "; ".join(
        f"{', '.join(names)} {verdict}" for verdict, names in verdicts.items()
    )


def _verdict(report: FileReport) -> Text:
    score = score_text(report.score)
    notes = counted(len(report.findings) - len(report.violations), "note")
    if report.is_clean:
        return Text.assemble(("  ✓ ", "bold green"), f"keeps the data contract · score {score} · {notes}")
    count = sum(finding.count for finding in report.violations)
    return Text.assemble(
        ("  ✗ ", "bold red"), f"breaks the data contract in {counted(count, 'place')} · score {score} · {notes}"
    )


def _say(console: Console, line: Text) -> None:
    console.print(line, soft_wrap=True, highlight=False)
