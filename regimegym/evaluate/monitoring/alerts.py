"""Alerts are told: to a log, a file, a webhook; the same one only once in a while."""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.error import URLError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from regimegym.common.checks import check_not_negative, check_positive
from regimegym.common.errors import ConfigError
from regimegym.common.plain import plain
from regimegym.evaluate.monitoring.monitor import Alert

LOG = logging.getLogger(__name__)
SCHEMES = ("http", "https")


class Sink(Protocol):
    """Where alerts go."""

    def send(self, alert: Alert, time: datetime) -> None:
        """Tell it. Raises OSError where it cannot be told."""


class LogSink:
    """Alerts as warnings of the package's log."""

    def send(self, alert: Alert, time: datetime) -> None:
        """See Sink."""
        LOG.warning("%s (%s)", alert.text, alert.reason)


class FileSink:
    """Alerts as JSON lines at `path`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def send(self, alert: Alert, time: datetime) -> None:
        """See Sink."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(message(alert, time), ensure_ascii=False, allow_nan=False) + "\n")


class WebhookSink:
    """Alerts as JSON, posted to `url`.

    Args:
        url: http or https.
        timeout: seconds to wait for an answer.
        headers: beside the content type.
    """

    def __init__(self, url: str, timeout: float = 5.0, headers: Mapping[str, str] | None = None) -> None:
        check_positive("timeout", timeout)
        if urlparse(url).scheme not in SCHEMES or not urlparse(url).netloc:
            raise ConfigError("no-address", f"'{url}' is no address of a webhook", needed="http://… or https://…")
        self.url, self.timeout, self.headers = url, timeout, dict(headers or {})

    def send(self, alert: Alert, time: datetime) -> None:
        """See Sink."""
        body = json.dumps(message(alert, time), ensure_ascii=False, allow_nan=False).encode()
        request = Request(self.url, body, {"Content-Type": "application/json", **self.headers}, method="POST")
        with urlopen(request, timeout=self.timeout):
            pass  # an answer with an error raises


class Notifier:
    """Tells every sink of an alert, and keeps quiet about the same one for a while.

    An alert is the same when key and reason are; what differs is told at once. A sink that fails is logged and
    does not keep the others from being told; where every one of them failed, the next occasion tries again.

    Args:
        sinks: where alerts go.
        quiet: hours for which the same alert is not repeated.
    """

    def __init__(self, sinks: Sequence[Sink], quiet: float = 24.0) -> None:
        check_not_negative("quiet", quiet)
        self.sinks = list(sinks)
        self.quiet = timedelta(hours=quiet)
        self.last: dict[tuple[str, str], datetime] = {}

    def notify(self, alerts: Sequence[Alert], time: datetime | None = None) -> list[Alert]:
        """Tell of the `alerts` at `time` (now, where None); those that were told."""
        now = time or datetime.now(UTC)
        told = []
        for alert in alerts:
            key = (alert.key, alert.reason)
            if key in self.last and now - self.last[key] < self.quiet:
                continue
            results = [_tell(sink, alert, now) for sink in self.sinks]
            if any(results) or not results:
                self.last[key] = now
                told.append(alert)
        return told

    def state(self) -> dict[str, str]:
        """When which alert was last told, plain, to be kept between two runs of a monitor."""
        return {"\0".join(key): time.isoformat() for key, time in self.last.items()}

    def load_state(self, state: Mapping[str, str]) -> None:
        """The inverse of `state`."""
        for text, time in state.items():
            key, _, reason = text.partition("\0")
            self.last[(key, reason)] = datetime.fromisoformat(time)


def message(alert: Alert, time: datetime) -> dict[str, Any]:
    """An alert as plain JSON."""
    return plain({**alert._asdict(), "time": time.isoformat(timespec="seconds")})


def _tell(sink: Sink, alert: Alert, time: datetime) -> bool:
    try:
        sink.send(alert, time)
    except (OSError, URLError) as error:
        LOG.warning("%s could not be told of an alert (%s): %s", type(sink).__name__, alert.text, error)
        return False
    return True
