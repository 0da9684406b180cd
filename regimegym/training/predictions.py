"""Signals of a training: which predictors, fitted on its training rows, joined to its market, kept in its folder."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from safetensors import SafetensorError
from safetensors.numpy import load, save

from regimegym.common.errors import ConfigError, DataError, ModelError, nearest_name
from regimegym.common.files import write_whole
from regimegym.features.labels import Labels
from regimegym.features.market import Market
from regimegym.features.splits import RowRange, Split
from regimegym.supervised.base import CLASSIFICATION, REGRESSION
from regimegym.supervised.lesson import Lesson, lesson_of
from regimegym.supervised.predictor_set import OnFit, PredictorSet, fit_predictors
from regimegym.supervised.registry import predictor_of
from regimegym.supervised.signals import MakePredictor, joined
from regimegym.supervised.targets import Target
from regimegym.training.run_folder import refused_by_machine
from regimegym.training.wiring import build

LOG = logging.getLogger(__name__)
FOLDER = "predictors"  # of the last models, below the run and below its model
COLUMNS = "predictions.safetensors"  # the columns a run was trained on, so that it can go on without fitting again


@dataclass(frozen=True, eq=False)
class Predictions:
    """Fitted predictors and their columns (T, C) of the training's own market, out of fold on its training rows.

    `further` holds those of every further instrument, whose predictors were fitted on its own rows and are not kept.
    """

    fitted: PredictorSet
    columns: np.ndarray
    further: tuple[np.ndarray, ...] = ()

    def save(self, run: Path) -> Path:
        """Write both below the folder `run`; returns the folder of the predictors. Raises MachineError."""
        arrays = {"columns": self.columns} | {f"further_{k}": columns for k, columns in enumerate(self.further)}
        content = save({name: np.ascontiguousarray(columns) for name, columns in arrays.items()})
        with refused_by_machine(run / COLUMNS, len(content), kept="the run as it was"):
            write_whole(run / COLUMNS, content)
        self.fitted.save(run / FOLDER)  # last: where it stands, both do
        return run / FOLDER

    @classmethod
    def load(cls, run: Path) -> "Predictions":
        """What `save` wrote. Raises ModelError when it is damaged."""
        try:
            arrays = load((run / COLUMNS).read_bytes())
            columns = arrays.pop("columns")
        except (OSError, KeyError, SafetensorError) as error:
            raise ModelError("damaged-predictors", f"{run / COLUMNS} cannot be read: {error}") from error
        further = tuple(arrays[f"further_{k}"] for k in range(len(arrays)))
        return cls(PredictorSet.load(run / FOLDER), columns, further)


def predictor_makers(config: DictConfig) -> dict[str, MakePredictor]:
    """What makes each of `config.predictors`, by the name that begins its columns; empty where none are asked for.

    Raises:
        ConfigError: settings that are none, or of no registered predictor.
    """
    chosen = config.get("predictors")
    if not chosen:
        return {}
    if not OmegaConf.is_dict(chosen):
        raise ConfigError("wrong-type", f"'predictors' must be names, got {chosen}", needed="predictors=[hmm,xgboost]")
    settings = {str(name): build(node) for name, node in chosen.items()}
    for given in settings.values():
        predictor_of(given)
    return {name: partial(predictor_of, given) for name, given in settings.items()}


def fit_predictions(config: DictConfig, market: Market, split: Split) -> Predictions | None:
    """The predictors that `config` asks for, cross-fitted on the training rows of `market`; None without any.

    Raises:
        ConfigError: as `checked_makers`.
        DataError: too few training rows for the folds.
    """
    if not checked_makers(config):
        return None
    fitted = _fitted_on(config, market, split.train)
    for name, about in fitted.about.items():
        LOG.info("%s: %s", name, words_of(about))
    return Predictions(fitted, fitted.columns(market))


def further_columns(
    config: DictConfig, markets: Sequence[Market], end: int, names: tuple[str, ...]
) -> tuple[np.ndarray, ...]:
    """(T, C) signals of each of the further instruments `markets`, by predictors of its own earlier rows alone.

    On its rows the predictors of the judged instrument would not be out of sample: they have learned what moved
    with them at the same time. What closes after `end`, UTC nanoseconds, is not learned from.

    Raises:
        DataError: an instrument has too few rows for the folds, or its predictors other columns than `names`.
    """
    found = []
    for market in markets:
        closed = market.bars.timestamps + market.bars.timeframe_ns
        stop = int(np.searchsorted(closed, end, side="right"))
        try:
            fitted = _fitted_on(config, market, RowRange(min(market.table.warm_up, stop), stop))
        except DataError as error:
            raise DataError(
                "too-few-bars",
                f"the predictors cannot learn from {market.bars.symbol}: {error.sentence}",
                needed=error.needed,
                help=("leave its file out of also_learn_from, or use fewer folds",),
            ) from error
        if fitted.names != names:
            raise DataError(
                "other-classes",
                f"the predictors have other classes on {market.bars.symbol}",
                needed=", ".join(names),
                found=", ".join(fitted.names),
                help=("fix their number in their settings, for example predictors.hmm.n_states=3",),
            )
        found.append(fitted.columns(market))
    return tuple(found)


def _fitted_on(config: DictConfig, market: Market, rows: RowRange) -> PredictorSet:
    """The predictors of `config`, cross-fitted on `rows` of the market."""
    with _told(market.bars.symbol) as on_fit:
        return fit_predictors(
            checked_makers(config),
            training_lesson(config, market, rows),
            build(config.folds),
            int(config.random_seed),
            targets_of(config),
            on_fit,
            {name: training_lesson(config, market, rows, name) for name in own_targets(config)},
        )


def words_of(about: Mapping[str, Any]) -> str:
    """One line on a cross-fitted predictor: its folds, and how well it did on rows it had not learned."""
    folds = about["folds"]
    text = f"{len(folds)} forward folds of {folds[-1]['test_rows']:,} bars"
    for score, words in (("auc", "AUC"), ("r2", "R²")):
        found = [(fold["scores"][score], fold["scores"]["rows"]) for fold in folds if score in fold["scores"]]
        known = [(value, rows) for value, rows in found if np.isfinite(value)]
        if known:
            values, rows = zip(*known, strict=True)
            text += f", {words} {np.average(values, weights=rows):.3f} out of fold"
    return text


def with_predictions(market: Market, split: Split, predictions: Predictions, least: int) -> tuple[Market, Split]:
    """The market with the columns, and a split whose training rows begin where they are all known.

    Args:
        least: training rows that must be left.

    Raises:
        DataError: `too-few-bars` behind the first fold.
    """
    market = joined(market, predictions.columns, predictions.fitted.names)
    known = np.flatnonzero(market.table.is_known[slice(*split.train)])
    start = split.train.start + int(known[0]) if len(known) else split.train.stop
    train = RowRange(start, split.train.stop)
    if train.count < least:
        raise DataError(
            "too-few-bars",
            f"{train.count:,} training bars have signals that were made out of sample",
            needed=f"{least:,} of the {split.train.count:,} training bars",
            help=("use more bars, or a smaller folds.initial_train_size",),
        )
    return market, split._replace(train=train)


def own_targets(config: DictConfig) -> dict[str, Any]:
    """Targets of single predictors, plain, by the predictor's name. Raises ConfigError for one that was not chosen."""
    # Runs of earlier versions have one target for all.
    found: dict[str, Any] = OmegaConf.to_container(config.get("targets") or OmegaConf.create(), resolve=True)  # type: ignore[assignment]
    chosen = list(config.get("predictors") or {})
    for name in found:
        if name not in chosen:
            raise ConfigError(
                "unknown-predictor",
                f"'targets' speaks of the predictor '{name}', which was not chosen",
                needed=f"one of {', '.join(chosen)}" if chosen else f"predictors=[{name}]",
                nearest=nearest_name(name, chosen),
            )
    return found


