"""Rolling retraining: a window after the other, each a run of its own, and one account that trades them all.

The folder of a rolling training:

    rolling.yaml        the resolved configuration
    rolling.json        windows with their dates, whose model trades each, and how it ended
    windows/01, 02, …   run folders: model, report and trajectory of each window
    equity.parquet      the one account that traded all of them in turn
    metrics.json        its metrics, and those of buy and hold

A rolling training that was stopped goes on with the windows it has not finished.
"""

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from regimegym.common.errors import ConfigError, DataError, RegimeGymError, RunError
from regimegym.envs.settings import EnvSettings
from regimegym.evaluate.walk_forward import FoldDates, choose_models, plan_folds
from regimegym.features.market import Market, prepare_market
from regimegym.features.splits import folds_table
from regimegym.features.tape import Segment
from regimegym.training.experiment import load_data
from regimegym.training.rolling_drift import reason_to_retrain
from regimegym.training.rolling_result import finish_rolling
from regimegym.training.rolling_settings import RollingSettings
from regimegym.training.run_folder import RunFolder, read_json
from regimegym.training.trainer import TrainingInterrupted, resume, train
from regimegym.training.wiring import build, own_code, read_run_config

CONFIG, PLAN = "rolling.yaml", "rolling.json"


def is_rolling(path: str) -> bool:
    """Whether the folder at `path` holds a rolling training."""
    return (Path(path) / PLAN).is_file()


def train_rolling(config: DictConfig, overrides: list[str]) -> float:
    """Train every window of `config.rolling` and trade them in turn; the log return of that account.

    Raises:
        RegimeGymError: a mistake in the input, before anything is written; or the first window that failed.
        TrainingInterrupted: Ctrl-C or SIGTERM; the message says how to go on.
    """
    settings: RollingSettings = build(config.rolling)
    market = _market(config)
    plan = _plan(config, settings, market)
    folder = RunFolder.create(config.run_dir, config.name or "rolling", datetime.now().astimezone())
    folder.write_text(CONFIG, OmegaConf.to_yaml(config, resolve=True))
    described = {"overrides": overrides, "data_fingerprint": market.bars.fingerprint, "status": "running", **plan}
    folder.write_json(PLAN, described)
    return _run(config, settings, market, folder, described)


def resume_rolling(path: str, trust: Collection[str] = ()) -> float:
    """Go on with the rolling training at `path`, `trust` as of `resume`; returns as `train_rolling`.

    Raises:
        RunError: it is finished. DataError: its data has changed.
    """
    folder = RunFolder(path)
    described = read_json(folder.path / PLAN)
    if described.get("status") == "finished":
        raise RunError("finished", f"the rolling training of {path} is finished; there is nothing to go on with")
    config = read_run_config(folder.path / CONFIG, trust, f"regime-gym train resume={path}")
    market = _market(config)
    if market.bars.fingerprint != described["data_fingerprint"]:
        raise DataError(
            "changed",
            f"the data of {path} has changed since the training began",
            needed=f"fingerprint {described['data_fingerprint']}",
            found=f"{market.bars.fingerprint} in {market.bars.source}",
            kept="nothing was written",
        )
    return _run(config, build(config.rolling), market, folder, described)


def _run(
    config: DictConfig, settings: RollingSettings, market: Market, folder: RunFolder, described: dict[str, Any]
) -> float:
    console = Console(highlight=False)
    for line in described["table"]:
        console.print(line, soft_wrap=True, markup=False)
    try:
        if settings.retrain == "always":
            _train_all(config, settings, folder, described["windows"], list(described["overrides"]))
        else:
            _train_after_drift(config, settings, market, folder, described, console)
    except TrainingInterrupted as stopped:
        again = f"all      regime-gym train resume={folder.path}"
        raise TrainingInterrupted(f"{stopped}\n{again}") from stopped
    result = finish_rolling(config, market, folder, described["windows"], console)
    folder.write_json(PLAN, described | {"status": "finished"})
    return result


def _train_after_drift(
    config: DictConfig,
    settings: RollingSettings,
    market: Market,
    folder: RunFolder,
    described: dict[str, Any],
    console: Console,
) -> None:
    """Window by window: whether it trains is asked once, and written down with the reason."""
    windows, overrides = described["windows"], list(described["overrides"])

    def train_one(k: int) -> None:
        one = _config_of(config, folder, windows[k])
        if settings.warm_start and k:
            one.warm_start = str(folder.path / windows[windows[k - 1]["model_of"]]["folder"])
        _train_window(one, overrides)

    def asked(at_work: int, k: int) -> bool:
        window = windows[k]
        if window["model_of"] is None:
            window["reason"] = reason_to_retrain(config, settings, market, folder, windows, k)
            window["model_of"] = k if window["reason"] else at_work
            folder.write_json(PLAN, described)
        words = (
            f"trains anew: {window['reason']}" if window["reason"] else f"keeps the model of {windows[at_work]['name']}"
        )
        console.print(f"{window['name']} {words}", soft_wrap=True, markup=False)
        return window["model_of"] == k

    choose_models(len(windows), train_one, asked)


