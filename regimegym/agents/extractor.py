"""Our encoders inside the stock algorithms: the window reaches them as [B, T, F], never flattened."""

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from regimegym.agents.networks.encoder import build_encoder
from regimegym.agents.networks.settings import NetworkSettings


class WindowExtractor(BaseFeaturesExtractor):
    """concat(h, account) of observations `market` (B, W, F) and `account` (B, K)."""

    def __init__(self, observation_space: spaces.Dict, network: NetworkSettings) -> None:
        window, n_features = observation_space["market"].shape or (0, 0)
        (n_account,) = observation_space["account"].shape or (0,)
        super().__init__(observation_space, features_dim=network.memory_width + n_account)
        self.encoder = build_encoder(n_features, window, network)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Features (B, H + K)."""
        encoding = self.encoder(observations["market"])
        return torch.cat([encoding.hidden, observations["account"]], dim=1)
