"""The policy object of EnhancedDQN: online and averaged Q networks and their optimiser."""

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from regimegym.agents.networks.q_network import EnhancedQNetwork, build_q_network
from regimegym.agents.networks.settings import NetworkSettings


class EnhancedDQNPolicy(BasePolicy):
    """Greedy in Q; exploration belongs to the learner.

    Args:
        observation_space: Dict of `market` (W, F) and `account` (K,).
        action_space: Discrete.
        lr_schedule: learning rate of the share of training that remains.
        network: widths of the networks.
        weight_decay: AdamW decay of matrices; biases, norms and other vectors are not decayed.
        act_with_average: act with the averaged (target) weights.
    """

    observation_space: spaces.Dict
    action_space: spaces.Discrete
    reward_scale: Tensor

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        network: NetworkSettings,
        weight_decay: float = 0.0,
        act_with_average: bool = True,
    ) -> None:
        super().__init__(observation_space, action_space)
        window, n_features = observation_space["market"].shape or (0, 0)
        (n_account,) = observation_space["account"].shape or (0,)
        sizes = (window, n_features, n_account, int(action_space.n), network)
        self.online = build_q_network(*sizes)
        self.average = build_q_network(*sizes)
        self.average.load_state_dict(self.online.state_dict())
        self.average.requires_grad_(False)
        self.act_with_average = act_with_average
        # Collected once: walking the module tree costs more than the arithmetic of a small network.
        self.online_parameters = list(self.online.parameters())
        self.average_parameters = list(self.average.parameters())
        self._dropouts = [module for module in self.online.modules() if isinstance(module, nn.Dropout)]
        # Rewards are divided by it before they are learned from; Q is in the same unit.
        self.register_buffer("reward_scale", torch.ones(()))
        self.optimizer = torch.optim.AdamW(decay_groups(self.online, weight_decay), lr=lr_schedule(1), fused=True)
        self.train(False)

    @property
    def acting(self) -> EnhancedQNetwork:
        """The network that acts."""
        return self.average if self.act_with_average else self.online

    def train(self, mode: bool = True) -> "EnhancedDQNPolicy":
        """Training mode of the online network; the averaged one always evaluates."""
        if mode != self.training:
            super().train(mode)
            self.average.train(False)
        return self

    def set_dropout(self, active: bool) -> None:
        """Switch dropout alone, between the two forward passes of one update."""
        for module in self._dropouts:
            module.training = active

    def forward(self, obs: PyTorchObs, deterministic: bool = True) -> Tensor:
        """Greedy actions (B,) int64."""
        return self._predict(obs, deterministic)

    def _predict(self, observation: PyTorchObs, deterministic: bool = True) -> Tensor:
        assert isinstance(observation, dict)
        q, _ = self.acting(observation["market"], observation["account"])
        return q.argmax(dim=1)


def decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups for AdamW: matrices decay, biases and norms (vectors) do not."""
    matrices = [p for name, p in network.named_parameters() if p.dim() > 1 and "bias" not in name]
    vectors = [p for name, p in network.named_parameters() if p.dim() <= 1 or "bias" in name]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
