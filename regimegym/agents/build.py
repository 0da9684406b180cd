"""From settings to an algorithm, and from a model card back to its policy object."""

from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib import QRDQN, MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.policies import MaskableMultiInputActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentMultiInputActorCriticPolicy
from sb3_contrib.qrdqn.policies import MultiInputPolicy as QRDQNPolicy
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy, MultiInputActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.dqn.policies import MultiInputPolicy as DQNPolicy
from stable_baselines3.sac.policies import MultiInputPolicy as SACPolicy

from regimegym.agents.action_space import require_continuous, require_discrete
from regimegym.agents.enhanced_dqn import EnhancedDQN
from regimegym.agents.enhanced_dqn_policy import EnhancedDQNPolicy
from regimegym.agents.ensemble import EnsembleTrader
from regimegym.agents.ensemble_policy import EnsemblePolicy
from regimegym.agents.ensemble_settings import EnsembleSettings
from regimegym.agents.extractor import WindowExtractor
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.settings import (
    A2CSettings,
    AgentSettings,
    DQNSettings,
    EnhancedDQNSettings,
    EnhancedQRDQNSettings,
    MaskablePPOSettings,
    PPOSettings,
    QRDQNSettings,
    RecurrentPPOSettings,
    SACSettings,
)
from regimegym.common.errors import ConfigError
from regimegym.common.registry import Registry
from regimegym.common.seeding import generator, integer_seed
from regimegym.envs.recorded_source import record_steps
from regimegym.replay.regime import RegimeReplayBuffer
from regimegym.replay.settings import ReplaySettings


@dataclass(frozen=True)
class Kind:
    """What belongs together under an agent's name.

    Attributes:
        actions: what it can choose: `discrete`, `continuous` or `any`.
    """

    settings: type[AgentSettings]
    algorithm: type[BaseAlgorithm]
    policy: type[BasePolicy]
    on_policy: bool = False
    actions: str = "discrete"

    def check_actions(self, space: spaces.Space) -> None:
        """Raise ConfigError unless the algorithm can act in `space`."""
        if self.actions == "discrete":
            require_discrete(self.settings.name, space)
        elif self.actions == "continuous":
            require_continuous(self.settings.name, space)


KINDS: Registry[Kind] = Registry("agent")
for _kind in (
    Kind(EnhancedDQNSettings, EnhancedDQN, EnhancedDQNPolicy),
    Kind(EnhancedQRDQNSettings, EnhancedDQN, EnhancedDQNPolicy),
    Kind(EnsembleSettings, EnsembleTrader, EnsemblePolicy),
    Kind(PPOSettings, PPO, MultiInputActorCriticPolicy, on_policy=True, actions="any"),
    Kind(A2CSettings, A2C, MultiInputActorCriticPolicy, on_policy=True, actions="any"),
    Kind(RecurrentPPOSettings, RecurrentPPO, RecurrentMultiInputActorCriticPolicy, on_policy=True, actions="any"),
    Kind(MaskablePPOSettings, MaskablePPO, MaskableMultiInputActorCriticPolicy, on_policy=True),
    Kind(DQNSettings, DQN, DQNPolicy),
    Kind(QRDQNSettings, QRDQN, QRDQNPolicy),
    Kind(SACSettings, SAC, SACPolicy, actions="continuous"),
):
    KINDS.register(_kind.settings.name)(_kind)


@singledispatch
def build_agent(
    settings: AgentSettings,
    env: VecEnv,
    network: NetworkSettings,
    random_seed: int,
    device: torch.device | str = "cpu",
    tensorboard_log: str | None = None,
    replay: ReplaySettings | None = None,
) -> BaseAlgorithm:
    """The algorithm that `settings` describe, on `env`, with our encoder in front.

    Raises:
        ConfigError: the algorithm cannot work with the environment's action space, or knows
            nothing of such a replay.
    """
    kind = KINDS.get(settings.name)
    kind.check_actions(env.action_space)
    assert not isinstance(settings, EnhancedDQNSettings)  # has its own line below
    return kind.algorithm(
        policy=kind.policy,
        env=env,
        policy_kwargs=policy_arguments(settings, network) | _optimizer_arguments(settings),
        seed=integer_seed(random_seed, "sb3"),
        device=device,
        tensorboard_log=tensorboard_log,
        **settings.arguments(),
        **_replay_arguments(settings, env, random_seed, replay),
    )


