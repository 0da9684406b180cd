"""EnsembleQNetwork: four specialists and a gate that says whose market this is (DEFINITIONS §10)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from regimegym.agents.networks.folded import Stretch
from regimegym.agents.networks.q_network import Along, EnhancedQNetwork, QNetwork, build_q_network
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.common.regimes import N_REGIMES


class Members(NamedTuple):
    """What each specialist says of B accounts, in the order of Regime."""

    weights: Tensor  # (B, 4) of the gate, rows sum to 1
    q: Tensor  # (B, 4, A)


class EnsembleQNetwork(QNetwork):
    """Q = Σ_k w_k Q_k with w = softmax(gate(x[:, −1, :])); expert k belongs to Regime k.

    Late fusion holds: an encoding is made of the market alone. It carries the encodings of the four
    experts and the gate's logits, so that a table of encodings serves every account of a bar.

    Args:
        experts: four networks of equal shape, indexed by Regime.
        n_features: F of a window. gate_widths: hidden widths of the gate.
    """

    def __init__(self, experts: list[EnhancedQNetwork], n_features: int, gate_widths: tuple[int, int]) -> None:
        super().__init__()
        assert len(experts) == N_REGIMES
        self.experts = nn.ModuleList(experts)
        first, second = gate_widths
        self.gate = nn.Sequential(
            nn.Linear(n_features, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, N_REGIMES)
        )
        self.expert_width = experts[0].encoding_width
        self.encoding_width = N_REGIMES * self.expert_width + N_REGIMES
        self.sequence_length = experts[0].sequence_length

    def encode(self, market: Tensor) -> tuple[Tensor, Tensor]:
        """Encoding (B, 4·H + 4) and the gate's logits (B, 4) of windows (B, T, F)."""
        hidden, logits, _ = self.encode_all(market)
        return hidden, logits

    def encode_all(self, market: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `encode`, and the logits (B, 4, 4) of the experts' own detectors, one row an expert."""
        encoded = [expert.encode(market) for expert in self.experts]  # type: ignore[operator]
        hidden, logits = self._joined([h for h, _ in encoded], market[:, -1, :])
        return hidden, logits, torch.stack([own for _, own in encoded], dim=1)

    def hidden(self, market: Tensor) -> Tensor:
        """See QNetwork.hidden."""
        hidden = [expert.hidden(market) for expert in self.experts]  # type: ignore[operator]
        return self._joined(hidden, market[:, -1, :])[0]

    def along(self) -> Along:
        """See QNetwork.along."""
        experts = [expert.along() for expert in self.experts]  # type: ignore[operator]

        @torch.no_grad()
        def encode(stretch: Stretch) -> tuple[Tensor, Tensor]:
            return self._joined([expert(stretch)[0] for expert in experts], stretch.bars[stretch.steps - 1 :])

        return encode

    def _joined(self, hidden: list[Tensor], bar: Tensor) -> tuple[Tensor, Tensor]:
        """The experts' encodings with the gate's logits of the last bars (B, F), and these."""
        logits = self.gate(bar)
        return torch.cat([*hidden, logits], dim=-1), logits

    def members(self, h: Tensor, account: Tensor) -> Members:
        """Gate weights and the experts' values of encodings (B, 4·H + 4) and account blocks (B, K)."""
        parts = h[:, :-N_REGIMES].split(self.expert_width, dim=-1)
        q = torch.stack(
            [expert.q(part, account) for expert, part in zip(self.experts, parts, strict=True)],  # type: ignore[operator]
            dim=1,
        )
        return Members(torch.softmax(h[:, -N_REGIMES:], dim=-1), q)

    def quantiles(self, h: Tensor, account: Tensor) -> Tensor:
        """The mixture (B, A, 1): an ensemble has no distribution of returns."""
        return mixture(self.members(h, account)).unsqueeze(-1)

    def forward(self, market: Tensor, account: Tensor) -> tuple[Tensor, Tensor]:
        """Q (B, A) and the gate's weights (B, 4)."""
        h, logits = self.encode(market)
        return self.q(h, account), torch.softmax(logits, dim=-1)


def mixture(members: Members) -> Tensor:
    """Q = einsum('bk,bka->ba', w, Q_k), (B, A)."""
    return torch.einsum("bk,bka->ba", members.weights, members.q)


def build_ensemble_network(
    window: int, n_features: int, n_account: int, n_actions: int, settings: NetworkSettings
) -> EnsembleQNetwork:
    """Four specialists as `settings` describe each of them, and their gate."""
    experts = [build_q_network(window, n_features, n_account, n_actions, settings) for _ in range(N_REGIMES)]
    assert all(isinstance(expert, EnhancedQNetwork) for expert in experts)
    return EnsembleQNetwork(experts, n_features, (2 * settings.feature_width, settings.feature_width))
