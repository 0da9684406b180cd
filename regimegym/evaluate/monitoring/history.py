"""Metrics over time behind one interface: JSON lines, or SQLite where many are asked for."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from regimegym.common.plain import plain

Metrics = dict[str, float | None]


class MetricHistory(Protocol):
    """Sets of metrics in the order in which they were added; equal times are accepted."""

    def add(self, metrics: Mapping[str, float | None], time: datetime) -> None:
        """Keep one set; NaN and infinite are kept as missing."""

    def read(self, last: int | None = None) -> list[tuple[datetime, Metrics]]:
        """The `last` sets, or all of them, the oldest first."""


class JsonLinesHistory:
    """One JSON object per line at `path`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def add(self, metrics: Mapping[str, float | None], time: datetime) -> None:
        """See MetricHistory."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": _utc(time), "metrics": plain(metrics)}, allow_nan=False) + "\n")

    def read(self, last: int | None = None) -> list[tuple[datetime, Metrics]]:
        """See MetricHistory."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in (lines if last is None else lines[-last:] if last else [])]
        return [(datetime.fromisoformat(row["time"]), row["metrics"]) for row in rows]


class SqliteHistory:
    """A table in the SQLite file at `path`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS metrics (id INTEGER PRIMARY KEY, time TEXT, metrics TEXT)")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=30.0)

    def add(self, metrics: Mapping[str, float | None], time: datetime) -> None:
        """See MetricHistory."""
        row = (_utc(time), json.dumps(plain(metrics), allow_nan=False))
        with closing(self._open()) as connection, connection:
            connection.execute("INSERT INTO metrics (time, metrics) VALUES (?, ?)", row)

    def read(self, last: int | None = None) -> list[tuple[datetime, Metrics]]:
        """See MetricHistory."""
        query = "SELECT time, metrics FROM metrics ORDER BY id DESC LIMIT ?"
        with closing(self._open()) as connection:
            rows = connection.execute(query, (-1 if last is None else last,)).fetchall()
        return [(datetime.fromisoformat(time), json.loads(metrics)) for time, metrics in reversed(rows)]


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()
