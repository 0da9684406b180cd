"""A model is watched: only what is worse alarms, everybody is told once, and the log cannot be rewritten."""

import json
import logging
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError, DataError
from regimegym.evaluate.metrics import METRICS
from regimegym.evaluate.monitoring.alerts import FileSink, LogSink, Notifier, WebhookSink
from regimegym.evaluate.monitoring.audit_log import BEGIN, AuditLog
from regimegym.evaluate.monitoring.history import JsonLinesHistory, SqliteHistory
from regimegym.evaluate.monitoring.monitor import (
    OTHERS,
    Alert,
    Expectation,
    ModelMonitor,
    MonitorSettings,
    direction,
    is_worsening,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DIRECTED = sorted([*(name for name, metric in METRICS.items() if metric.better), *OTHERS])
ALERT = Alert("sharpe_ratio", "worse", 0.1, 0.8, "sharpe_ratio is 0.1")


@pytest.mark.parametrize("name", DIRECTED)
def test_every_metric_alarms_when_it_is_worse_and_never_when_it_is_better(name):
    monitor = ModelMonitor({name: Expectation(1.0)})
    sign = 1.0 if direction(name) == "high" else -1.0
    assert [alert.reason for alert in monitor.check({name: 1.0 - 0.25 * sign})] == ["worse"]
    assert monitor.check({name: 1.0 - 0.15 * sign}) == []
    assert monitor.check({name: 1.0 + 5.0 * sign}) == []


def test_the_cases_that_alarmed_elsewhere_do_not_here():
    monitor = ModelMonitor({"sharpe_ratio": Expectation(1.0), "max_drawdown": Expectation(0.2)})
    assert monitor.check({"sharpe_ratio": 2.0, "max_drawdown": 0.1}) == []


@pytest.mark.parametrize("metrics", [{}, {"accuracy": None}, {"accuracy": float("nan")}, {"accuracy": float("inf")}])
def test_what_is_missing_or_no_number_alarms(metrics):
    (alert,) = ModelMonitor({"accuracy": Expectation(0.6)}).check(metrics)
    assert alert.reason == "missing"
    assert "0.6 was expected" in alert.text


def test_an_expectation_of_zero_is_judged_by_its_error():
    monitor = ModelMonitor({"total_return": Expectation(0.0, error=0.05)})
    assert monitor.check({"total_return": -0.09}) == []
    assert monitor.check({"total_return": -0.11})[0].limit == pytest.approx(-0.1)


def test_negative_expectations_have_their_room_on_the_worse_side():
    monitor = ModelMonitor({"sharpe_ratio": Expectation(-1.0)})
    assert monitor.limit("sharpe_ratio") == pytest.approx(-1.2)
    assert monitor.check({"sharpe_ratio": -0.5}) == []


def test_fixed_bounds_alarm_on_their_own_side():
    monitor = ModelMonitor({"win_rate": Expectation(0.5, error=1.0, below=0.3, above=0.9)})
    assert [alert.reason for alert in monitor.check({"win_rate": 0.2})] == ["below"]
    assert [alert.reason for alert in monitor.check({"win_rate": 0.95})] == ["above"]


def test_an_unknown_metric_needs_its_direction():
    with pytest.raises(ConfigError, match="of 'sharp_ratio' it is not known") as error:
        ModelMonitor({"sharp_ratio": Expectation(1.0)})
    assert error.value.nearest == "sharpe_ratio"
    own = ModelMonitor({"hits": Expectation(1.0)}, better={"hits": "low"})
    assert own.check({"hits": 2.0})


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=15))
def test_a_trend_for_the_worse_is_the_mirror_image_of_one_for_the_better(values):
    series = np.array(values)
    assert is_worsening(series, "high") == is_worsening(-series, "low")
    assert not (is_worsening(series, "high") and is_worsening(series, "low"))


def test_trends_alarm_in_their_direction_only():
    monitor = ModelMonitor({"accuracy": Expectation(0.5), "max_drawdown": Expectation(0.1)})
    falling = [{"accuracy": 0.9 - 0.01 * k, "max_drawdown": 0.1 - 0.005 * k} for k in range(10)]
    assert [alert.key for alert in monitor.check_trends(falling)] == ["accuracy"]
    assert monitor.check_trends(falling[:9]) == []
    assert [alert.key for alert in monitor.check_trends(falling[::-1])] == ["max_drawdown"]
    assert monitor.check_trends([{"accuracy": None}] * 10) == []
    with pytest.raises(ConfigError, match="'trend_window' must be"):
        MonitorSettings(trend_window=2)


class Receiver(BaseHTTPRequestHandler):
    """Keeps what is posted; answers 500 where the path is /broken."""

    def do_POST(self):
        self.server.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()

    def log_message(self, *words):
        pass


