"""The policy object of EnsembleTrader, and the common Policy around it."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor

from regimegym.agents.enhanced_dqn_policy import EnhancedDQNPolicy
from regimegym.agents.ensemble_rules import (
    SwitchState,
    contributions,
    disagreement,
    elect,
    switch,
    vote_shares,
)
from regimegym.agents.networks.ensemble import EnsembleQNetwork, build_ensemble_network
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.tables import encode_rows, to_tensors
from regimegym.common.actions import Action
from regimegym.common.policy import Decision, Observations, Policy
from regimegym.features.tape import MarketTape


class EnsemblePolicy(EnhancedDQNPolicy):
    """Four specialists and a gate; it learns and explores by the mixture.

    Args:
        mode, switch_margin, switch_dwell: see EnsembleSettings.
        Others as for EnhancedDQNPolicy.
    """

    online: EnsembleQNetwork
    average: EnsembleQNetwork

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        network: NetworkSettings,
        mode: str = "mixture",
        switch_margin: float = 0.1,
        switch_dwell: int = 5,
        **more: Any,
    ) -> None:
        super().__init__(observation_space, action_space, lr_schedule, network, **more)
        self.mode, self.switch_margin, self.switch_dwell = mode, switch_margin, switch_dwell

    def _new_network(
        self,
        window: int,
        n_features: int,
        n_account: int,
        n_actions: int,
        network: NetworkSettings,
        heads: dict[str, Any],
    ) -> EnsembleQNetwork:
        return build_ensemble_network(window, n_features, n_account, n_actions, network)

    @property
    def acting(self) -> EnsembleQNetwork:
        """The network that acts."""
        return self.average if self.act_with_average else self.online

    @torch.no_grad()
    def decide(
        self, h: Tensor, account: Tensor, state: SwitchState | None, starts: np.ndarray
    ) -> tuple[Decision, SwitchState | None]:
        """Decide for N accounts from encodings (N, H) in this policy's mode.

        Scores are what the mode compares: the mixture, the values of the expert in charge, or the
        votes. `contributions` (N, 4, A) sum to them, `regime_probabilities` are the gate's weights.
        """
        members = self.acting.members(h, account)
        weights = members.weights.double().cpu().numpy()
        q = members.q.double().cpu().numpy()
        if self.mode == "switch":
            state = switch(weights, state, starts, self.switch_margin, self.switch_dwell)
            parts = contributions(np.eye(weights.shape[1])[state.expert], q)
        elif self.mode == "vote":
            parts = np.stack([vote_shares(weights[:, [k]], q[:, [k]]) for k in range(q.shape[1])], axis=1)
        else:
            parts = contributions(weights, q)
        scores = parts.sum(axis=1)
        action = elect(scores, int(Action.HOLD)) if self.mode == "vote" else scores.argmax(axis=1)
        decision = Decision(
            action=action,
            scores=scores,
            regime_probabilities=weights,
            uncertainty=disagreement(weights, q),
            contributions=parts,
        )
        return decision, state


class EnsemblePolicyAdapter:
    """EnsembleTrader acting greedily; its state is who decides, where the mode is `switch`."""

    def __init__(self, policy: EnsemblePolicy) -> None:
        self.policy = policy

    @torch.no_grad()
    def act(
        self, observations: Observations, state: Any = None, episode_starts: np.ndarray | None = None
    ) -> tuple[Decision, Any]:
        """See common.policy.Policy."""
        self.policy.train(False)
        seen = to_tensors(observations, self.policy.device)
        h, _ = self.policy.acting.encode(seen["market"])
        return self.policy.decide(h, seen["account"], state, _starts(episode_starts, len(h)))

    def on_tape(self, tape: MarketTape, start: int, stop: int) -> Policy:
        """The same policy over rows [start, stop), every bar encoded once for all accounts."""
        self.policy.train(False)
        return TabledEnsemblePolicy(self.policy, tape, start, stop)


class TabledEnsemblePolicy:
    """EnsembleTrader from a table of encodings; observations hold `row` (N,) and `account` (N, K)."""

    def __init__(self, policy: EnsemblePolicy, tape: MarketTape, start: int, stop: int) -> None:
        self.policy = policy
        self.start = start
        self.hidden, _ = encode_rows(policy.acting, tape, start, stop, policy.device)

    def act(
        self, observations: Observations, state: Any = None, episode_starts: np.ndarray | None = None
    ) -> tuple[Decision, Any]:
        """See common.policy.Policy. Raises IndexError for a row outside [start, stop)."""
        rows = np.asarray(observations["row"]).reshape(-1) - self.start
        if not ((rows >= 0) & (rows < len(self.hidden))).all():
            stop = self.start + len(self.hidden)
            raise IndexError(f"rows must lie in [{self.start}, {stop}), got {rows + self.start}")
        h = self.hidden[torch.from_numpy(rows).to(self.hidden.device)]
        account = to_tensors({"account": observations["account"]}, self.hidden.device)["account"]
        return self.policy.decide(h, account, state, _starts(episode_starts, len(h)))


def _starts(episode_starts: np.ndarray | None, n: int) -> np.ndarray:
    return np.zeros(n, bool) if episode_starts is None else np.asarray(episode_starts, bool)
