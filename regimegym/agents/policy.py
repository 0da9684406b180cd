"""Trained models as `Policy`: functions of a batch of observations (common/policy.py)."""

from functools import singledispatch
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor

from regimegym.agents.enhanced_dqn_policy import EnhancedDQNPolicy
from regimegym.agents.ensemble_policy import EnsemblePolicy, EnsemblePolicyAdapter
from regimegym.agents.networks.q_network import QNetwork
from regimegym.agents.tables import encode_rows, to_tensors
from regimegym.common.policy import Decision, Observations, Policy
from regimegym.features.tape import MarketTape


@singledispatch
def action_scores(policy: BasePolicy, observations: dict[str, Tensor]) -> Tensor | None:
    """Scores (N, A) whose largest is the greedy action, or None where the policy has none."""
    return None


@action_scores.register
def _(policy: ActorCriticPolicy, observations: dict[str, Tensor]) -> Tensor | None:
    if not isinstance(policy.action_space, spaces.Discrete):
        return None
    return policy.get_distribution(observations).distribution.probs  # type: ignore[union-attr]


@action_scores.register
def _(policy: DQNPolicy, observations: dict[str, Tensor]) -> Tensor | None:
    return policy.q_net(observations)


@action_scores.register
def _(policy: QRDQNPolicy, observations: dict[str, Tensor]) -> Tensor | None:
    return policy.quantile_net(observations).mean(dim=1)


class SB3Policy:
    """Any memoryless stable-baselines3 model, acting greedily.

    Scores are action probabilities (PPO, A2C) or Q values (DQN, the mean quantile of QR-DQN).
    """

    def __init__(self, model: BaseAlgorithm | BasePolicy) -> None:
        self.policy = model.policy if isinstance(model, BaseAlgorithm) else model

    @torch.no_grad()
    def act(
        self, observations: Observations, state: Any = None, episode_starts: np.ndarray | None = None
    ) -> tuple[Decision, Any]:
        """See common.policy.Policy; `state` stays None."""
        self.policy.set_training_mode(False)
        scores = action_scores(self.policy, to_tensors(observations, self.policy.device))
        if scores is None:
            action, _ = self.policy.predict(observations, deterministic=True)
            return Decision(action), None
        return Decision(scores.argmax(dim=1).cpu().numpy(), scores.cpu().numpy()), None


class EnhancedDQNPolicyAdapter:
    """EnhancedDQN acting greedily; scores are Q values in units of its scaled reward."""

    def __init__(self, policy: EnhancedDQNPolicy) -> None:
        self.policy = policy

    @torch.no_grad()
    def act(
        self, observations: Observations, state: Any = None, episode_starts: np.ndarray | None = None
    ) -> tuple[Decision, Any]:
        """See common.policy.Policy; `state` stays None."""
        self.policy.train(False)
        seen = to_tensors(observations, self.policy.device)
        q, probabilities = self.policy.acting(seen["market"], seen["account"])
        return _decision(q, probabilities), None

    def on_tape(self, tape: MarketTape, start: int, stop: int) -> Policy:
        """The same policy over rows [start, stop), every bar encoded once for all accounts."""
        self.policy.train(False)
        return TabledQPolicy(self.policy.acting, tape, start, stop, self.policy.device)


class TabledQPolicy:
    """Greedy in Q from a table of encodings; observations hold `row` (N,) and `account` (N, K)."""

    def __init__(self, network: QNetwork, tape: MarketTape, start: int, stop: int, device: torch.device) -> None:
        self.network = network
        self.start = start
        self.stop = stop
        self.hidden, self.probabilities = encode_rows(network, tape, start, stop, device)

    @torch.no_grad()
    def act(
        self, observations: Observations, state: Any = None, episode_starts: np.ndarray | None = None
    ) -> tuple[Decision, Any]:
        """See common.policy.Policy. Raises IndexError for a row outside [start, stop)."""
        rows = np.asarray(observations["row"]).reshape(-1)
        if not ((rows >= self.start) & (rows < self.stop)).all():
            raise IndexError(f"rows must lie in [{self.start}, {self.stop}), got {rows}")
        at = torch.from_numpy(rows - self.start).to(self.hidden.device)
        account = to_tensors({"account": observations["account"]}, self.hidden.device)["account"]
        return _decision(self.network.q(self.hidden[at], account), self.probabilities[at]), None


@singledispatch
def policy_of(policy: BasePolicy) -> Policy:
    """The common Policy around a policy object of any of our algorithms."""
    return SB3Policy(policy)


@policy_of.register
def _(policy: EnhancedDQNPolicy) -> Policy:
    return EnhancedDQNPolicyAdapter(policy)


@policy_of.register
def _(policy: EnsemblePolicy) -> Policy:
    return EnsemblePolicyAdapter(policy)


def _decision(q: Tensor, probabilities: Tensor) -> Decision:
    return Decision(
        action=q.argmax(dim=1).cpu().numpy(),
        scores=q.cpu().numpy(),
        regime_probabilities=probabilities.cpu().numpy(),
    )
