"""From configuration to everything a run trades on: bars, split, tape, environment settings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig

from regimegym.common.seeding import integer_seed
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import EnvSettings
from regimegym.features.bars import Bars
from regimegym.features.context import EMPTY, Context, check_overlap
from regimegym.features.market import Market, build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.regime_fit import fit_regimes, regime_shares
from regimegym.features.regimes import RegimeSettings
from regimegym.features.scaling import Scaler, fit_scaler
from regimegym.features.segments import longest_stretch
from regimegym.features.splits import RowRange, Split
from regimegym.features.tape import MarketTape
from regimegym.supervised.signals import joined
from regimegym.training.feature_progress import feature_progress
from regimegym.training.further_markets import (
    further_markets,
    further_paths,
    joined_training_tape,
    load_further,
    training_end,
)
from regimegym.training.predictions import (
    Predictions,
    checked_makers,
    fit_predictions,
    further_columns,
    with_predictions,
)
from regimegym.training.wiring import build


@dataclass(frozen=True)
class Experiment:
    """One data set, cut in time, scaled by its training rows, and the rules to trade it under.

    `regime_settings` hold the thresholds that label it: those of the training rows where they are fitted.
    The training environment walks `train_rows` of `train_tape`, which holds further instruments where the
    configuration names some, and is the tape itself otherwise.
    `predictions` come from predictors whose columns the market holds behind its features, None without any.
    """

    market: Market
    regime_settings: RegimeSettings
    split: Split
    scaler: Scaler
    tape: MarketTape
    settings: EnvSettings
    train_tape: MarketTape
    train_rows: RowRange
    further: tuple[Bars, ...] = ()
    predictions: Predictions | None = None

    def vec_env(self, n_accounts: int, random_seed: int) -> TradingVecEnv:
        """The training environment: `n_accounts` accounts on the training rows."""
        return TradingVecEnv(
            n_accounts, self.train_tape, self.settings, self.train_rows, integer_seed(random_seed, "episodes")
        )

    def regime_shares(self) -> dict[str, dict[str, float]]:
        """Share of each regime, by part and name."""
        labels = self.market.regimes.labels
        return {part: regime_shares(labels[slice(*rows)]) for part, rows in self.split._asdict().items()}

    def interval(self, rows: RowRange) -> tuple[int, int]:
        """[start, end) of `rows` in UTC nanoseconds: how the ledger names a part."""
        return interval_of(self.tape, rows)


def cut_market(config: DictConfig, bars: Bars, context: Context) -> tuple[Market, Split, RegimeSettings]:
    """These bars with their features, cut in time, and the regime thresholds: those of the training rows if fitted."""
    regime: RegimeSettings = build(config.regime)
    features: FeatureSettings = build(config.features)
    with feature_progress(bars.symbol, len(bars) * len(features.names)) as told:
        market = prepare_market(bars, replace(regime, fit="none"), features, context, told)
    split = split_market(config, market, build(config.env))
    fitted = fit_regimes(market.regimes, regime, split.train)
    if fitted != regime:  # labels and their features anew; the warm-up, and so the split, stays
        market = prepare_market(bars, fitted, features, context)
    return market, split, fitted


def interval_of(tape: MarketTape, rows: RowRange) -> tuple[int, int]:
    """[start, end) of `rows` in UTC nanoseconds."""
    last = rows.stop - 1
    return int(tape.timestamps[rows.start]), int(tape.timestamps[last]) + tape.segment_of(last).timeframe_ns


def build_experiment(config: DictConfig, run: Path | None = None) -> Experiment:
    """Load, check, label, cut, predict, scale. Every mistake in the user's input surfaces here.

    `run` is a run folder that holds the predictors of this configuration; without it they are fitted.

    Raises:
        DataError, ConfigError: with file, row, column, or setting and the value that came.
    """
    checked_makers(config)  # a mistake in them need not wait for the bars
    return experiment_on(config, *load_data(config), run)


def load_data(config: DictConfig) -> tuple[Bars, Context]:
    """The bars, and what stands beside them."""
    bars: Bars = build(config.data)
    # Runs of earlier versions have no context.
    context: Context = EMPTY if config.get("context") is None else build(config.context)
    check_overlap(bars, context)
    return bars, context


def experiment_on(config: DictConfig, bars: Bars, context: Context, run: Path | None = None) -> Experiment:
    """What `config` makes of these bars; `run` and errors as of `build_experiment`."""
    settings: EnvSettings = build(config.env)
    features: FeatureSettings = build(config.features)
    further = load_further(further_paths(config), bars)
    market, split, fitted = cut_market(config, bars, context)
    others, end = further_markets(further, market, fitted, features), training_end(market, split.train)
    predictions = fit_predictions(config, market, split) if run is None else Predictions.load(run)
    least = settings.episode.least_length + 1
    if predictions is not None:
        names = predictions.fitted.names
        if run is None and others:
            predictions = replace(predictions, further=further_columns(config, others, end, names))
        market, split = with_predictions(market, split, predictions, least)
        others = [joined(*pair, names) for pair in zip(others, predictions.further, strict=True)]
    scaler = fit_scaler(market.table, split.train)
    tape = build_tape(market, scaler)
    train_tape, train_rows = tape, split.train
    if further:
        train_tape, train_rows = joined_training_tape(others, tape, split.train, end, scaler, least)
    return Experiment(
        market, fitted, split, scaler, tape, settings, train_tape, train_rows, tuple(further), predictions
    )


def build_market(config: DictConfig, regime_settings: RegimeSettings, names: Sequence[str] | None = None) -> Market:
    """Bars with their features and regimes, unscaled.

    Args:
        names: features of a model, none of which may be left out; None: as `config.features` says.
    """
    bars, context = load_data(config)
    features: FeatureSettings = build(config.features)
    if names is not None:
        features = replace(features, names=tuple(names), missing="raise")
    return prepare_market(bars, regime_settings, features, context)


def split_market(config: DictConfig, market: Market, settings: EnvSettings) -> Split:
    """Train, validation and test: each holds an episode at least, none shares a window.

    Where the history has long gaps, validation and test are the longest runs without one.
    """
    episode, pieces = settings.episode, market.table.pieces
    least, cut = episode.least_length + 1, build(config.split).cut
    split: Split = cut(market.bars.timestamps, market.table.warm_up, purge=episode.window, least=least)
    return Split(
        split.train,
        longest_stretch(split.validation, pieces, "validation", least),
        longest_stretch(split.test, pieces, "test", least),
    )
