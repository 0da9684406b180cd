"""The policy object of EnhancedDQN: online and averaged Q networks and their optimiser."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from regimegym.agents.joined import JoinedAdamW, join
from regimegym.agents.networks.noisy import NoisyLinear
from regimegym.agents.networks.q_network import QNetwork, build_q_network
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
        afterstate: heads of the afterstate form; their ladder is set by the learner, or loaded.
        n_quantiles, cvar_level: quantiles of the return, and by which of them actions are chosen.
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
        afterstate: bool = False,
        n_quantiles: int = 1,
        cvar_level: float = 1.0,
    ) -> None:
        super().__init__(observation_space, action_space)
        window, n_features = observation_space["market"].shape or (0, 0)
        (n_account,) = observation_space["account"].shape or (0,)

        sizes = (window, n_features, n_account, int(action_space.n))
        heads = {"afterstate": afterstate, "n_quantiles": n_quantiles, "cvar_level": cvar_level}
        self.online, self.average = (self._new_network(*sizes, network, heads) for _ in range(2))
        self.average.load_state_dict(self.online.state_dict())
        self.average.requires_grad_(False)
        self.act_with_average = act_with_average
        # Collected once: walking the module tree costs more than the arithmetic of a small network.
        self.online_parameters: list[Tensor] = list(self.online.parameters())
        self.average_parameters: list[Tensor] = list(self.average.parameters())
        # cuDNN's LSTM can only be differentiated in training mode.
        self._modal = [m for m in self.online.modules() if isinstance(m, nn.Dropout | NoisyLinear | nn.LSTM)]
        self._noisy = [module for module in self._modal if isinstance(module, NoisyLinear)]
        # Rewards are divided by it before they are learned from; Q is in the same unit.
        self.register_buffer("reward_scale", torch.ones(()))
        self.optimizer = torch.optim.AdamW(decay_groups(self.online, weight_decay), lr=lr_schedule(1), fused=True)
        for module in self.modules():
            module.training = False

    def _new_network(
        self,
        window: int,
        n_features: int,
        n_account: int,
        n_actions: int,
        network: NetworkSettings,
        heads: dict[str, Any],
    ) -> QNetwork:
        """One network with fresh weights."""
        return build_q_network(window, n_features, n_account, n_actions, network, **heads)

    def join_weights(self) -> None:
        """Let each network's weights lie side by side, for a learner on the processor; begins a new optimiser.

        cuDNN wants the weights of an LSTM in an order of its own, so elsewhere they stay as they are.
        """
        assert self.device.type == "cpu"
        first, *_ = groups = self.optimizer.param_groups
        places = {id(parameter): i for i, parameter in enumerate(self.online_parameters)}
        order = [places[id(parameter)] for group in groups for parameter in group["params"]]
        self.optimizer = joined = JoinedAdamW(groups, first["lr"])
        self.online_parameters = [joined.weights]
        self.average_parameters = [join([self.average_parameters[i] for i in order])]

    def descend(self, max_grad_norm: float) -> None:
        """One step of the optimiser along the gradients, clipped together to the norm `max_grad_norm`."""
        if isinstance(self.optimizer, JoinedAdamW):
            self.optimizer.descend(max_grad_norm)
            return
        torch.nn.utils.clip_grad_norm_(self.online_parameters, max_grad_norm)
        self.optimizer.step()

    @property
    def acting(self) -> QNetwork:
        """The network that acts."""
        return self.average if self.act_with_average else self.online

    def train(self, mode: bool = True) -> "EnhancedDQNPolicy":
        """Training mode of the online network; the averaged one always evaluates.

        Only dropout, noise and the LSTM know the mode. Walking the module tree for them, twice in
        every environment step, took a fifth of the time of a small network.
        """
        if mode != self.training:
            self._set_mode(mode, (self, self.online, *self._modal))
        return self

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The online network without dropout and noise, in the middle of an update."""
        self._set_mode(False, self._modal)
        yield
        self._set_mode(True, self._modal)

    @staticmethod
    def _set_mode(mode: bool, modules: Iterable[nn.Module]) -> None:
        for module in modules:
            object.__setattr__(module, "training", mode)  # nn.Module's own looks for parameters first

    def resample_noise(self) -> None:
        """Draw the weights' noise anew, where the network is noisy."""
        for module in self._noisy:
            module.resample()

    @torch.no_grad()
    def explore(self, market: Tensor, where: Any, account: Tensor) -> Tensor:
        """Q (N, A) of a noisy online network under fresh noise; arguments as for late fusion."""
        self.resample_noise()
        h = self.online.hidden(market)[where]
        self._set_mode(True, self._noisy)
        q = self.online.q(h, account)
        self._set_mode(False, self._noisy)
        return q

    @property
    def is_noisy(self) -> bool:
        """Whether the network explores by noisy weights."""
        return bool(self._noisy)

    def forward(self, obs: PyTorchObs, deterministic: bool = True) -> Tensor:
        """Greedy actions (B,) int64."""
        return self._predict(obs, deterministic)

    def _predict(self, observation: PyTorchObs, deterministic: bool = True) -> Tensor:
        assert isinstance(observation, dict)
        q, _ = self.acting(observation["market"], observation["account"])
        return q.argmax(dim=1)


def decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups for AdamW: matrices decay, biases, norms and the amount of noise do not."""
    spared = ("bias", "sigma")  # noise that decays would end the exploration
    decayed = [p.dim() > 1 and not any(word in name for word in spared) for name, p in network.named_parameters()]
    matrices = [p for p, decays in zip(network.parameters(), decayed, strict=True) if decays]
    vectors = [p for p, decays in zip(network.parameters(), decayed, strict=True) if not decays]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
