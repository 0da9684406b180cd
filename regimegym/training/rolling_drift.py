"""Rolling retraining after drift: before every window it is asked whether the model at work goes on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from regimegym.common.seeding import generator
from regimegym.envs.settings import EnvSettings
from regimegym.evaluate.retraining import feature_reason, performance_reason, results_of
from regimegym.evaluate.walk_forward import FoldModel
from regimegym.features.market import Market
from regimegym.features.splits import RowRange
from regimegym.training.model_at_work import load_policy
from regimegym.training.rolling_settings import RollingSettings
from regimegym.training.run_folder import RunFolder
from regimegym.training.wiring import build, own_code


def reason_to_retrain(
    config: DictConfig,
    settings: RollingSettings,
    market: Market,
    folder: RunFolder,
    windows: Sequence[dict[str, Any]],
    k: int,
) -> str:
    """Why window `k` ≥ 1 trains a model of its own, "" where that of the window before goes on.

    Args:
        windows: with their dates; that of the window before names whose model traded it.
    """
    model, last = windows[int(windows[k - 1]["model_of"])], windows[k - 1]
    reasons = []
    if settings.looks_at_features:
        before, recent = (_values(market, *span) for span in ((model["train_from"], model["test_from"]),
                                                              (last["test_from"], last["test_until"])))  # fmt: skip
        draws = generator(int(config.random_seed), f"drift-{last['test_from']}")
        reasons.append(feature_reason(before, recent, market.table.names, draws))
    if settings.looks_at_performance:
        draws = generator(int(config.random_seed), f"performance-{last['test_from']}")
        reasons.append(performance_reason(*_results(config, market, folder, model, last), draws))
    return "; ".join(filter(None, reasons))


def _values(market: Market, start: str, stop: str) -> np.ndarray:
    return market.table.values[slice(*_rows(market.bars.timestamps, start, stop))]


def _results(
    config: DictConfig, market: Market, folder: RunFolder, model: dict[str, Any], last: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Log returns per bar of the model on its own validation, and on what it traded last."""
    trader = load_policy(folder.path / model["folder"], trust=list(own_code(config).values()))
    tape = trader.tape(market.bars, market.context)
    at_work = FoldModel(trader.policy(market.bars.symbol), tape, RowRange(0, 0))
    env: EnvSettings = build(config.env)
    validation = _rows(tape.timestamps, model["validation_from"], model["test_from"])
    scored = RowRange(validation.start, validation.stop - env.episode.window)  # the rows before test are purged
    traded = _rows(tape.timestamps, last["test_from"], last["test_until"])
    return results_of(at_work, scored, env), results_of(at_work, traded, env)


def _rows(timestamps: np.ndarray, start: str, stop: str) -> RowRange:
    dates = [pd.Timestamp(text).as_unit("ns").value for text in (start, stop)]
    return RowRange(*(int(row) for row in np.searchsorted(timestamps, dates)))