def _market(config: DictConfig) -> Market:
    """The market with its features, its regimes by unfitted thresholds: rows and warm-up are the same."""
    bars, context = load_data(config)
    return prepare_market(bars, replace(build(config.regime), fit="none"), build(config.features), context)


def _plan(config: DictConfig, settings: RollingSettings, market: Market) -> dict[str, Any]:
    """Windows and their dates as plain data."""
    env: EnvSettings = build(config.env)
    segments = [Segment(market.bars.symbol, *piece) for piece in market.table.pieces]
    least = env.episode.least_length + 1
    try:
        planned = plan_folds(
            market.bars.timestamps, segments, settings.folds(least), env.episode.window, settings.validation_share
        )
    except DataError as error:
        if error.name != "fold-too-small":
            raise
        raise DataError(
            error.name,
            error.sentence,
            needed=f"{least:,} bars: an episode of env.episode.length, and one more",
            found=error.found,
            help=["a longer rolling.step or rolling.window, or a shorter env.episode.length"],
            kept="nothing was written",
        ) from error
    known = settings.retrain == "always"
    windows = [_described(k, dates, k if known or k == 0 else None) for k, (_, dates) in enumerate(planned)]
    return {"windows": windows, "table": folds_table([fold for fold, _ in planned])}


def _described(k: int, dates: FoldDates, model_of: int | None) -> dict[str, Any]:
    """A window as plain data; whose model trades it is None where drift will tell, and why it trains is `reason`."""
    stamps = {name: _stamp(value) for name, value in dates._asdict().items() if name != "name"}
    return {"name": dates.name, "folder": f"windows/{k + 1:02d}", "model_of": model_of, "reason": "", **stamps}


def _stamp(ns: int) -> str:
    return pd.Timestamp(ns, tz="UTC").isoformat()


def _train_all(
    config: DictConfig,
    settings: RollingSettings,
    folder: RunFolder,
    windows: Sequence[dict[str, Any]],
    overrides: list[str],
) -> None:
    configs = [_config_of(config, folder, window) for window in windows]
    if settings.warm_start:
        for before, after in pairwise(configs):
            after.warm_start = before.run_dir
    if settings.jobs == 1 or len(configs) == 1:
        for one in configs:
            _train_window(one, overrides)
        return
    from joblib import Parallel, delayed

    plain = [OmegaConf.to_container(one, resolve=True) for one in configs]
    failures = Parallel(n_jobs=settings.jobs)(delayed(_in_a_process)(one, overrides) for one in plain)
    failed = [failure for failure in failures if failure is not None]
    if failed:
        raise failed[0]


def _config_of(config: DictConfig, folder: RunFolder, window: dict[str, Any]) -> DictConfig:
    """The configuration of one window: an ordinary training between its own dates."""
    one = config.copy()
    dates = {name: window[name] for name in ("train_from", "validation_from", "test_from", "test_until")}
    one.split = {"_target_": "regimegym.features.splits.DateSplitSettings", **dates}
    one.run_dir = str(folder.path / window["folder"])
    one.rolling.window = None
    return one


def _train_window(config: DictConfig, overrides: list[str]) -> None:
    """Train one window, go on with it where it was stopped, leave it where it is finished."""
    run = RunFolder(config.run_dir)
    status = run.read_manifest().get("status")
    if status == "finished":
        return
    if status is None:
        train(config, overrides)
    else:
        resume(str(run.path), trust=own_code(config).values())


def _in_a_process(plain: Any, overrides: list[str]) -> RegimeGymError | None:
    """One window in a process of its own; what it says goes to a file beside its folder, its mistake comes back."""
    config = OmegaConf.create(plain)
    log = Path(config.run_dir).with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        try:
            _train_window(config, overrides)
        except RegimeGymError as error:
            return error
    return None


def check_no_sweep(job: object) -> None:
    """Raise ConfigError where a rolling training would be a job of a sweep."""
    if job is not None:
        raise ConfigError(
            "rolling-alone",
            "a rolling training trains many models itself, so it is no job of -m",
            help=["leave -m away, or rolling.window"],
            kept="nothing was written",
        )
