"""ModelCard: everything besides the weights that a model needs to be used again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from importlib.metadata import version
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm

from regimegym.agents.build import KINDS
from regimegym.agents.decision.layers import FittedDecision
from regimegym.agents.decision.roles import ActionRoles, action_roles
from regimegym.agents.gate import Gate
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.settings import AgentSettings
from regimegym.common.errors import ConfigError, ModelError
from regimegym.envs.actions import ActionTranslator
from regimegym.envs.settings import ActionSettings
from regimegym.features.regimes import RegimeSettings

FORMAT_VERSION = 3
LIBRARIES = ("torch", "stable-baselines3", "sb3-contrib", "numpy", "safetensors")


@dataclass(frozen=True)
class ModelCard:
    """What stands in model.json; every value is plain JSON.

    Attributes:
        agent: hyper-parameters by field name; `algorithm` says whose.
        network: NetworkSettings by field name.
        feature_names: columns of the window, in order. scaler, regime_settings, feature_settings:
            how the columns are made from bars.
        window, n_features: shape of the market observation.
        account_fields: names of the account block, in order.
        n_actions: number of discrete actions, 0 for a continuous weight.
        action_bounds: least and greatest weight of a continuous action, None for a discrete one.
        action_settings: how actions become orders.
        random_seed, trained_steps: of the training.
        decision: fitted decision layers (FittedDecision.to_dict), None without any.
        gate: threshold and t-statistic of the gate (agents.gate.Gate), None without one.
        versions: of the libraries that wrote the model.
        format_version: of this file.
    """

    algorithm: str
    agent: dict[str, Any]
    network: dict[str, Any]
    feature_names: tuple[str, ...]
    scaler: dict[str, Any]
    regime_settings: dict[str, Any]
    feature_settings: dict[str, Any]
    window: int
    n_features: int
    account_fields: tuple[str, ...]
    n_actions: int
    action_bounds: tuple[float, float] | None
    action_settings: dict[str, Any]
    random_seed: int
    trained_steps: int
    decision: dict[str, Any] | None = None
    gate: dict[str, float] | None = None
    versions: dict[str, str] = field(default_factory=lambda: {name: version(name) for name in LIBRARIES})
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        for name in ("feature_names", "account_fields", "action_bounds"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else tuple(value))

    @property
    def feature_hash(self) -> str:
        """16 hex digits of SHA-256 over the feature names in order and the scaler."""
        text = json.dumps([self.feature_names, self.scaler], sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]

    def settings(self) -> tuple[AgentSettings, NetworkSettings]:
        """Settings of the agent and the network. Raises ModelError when they are no settings."""
        if self.algorithm not in KINDS:
            raise ModelError(
                "unknown-algorithm",
                f"the model was made by the algorithm '{self.algorithm}', which this version does not know",
                needed=f"one of {', '.join(KINDS)}",
            )
        try:
            return KINDS.get(self.algorithm).settings(**self.agent), NetworkSettings(**self.network)
        except (TypeError, ConfigError) as error:
            raise ModelError("bad-card", f"the settings in the model card are not valid: {error}") from error

    def layers(self) -> FittedDecision | None:
        """The decision layers, None without any. Raises ModelError when they are damaged."""
        return None if self.decision is None else FittedDecision.from_dict(self.decision)

    def entrance(self) -> Gate | None:
        """The gate, None without one. Raises ModelError when it is damaged."""
        try:
            return None if self.gate is None else Gate(**self.gate)
        except TypeError as error:
            raise ModelError("bad-card", f"the gate in the model card is none: {error}") from error

    def roles(self) -> ActionRoles:
        """What the discrete actions mean. Raises ModelError when the card's action settings are none."""
        try:
            weights = ActionTranslator(ActionSettings(**self.action_settings), max_leverage=1.0).weights
        except (TypeError, ConfigError) as error:
            raise ModelError("bad-card", f"the action settings in the model card are not valid: {error}") from error
        if weights is None:
            raise ModelError("no-ladder", "decision layers need discrete actions, and the model's are continuous")
        return action_roles(weights)

    def regime_rule(self) -> RegimeSettings:
        """How bars are labelled, with the thresholds of the training. Raises ModelError when they are no settings."""
        try:
            return RegimeSettings(**self.regime_settings)
        except (TypeError, ConfigError) as error:
            raise ModelError("bad-card", f"the regime settings in the model card are not valid: {error}") from error

    def spaces(self) -> tuple[spaces.Dict, spaces.Space]:
        """Observation and action space of the environment the model was made for."""
        market = spaces.Box(-np.inf, np.inf, (self.window, self.n_features), np.float32)
        account = spaces.Box(-np.inf, np.inf, (len(self.account_fields),), np.float32)
        action: spaces.Space = (
            spaces.Discrete(self.n_actions)
            if self.n_actions
            else spaces.Box(*(self.action_bounds or (-1.0, 1.0)), (1,), np.float32)
        )
        return spaces.Dict({"account": account, "market": market}), action

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return json.loads(json.dumps(asdict(self), allow_nan=False))

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "ModelCard":
        """The card of `to_json`'s values. Raises ModelError that names missing or unknown fields."""
        known = {f.name for f in fields(ModelCard)}
        missing, unknown = sorted(known - set(values)), sorted(set(values) - known)
        if missing or unknown:
            raise ModelError(
                "bad-card",
                "the model card does not have the fields of this format",
                needed=f"also {', '.join(missing)}" if missing else None,
                found=f"unknown {', '.join(unknown)}" if unknown else None,
            )
        return ModelCard(**values)


def card_of(
    algorithm: BaseAlgorithm,
    settings: AgentSettings,
    network: NetworkSettings,
    *,
    feature_names: tuple[str, ...],
    scaler: Mapping[str, Any],
    regime_settings: Mapping[str, Any],
    feature_settings: Mapping[str, Any],
    account_fields: tuple[str, ...],
    action_settings: Mapping[str, Any],
    random_seed: int,
) -> ModelCard:
    """The card of a built or trained algorithm; shapes are read off its spaces.

    Raises:
        ConfigError: names and observation shapes do not agree.
    """
    observation = algorithm.observation_space
    assert isinstance(observation, spaces.Dict)
    window, n_features = observation["market"].shape or (0, 0)
    (n_account,) = observation["account"].shape or (0,)
    if (n_features, n_account) != (len(feature_names), len(account_fields)):
        raise ConfigError(
            "card-shape",
            f"the environment shows {n_features} features and {n_account} account fields, "
            f"the card names {len(feature_names)} and {len(account_fields)}",
        )
    action = algorithm.action_space
    bounds = (float(action.low.min()), float(action.high.max())) if isinstance(action, spaces.Box) else None
    return ModelCard(
        algorithm=settings.name,
        agent=asdict(settings),
        network=asdict(network),
        feature_names=feature_names,
        scaler=dict(scaler),
        regime_settings=dict(regime_settings),
        feature_settings=dict(feature_settings),
        window=window,
        n_features=n_features,
        account_fields=account_fields,
        n_actions=int(action.n) if isinstance(action, spaces.Discrete) else 0,
        action_bounds=bounds,
        action_settings=dict(action_settings),
        random_seed=random_seed,
        trained_steps=algorithm.num_timesteps,
    )
