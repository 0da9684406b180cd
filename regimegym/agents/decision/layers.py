"""LayeredPolicy: a policy whose scores pass through the decision layers before they become orders."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from regimegym.agents.decision.forecast import EdgeForecast
from regimegym.agents.decision.probabilities import (
    apply_isotonic,
    boost_uptrend,
    score_probabilities,
    standardised,
)
from regimegym.agents.decision.roles import ActionRoles
from regimegym.agents.decision.settings import (
    CalibrationSettings,
    DecisionSettings,
    DoubtSettings,
    KellySettings,
    NoTradeSettings,
    ThresholdSettings,
    TierSettings,
)
from regimegym.agents.decision.sizing import doubt_size, kelly_fraction, tier_sizes
from regimegym.agents.decision.thresholds import above_threshold, adaptive_thresholds
from regimegym.common.errors import ConfigError, ModelError
from regimegym.common.policy import Decision, Observations, Policy, TapePolicy
from regimegym.common.regimes import N_REGIMES, Regime
from regimegym.envs.observation import ACCOUNT_FIELDS
from regimegym.features.tape import MarketTape

EXPOSURE = ACCOUNT_FIELDS.index("exposure")
PARTS = {
    "calibration": CalibrationSettings,
    "thresholds": ThresholdSettings,
    "tiers": TierSettings,
    "kelly": KellySettings,
    "doubt": DoubtSettings,
    "no_trade": NoTradeSettings,
}


@dataclass(frozen=True)
class FittedDecision:
    """Decision settings and what was fitted for them on validation; plain numbers, saved with the model.

    Attributes:
        settings: the layers.
        temperature: τ, where there is calibration.
        knots: x and y of the isotonic map; None where none was fitted.
        base: threshold of every action but HOLD, where there are thresholds.
        forecast: worth of an edge, where Kelly or the no-trade rule asks for it.
        half_at: disagreement at which half the position is left.
        one_way_cost: fee, half-spread and slippage of the environment that it was fitted on.
    """

    settings: DecisionSettings
    temperature: float | None = None
    knots: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    base: float | None = None
    forecast: EdgeForecast | None = None
    half_at: float | None = None
    one_way_cost: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` gives the equal record back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "FittedDecision":
        """The record of `to_dict`. Raises ModelError `bad-decision` when it is none."""
        try:
            settings = dict(data["settings"])
            for name, part in PARTS.items():
                if settings[name] is not None:
                    settings[name] = part(**settings[name])
            rest = {key: value for key, value in data.items() if key != "settings"}
            if rest["knots"] is not None:
                rest["knots"] = tuple(tuple(row) for row in rest["knots"])
            if rest["forecast"] is not None:
                rest["forecast"] = EdgeForecast.from_dict(rest["forecast"])
            return cls(DecisionSettings(**settings), **rest)
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise ModelError("bad-decision", f"the decision layers of the model are damaged: {error}") from error


class LayeredPolicy:
    """`inner` with decision layers; see common.policy.Policy.

    Its decisions carry `target`: weights that may lie between those of the actions. The order of the
    layers: calibration, thresholds, tiers, Kelly, doubt, no-trade.

    Args:
        inner: the policy, with scores.
        fitted: the layers.
        roles: what the environment's actions mean.
        symbol: instrument, for the multiplier of the tiers.
    """

    def __init__(self, inner: Policy, fitted: FittedDecision, roles: ActionRoles, symbol: str = "") -> None:
        self.inner = inner
        self.fitted = fitted
        self.roles = roles
        self.symbol = symbol

    def act(
        self, observations: Observations, state: Any = None, episode_starts: np.ndarray | None = None
    ) -> tuple[Decision, Any]:
        """See common.policy.Policy. Raises ModelError when `inner` gives no scores."""
        starts = np.zeros(len(observations["account"]), bool) if episode_starts is None else episode_starts
        decision, state = self.inner.act(observations, state, starts)
        if decision.scores is None:
            raise ModelError("no-scores", "decision layers need scores of the actions, and this policy has none")
        return self._layered(decision, decision.scores, observations["account"][:, EXPOSURE]), state

    def _layered(self, decision: Decision, scores: np.ndarray, exposure: np.ndarray) -> Decision:
        fitted, roles = self.fitted, self.roles
        probabilities, chosen = scores, np.asarray(decision.action).reshape(-1)
        confidence = None
        if fitted.settings.calibration is not None:
            probabilities = self.probabilities(scores, decision.regime_probabilities)
            chosen = probabilities.argmax(axis=1)
            if fitted.settings.thresholds is not None:
                chosen = self._over_threshold(probabilities, decision.regime_probabilities)
            confidence = self.confidence(probabilities, chosen)
        weights = np.where(chosen < 0, np.nan, roles.weights[chosen])
        target = self._sized(weights, confidence, scores, decision.uncertainty)
        target = self._worth_it(target, exposure, scores)
        action = np.where(chosen >= 0, chosen, _resting(roles, exposure))
        return decision._replace(action=action, scores=probabilities, target=target, confidence=confidence)

    def probabilities(self, scores: np.ndarray, p: np.ndarray | None) -> np.ndarray:
        """π′ (N, A) of scores (N, A) and regime probabilities (N, 4); without the latter there is no boost."""
        calibration, temperature = self.fitted.settings.calibration, self.fitted.temperature
        assert calibration is not None
        assert temperature is not None
        plain = score_probabilities(np.asarray(scores, np.float64), temperature)
        if p is None:
            return plain
        return boost_uptrend(plain, p[:, Regime.UPTREND], self.roles.buy, calibration.base, calibration.boost)

    def confidence(self, probabilities: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """(N,) probability of the chosen action, calibrated where a map was fitted; NaN where none was chosen."""
        own = np.where(chosen >= 0, probabilities[np.arange(len(chosen)), chosen], np.nan)
        if self.fitted.knots is None:
            return own
        return apply_isotonic(own, self.fitted.knots)

    def _over_threshold(self, probabilities: np.ndarray, p: np.ndarray | None) -> np.ndarray:
        settings = self.fitted.settings.thresholds
        assert settings is not None
        assert self.fitted.base is not None
        base = np.full(probabilities.shape[1], self.fitted.base)
        modifiers = np.zeros((N_REGIMES, len(base)))
        for name, (for_buy, for_sell) in settings.modifiers.items():
            row = Regime[name.upper()]
            modifiers[row, self.roles.sell] = for_sell
            if self.roles.buy is not None:
                modifiers[row, self.roles.buy] = for_buy
        known = np.full((len(probabilities), N_REGIMES), 1 / N_REGIMES) if p is None else p
        thresholds = adaptive_thresholds(base, modifiers, known, settings.lowest, settings.highest)
        return above_threshold(probabilities, thresholds, self.roles.hold)

    def _sized(
        self,
        weights: np.ndarray,
        confidence: np.ndarray | None,
        scores: np.ndarray,
        uncertainty: np.ndarray | None,
    ) -> np.ndarray:
        """Target weights (N,) after tiers, Kelly and doubt; NaN keeps the position."""
        fitted, target = self.fitted, weights
        opens = ~np.isnan(weights) & (weights != 0)
        tiers, kelly = fitted.settings.tiers, fitted.settings.kelly
        if tiers is not None:
            assert confidence is not None
            size = tier_sizes(np.nan_to_num(confidence), tiers.multiplier_of(self.symbol), tiers.edges)
            target = np.where(opens, np.where(size > 0, weights * size, np.nan), target)
        if kelly is not None and fitted.forecast is not None:
            mean, doubt = fitted.forecast.moments(self.edge(scores))
            cost = 2 * fitted.one_way_cost
            fraction = kelly_fraction(mean, doubt, fitted.forecast.variance, cost, kelly.share, kelly.most)
            target = np.where(opens, target * np.maximum(0.0, np.sign(weights) * fraction), target)
        if fitted.half_at is not None and uncertainty is not None:
            target = np.where(opens, target * doubt_size(uncertainty, fitted.half_at), target)
        return target

    def _worth_it(self, target: np.ndarray, exposure: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """NaN where a change of position is too small, or its expected gain does not cover its cost."""
        settings, forecast = self.fitted.settings.no_trade, self.fitted.forecast
        if settings is None:
            return target
        change = target - exposure
        too_small = (np.abs(change) <= settings.band) & (target != 0)
        unpaid = np.zeros(len(target), bool)
        if forecast is not None:
            mean, _ = forecast.moments(self.edge(scores))
            unpaid = np.sign(change) * mean <= settings.multiple * self.fitted.one_way_cost
        return np.where(too_small | unpaid, np.nan, target)

    def edge(self, scores: np.ndarray) -> np.ndarray:
        """(N,) Q̃_buy − Q̃_sell: how much more the model likes the largest weight than the smallest."""
        q = standardised(np.asarray(scores, np.float64))
        best = self.roles.buy if self.roles.buy is not None else int(np.nanargmax(self.roles.weights))
        return q[:, best] - q[:, self.roles.sell]


class TapedLayeredPolicy(LayeredPolicy):
    """A LayeredPolicy whose inner policy can answer from tape rows."""

    inner: Any

    def on_tape(self, tape: MarketTape, start: int, stop: int) -> Policy:
        """See common.policy.TapePolicy."""
        return LayeredPolicy(self.inner.on_tape(tape, start, stop), self.fitted, self.roles, tape.symbol)


def layered(inner: Policy, fitted: FittedDecision | None, roles: ActionRoles, symbol: str = "") -> Policy:
    """`inner` with the layers around it; `inner` itself where there are none."""
    if fitted is None or fitted.settings.is_empty:
        return inner
    kind = TapedLayeredPolicy if isinstance(inner, TapePolicy) else LayeredPolicy
    return kind(inner, fitted, roles, symbol)


def with_base(fitted: FittedDecision, base: float) -> FittedDecision:
    """The same layers with another threshold."""
    return replace(fitted, base=base)


def _resting(roles: ActionRoles, exposure: np.ndarray) -> np.ndarray:
    """The action (N,) that says "keep": HOLD, or the rung nearest to the exposure."""
    if roles.hold is not None:
        return np.full(len(exposure), roles.hold)
    return np.abs(roles.weights[None, :] - exposure[:, None]).argmin(axis=1)
