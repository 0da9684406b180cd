"""What the check of a file says, as data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from regimegym.features.quality.stationarity import Stationarity

SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One rule that found something.

    Attributes:
        rule: slug.
        is_violation: the contract is broken; otherwise a note.
        count: places.
        sentence: what it means for the file as a whole; empty where the places say it.
        places: the first three, with file line or row.
    """

    rule: str
    is_violation: bool
    count: int
    sentence: str
    places: tuple[str, ...]


@dataclass(frozen=True)
class FileReport:
    """The check of one file.

    Attributes:
        file: path as it was given.
        n_bars: rows and ragged lines; 0 where nothing could be read.
        n_bad: of these, how many break a rule of the contract.
        first, last: ISO times of the first and last good bar; None without any.
        timeframe: length of a bar, for people.
        calendar: hours of trading that the file shows, for people.
        findings: violations first.
        stationarity: column or feature → what the test says.
        unused: columns of the file that bars have no use for.
    """

    file: str
    n_bars: int
    n_bad: int
    first: str | None = None
    last: str | None = None
    timeframe: str = ""
    calendar: str = ""
    findings: tuple[Finding, ...] = ()
    stationarity: tuple[tuple[str, Stationarity], ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def violations(self) -> tuple[Finding, ...]:
        """Findings that break the contract."""
        return tuple(finding for finding in self.findings if finding.is_violation)

    @property
    def score(self) -> float:
        """Per cent of bars without a violation; 0 where nothing could be read."""
        return 100.0 * (1 - self.n_bad / self.n_bars) if self.n_bars else 0.0

    @property
    def is_clean(self) -> bool:
        """No violation."""
        return not self.violations

    def to_json(self) -> dict[str, Any]:
        """The report as plain data."""
        record = {key: value for key, value in asdict(self).items() if key != "stationarity"}
        tests = {name: {**asdict(test), "verdict": test.verdict} for name, test in self.stationarity}
        return {**record, "score": round(self.score, 4), "is_clean": self.is_clean, "stationarity": tests}


def total_score(reports: Sequence[FileReport]) -> float:
    """Per cent of all bars of all files without a violation; an unreadable file counts as one bad bar."""
    bars = sum(max(report.n_bars, 1) for report in reports)
    bad = sum(report.n_bad if report.n_bars else 1 for report in reports)
    return 100.0 * (1 - bad / bars)