@build_agent.register
def _(
    settings: EnhancedDQNSettings,
    env: VecEnv,
    network: NetworkSettings,
    random_seed: int,
    device: torch.device | str = "cpu",
    tensorboard_log: str | None = None,
    replay: ReplaySettings | None = None,
) -> BaseAlgorithm:
    kind = KINDS.get(settings.name).algorithm
    assert issubclass(kind, EnhancedDQN)
    return kind(env, settings, network, random_seed, device, tensorboard_log, replay=replay)


@singledispatch
def policy_arguments(settings: AgentSettings, network: NetworkSettings) -> dict[str, Any]:
    """Keyword arguments that shape the policy's tensors."""
    if KINDS.get(settings.name).on_policy:
        # Dropout would make the policy that is updated another one than the one that acted.
        network = replace(network, dropout=0.0)
    return {
        "features_extractor_class": WindowExtractor,
        "features_extractor_kwargs": {"network": network},
        "net_arch": [network.head_width],
    }


@policy_arguments.register
def _(settings: EnhancedDQNSettings, network: NetworkSettings) -> dict[str, Any]:
    return {"network": network, **settings.policy_arguments()}


@policy_arguments.register
def _(settings: QRDQNSettings, network: NetworkSettings) -> dict[str, Any]:
    common = policy_arguments.dispatch(DQNSettings)(settings, network)
    return common | {"n_quantiles": settings.n_quantiles}


@policy_arguments.register
def _(settings: RecurrentPPOSettings, network: NetworkSettings) -> dict[str, Any]:
    common = policy_arguments.dispatch(PPOSettings)(settings, network)
    return common | {"lstm_hidden_size": settings.lstm_hidden_size, "n_lstm_layers": settings.n_lstm_layers}


def build_policy(
    settings: AgentSettings,
    network: NetworkSettings,
    observation_space: spaces.Dict,
    action_space: spaces.Space,
) -> BasePolicy:
    """The policy object alone, with fresh weights; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        policy = KINDS.get(settings.name).policy(
            observation_space, action_space, _no_learning, **policy_arguments(settings, network)
        )
    policy.set_training_mode(False)
    return policy


def _no_learning(_progress_remaining: float) -> float:
    return 0.0


def _optimizer_arguments(settings: AgentSettings) -> dict[str, Any]:
    if not isinstance(settings, DQNSettings | SACSettings):
        return {}
    return {
        "optimizer_class": torch.optim.AdamW,
        "optimizer_kwargs": {"weight_decay": settings.weight_decay},
    }


def _replay_arguments(
    settings: AgentSettings, env: VecEnv, random_seed: int, replay: ReplaySettings | None
) -> dict[str, Any]:
    """Stable-baselines3's own buffer for `uniform`, ours for `regime`; the others draw nothing else."""
    if replay is None or replay.kind == "uniform":
        return {}
    if KINDS.get(settings.name).on_policy or replay.kind == "prioritized":
        reason = "has no replay" if KINDS.get(settings.name).on_policy else "tells no TD errors to its replay"
        raise ConfigError(
            "idle-replay", f"'replay' is {replay.kind}, and agent={settings.name} {reason}", needed="replay=uniform"
        )
    arguments = {"rng": generator(random_seed, "replay"), "settings": replay, "source": record_steps(env)}
    return {"replay_buffer_class": RegimeReplayBuffer, "replay_buffer_kwargs": arguments}
