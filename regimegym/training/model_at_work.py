"""A saved model at work: `load_policy` in Python, `regime-gym signal` on the command line."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig
from rich.console import Console
from rich.text import Text

from regimegym.agents import checkpoint
from regimegym.agents.card import ModelCard
from regimegym.common.checks import check_flag
from regimegym.common.errors import DataError, RunError
from regimegym.envs.settings import ActionSettings, EnvSettings, EpisodeSettings
from regimegym.evaluate.signal import Signal
from regimegym.evaluate.trader import Trader
from regimegym.supervised.predictor_set import PredictorSet
from regimegym.training.experiment import load_data
from regimegym.training.formatting import number, percent
from regimegym.training.run_folder import RunFolder
from regimegym.training.same_data import warn_of_other_bars
from regimegym.training.wiring import build, read_run_config, trusted_names

FILLS = {"next_open": "fills at the next bar's open", "same_close": "fills at this close (optimistic)"}


def load_policy(
    folder: str | Path,
    *,
    settings: EnvSettings | None = None,
    with_layers: bool = True,
    device: str = "cpu",
    trust: Sequence[str] = (),
) -> Trader:
    """The trained model of a run, ready for raw bars.

        trader = regimegym.load_policy("runs/2026-11-20/18-31-07-enhanced_dqn")
        decisions = trader.decide("prices.csv")   # one row per bar
        print(trader.newest("prices.csv"))        # what it would do now

    Args:
        folder: a run folder, `last`, or a model folder (model.json, weights.safetensors) on its own.
        settings: account, costs and actions; None takes those of the run, and for a model folder
            without a run the defaults with the model's own actions.
        with_layers: with the decision layers that were saved with the model.
        device: of torch.
        trust: dotted names of your own classes and features that the run's configuration may use.

    Raises:
        RunError, ModelError, ConfigError: no such folder, a damaged model or configuration.
    """
    model, config = _places(Path(folder))
    policy, card = checkpoint.load_policy(model, device, with_layers=False)
    found = settings or _settings_of(config, card, trust)
    return Trader(policy, card, found, with_layers, str(model), load_predictors(model))


def load_predictors(model: Path) -> PredictorSet | None:
    """The predictors whose columns a model sees, None without any. Raises as PredictorSet.load."""
    folder = model / checkpoint.PREDICTORS
    return PredictorSet.load(folder) if folder.is_dir() else None


def _places(folder: Path) -> tuple[Path, Path | None]:
    """The model folder, and the run's configuration where there is one."""
    if (folder / checkpoint.CARD).is_file():
        config = folder.parent / "config.yaml"
        return folder, config if folder.name == "model" and config.is_file() else None
    run = RunFolder.open(str(folder))
    return run.model, run.config


def _settings_of(config: Path | None, card: ModelCard, trust: Sequence[str]) -> EnvSettings:
    if config is not None:
        found = read_run_config(config, trust)
        build(found.features)  # registers features of the user's own
        return build(found.env)
    return EnvSettings(action=ActionSettings(**card.action_settings), episode=EpisodeSettings(window=card.window))


def print_signal(config: DictConfig, as_json: bool = False) -> Signal:
    """Print what the model of `config.run` decides at the newest bar of `config.data`.

    Args:
        config: composed from conf/signal.yaml.
        as_json: one JSON object instead of lines for people.

    Raises:
        RegimeGymError: no run, a damaged one, no data, or data without what a feature needs.
    """
    if config.run is None:
        raise RunError(
            "no-run-named",
            "signal needs a run",
            needed="run=RUN_FOLDER",
            help=["regime-gym signal run=last data.path=prices.csv"],
        )
    if "path" in config.data and not config.data.path:
        raise DataError(
            "no-file-named",
            "signal needs the file of the newest prices",
            needed="data.path=FILE (.csv or .parquet)",
            help=[f"regime-gym signal run={config.run} data.path=prices.csv"],
        )
    check_flag("with_layers", config.with_layers)
    trader = load_policy(config.run, with_layers=config.with_layers, trust=trusted_names(config.trust))
    bars, context = load_data(config)
    if (Path(trader.source).parent / "manifest.json").is_file():
        warn_of_other_bars(RunFolder(Path(trader.source).parent), bars)
    found = trader.newest(bars, context, config.exposure)
    console = Console(highlight=False)
    if as_json:
        console.print_json(data=found.to_dict() | {"model": trader.source})
        return found
    for line in signal_lines(found, trader):
        console.print(line, soft_wrap=True)
    return found


def signal_lines(found: Signal, trader: Trader) -> list[Text]:
    """The signal for people: decision first, then why."""
    rows = [
        ("decision", _decision_words(found)),
        ("size", _size_words(found)),
        ("scores", _pairs(found.scores, 4) if found.scores else "none: the policy gives no scores"),
        ("regime", f"{found.regime.lower()} by the labels · the policy believes {_shares(found)}"),
    ]
    if found.confidence is not None:
        rows.append(("confidence", percent(found.confidence)))
    if found.uncertainty is not None:
        rows.append(("doubt", number(found.uncertainty, 4)))
    gate = trader.card.entrance()
    closed = gate is not None and not gate.is_open
    rows += [
        ("account", _account_words(found)),
        ("model", f"{trader.source}{' · its gate is closed: it stays flat' if closed else ''}"),
    ]
    title = f"{found.symbol} {found.timeframe} · bar of {_minute(found.bar_ns)} UTC · close {number(found.close, 4)}"
    return [Text(title, "bold"), *(Text.assemble((f"{name:<10}", "bright_black"), text) for name, text in rows)]


def _decision_words(found: Signal) -> str:
    wanted = "keep the position" if found.target is None else f"target weight {number(found.target, signed=True)}"
    return f"{found.action}: {wanted}, now {number(found.exposure, signed=True)} of equity"


def _size_words(found: Signal) -> str:
    if not found.order_units:
        return "no order"
    verb = "buy" if found.order_units > 0 else "sell"
    amount = f"{number(abs(found.order_units), 6)} units = {percent(abs(found.order_share))} of equity"
    return f"{verb} {amount} ({number(found.equity)}); {FILLS[found.execution]}"


def _account_words(found: Signal) -> str:
    if found.followed_since_ns is None:
        return "your own position, taken to have been opened at this close"
    return f"has followed the model since {_minute(found.followed_since_ns)} UTC, {found.n_bars:,} bars"


def _shares(found: Signal) -> str:
    return ", ".join(f"{name.lower()} {percent(share, 0)}" for name, share in found.regime_probabilities.items())


def _pairs(values: dict[str, float], digits: int) -> str:
    return " · ".join(f"{name} {number(value, digits, signed=True)}" for name, value in values.items())


def _minute(ns: int) -> str:
    return f"{pd.Timestamp(ns):%Y-%m-%d %H:%M}"
