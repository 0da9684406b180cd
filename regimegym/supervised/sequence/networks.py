"""The four networks: each reads windows (B, L, F) and gives logits of the classes."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from regimegym.common.checks import check_at_least, check_flag, check_list
from regimegym.common.errors import ConfigError
from regimegym.supervised.sequence.layers import (
    AdditivePooling,
    FeatureAttention,
    GatedResidual,
    LastStepAttention,
    Output,
    RecurrentLayer,
)
from regimegym.supervised.sequence.settings import SequenceModelSettings


def _check_heads(width: int, heads: int) -> None:
    check_at_least("predictor.heads", heads, 1)
    if width % heads:
        raise ConfigError(
            "out-of-range", f"'predictor.heads' must divide the width before attention ({width}), got {heads}"
        )


@dataclass(frozen=True)
class LSTMSettings(SequenceModelSettings):
    """Three narrowing layers of memory with projected residuals, attention on top.

    Attributes:
        widths: of the layers.
        heads: of the attention.
        fusion: whether the last bar's features, weighted by an attention of their own, join the memory.
    """

    widths: tuple[int, ...] = (128, 64, 32)
    heads: int = 4
    fusion: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_list("predictor.widths", self.widths)
        object.__setattr__(self, "widths", tuple(self.widths))
        if not self.widths:
            raise ConfigError("out-of-range", "'predictor.widths' is empty", needed="the width of one layer or more")
        for width in self.widths:
            check_at_least("predictor.widths", width, 1)
        check_flag("predictor.fusion", self.fusion)
        _check_heads(self.widths[-1], self.heads)


class LSTMNetwork(nn.Module):
    """LSTM layers → attention of the last bar → logits; with `fusion` the last bar's features join in between."""

    def __init__(self, n_features: int, n_classes: int, settings: LSTMSettings) -> None:
        super().__init__()
        widths = (n_features, *settings.widths)
        self.layers = nn.Sequential(
            *(RecurrentLayer(inputs, width, settings.dropout) for inputs, width in pairwise(widths))
        )
        self.attention = LastStepAttention(widths[-1], settings.heads)
        self.features = FeatureAttention(n_features) if settings.fusion else None
        joint = widths[-1] + (n_features if settings.fusion else 0)
        self.fuse = GatedResidual(joint, widths[-1], settings.dropout) if settings.fusion else nn.Identity()
        self.head = nn.Linear(widths[-1], n_classes)

    def forward(self, x: Tensor) -> Output:
        """(B, L, F) to logits, attention of the bars, and that of the features with `fusion`."""
        state, weights = self.attention(self.layers(x))
        if self.features is None:
            return Output(self.head(state), weights)
        now, variables = self.features(x[:, -1])
        return Output(self.head(self.fuse(torch.cat([state, now], dim=-1))), weights, variables)


@dataclass(frozen=True)
class GRUSettings(SequenceModelSettings):
    """Gated recurrent units of one width, pooled by attention.

    Attributes:
        width: of the memory.
        layers: of the memory.
    """

    width: int = 64
    layers: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("predictor.width", self.width, 1)
        check_at_least("predictor.layers", self.layers, 1)


class GRUNetwork(nn.Module):
    """GRU → additive attention over all bars → logits."""

    def __init__(self, n_features: int, n_classes: int, settings: GRUSettings) -> None:
        super().__init__()
        between = settings.dropout if settings.layers > 1 else 0.0
        self.memory = nn.GRU(n_features, settings.width, settings.layers, batch_first=True, dropout=between)
        self.norm = nn.LayerNorm(settings.width)
        self.pool = AdditivePooling(settings.width)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(2 * settings.width, n_classes)

    def forward(self, x: Tensor) -> Output:
        """(B, L, F) to logits and attention of the bars."""
        states = self.norm(self.memory(x)[0])
        pooled, weights = self.pool(states)
        return Output(self.head(self.dropout(torch.cat([states[:, -1], pooled], dim=-1))), weights)


@dataclass(frozen=True)
class TCNSettings(SequenceModelSettings):
    """Causal convolutions whose steps double until the whole window is seen.

    Attributes:
        width: channels.
        kernel: bars that a convolution joins.
    """

    width: int = 48
    kernel: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("predictor.width", self.width, 1)
        check_at_least("predictor.kernel", self.kernel, 2)


class CausalBlock(nn.Module):
    """norm(x + two dilated causal convolutions of x) (Bai et al. 2018, arXiv:1803.01271)."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.padding = (kernel - 1) * dilation
        self.first = nn.Conv1d(width, width, kernel, dilation=dilation)
        self.second = nn.Conv1d(width, width, kernel, dilation=dilation)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, L) to the same; step s reads steps ≤ s."""
        y = x
        for convolution in (self.first, self.second):
            y = self.dropout(torch.relu(convolution(nn.functional.pad(y, (self.padding, 0)))))
        return self.norm((x + y).transpose(1, 2)).transpose(1, 2)


class TCNNetwork(nn.Module):
    """Embedding → causal blocks with dilation 1, 2, 4, … → the last step → logits."""

    def __init__(self, n_features: int, n_classes: int, settings: TCNSettings) -> None:
        super().__init__()
        self.embed = nn.Linear(n_features, settings.width)
        self.blocks = nn.Sequential(
            *(
                CausalBlock(settings.width, settings.kernel, dilation, settings.dropout)
                for dilation in dilations(settings.sequence_length, settings.kernel)
            )
        )
        self.head = nn.Linear(settings.width, n_classes)

    def forward(self, x: Tensor) -> Output:
        """(B, L, F) to logits."""
        return Output(self.head(self.blocks(self.embed(x).transpose(1, 2))[..., -1]))


def dilations(length: int, kernel: int) -> list[int]:
    """1, 2, 4, … until two convolutions each see `length` bars together."""
    found: list[int] = []
    seen = 1
    while seen < length:
        found.append(2 ** len(found))
        seen += 2 * (kernel - 1) * found[-1]
    return found


@dataclass(frozen=True)
class TFTSettings(SequenceModelSettings):
    """A compact temporal fusion transformer.

    Attributes:
        width: of every state.
        heads: of the attention.
    """

    width: int = 32
    heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("predictor.width", self.width, 1)
        _check_heads(self.width, self.heads)


class TFTNetwork(nn.Module):
    """Variable selection per bar → LSTM with a gated skip → attention of the last bar → logits.

    Lim et al. 2021 (arXiv:1912.09363) without static and known future inputs, which bars do not have.
    """

    def __init__(self, n_features: int, n_classes: int, settings: TFTSettings) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.embedding = nn.Parameter(torch.randn(n_features, width) / width**0.5)
        self.shift = nn.Parameter(torch.zeros(n_features, width))
        self.select = GatedResidual(n_features, width, dropout, outputs=n_features)
        self.memory = nn.LSTM(width, width, batch_first=True)
        self.gate = nn.Linear(width, 2 * width)
        self.norm = nn.LayerNorm(width)
        self.attention = LastStepAttention(width, settings.heads)
        self.enrich = GatedResidual(width, width, dropout)
        self.head = nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Output:
        """(B, L, F) to logits, attention of the bars and mean weight of the features in the window."""
        variables = torch.softmax(self.select(x), dim=-1)
        chosen = (variables * x) @ self.embedding + variables @ self.shift  # Σ_f v_f (x_f e_f + s_f)
        remembered = nn.functional.glu(self.gate(self.memory(chosen)[0]), dim=-1)
        state, weights = self.attention(self.norm(chosen + remembered))
        return Output(self.head(self.enrich(state)), weights, variables.mean(dim=1))
