"""Is it time to search again? Markets drift, and so do the best settings."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from regimegym.common.errors import ConfigError
from regimegym.features.durations import NS_PER_SECOND, timeframe_of
from regimegym.training.run_folder import read_json

WEEK = 7
FINISHED = "sweep.json"


class Decision(NamedTuple):
    """Due or not, and why, for people."""

    is_due: bool
    reason: str


def period_of(words: str) -> timedelta:
    """A length such as 12h, 7d or 1w. Raises ConfigError."""
    text = str(words).strip()
    if text.endswith("w") and text[:-1].isdigit() and int(text[:-1]):
        return timedelta(days=WEEK * int(text[:-1]))
    try:
        return timedelta(seconds=timeframe_of(text) / NS_PER_SECOND)
    except ConfigError:
        raise ConfigError("bad-period", f"'every' is '{words}'", needed="a length such as 12h, 7d or 1w") from None


def decide(last: datetime | None, every: timedelta, now: datetime) -> Decision:
    """Whether a search is due at `now` when the last one ended at `last` (None: there was none)."""
    if last is None:
        return Decision(True, "no search has finished yet")
    next_time = last + every
    when = f"the last search ended {last:%Y-%m-%d %H:%M}, the next is due {next_time:%Y-%m-%d %H:%M}"
    return Decision(now >= next_time, when)


def last_finished(folder: Path) -> datetime | None:
    """When the newest finished sweep directly below `folder` ended; None without one."""
    ends = [read_json(file).get("finished") for file in folder.glob(f"*/{FINISHED}")]
    return max((datetime.fromisoformat(end) for end in ends if end), default=None)


def unfinished(folder: Path) -> Path | None:
    """The newest sweep directly below `folder` that has begun and not finished; None without one."""
    begun = [path for path in folder.glob("*") if (path / "sweep.yaml").is_file() and not (path / FINISHED).is_file()]
    return max(begun, default=None)
