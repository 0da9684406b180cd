"""`regime-gym monitor`: a run on later bars of its own market is well, on another market it is not."""

import json

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import TINY_DQN, read

from regimegym.cli.main import main
from regimegym.evaluate.monitoring.audit_log import AuditLog
from regimegym.evaluate.monitoring.history import JsonLinesHistory

RUN = [*TINY_DQN, "features=minimal", "data=random_walk", "data.n_bars=2600", "run_dir=run"]
LOOK = ["monitor", "run=run", "drift.n_resamples=60"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a run stands, and bars that came later: of the same law, and of another."""
    place = tmp_path_factory.mktemp("monitor")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main(["train", *RUN]) == 0
    table = pd.read_parquet(place / "run" / "equity.parquet")
    last, close = table["timestamp"].iloc[-1], table["close"].iloc[-1]
    rng = np.random.default_rng(4)
    for name, drift, deviation in (("calm", 0.0, 0.01), ("crash", -0.02, 0.01)):
        closes = close * np.exp(np.cumsum(rng.normal(drift, deviation, 800)))
        opens = np.concatenate([[close], closes[:-1]])
        high, low = np.maximum(opens, closes) * 1.001, np.minimum(opens, closes) * 0.999
        stamps = pd.date_range(last + pd.Timedelta("1h"), periods=800, freq="1h")
        bars = {"time": stamps, "open": opens, "high": high, "low": low, "close": closes, "volume": 1000.0}
        pd.DataFrame(bars).to_csv(place / f"{name}.csv", index=False)
    return place


def test_a_run_on_more_of_the_same_is_healthy(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main([*LOOK, "data.path=calm.csv"]) == 0
    out = capsys.readouterr().out
    assert out.rstrip().endswith("healthy")
    assert "max_drawdown" in out
    assert AuditLog("run/monitoring/audit.jsonl").verify() >= 1
    assert read(folder / "run/monitoring/health.json")["is_healthy"] is True
    assert "Healthy" in (folder / "run/monitoring/monitor.html").read_text()


def test_a_run_on_another_market_is_not_and_the_exit_code_says_so(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main([*LOOK, "data.path=crash.csv", "alerts.file=told.jsonl"]) == 4
    captured = capsys.readouterr()
    assert "monitor/unhealthy" in captured.err
    assert "without drift below" in captured.err
    lines = [json.loads(line) for line in (folder / "told.jsonl").read_text().splitlines()]
    assert any(line["key"].startswith("feature ") for line in lines)
    entries = list(AuditLog("run/monitoring/audit.jsonl").entries())
    assert entries[-1].kind == "monitor"
    assert len(entries[-1].content["alerts"]) == len(lines)
    # Once more at once: still unhealthy, but nobody is told of the same again.
    assert main([*LOOK, "data.path=crash.csv", "alerts.file=told.jsonl"]) == 4
    assert len((folder / "told.jsonl").read_text().splitlines()) == len(lines)
    assert set(read(folder / "run/monitoring/told.json"))
    assert read(folder / "run/monitoring/health.json")["is_healthy"] is False


def test_every_look_is_a_point_of_the_trends_in_the_page_and_in_tensorboard(folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = len(JsonLinesHistory("run/monitoring/history.jsonl").read())
    assert main([*LOOK, "data.path=calm.csv"]) == 0
    history = JsonLinesHistory("run/monitoring/history.jsonl").read()
    health = read(folder / "run/monitoring/health.json")
    assert len(history) == len(health["looks"]) == before + 1
    assert health["looks"][-1]["metrics"]["max_drawdown"]["now"] == history[-1][1]["max_drawdown"]
    events = EventAccumulator("run/monitoring/tensorboard").Reload()
    for name, key in (("now", "max_drawdown"), ("limit", "max_drawdown_limit"), ("expected", "max_drawdown_expected")):
        found = sorted((event.step, event.value) for event in events.Scalars(f"monitor/{key}"))
        kept = [look["metrics"]["max_drawdown"][name] for look in health["looks"]]
        assert [step for step, _ in found] == list(range(before + 1))
        assert [value for _, value in found] == pytest.approx(kept, rel=1e-6)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["data=random_walk", "data.n_bars=2000"], "bars are newer than the part of the run"),
        (["data.path=calm.csv", "reference=train"], "'reference' must be one of validation, test"),
        (["data.path=calm.csv", "alerts.webhook=nowhere"], "'nowhere' is no address of a webhook"),
    ],
)
def test_mistakes_are_no_alerts(words, text, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main([*LOOK, *words]) == 2
    assert text in capsys.readouterr().err
