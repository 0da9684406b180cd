"""Rolling retraining and walk-forward through the command line: windows, models, resume, one account."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from tiny_runs import TINY_DQN, read

from regimegym.cli.main import main
from regimegym.training import rolling, rolling_drift
from regimegym.training.run_folder import RunFolder
from regimegym.training.wiring import read_run_config

ROLLING = [*TINY_DQN, "data.n_bars=1740", "features=minimal", "rolling.window=600", "rolling.step=500"]


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The folder of a walk-forward of two windows."""
    folder = tmp_path_factory.mktemp("walk")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["walkforward", *ROLLING, "run_dir=all"]) == 0
    return folder / "all"


def test_every_window_keeps_its_model_its_dates_and_its_trajectory(walked):
    plan = read(walked / "rolling.json")
    assert plan["status"] == "finished"
    assert [window["folder"] for window in plan["windows"]] == ["windows/01", "windows/02"]
    for window in plan["windows"]:
        run = walked / window["folder"]
        assert (run / "model" / "model.json").is_file()
        split = yaml.safe_load((run / "config.yaml").read_text())["split"]
        assert {key: split[key] for key in ("train_from", "test_from", "test_until")} == {
            key: window[key] for key in ("train_from", "test_from", "test_until")
        }
        own = pd.read_parquet(run / "equity.parquet").query("part == 'test'")
        assert str(own["timestamp"].iloc[0].isoformat()) == window["test_from"]
    assert plan["windows"][0]["test_until"] == plan["windows"][1]["test_from"]


def test_one_account_trades_all_windows_in_turn(walked):
    table = pd.read_parquet(walked / "equity.parquet")
    assert table["timestamp"].is_monotonic_increasing
    assert (table["timestamp"].diff().dropna() == pd.Timedelta("1h")).all()
    assert table["fold"].unique().tolist() == [1, 2]
    result, metrics = read(walked / "walk_forward.json"), read(walked / "metrics.json")["test"]
    assert set(metrics) == {"agent", "buy_and_hold"}
    parts = [window["test"] for window in result["windows"]]
    assert sum(parts) == pytest.approx(np.log(table["agent_equity"].iloc[-1] / table["agent_equity"].iloc[0]))
    assert result["log_return"]["value"] == pytest.approx(sum(parts))
    assert result["windows"][0]["weights_moved"] is None
    assert result["windows"][1]["weights_moved"] > 0


def test_a_report_shows_the_folds(walked, monkeypatch, capsys):
    monkeypatch.chdir(walked.parent)
    folds = read(walked / "walk_forward.json")["folds"]
    parts = [window["test"] for window in read(walked / "walk_forward.json")["windows"]]
    assert [fold["agent"] for fold in folds] == pytest.approx(parts)
    assert sum(fold["n_bars"] for fold in folds) == len(pd.read_parquet(walked / "equity.parquet")) - 1
    for fold in folds:
        assert fold["difference"] == pytest.approx(fold["agent"] - fold["buy_and_hold"])
        assert fold["low"] <= fold["difference"] <= fold["high"]
    assert main(["report", "run=all/windows/01", "walk_forward=all"]) == 0
    assert '<section id="walkforward">' in (walked / "windows" / "01" / "report.html").read_text()
    assert main(["report", "run=all/windows/01", "walk_forward=nowhere"]) == 2
    assert "holds no finished walk-forward" in capsys.readouterr().err