@pytest.fixture
def receiver():
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.received = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_each_sink_receives_the_alert(tmp_path, receiver, caplog):
    sinks = [
        LogSink(),
        FileSink(tmp_path / "alerts" / "a.jsonl"),
        WebhookSink(f"http://127.0.0.1:{receiver.server_port}/x"),
    ]
    missing = ALERT._replace(value=float("nan"), reason="missing")
    with caplog.at_level(logging.WARNING):
        assert Notifier(sinks).notify([ALERT, missing], NOW) == [ALERT, missing]
    assert "sharpe_ratio is 0.1 (worse)" in caplog.text
    lines = [json.loads(line) for line in (tmp_path / "alerts" / "a.jsonl").read_text().splitlines()]
    assert lines == receiver.received
    assert lines[0]["time"] == "2026-03-01T12:00:00+00:00"
    assert [line["value"] for line in lines] == [0.1, None]


def test_the_same_alert_is_not_repeated_for_a_while_and_others_are_told(tmp_path):
    sink = FileSink(tmp_path / "a.jsonl")
    notifier = Notifier([sink], quiet=24.0)
    for hours in range(0, 72, 1):
        notifier.notify([ALERT], NOW + timedelta(hours=hours))
    assert len(sink.path.read_text().splitlines()) == 3  # no storm
    other = ALERT._replace(key="accuracy")
    assert notifier.notify([ALERT, other], NOW + timedelta(hours=71.5)) == [other]
    again = Notifier([sink])
    again.load_state(notifier.state())
    assert again.notify([ALERT, other], NOW + timedelta(hours=71.6)) == []


def test_a_sink_that_fails_keeps_nobody_from_being_told(tmp_path, receiver, caplog):
    broken = WebhookSink(f"http://127.0.0.1:{receiver.server_port}/broken")
    file = FileSink(tmp_path / "a.jsonl")
    assert Notifier([broken, file]).notify([ALERT], NOW) == [ALERT]
    assert "WebhookSink could not be told" in caplog.text
    lonely = Notifier([broken])
    assert lonely.notify([ALERT], NOW) == []
    assert lonely.notify([ALERT], NOW) == []
    assert len(receiver.received) == 3  # it is tried again
    with pytest.raises(ConfigError, match="'ftp://x' is no address of a webhook"):
        WebhookSink("ftp://x")


@pytest.mark.parametrize("kind", [JsonLinesHistory, SqliteHistory])
def test_a_history_reloads_in_its_order_with_equal_times(kind, tmp_path):
    history = kind(tmp_path / "deep" / "history")
    assert history.read() == []
    rows = [(NOW, {"a": 1.0, "b": float("nan")}), (NOW, {"a": 2.0}), (NOW + timedelta(days=1), {"a": np.float64(3.0)})]
    for time, metrics in rows:
        history.add(metrics, time)
    again = kind(tmp_path / "deep" / "history")
    assert again.read() == [(NOW, {"a": 1.0, "b": None}), (NOW, {"a": 2.0}), (NOW + timedelta(days=1), {"a": 3.0})]
    assert [metrics["a"] for _, metrics in again.read(2)] == [2.0, 3.0]
    assert again.read(0) == []


def filled(path, n=4):
    log = AuditLog(path)
    for k in range(n):
        log.append("decision", {"action": "BUY", "size": 0.5 * k, "why": float("nan")}, NOW + timedelta(minutes=k))
    return log


def test_a_whole_log_verifies_and_goes_on(tmp_path):
    log = filled(tmp_path / "audit.jsonl")
    assert log.verify() == 4
    head = log.head
    log.append("order", "x" * 10_000)
    log.append("order", "y")
    assert AuditLog(log.path).verify(head) == 6
    assert [entry.number for entry in log.entries()] == list(range(6))
    assert (AuditLog(tmp_path / "none").verify(), AuditLog(tmp_path / "none").head) == (0, BEGIN)


def tamper(name, lines):
    changed = {
        "a value": [lines[0], lines[1].replace("BUY", "SELL"), *lines[2:]],
        "a time": [*lines[:2], lines[2].replace("12:02", "12:03"), lines[3]],
        "one removed": [lines[0], *lines[2:]],
        "two swapped": [lines[0], lines[2], lines[1], lines[3]],
        "one repeated": [*lines, lines[-1]],
        "half a line": [*lines[:3], lines[3][:40]],
        "the first removed": lines[1:],
    }
    return changed[name]


@pytest.mark.parametrize(
    "name", ["a value", "a time", "one removed", "two swapped", "one repeated", "half a line", "the first removed"]
)
def test_a_tampered_log_fails_verification(name, tmp_path):
    log = filled(tmp_path / "audit.jsonl")
    lines = log.path.read_text().splitlines()
    changed = tamper(name, lines)
    assert changed != lines
    log.path.write_text("\n".join(changed) + "\n")
    with pytest.raises(DataError, match="the entry is not the one that was written"):
        log.verify()


def test_a_log_that_was_cut_off_is_known_by_its_head(tmp_path):
    log = filled(tmp_path / "audit.jsonl")
    head = log.head
    lines = log.path.read_text().splitlines()
    log.path.write_text("\n".join(lines[:2]) + "\n")
    assert log.verify() == 2
    with pytest.raises(DataError, match="lacks the entry"):
        log.verify(head)


def test_nothing_is_chained_to_a_damaged_line(tmp_path):
    log = filled(tmp_path / "audit.jsonl")
    log.path.write_text(log.path.read_text()[:-30])
    with pytest.raises(DataError, match=r"the last line of .* is damaged"):
        log.append("decision", 1)
