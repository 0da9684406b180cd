"""A log that shows when it was tampered with: every entry holds the hash of the one before.

Changing, removing, inserting or reordering entries breaks the chain. Cutting entries off the end does
not, so the head (`AuditLog.head`) belongs somewhere else as well.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from regimegym.common.errors import DataError
from regimegym.common.plain import plain

BEGIN = "0" * 64


class Entry(NamedTuple):
    """One line: what happened, when, and the hash of it and of all before it."""

    number: int
    time: str
    kind: str
    content: Any
    before: str
    hash: str


class AuditLog:
    """JSON lines at `path`; several processes may append."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def append(self, kind: str, content: Any, time: datetime | None = None) -> Entry:
        """Add an entry and wait until it is on disk.

        Raises:
            DataError: the last line is damaged: nothing is chained to it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            last = self._last(file)
            number, before = (0, BEGIN) if last is None else (last.number + 1, last.hash)
            stamp = (time or datetime.now(UTC)).isoformat()
            values = {"number": number, "time": stamp, "kind": kind, "content": plain(content), "before": before}
            entry = Entry(**values, hash=_hash(values))
            file.write(_line(entry))
            file.flush()
            os.fsync(file.fileno())
        return entry

    def entries(self) -> Iterator[Entry]:
        """All entries, each checked.

        Raises:
            DataError: `tampered`, with the line at which the chain breaks.
        """
        before = BEGIN
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for k, line in enumerate(file):
                entry = _parsed(line)
                if entry is None or entry.number != k or entry.before != before or not _is_whole(entry):
                    raise DataError(
                        "tampered",
                        f"{self.path}, line {k + 1}: the entry is not the one that was written",
                        needed=f"entry {k} behind hash {before[:12]}…",
                        found="no entry" if entry is None else f"entry {entry.number} behind {entry.before[:12]}…",
                    )
                before = entry.hash
                yield entry

    def verify(self, head: str | None = None) -> int:
        """Number of entries, all of them whole.

        Args:
            head: hash of an entry that must be among them; it shows that nothing was cut off behind it.

        Raises:
            DataError: `tampered`, or `cut-off` where `head` is missing.
        """
        n, found = 0, head in (None, BEGIN)
        for entry in self.entries():
            n += 1
            found = found or entry.hash == head
        if not found:
            raise DataError("cut-off", f"{self.path} lacks the entry {str(head)[:12]}… that it once had")
        return n

    @property
    def head(self) -> str:
        """Hash of the last entry; zeros for an empty log."""
        last = BEGIN
        for entry in self.entries():
            last = entry.hash
        return last

    def _last(self, file: Any) -> Entry | None:
        end = file.seek(0, os.SEEK_END)
        if end == 0:
            return None
        size = 4096
        while True:
            start = max(0, end - size)
            file.seek(start)
            lines = file.read(end - start).splitlines()
            if len(lines) > 1 or start == 0:
                break
            size *= 2
        entry = _parsed(lines[-1])
        if entry is None or not _is_whole(entry):
            raise DataError(
                "tampered", f"the last line of {self.path} is damaged", kept="nothing was written behind it"
            )
        return entry


def _hash(values: dict[str, Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()).hexdigest()


def _is_whole(entry: Entry) -> bool:
    values = entry._asdict()
    return values.pop("hash") == _hash(values)


def _line(entry: Entry) -> bytes:
    return (json.dumps(entry._asdict(), ensure_ascii=False, allow_nan=False) + "\n").encode()


def _parsed(line: bytes) -> Entry | None:
    try:
        return Entry(**json.loads(line))
    except (ValueError, TypeError):
        return None
