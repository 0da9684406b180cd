"""EnhancedQNetwork: an encoder of the market and heads over the account."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from regimegym.agents.networks.dueling import AfterstateHeads, DuelingHeads, lower_tail
from regimegym.agents.networks.encoder import Encoder, RegimeEncoder, build_encoder
from regimegym.agents.networks.folded import FoldedEncoder, Stretch
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.networks.tabled import FoldedValues, TabledValues, Values

TOGETHER = 64  # windows per forward pass; what a full network holds between its layers stays in the cache
Along = Callable[[Stretch], tuple[Tensor, Tensor]]


class QNetwork(nn.Module):
    """Values from an encoding of the market, which the account joins late; what learners and policies ask for.

    Attributes:
        encoding_width: numbers in the encoding of a bar. sequence_length: longest window in bars.
    """

    encoding_width: int
    sequence_length: int

    def encode(self, market: Tensor) -> tuple[Tensor, Tensor]:
        """h (B, H) and regime logits (B, 4) of windows (B, T, F)."""
        raise NotImplementedError

    def hidden(self, market: Tensor) -> Tensor:
        """h (B, H) alone of windows (B, T, F)."""
        return self.encode(market)[0]

    def along(self) -> Along:
        """`encode` of the n windows of a stretch, h (n, H) and logits (n, 4), with the weights as they are now.

        Only of an evaluating network, and without gradients.
        """
        return self._window_by_window

    @torch.no_grad()
    def _window_by_window(self, stretch: Stretch) -> tuple[Tensor, Tensor]:
        n = len(stretch.padding)
        parts = [self.encode(stretch.windows(i, min(i + TOGETHER, n))) for i in range(0, n, TOGETHER)]
        return torch.cat([h for h, _ in parts]), torch.cat([logits for _, logits in parts])

    def quantiles(self, h: Tensor, account: Tensor) -> Tensor:
        """Quantiles of the return (B, A, N) of encodings (B, H) and account blocks (B, K)."""
        raise NotImplementedError

    def risk(self, quantiles: Tensor) -> Tensor:
        """Q (…, A) of quantiles of the return (…, A, N)."""
        return quantiles.mean(dim=-1)

    def q(self, h: Tensor, account: Tensor) -> Tensor:
        """Q (B, A) of encodings (B, H) and account blocks (B, K)."""
        return self.risk(self.quantiles(h, account))

    def best(self, h: Tensor, account: Tensor) -> Tensor:
        """Actions (B,) int64 of the highest Q; arguments as for `q`."""
        return self.q(h, account).argmax(dim=-1)

    def over(self, hidden: Tensor) -> Values:
        """Q of the bars whose encodings (R, H) these are, with the weights as they are now."""
        return TabledValues(self.q, hidden)


class EnhancedQNetwork(QNetwork):
    """Q(market, account) and the regime of the last bar (DEFINITIONS §9).

    Args:
        encoder: of windows.
        heads: of encodings and accounts.
        cvar_level: share of the lowest quantiles of the return whose mean is Q; 1: all.
    """

    def __init__(self, encoder: Encoder, heads: DuelingHeads | AfterstateHeads, cvar_level: float = 1.0) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = heads
        self.cvar_level = cvar_level
        self.encoding_width = encoder.memory_width
        self.sequence_length = encoder.sequence_length

    def encode(self, market: Tensor) -> tuple[Tensor, Tensor]:
        """h (B, H) and regime logits (B, 4) of windows (B, T, F)."""
        encoding = self.encoder(market)
        return encoding.hidden, encoding.regime_logits

    def hidden(self, market: Tensor) -> Tensor:
        """See QNetwork.hidden."""
        return self.encoder.hidden(market)

    def along(self) -> Along:
        """See QNetwork.along."""
        encoder = self.encoder
        if isinstance(encoder, RegimeEncoder) and encoder.positions.device.type == "cpu":
            return FoldedEncoder(encoder)
        return super().along()

    def quantiles(self, h: Tensor, account: Tensor) -> Tensor:
        """Quantiles of the return (B, A, N) of encodings (B, H) and account blocks (B, K)."""
        return self.heads(h, account)

    def risk(self, quantiles: Tensor) -> Tensor:
        """Q (…, A) of quantiles of the return (…, A, N): their mean, or that of their lower tail."""
        return lower_tail(quantiles, self.cvar_level)

    def best(self, h: Tensor, account: Tensor) -> Tensor:
        """See QNetwork.best."""
        if isinstance(self.heads, DuelingHeads) and self.heads.shape[1] == 1:
            return self.heads.best(h, account)
        return super().best(h, account)

    def over(self, hidden: Tensor) -> Values:
        """See QNetwork.over."""
        if isinstance(self.heads, DuelingHeads):
            return FoldedValues(self.heads, self.risk, hidden)
        return super().over(hidden)

    def forward(
        self, market: Tensor, account: Tensor, attention: bool = False
    ) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor | None]:
        """Q (B, A), regime probabilities (B, 4) and, when asked for, attention weights (B, T, T)."""
        encoding = self.encoder(market)
        q = self.q(encoding.hidden, account)
        probabilities = torch.softmax(encoding.regime_logits, dim=-1)
        return (q, probabilities, encoding.attention) if attention else (q, probabilities)


def build_q_network(
    window: int,
    n_features: int,
    n_account: int,
    n_actions: int,
    settings: NetworkSettings,
    *,
    afterstate: bool = False,
    n_quantiles: int = 1,
    cvar_level: float = 1.0,
) -> EnhancedQNetwork:
    """The Q network for windows (window, n_features) and K = n_account account fields."""
    encoder = build_encoder(n_features, window, settings)
    heads: DuelingHeads | AfterstateHeads
    if afterstate:
        heads = AfterstateHeads(encoder.memory_width, settings.head_width, n_actions, settings.noisy)
    else:
        heads = DuelingHeads(
            encoder.memory_width, n_account, settings.head_width, n_actions, n_quantiles, settings.noisy
        )
    return EnhancedQNetwork(encoder, heads, cvar_level)
