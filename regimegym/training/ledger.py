"""The ledger of trials and looks: how often was this data scored, how often was a test opened.

A trial is one configuration scored on a validation interval; a look is one opening of a test
interval. Reports take both counters from here, so every process of a sweep appends to one file.
Lines are only ever appended, each with a single write, so that several processes do not mix them.
"""

import json
import logging
import math
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from regimegym.training.run_folder import refused_by_machine

Interval = tuple[int, int]
log = logging.getLogger(__name__)

LEDGER = Path("runs/ledger.jsonl")  # below the folder a command is started in


class Ledger:
    """JSON lines at `path`; the file and its folder appear with the first entry."""

    def __init__(self, path: str | Path = LEDGER) -> None:
        self.path = Path(path)
        self._told = False

    def record_trial(self, fingerprint: str, interval: Interval, run: str, score: float) -> None:
        """One configuration was scored on the validation `interval` [start_ns, stop_ns)."""
        self._append("trial", fingerprint, interval, run, score=score if math.isfinite(score) else None)

    def record_look(self, fingerprint: str, interval: Interval, run: str) -> None:
        """The test `interval` [start_ns, stop_ns) of the data was opened by `run`."""
        self._append("look", fingerprint, interval, run)

    def count_trials(self, fingerprint: str) -> int:
        """Number of configurations that were scored on the data `fingerprint`."""
        return sum(1 for _ in self._entries("trial", fingerprint))

    def count_looks(self, fingerprint: str, interval: Interval) -> int:
        """Number of looks so far at any interval of the same data that overlaps `interval`."""
        start, stop = interval
        return sum(
            1
            for entry in self._entries("look", fingerprint)
            if entry["interval"][0] < stop and start < entry["interval"][1]
        )

    def _append(self, kind: str, fingerprint: str, interval: Interval, run: str, **more: Any) -> None:
        entry = {
            "kind": kind,
            "fingerprint": fingerprint,
            "interval": [int(interval[0]), int(interval[1])],
            "run": str(run),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            **more,
        }
        line = (json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n").encode()
        with refused_by_machine(self.path, len(line), kept="the ledger as it was"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(handle, self._line_break(handle) + line)
                os.fsync(handle)
            finally:
                os.close(handle)

    @staticmethod
    def _line_break(handle: int) -> bytes:
        """A line that a killed process left unfinished must not swallow the next one.

        Another process may be writing at this moment; then an empty line too many harms nobody.
        """
        end = os.fstat(handle).st_size
        return b"\n" if end and os.pread(handle, 1, end - 1) != b"\n" else b""

    def _entries(self, kind: str, fingerprint: str) -> Iterator[dict[str, Any]]:
        for entry in self._read():
            if entry["kind"] == kind and entry["fingerprint"] == fingerprint:
                yield entry

    def _read(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        for i, line in enumerate(self.path.read_text(encoding="utf-8", errors="replace").splitlines()):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                if len(entry["interval"]) != 2 or "kind" not in entry or "fingerprint" not in entry:
                    raise ValueError("incomplete")
                yield entry
            except (ValueError, KeyError, TypeError):
                self._tell(i + 1)

    def _tell(self, line: int) -> None:
        if not self._told:
            self._told = True
            log.warning(
                "%s, line %d is damaged (a process was killed while writing) and is not counted",
                self.path,
                line,
            )
