"""What the package logs, for people: one line each on stderr, the same line once."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Notes(logging.Handler):
    """Writes messages as `note  …` and `warning  …`; what is computed anew need not be told anew."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line to whatever stderr is now: a display may have taken its place."""
        text = record.getMessage()
        if text not in self.told:
            self.told.add(text)
            print(f"{'note' if record.levelno < logging.WARNING else 'warning'}  {text}", file=sys.stderr)


@contextmanager
def notes_on_stderr() -> Iterator[None]:
    """Show what the package logs while the block runs: features left out, pieces of history, caches."""
    log = logging.getLogger("regimegym")
    handler, level = Notes(), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
