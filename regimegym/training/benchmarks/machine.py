"""The machine a benchmark ran on, as far as the operating system tells."""

import os
import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")


def describe_machine() -> dict[str, str | int | None]:
    """Processor, cores that may be used, system and Python."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
