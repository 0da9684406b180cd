"""The look-ahead audit of all that a training runs on: features, regimes, scaler, predictors, what accounts see."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from omegaconf import DictConfig

from regimegym.envs.observation import ACCOUNT_FIELDS
from regimegym.envs.settings import EpisodeSettings
from regimegym.envs.vector_env import TradingVectorEnv
from regimegym.features.audit import Column, Columns, Provider, as_columns
from regimegym.features.bars import Bars
from regimegym.features.context import Context, feature_inputs
from regimegym.features.feature import FeatureInputs
from regimegym.features.market import Market, build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.regime_fit import fit_regimes
from regimegym.features.regimes import RegimeSettings, classify_regimes
from regimegym.features.scaling import fit_scaler
from regimegym.features.tape import MarketTape
from regimegym.training.experiment import Experiment
from regimegym.training.predictor_audit import refitted_predictors
from regimegym.training.wiring import build

NEVER = np.iinfo(np.int64).max  # row of what belongs to no bar


def pipeline_provider(config: DictConfig, experiment: Experiment, cuts: Sequence[int]) -> Provider:
    """Columns of the pipeline that `config` composes and `experiment` was built from.

    Features, regimes, predictions and observations are computed with the thresholds, the predictors and
    the scaler of the experiment, which are frozen there; fitting them again must give the same as soon
    as the rows they learn from are over.
    """
    features: FeatureSettings = build(config.features)
    regime: RegimeSettings = build(config.regime)
    train, predictions = experiment.split.train, experiment.predictions
    again = None if predictions is None else refitted_predictors(config, experiment)

    def provide(bars: Bars, context: Context) -> Columns:
        market = prepare_market(bars, experiment.regime_settings, features, context)
        columns: dict[str, Column] = {}
        if predictions is not None and again is not None:
            columns |= again(market)
            market = predictions.fitted.join(market)
        for name, values in zip(market.table.names, market.table.values.T, strict=True):
            columns[f"feature {name}"] = Column(values)
        columns |= _regime_columns(market)
        fitted = fit_regimes(market.regimes, regime, train)
        numbers = [value for value in vars(fitted).values() if isinstance(value, float)]
        columns["fitted regime thresholds"] = _fitted([numbers], train.stop)
        scaler = fit_scaler(market.table, train)
        for name, mean, scale in zip(scaler.names, scaler.mean, scaler.scale, strict=True):
            columns[f"fitted scaler of {name}"] = _fitted([[mean, scale]], train.stop)
        return columns | observed_columns(experiment, build_tape(market, experiment.scaler), cuts)

    return provide


def user_provider(
    compute: Callable[[FeatureInputs], object], name: str, regime_settings: RegimeSettings | None = None
) -> Provider:
    """Columns of one function of FeatureInputs, as a registered feature is one."""

    def provide(bars: Bars, context: Context) -> Columns:
        return as_columns(compute(feature_inputs(bars, classify_regimes(bars.close, regime_settings), context)), name)

    return provide


def observed_columns(experiment: Experiment, tape: MarketTape, cuts: Sequence[int]) -> dict[str, Column]:
    """What accounts on `tape` see and earn as they walk across each of `cuts`; their actions are always the same."""
    settings, symbol = experiment.settings, tape.symbols[0]
    steps = max(settings.episode.window, 2)
    # Gaps in another future may lengthen its warm-up; accounts start on the true rows all the same.
    first, last = experiment.market.table.warm_up, len(tape) - steps - 1
    tape = replace(tape, segments=(tape.segments[0]._replace(first_row=first),))
    starts = sorted({int(np.clip(cut - steps // 2, first, last)) for cut in cuts})
    episode = EpisodeSettings(
        settings.episode.window, steps, start="sequential", starts=[(symbol, row) for row in starts]
    )
    env = TradingVectorEnv(len(starts), tape, replace(settings, episode=episode))
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    rows, markets, accounts, rewards = [], [], [], []
    lives, row = np.ones(len(starts), bool), np.array(starts)
    for _ in range(steps):
        rows.append(np.where(lives, row, NEVER))
        markets.append(observation["market"])
        accounts.append(observation["account"])
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        rewards.append(np.where(lives, reward, 0.0))
        lives, row = lives & ~(terminated | truncated), row + 1
    at = np.concatenate(rows)
    market, account = np.concatenate(markets), np.concatenate(accounts)
    columns = {f"observed {name}": Column(market[:, :, i], at) for i, name in enumerate(tape.feature_names)}
    columns |= {f"observed {name}": Column(account[:, i], at) for i, name in enumerate(ACCOUNT_FIELDS)}
    earned_at = np.where(at == NEVER, NEVER, np.minimum(at, NEVER - 1) + 1)
    return columns | {"reward": Column(np.concatenate(rewards), earned_at)}


def _regime_columns(market: Market) -> dict[str, Column]:
    regimes = market.regimes
    return {
        "regime label": Column(regimes.labels),
        "regime probabilities": Column(regimes.probabilities),
        "regime trend score": Column(regimes.z),
        "regime relative volatility": Column(regimes.v),
    }


def _fitted(values: Sequence[Sequence[float]], train_stop: int) -> Column:
    """A quantity that may depend on the rows before `train_stop` and on no other."""
    return Column(np.array(values), np.array([train_stop - 1]), first_cut=train_stop - 1)