def test_what_was_stopped_goes_on_with_the_windows_that_are_missing(walked, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(walked.parent)
    shutil.copytree(walked, tmp_path / "before")
    shutil.rmtree(walked / "windows" / "02")
    for name in ("equity.parquet", "metrics.json", "walk_forward.json"):
        (walked / name).unlink()
    plan = read(walked / "rolling.json") | {"status": "running"}
    (walked / "rolling.json").write_text(json.dumps(plan))
    first = (walked / "windows" / "01" / "model" / "model.json").stat().st_mtime_ns
    assert main(["train", "resume=all"]) == 0
    assert (walked / "windows" / "01" / "model" / "model.json").stat().st_mtime_ns == first
    assert (walked / "walk_forward.json").read_text() == (tmp_path / "before" / "walk_forward.json").read_text()
    pd.testing.assert_frame_equal(
        pd.read_parquet(walked / "equity.parquet"), pd.read_parquet(tmp_path / "before" / "equity.parquet")
    )
    assert main(["walkforward", "resume=all"]) == 2
    assert "all is finished" in capsys.readouterr().err


def test_rolling_training_begins_each_window_with_the_weights_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [*ROLLING, "trainer.total_steps=64", "agent.learning_starts=1000", "rolling.step=400"]
    assert main(["train", *words, "run_dir=roll"]) == 0
    configs = [yaml.safe_load((tmp_path / f"roll/windows/0{k}/config.yaml").read_text()) for k in (1, 2)]
    assert [config["warm_start"] for config in configs] == [None, "roll/windows/01"]
    result = read(tmp_path / "roll/walk_forward.json")
    assert result["windows"][1]["weights_moved"] == 0.0  # nothing was learned, so what was there is still there


def test_whether_a_window_trains_is_asked_once_and_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = []

    def reason(config, settings, market, folder, windows, k):
        asked.append(k)
        return "rsi drifted" if k == 2 else ""

    monkeypatch.setattr(rolling, "reason_to_retrain", reason)
    words = [*ROLLING, "data.n_bars=1800", "rolling.step=300", "rolling.retrain=on_drift"]
    assert main(["walkforward", *words, "run_dir=all"]) == 0
    out = capsys.readouterr().out
    assert "fold 2 keeps the model of fold 1" in out
    assert "fold 3 trains anew: rsi drifted" in out
    plan = read(tmp_path / "all/rolling.json")
    assert [window["model_of"] for window in plan["windows"]] == [0, 0, 2, 2]
    assert [window["reason"] for window in plan["windows"]] == ["", "", "rsi drifted", ""]
    assert sorted(path.name for path in (tmp_path / "all/windows").iterdir()) == ["01", "03"]
    found = read(tmp_path / "all/walk_forward.json")["folds"]
    assert [one["model"] for one in found] == ["fold 1", "fold 1", "fold 3", "fold 3"]
    assert "trained anew: rsi drifted" in (tmp_path / "all/walk_forward.html").read_text()
    assert "keeps the model of fold 3" in (tmp_path / "all/walk_forward.md").read_text()
    (tmp_path / "all/rolling.json").write_text(json.dumps(plan | {"status": "running"}))
    assert main(["train", "resume=all"]) == 0
    assert asked == [1, 2, 3]


def test_what_performance_is_asked_of_are_the_results_on_validation_and_in_the_last_window(walked):
    config, plan = read_run_config(walked / "rolling.yaml"), read(walked / "rolling.json")
    first, folder = plan["windows"][0], RunFolder(walked)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(walked.parent)
        before, now = rolling_drift._results(config, rolling._market(config), folder, first, first)
    metrics = read(walked / "windows" / "01" / "metrics.json")["validation"]["agent"]
    (fold, *_) = read(walked / "walk_forward.json")["folds"]
    assert before.sum() == pytest.approx(metrics["log_return"])
    # The fold ends with the mark that the next model decides on, one bar later.
    assert len(now) == fold["n_bars"] - 1
    assert now.sum() == pytest.approx(read(walked / "windows" / "01" / "metrics.json")["test"]["agent"]["log_return"])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["rolling.step=60"], "65 bars: an episode of env.episode.length"),
        (["rolling.retrain=on_drift", "rolling.jobs=2"], "once the window before it has been traded"),
        (["rolling.window=soon"], "'rolling.window' must be a number of bars or a calendar length, got 'soon'"),
        (["rolling.window=4mo", "rolling.jobs=2", "rolling.warm_start=true"], "are trained one after the other"),
        (["rolling.window=9000"], "do not hold 9000 of training"),
        (["rolling.retrain=never"], "'rolling.retrain' must be one of always, on_drift"),
        (["-m", "rolling.window=600,700"], "it is no job of -m"),
    ],
)
def test_mistakes_are_said_and_nothing_is_written(words, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["walkforward", *ROLLING, "run_dir=wrong", *words]) == 2
    assert text in capsys.readouterr().err
    assert not (tmp_path / "wrong").exists()
