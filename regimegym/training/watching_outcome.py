"""What a look at a model at work leaves behind, below the run in monitoring/.

history.jsonl       the figures of every look, with what was expected and what would have alarmed
alerts.jsonl        the alerts that were told; told.json: when which was told last
audit.jsonl         every look and its alerts, hash-chained
health.json         the newest look as one object; monitor.html: the same for people, with the trends
tensorboard/        the figures over the looks
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from regimegym.common.plain import plain
from regimegym.evaluate.metrics import METRICS
from regimegym.evaluate.monitoring.alerts import Notifier, Sink
from regimegym.evaluate.monitoring.audit_log import AuditLog
from regimegym.evaluate.monitoring.history import JsonLinesHistory
from regimegym.evaluate.report.monitor_page import write_health
from regimegym.training.health import Health
from regimegym.training.outcome import period
from regimegym.training.run_folder import RunFolder, read_json, refused_by_machine

FOLDER = "monitoring"  # below the run
PAGE = "monitor.html"
NS_PER_MS = 1_000_000
BESIDE = ("expected", "limit")  # kept in the history as NAME_expected and NAME_limit
SHOWN_LOOKS = 500  # on the page, the newest


def history_of(run: RunFolder) -> JsonLinesHistory:
    """The figures of all looks at the run."""
    return JsonLinesHistory(run.path / FOLDER / "history.jsonl")


def record_look(run: RunFolder, found: Health, sinks: list[Sink], quiet: float, reference: str) -> None:
    """Keep the figures, tell of the alerts, enter both in the log that shows tampering, draw the page.

    Raises:
        MachineError: the disk or its permissions refuse.
    """
    now = datetime.now(UTC)
    folder = run.path / FOLDER
    notifier = Notifier(sinks, quiet)
    with refused_by_machine(folder, 0, kept="the run as it was"):
        folder.mkdir(parents=True, exist_ok=True)
        notifier.load_state(read_json(folder / "told.json"))
        told = notifier.notify(found.alerts, now)
        run.write_json(f"{FOLDER}/told.json", notifier.state())
        history = history_of(run)
        history.add(found.metrics | _beside(found), now)
        content = {
            "bars": period(found.trajectory.timestamps),
            "metrics": found.metrics,
            "alerts": [alert._asdict() for alert in found.alerts],
            "told": [alert.key for alert in told],
        }
        AuditLog(folder / "audit.jsonl").append("monitor", content, now)
        looks = history.read()
        _file_scalars(run, found, len(looks) - 1, now)
    health = health_content(run, found, looks[-SHOWN_LOOKS:], reference)
    run.write_json(f"{FOLDER}/health.json", health)
    write_health(health, folder / PAGE)


def _beside(found: Health) -> dict[str, float]:
    """What was expected of every watched metric, and its limit, by NAME_expected and NAME_limit."""
    values = {}
    for name, expectation in found.monitor.expected.items():
        for kind, value in zip(BESIDE, (expectation.value, found.monitor.limit(name)), strict=True):
            values[f"{name}_{kind}"] = value
    return values


def _file_scalars(run: RunFolder, found: Health, step: int, now: datetime) -> None:
    """The watched figures, the number of alerts and of drifted features as scalars of look `step`."""
    watched = found.monitor.expected
    values = {name: found.metrics[name] for name in watched} | _beside(found)
    values |= {"alerts": float(len(found.alerts)), "drifted_features": float(sum(d.drifted for d in found.drifts))}
    with SummaryWriter(str(run.path / FOLDER / "tensorboard")) as writer:
        if step == 0:
            charts = {name: ["Multiline", [f"monitor/{name}$", *(f"monitor/{name}_{kind}$" for kind in BESIDE)]]
                      for name in watched}  # fmt: skip
            writer.add_custom_scalars({"monitor": charts})
        for name, value in values.items():
            if math.isfinite(value):
                writer.add_scalar(f"monitor/{name}", value, step, walltime=now.timestamp())


def health_content(
    run: RunFolder, found: Health, looks: list[tuple[datetime, dict[str, float | None]]], reference: str
) -> dict[str, Any]:
    """The newest look as plain data, see evaluate.report.monitor_page."""
    stamps, watched = found.trajectory.timestamps, found.monitor.expected
    alarmed = {alert.key for alert in found.alerts}
    return plain(
        {
            "format_version": 1,
            "is_healthy": not found.alerts,
            "run": str(run.path),
            "reference": reference,
            "time_ms": _ms(looks[-1][0]),
            "start_ms": int(stamps[0]) // NS_PER_MS,
            "end_ms": int(stamps[-1]) // NS_PER_MS,
            "n_bars": len(found.trajectory),
            "alerts": [alert._asdict() for alert in found.alerts],
            "metrics": [
                {
                    "key": name,
                    "label": METRICS[name].label,
                    "unit": METRICS[name].unit,
                    "expected": expectation.value,
                    "limit": found.monitor.limit(name),
                    "now": found.metrics[name],
                    "alarms": name in alarmed,
                }
                for name, expectation in watched.items()
            ],
            "drifts": [drift._asdict() for drift in found.drifts],
            "looks": [
                {"time_ms": _ms(time), "metrics": {name: _of(name, metrics) for name in watched}}
                for time, metrics in looks
            ],
        }
    )


def _of(name: str, metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    return {"now": metrics.get(name), **{kind: metrics.get(f"{name}_{kind}") for kind in BESIDE}}


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)
