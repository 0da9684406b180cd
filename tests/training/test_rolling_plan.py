"""Retraining only after drift: a market that changes is retrained for, one that stays is not."""

import numpy as np
import pandas as pd
import pytest

from regimegym.training.compose import compose_config
from regimegym.training.rolling import _market, _plan
from regimegym.training.rolling_drift import reason_to_retrain
from regimegym.training.wiring import build


def write_prices(path, n_calm, n_trend):
    """Hourly closes of a driftless walk that becomes a steep, steady trend."""
    rng = np.random.default_rng(3)
    moves = np.concatenate([rng.normal(0, 0.01, n_calm), rng.normal(0.02, 0.01, n_trend)])
    close = 100 * np.exp(np.cumsum(moves))
    opened = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    stamps = pd.date_range("2024-01-01", periods=len(close), freq="1h", tz="UTC")
    bars = {"time": stamps, "open": opened, "high": high, "low": low, "close": close, "volume": 1000.0}
    pd.DataFrame(bars).to_csv(path, index=False)


@pytest.mark.parametrize(("n_trend", "used"), [(0, [0, 0, 0, 0]), (700, [0, 0, 0, 3])])
def test_the_model_at_work_goes_on_until_its_features_drift(n_trend, used, tmp_path):
    write_prices(tmp_path / "prices.csv", 2560 - n_trend, n_trend)
    words = ["data=file", f"data.path={tmp_path / 'prices.csv'}", "features=minimal", "env.episode.length=64"]
    rolling = ["rolling.window=1000", "rolling.step=350", "rolling.retrain=on_feature_drift"]
    config = compose_config("train", [*words, *rolling])
    settings, market = build(config.rolling), _market(config)
    windows = _plan(config, settings, market)["windows"]
    assert [window["model_of"] for window in windows] == [0, None, None, None]  # not known before it is traded
    for k in range(1, len(windows)):
        reason = reason_to_retrain(config, settings, market, None, windows, k)
        windows[k]["model_of"] = k if reason else windows[k - 1]["model_of"]
        assert reason.endswith("drifted") == (used[k] == k)
    assert [window["model_of"] for window in windows] == used


def test_with_every_window_trained_all_is_known_beforehand(tmp_path):
    write_prices(tmp_path / "prices.csv", 2560, 0)
    words = ["data=file", f"data.path={tmp_path / 'prices.csv'}", "features=minimal", "env.episode.length=64"]
    config = compose_config("train", [*words, "rolling.window=1000", "rolling.step=350"])
    windows = _plan(config, build(config.rolling), _market(config))["windows"]
    assert [window["model_of"] for window in windows] == [0, 1, 2, 3]
