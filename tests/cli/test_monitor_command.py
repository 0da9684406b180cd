"""`regime-gym monitor`: a run on later bars of its own market is well, on another market it is not."""

import json

import numpy as np
import pandas as pd
import pytest
from tiny_runs import TINY_DQN, read

from regimegym.cli.main import main
from regimegym.evaluate.monitoring.audit_log import AuditLog

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
