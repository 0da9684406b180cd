"""Encoders: a window of bars becomes h, the encoding of its last bar, and the regime logits.

An encoding depends on the market alone, so one encoding of a bar serves every account on it.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from regimegym.agents.networks.attention import TemporalAttentionLayer
from regimegym.agents.networks.chain import Chain
from regimegym.agents.networks.pathways import RegimePathways, mix
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.common.errors import ModelError
from regimegym.common.regimes import N_REGIMES
from regimegym.common.registry import Registry


class Encoding(NamedTuple):
    """What an encoder knows of the last bar of each window."""

    hidden: Tensor  # (B, H)
    regime_logits: Tensor  # (B, 4) in the order of Regime
    attention: Tensor | None = None  # (B, T, T), where the encoder attends


class Encoder(nn.Module):
    """Common face of the encoders: checks the window, then encodes it."""

    def __init__(self, n_features: int, sequence_length: int, settings: NetworkSettings) -> None:
        super().__init__()
        self.n_features = n_features
        self.sequence_length = sequence_length
        self.memory_width = settings.memory_width

    def forward(self, x: Tensor) -> Encoding:
        """Encode windows x (B, T, F) float32, oldest bar first, T ≤ sequence_length.

        Steps whose features are all zero are padding (rows before the start of a segment, and
        warm-up rows, which hold nothing either); the last step never is.

        Raises:
            ModelError: x has not three dimensions, another F, or more steps than the model.
        """
        self._check(x)
        return self._encode(x)

    def hidden(self, x: Tensor) -> Tensor:
        """The encodings (B, H) alone; arguments and errors as in `forward`."""
        return self(x).hidden

    def _encode(self, x: Tensor) -> Encoding:
        raise NotImplementedError

    def _check(self, x: Tensor) -> None:
        if x.dim() != 3:
            raise ModelError(
                "window-shape",
                f"a window batch has three dimensions [B, T, F], got shape {tuple(x.shape)}",
            )
        if x.shape[1] > self.sequence_length or x.shape[1] < 1 or x.shape[2] != self.n_features:
            raise ModelError(
                "window-shape",
                f"the model reads windows [B, T ≤ {self.sequence_length}, {self.n_features}], "
                f"got shape {tuple(x.shape)}",
            )


ENCODERS: Registry[type[Encoder]] = Registry("encoder")


def build_encoder(n_features: int, sequence_length: int, settings: NetworkSettings) -> Encoder:
    """The encoder that `settings.kind` names."""
    return ENCODERS.get(settings.kind)(n_features, sequence_length, settings)


@ENCODERS.register("regime")
class RegimeEncoder(Encoder):
    """features → attention → detector → mixture of four pathways → LSTM (DEFINITIONS §9)."""

    positions: Tensor

    def __init__(self, n_features: int, sequence_length: int, settings: NetworkSettings) -> None:
        super().__init__(n_features, sequence_length, settings)
        width = settings.feature_width
        self.residual = settings.residual
        self.features = nn.Sequential(_relu_linear(n_features, width), nn.ReLU(), nn.LayerNorm(width))
        self.dropout = nn.Dropout(settings.dropout)
        self.attention = TemporalAttentionLayer(width)
        self.detector = nn.Sequential(
            _relu_linear(width, settings.detector_width),
            nn.ReLU(),
            nn.Linear(settings.detector_width, N_REGIMES),
        )
        self.pathways = RegimePathways(width, settings.pathway_width)
        self.memory = nn.LSTM(settings.pathway_width, settings.memory_width, settings.lstm_layers, batch_first=True)
        positions = sinusoidal_positions(sequence_length, width)
        self.register_buffer("positions", positions * settings.positions, persistent=False)

    def _encode(self, x: Tensor) -> Encoding:
        steps = x.shape[1]
        padding = padding_mask(x)
        f = self.features(x) + self.positions[-steps:]
        # One mask for all steps of a window: a feature is missing throughout (arXiv:1512.05287).
        f = narrowed(f * self.dropout(torch.ones_like(f[:, :1])))
        a, weights = self.attention(f, padding)
        if self.residual:
            a = a + f
        logits = self.detector(a)
        c = mix(torch.softmax(logits, dim=-1), self.pathways(a))
        return Encoding(self.dropout(self.remember(c, padding)), logits[:, -1], weights)

    def remember(self, c: Tensor, padding: Tensor | None) -> Tensor:
        """Memory (B, H) of the last step of mixtures (B, T, D); behind padding (B, T) the bars move to the front."""
        if padding is None:
            return self.memory(c)[0][:, -1]
        steps = c.shape[1]
        first = (~padding).int().argmax(dim=1)
        order = (torch.arange(steps, device=c.device) + first[:, None]).clamp(max=steps - 1)
        moved = c.gather(1, order[..., None].expand_as(c))
        return self.memory(moved)[0][torch.arange(len(c), device=c.device), steps - 1 - first]


@ENCODERS.register("mlp")
class WindowMLP(Encoder):
    """Two layers over the flattened window: no order of bars is built in, and it is cheap."""

    def __init__(self, n_features: int, sequence_length: int, settings: NetworkSettings) -> None:
        super().__init__(n_features, sequence_length, settings)
        width = settings.feature_width
        self.body = Chain(
            nn.Linear(sequence_length * n_features, width),
            nn.LayerNorm(width),
            nn.SiLU(),
            nn.Dropout(settings.dropout) if settings.dropout else nn.Identity(),
            nn.Linear(width, settings.memory_width),
            nn.LayerNorm(settings.memory_width),
            nn.SiLU(),
            nn.Dropout(settings.dropout) if settings.dropout else nn.Identity(),
        )
        self.detector = Chain(
            _relu_linear(settings.memory_width, settings.detector_width),
            nn.ReLU(),
            nn.Linear(settings.detector_width, N_REGIMES),
        )

    def hidden(self, x: Tensor) -> Tensor:
        """See Encoder.hidden; nobody's regime is asked for."""
        self._check(x)
        missing = self.sequence_length - x.shape[1]
        if missing:  # padding copies, also where it adds nothing
            x = nn.functional.pad(x, (0, 0, missing, 0))
        return self.body(x.flatten(1))

    def _encode(self, x: Tensor) -> Encoding:
        hidden = self.hidden(x)
        return Encoding(hidden, self.detector(hidden))


def padding_mask(x: Tensor) -> Tensor | None:
    """(B, T) bool, True at the leading steps of x (B, T, F) that hold only zeros; None without any.

    A zero row behind a bar with features is a bar, and the last step always is.
    """
    if float(x[:, 0].detach().abs().amax(dim=-1).min()) > 0.0:
        return None
    seen = (x != 0).any(dim=-1).cummax(dim=1).values
    seen[:, -1] = True
    return ~seen


def narrowed(x: Tensor) -> Tensor:
    """x in autocast's precision where that is on: once, where each product would narrow it anew."""
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


def sinusoidal_positions(steps: int, width: int) -> Tensor:
    """(steps, width) float32 sines and cosines of the distance to the last step.

    Counted from the end, so that a short history and a padded one look the same.
    """
    distance = torch.arange(steps - 1, -1, -1, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    return torch.stack([torch.sin(distance * rate), torch.cos(distance * rate)], dim=-1).flatten(1)


def _relu_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer whose outputs keep their variance through a ReLU."""
    layer = nn.Linear(inputs, outputs)
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer
