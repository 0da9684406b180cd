"""Trader: a saved model with everything it needs to act on raw bars.

Bars go in, decisions come out: features by the model's own settings, labels by its own thresholds,
its scaler, its window, its decision layers and gate, and an account that follows it.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from regimegym.agents.card import ModelCard
from regimegym.agents.checkpoint import behind_gate, with_saved_layers
from regimegym.common.actions import Action
from regimegym.common.checks import check_number
from regimegym.common.errors import DataError, ModelError
from regimegym.common.policy import Decision, Observations, Policy
from regimegym.common.regimes import REGIMES, Regime
from regimegym.envs.actions import ActionTranslator
from regimegym.envs.core import ORDER, step_batch
from regimegym.envs.observation import ACCOUNT_FIELDS, write_account_blocks
from regimegym.envs.settings import ActionSettings, EnvSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record
from regimegym.evaluate.rollout import Bound, Lane, bind, walk
from regimegym.evaluate.signal import Signal
from regimegym.evaluate.trajectory import Trajectory
from regimegym.features.bars import Bars
from regimegym.features.context import EMPTY, Context
from regimegym.features.durations import timeframe_words
from regimegym.features.frames import bars_from_frame
from regimegym.features.loading import load_bars
from regimegym.features.market import align_features, build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.scaling import Scaler
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape, Segment, with_still_bar
from regimegym.supervised.predictor_set import PredictorSet

AnyBars = Bars | pd.DataFrame | Mapping[str, Any] | str | Path


class _Noted:
    """A policy that keeps what it decided, and the memory it decided with."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.decisions: list[Decision] = []
        self.memory: Any = None
        self.starts = np.ones(1, bool)

    def act(self, observations: Observations, state: Any, episode_starts: np.ndarray) -> tuple[Decision, Any]:
        """See common.policy.Policy."""
        self.memory, self.starts = state, episode_starts
        decision, state = self.policy.act(observations, state, episode_starts)
        self.decisions.append(decision)
        return decision, state

    def column(self, name: str) -> np.ndarray | None:
        """One field of all decisions, (n, …); None where the policy has none."""
        parts = [getattr(decision, name) for decision in self.decisions]
        return None if parts[0] is None else np.concatenate(parts)


class _Walk(NamedTuple):
    """One account over a segment, the newest bar decided on too."""

    tape: MarketTape  # with a still bar behind its last
    rows: RowRange  # rows of decisions
    trajectory: Trajectory  # one mark longer than the bars: that of the still bar
    noted: _Noted
    bound: Bound


class Trader:
    """A saved model at work: `Trader.decide(bars)` and `Trader.newest(bars)`.

    Args:
        policy: the model's own policy, without decision layers and gate.
        card: its card.
        settings: account, costs, actions, as the model was trained with.
        with_layers: the decision layers that were saved with it; False: the model alone. Behind a
            closed gate it stays flat either way.
        source: where the model was loaded from, for people.
        predictors: those whose predictions are among the model's features; None without any.

    Raises:
        ModelError: the settings have other actions than the model, or its layers are damaged.
    """

    def __init__(
        self,
        policy: Policy,
        card: ModelCard,
        settings: EnvSettings,
        with_layers: bool = True,
        source: str = "",
        predictors: PredictorSet | None = None,
    ) -> None:
        if ActionSettings(**card.action_settings) != settings.action or card.window != settings.episode.window:
            raise ModelError(
                "other-environment",
                "the settings are not those of the environment that the model acts in",
                needed=f"{ActionSettings(**card.action_settings)}, window {card.window}",
                found=f"{settings.action}, window {settings.episode.window}",
            )
        self.model = policy
        self.card = card
        self.settings = settings
        self.with_layers = with_layers
        self.source = source
        self.predictors = predictors

    def policy(self, symbol: str = "") -> Policy:
        """The common Policy for the instrument `symbol`, with layers and gate as they were asked for."""
        if self.with_layers:
            return with_saved_layers(self.model, self.card, symbol)
        return behind_gate(self.model, self.card)

    def tape(self, bars: AnyBars, context: Context = EMPTY) -> MarketTape:
        """The market as the model sees it: its features, by its scaler, with its labels.

        Args:
            bars: Bars, a frame or mapping of columns with the usual names, or a file.
            context: what stands beside them, where the model's features join other data.

        Raises:
            DataError: bars that break the data contract, too few, or without what a feature needs.
        """
        given = {key: value for key, value in self.card.feature_settings.items() if key not in ("names", "missing")}
        # A card can come from anybody: it may not say where files are written.
        names = self.card.feature_names if self.predictors is None else self.predictors.inputs
        settings = FeatureSettings(names, **given | {"cache": "auto"})
        market = prepare_market(bars_of(bars), self.card.regime_rule(), settings, context)
        market = market if self.predictors is None else self.predictors.join(market)
        aligned = replace(market, table=align_features(self.card.feature_names, market.table))
        return build_tape(aligned, Scaler.from_dict(self.card.scaler))

    def decide(self, bars: AnyBars, context: Context = EMPTY) -> pd.DataFrame:
        """What the model decides at every close after the warm-up, on an account that follows it.

        Returns:
            One row per bar, by the start of the bar (UTC): close, regime (label known at the close),
            action (name), target (weight; NaN keeps the position), exposure and equity before the
            order, `score_<action>` and `p_<regime>` where the policy has them, confidence,
            uncertainty. Histories with long gaps begin a new account behind each of them.

        Raises:
            DataError: as `tape`.
        """
        tape = self.tape(bars, context)
        walks = [self._walk(tape, segment) for segment in tape.segments if segment.first_row < segment.stop]
        return pd.concat([self._frame(one) for one in walks])

    def newest(self, bars: AnyBars, context: Context = EMPTY, exposure: float | None = None) -> Signal:
        """The decision at the close of the newest bar, which is taken to be complete.

        Args:
            bars, context: as `tape`.
            exposure: your own position as a share of equity, taken to have been opened at this very
                close; None: that of an account which followed the model since the first bar behind
                the warm-up.

        Raises:
            DataError: as `tape`, or the newest bar stands behind a long gap, with too little before it.
            ConfigError: an exposure that the model's own actions cannot reach.
        """
        given = bars_of(bars)
        tape = self.tape(given, context)
        if tape.timestamps[-1] != given.timestamps[-1]:
            raise DataError(
                "newest-bar-unknown",
                f"the newest bars of {given.symbol or 'the data'} stand behind a long gap, with too few before them",
                needed=f"{self._warm_up(tape) + 1:,} bars without a long gap, the newest the last",
                found=f"the last usable bar is {pd.Timestamp(tape.timestamps[-1])} UTC",
            )
        found = self._walk(tape, tape.segments[-1])
        return self._signal(found, exposure)

    def rollout(self, bars: AnyBars, context: Context = EMPTY) -> Trajectory:
        """What an account that follows the model did on the longest stretch without a gap; see `evaluate.metrics`."""
        tape = self.tape(bars, context)
        segment = max(tape.segments, key=lambda one: one.stop - one.first_row)
        found = self._walk(tape, segment)
        return found.trajectory.head(len(found.trajectory) - 1)

    @staticmethod
    def _warm_up(tape: MarketTape) -> int:
        return tape.segments[0].first_row - tape.segments[0].start

    def _walk(self, tape: MarketTape, segment: Segment) -> _Walk:
        longer = with_still_bar(tape, segment)
        rows = RowRange(segment.first_row - segment.start, len(longer))
        inner = bind(self.policy(segment.symbol), longer, rows)
        noted = _Noted(inner.policy)
        bars = bar_records(longer, self.settings.account.carry_clock)
        lane = Lane(self.settings, bars, np.array([rows.start]))
        ((run,),) = walk(Bound(noted, inner.by_row), longer, [lane], rows.count)
        return _Walk(longer, RowRange(rows.start, rows.stop - 1), run, noted, inner)

    def _frame(self, found: _Walk) -> pd.DataFrame:
        tape, run, noted, rows = found.tape, found.trajectory, found.noted, slice(*found.rows)
        names = self.action_names
        actions = noted.column("action")
        assert actions is not None
        columns: dict[str, Any] = {
            "close": tape.close[rows],
            "regime": [Regime(label).name for label in tape.regimes[rows]],
            "action": [names[int(a)] if names else "WEIGHT" for a in actions.reshape(-1)],
            "target": self._targets(actions, noted.column("target")),
            "exposure": run.exposure[:-1],
            "equity": run.equity[:-1],
        }
        for prefix, labels, field in (
            ("score", names, "scores"),
            ("p", [regime.name.lower() for regime in REGIMES], "regime_probabilities"),
        ):
            values = noted.column(field)
            if values is not None:
                columns |= {f"{prefix}_{label}": values[:, i] for i, label in enumerate(labels)}
        for field in ("confidence", "uncertainty"):
            values = noted.column(field)
            if values is not None:
                columns[field] = values
        index = pd.DatetimeIndex(pd.to_datetime(tape.timestamps[rows], utc=True), name="timestamp")
        return pd.DataFrame(columns, index=index)

    @property
    def action_names(self) -> list[str]:
        """Names of the discrete actions; empty for continuous weights."""
        weights = self._translator.weights
        if weights is None:
            return []
        if self.settings.action.mode == "trade":
            return [action.name for action in Action]
        return [f"{weight:+g}" for weight in weights]

    @property
    def _translator(self) -> ActionTranslator:
        return ActionTranslator(self.settings.action, self.settings.account.max_leverage)

    @property
    def _lowest_weight(self) -> float:
        translator = self._translator
        return translator.lowest_weight if translator.weights is None else min(0.0, np.nanmin(translator.weights))

    def _targets(self, actions: np.ndarray, own: np.ndarray | None) -> np.ndarray:
        return self._translator.targets(actions, len(actions)) if own is None else own

    def _signal(self, found: _Walk, exposure: float | None) -> Signal:
        tape, run, row = found.tape, found.trajectory, found.rows.stop - 1
        decision, now = found.noted.decisions[-1], float(run.exposure[-2])
        equity, since = float(run.equity[-2]), None if exposure is not None else int(tape.timestamps[found.rows.start])
        last = run.fills[(run.fills["step"] == len(run) - 1) & (run.fills["reason"] == ORDER)]
        units = float((last["side"] * last["units"]).sum())
        if exposure is not None:
            decision, units, equity = self._at_position(found, exposure)
            now = exposure
        close = float(tape.close[row])
        target = float(self._targets(np.asarray(decision.action), decision.target)[0])
        names, segment = self.action_names, tape.segments[0]
        beliefs = tape.regime_probabilities[row] if decision.regime_probabilities is None else None
        probabilities = beliefs if beliefs is not None else decision.regime_probabilities[0]  # type: ignore[index]
        return Signal(
            symbol=segment.symbol,
            timeframe=timeframe_words(segment.timeframe_ns),
            bar_ns=int(tape.timestamps[row]),
            close_ns=int(tape.timestamps[row]) + segment.timeframe_ns,
            close=close,
            execution=self.settings.account.execution,
            action=names[int(np.asarray(decision.action).reshape(-1)[0])] if names else f"{target:+.2f}",
            target=None if np.isnan(target) else target,
            exposure=now,
            order_units=units,
            order_share=units * close / equity if equity > 0 else 0.0,
            equity=equity,
            scores=_named(names, decision.scores),
            regime=Regime(tape.regimes[row]).name,
            regime_probabilities={r.name: float(p) for r, p in zip(REGIMES, probabilities, strict=True)},
            confidence=_first(decision.confidence),
            uncertainty=_first(decision.uncertainty),
            followed_since_ns=since,
            n_bars=found.rows.count if since is not None else 0,
        )

    def _at_position(self, found: _Walk, exposure: float) -> tuple[Decision, float, float]:
        """The newest decision, its order in units and the equity, of a fresh account that holds `exposure`."""
        most, least = self.settings.account.max_leverage, self._lowest_weight
        check_number("exposure", exposure, f"a number from {least:g} to {most:g}", lambda v: least <= v <= most)
        tape, row = found.tape, found.rows.stop - 1
        account, close = new_accounts(1, self.settings), tape.close[row]
        units = exposure * account.equity[0] / close
        account.units[0], account.exposure[0], account.last_target[0] = units, exposure, exposure
        account.cash[0] -= units * close
        account.entry_price[0] = close if units else 0.0
        bars, at = bar_records(tape, self.settings.account.carry_clock), np.array([row])
        block = np.empty((1, len(ACCOUNT_FIELDS)), np.float32)
        write_account_blocks(bars, at, account.values, account.ring.shape[1], block)
        seen: Observations = {"account": block}
        seen |= {"row": at} if found.bound.by_row else {"market": tape.windows(at, self.card.window)}
        decision, _ = found.bound.policy.act(seen, found.noted.memory, found.noted.starts)
        targets = self._targets(np.asarray(decision.action), decision.target)
        result = step_batch(bars, rule_record(self.settings), at, account, targets)
        fills = result.fills[0, : int(result.n_fills[0])]
        return decision, float(fills["units"][fills["reason"] == ORDER].sum()), float(account.equity[0])


def bars_of(data: AnyBars) -> Bars:
    """Bars of whatever the caller has. Raises DataError as load_bars and bars_from_frame do."""
    if isinstance(data, Bars):
        return data
    if isinstance(data, str | Path):
        return load_bars(data)
    return bars_from_frame(data)


def _named(names: list[str], scores: np.ndarray | None) -> dict[str, float] | None:
    return None if scores is None else {name: float(v) for name, v in zip(names, scores[0], strict=True)}


def _first(values: np.ndarray | None) -> float | None:
    return None if values is None or np.isnan(values[0]) else float(values[0])
