"""What every benchmark says of itself in its JSON, and how a row is judged."""

from datetime import datetime
from typing import Any

from regimegym.training.benchmarks.machine import describe_machine
from regimegym.training.benchmarks.target import Target
from regimegym.training.manifest import code_version, package_versions


def described(benchmark: str, version: int, started: datetime) -> dict[str, Any]:
    """Name and version of the record, when it was measured, on which machine, with which code and packages."""
    return {
        "format": version,
        "benchmark": benchmark,
        "started": started.isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "code": code_version(),
        "packages": package_versions(),
    }


class Judged:
    """A row whose `value` a target may judge."""

    value: float
    target: Target | None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else self.target.is_met(self.value)
