"""Trained models as `Policy`: functions of a batch of observations (common/policy.py)."""

from functools import singledispatch
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor

from regimegym.agents.enhanced_dqn_policy import EnhancedDQNPolicy
from regimegym.agents.ensemble_policy import EnsemblePolicy, EnsemblePolicyAdapter
from regimegym.agents.networks.q_network import QNetwork
from regimegym.agents.networks.tabled import FoldedValues
from regimegym.agents.tables import encode_rows, to_tensors
from regimegym.common.policy import MASKS, Decision, Observations, Policy
from regimegym.features.tape import MarketTape


@singledispatch
def action_scores(
    policy: BasePolicy, observations: dict[str, Tensor], masks: np.ndarray | None = None
) -> Tensor | None:
    """Scores (N, A) whose largest is the greedy action, or None where the policy has none.

    `masks` (N, A) are the admissible actions; only a policy that learned with masks asks for them.
    """
    return None


@action_scores.register
def _(policy: ActorCriticPolicy, observations: dict[str, Tensor], masks: np.ndarray | None = None) -> Tensor | None:
    if not isinstance(policy.action_space, spaces.Discrete):
        return None
    return policy.get_distribution(observations).distribution.probs  # type: ignore[union-attr]


@action_scores.register
def _(
    policy: MaskableActorCriticPolicy, observations: dict[str, Tensor], masks: np.ndarray | None = None
) -> Tensor | None:
    return policy.get_distribution(observations, masks).distribution.probs  # type: ignore[union-attr]


@action_scores.register
def _(policy: DQNPolicy, observations: dict[str, Tensor], masks: np.ndarray | None = None) -> Tensor | None:
    return policy.q_net(observations)


@action_scores.register
def _(policy: QRDQNPolicy, observations: dict[str, Tensor], masks: np.ndarray | None = None) -> Tensor | None:
    return policy.quantile_net(observations).mean(dim=1)


class SB3Policy:
    """Any memoryless stable-baselines3 model, acting greedily.

    Scores are action probabilities (PPO, A2C, MaskablePPO) or Q values (DQN, the mean quantile of
    QR-DQN); none for continuous actions. MaskablePPO gives no chance to what the observations'
    MASKS exclude; the others may order what the environment refuses, which is a HOLD there.
    """

    def __init__(self, model: BaseAlgorithm | BasePolicy) -> None:
        self.policy = model.policy if isinstance(model, BaseAlgorithm) else model

    @torch.no_grad()
    def act(
        self, observations: Observations, state: Any = None, episode_starts: np.ndarray | None = None
    ) -> tuple[Decision, Any]:
        """See common.policy.Policy; `state` stays None."""
        self.policy.set_training_mode(False)
        scores = action_scores(self.policy, to_tensors(observations, self.policy.device), observations.get(MASKS))
        if scores is None:
            action, _ = self.policy.predict(observations, deterministic=True)
            return Decision(action), None
        return Decision(scores.argmax(dim=1).cpu().numpy(), scores.cpu().numpy()), None


Memory = tuple[Tensor, Tensor]  # hidden and cell state of the actor's LSTM, (layers, N, H) each


class RecurrentPolicy:
    """RecurrentPPO acting greedily; scores are action probabilities. Its `state` is the LSTM's memory."""

    def __init__(self, policy: RecurrentActorCriticPolicy) -> None:
        self.policy = policy

    @torch.no_grad()
    def act(
        self, observations: Observations, state: Memory | None = None, episode_starts: np.ndarray | None = None
    ) -> tuple[Decision, Memory]:
        """See common.policy.Policy; accounts at an episode's start remember nothing."""
        policy = self.policy
        policy.set_training_mode(False)
        n = len(observations["account"])
        starts = np.zeros(n, np.float32) if episode_starts is None else episode_starts.astype(np.float32)
        found, (hidden, cell) = policy.get_distribution(
            to_tensors(observations, policy.device),  # type: ignore[arg-type]
            self._nothing(n) if state is None else state,
            torch.from_numpy(starts).to(policy.device),
        )
        if isinstance(policy.action_space, spaces.Box):
            action = found.mode().cpu().numpy()
            return Decision(action.clip(policy.action_space.low, policy.action_space.high)), (hidden, cell)
        scores = found.distribution.probs.cpu().numpy()  # type: ignore[union-attr]
        return Decision(scores.argmax(axis=1), scores), (hidden, cell)

    def _nothing(self, n: int) -> Memory:
        layers, _, width = self.policy.lstm_hidden_state_shape
        empty = torch.zeros(layers, n, width, device=self.policy.device)
        return empty, empty


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
    """Greedy in Q from a table of encodings; observations hold `row` (N,) and `account` (N, K).

    It is an agents.folded_heads.FoldedPolicy.
    """

    def __init__(self, network: QNetwork, tape: MarketTape, start: int, stop: int, device: torch.device) -> None:
        self.start = start
        self.stop = stop
        hidden, probabilities = encode_rows(network, tape, start, stop, device)
        self.values = values = network.over(hidden)
        self.heads = values.heads if isinstance(values, FoldedValues) and values.n_quantiles == 1 else None
        self.probabilities = probabilities.cpu().numpy()

    def act(
        self, observations: Observations, state: Any = None, episode_starts: np.ndarray | None = None
    ) -> tuple[Decision, Any]:
        """See common.policy.Policy. Raises IndexError for a row outside [start, stop)."""
        rows = np.asarray(observations["row"], np.int64).reshape(-1)
        if np.count_nonzero((rows < self.start) | (rows >= self.stop)):
            raise IndexError(f"rows must lie in [{self.start}, {self.stop}), got {rows}")
        at = rows - self.start
        q = self.values(at, np.ascontiguousarray(observations["account"], np.float32))
        return Decision(action=q.argmax(axis=1), scores=q, regime_probabilities=self.probabilities[at]), None


@singledispatch
def policy_of(policy: BasePolicy) -> Policy:
    """The common Policy around a policy object of any of our algorithms."""
    return SB3Policy(policy)


@policy_of.register
def _(policy: RecurrentActorCriticPolicy) -> Policy:
    return RecurrentPolicy(policy)


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