def targets_of(config: DictConfig) -> dict[str, Any]:
    """`config.target`, plain, and under `own` those of single predictors."""
    common: dict[str, Any] = OmegaConf.to_container(config.target, resolve=True)  # type: ignore[assignment]
    return common | {"own": own_targets(config)}


def target_of(config: DictConfig, predictor: str = "") -> Target:
    """What a predictor learns: its own of `config.targets`, else `config.target`."""
    found: Target = build((config.get("targets") or {}).get(predictor, config.target))
    return found


def checked_makers(config: DictConfig) -> dict[str, MakePredictor]:
    """`predictor_makers`, each of which can learn its target.

    Raises:
        ConfigError: as `predictor_makers` and `own_targets`; `wrong-task`, a predictor answers with a number where
            its target has classes, or the other way round.
    """
    makers, own = predictor_makers(config), own_targets(config)
    for name, make in makers.items():
        predictor, target = make(), target_of(config, name)
        task = CLASSIFICATION if target.classes else REGRESSION
        if predictor.needs_labels and predictor.task != task:
            setting = f"targets.{name}" if name in own else "target"
            can_both = hasattr(predictor.settings, "task")
            raise ConfigError(
                "wrong-task",
                f"'{name}' is a {predictor.task}, and its target, {target_name(target)}, needs a {task}",
                needed=f"a {task}, or a target {'without' if target.classes else 'with'} classes",
                help=(f"predictors.{name}.task={task}",) if can_both else (f"{setting}=…, or another predictor",),
            )
    return makers


def target_name(target: Target) -> str:
    """Its name in conf/target: `triple_barrier` of TripleBarrier."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(target).__name__).lower()


def training_lesson(config: DictConfig, market: Market, rows: RowRange, predictor: str = "") -> Lesson:
    """Features and labels of `rows` for a predictor; a label looks neither beyond them nor across a long gap."""
    target = target_of(config, predictor)
    pieces = [p._replace(stop=min(p.stop, rows.stop)) for p in market.table.pieces if p.start < rows.stop]
    found = target.over(market.bars, pieces)
    n_later = len(market.bars) - len(found.values)
    labels = Labels(np.pad(found.values, (0, n_later), constant_values=np.nan), np.pad(found.ends, (0, n_later)))
    return lesson_of(market.table, labels, target.classes, rows, market.bars.close)


@contextmanager
def _told(symbol: str) -> Iterator[OnFit | None]:
    """A listener that shows which predictor is being fitted; None where nobody looks."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield None
        return
    with console.status(f"predictors on {symbol}") as status:
        yield lambda name, done, total: status.update(f"predictors on {symbol}: {done + 1} of {total}, {name}")
