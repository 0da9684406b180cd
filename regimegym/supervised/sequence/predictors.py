"""Sequence models as predictors: LSTM, GRU with attention, TCN and a compact TFT."""

from abc import abstractmethod
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from regimegym.common.errors import ConfigError, DataError, MachineError, ModelError
from regimegym.common.torch_stream import TorchStream
from regimegym.supervised.base import Predictor, State
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.model_folder import tensors_from_bytes, tensors_to_bytes
from regimegym.supervised.registry import register
from regimegym.supervised.sequence.focal_loss import FocalLoss, class_weights
from regimegym.supervised.sequence.networks import (
    GRUNetwork,
    GRUSettings,
    LSTMNetwork,
    LSTMSettings,
    TCNNetwork,
    TCNSettings,
    TFTNetwork,
    TFTSettings,
)
from regimegym.supervised.sequence.trainer import Progress, Trainer, Windows, asked
from regimegym.supervised.sequence.windows import Standard, gather, window_rows

WEIGHTS = "weights.safetensors"
SALIENT_WINDOWS = 256  # of the later rows, from which the importance of features is taken


class SequenceModel(Predictor):
    """A network that reads the window of bars that ends at the row it is asked about."""

    row_wise = False
    network_type: ClassVar[type[nn.Module]]
    settings: Any

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self.warm_up = self.settings.sequence_length - 1

    @property
    def memory(self) -> int:
        """The bars of the window before the row itself."""
        return self.warm_up

    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        seed = int(generator.integers(2**31))
        earlier, later = lesson.split_tail(self.settings.validation_share)
        device = device_of(self.settings.device)
        self.standard = Standard.of(earlier.features)
        scaled = torch.from_numpy(self.standard(lesson.features))
        fitted = self._windows(scaled, earlier.labels, 0, self.settings.stride)
        tail = self._windows(scaled, later.labels, len(earlier), 1)
        stream = TorchStream(seed, device)
        with stream.use():
            self.network = self.network_type(len(lesson.names), len(lesson.classes), self.settings)
        weights = class_weights(fitted.labels.numpy(), len(lesson.classes), self.settings.focal_alpha)
        loss = FocalLoss(self.settings.focal_gamma, weights)
        trainer = Trainer(self.network, loss, self.settings, fitted, tail, stream, device)
        self.history = self._run(trainer, _fingerprint(lesson, self.name, repr(self.settings), seed)).history
        self.network.to("cpu")
        self.salience = salience(self.network, Windows(*(part.cpu() for part in tail)), self.settings.sequence_length)

    def _windows(self, features: torch.Tensor, labels: np.ndarray, first: int, stride: int) -> Windows:
        """Labelled windows of a lesson that begins at row `first` of `features`; they may reach back before it."""
        rows, length = first + np.flatnonzero(~np.isnan(labels)), self.settings.sequence_length
        rows = rows[rows >= self.warm_up][::stride]
        if not len(rows):
            raise DataError(
                "too-few-bars",
                f"'{self.name}' reads windows of {length:,} bars, and no labelled row has one",
                needed=f"more than {length:,} bars before the last {self.settings.validation_share:.0%} of them",
                found=f"{len(features):,} bars",
                help=("use more bars, or a smaller sequence_length",),
            )
        return Windows(features, torch.from_numpy(rows), torch.from_numpy(labels[rows - first].astype(np.int64)))

    def _run(self, trainer: Trainer, key: str) -> Progress:
        settings = self.settings
        folder = None if settings.checkpoint_dir is None else Path(settings.checkpoint_dir) / key
        try:
            if settings.tensorboard_dir is None:
                return trainer.run(folder)
            return _with_curves(trainer, folder, Path(settings.tensorboard_dir) / key)
        except OSError as error:
            raise MachineError("cannot-write-checkpoint", f"{folder} could not be written: {error.strerror}") from error

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        return self._asked(features, "logits", len(self.classes), softmax=True)

    def _asked(self, features: np.ndarray, part: str, width: int, softmax: bool = False) -> np.ndarray:
        rows = window_rows(~np.isnan(features).any(axis=1), self.settings.sequence_length)
        out = np.full((len(features), width), np.nan)
        if len(rows):
            scaled = torch.from_numpy(self.standard(features))
            found = asked(self.network, scaled, torch.from_numpy(rows), self.settings.sequence_length, part).double()
            out[rows] = (torch.softmax(found, dim=-1) if softmax else found).numpy()
        return out

    def attention(self, features: np.ndarray) -> np.ndarray:
        """(N, L) how much each bar of its window counted for the answer of each row; NaN without an answer.

        Raises:
            ModelError: `no-attention` for a network without it, or for a lesson of one class only.
        """
        if self.only_class is not None or not self.has_attention:
            raise ModelError("no-attention", f"'{self.name}' has no attention that could be looked at")
        return self._asked(self._aligned(features, None), "attention", self.settings.sequence_length)

    @property
    @abstractmethod
    def has_attention(self) -> bool:
        """Whether the network weighs the bars of its window."""

    def _importance(self) -> np.ndarray:
        return self.salience

    def _state(self) -> State:
        tensors = {f"network.{name}": tensor.numpy() for name, tensor in self.network.state_dict().items()}
        tensors |= {"mean": self.standard.mean, "scale": self.standard.scale, "salience": self.salience}
        return State({"history": self.history}, {WEIGHTS: tensors_to_bytes(tensors)})

    def _restore(self, state: State) -> None:
        tensors = tensors_from_bytes(state.files[WEIGHTS])
        self.standard = Standard(tensors.pop("mean"), tensors.pop("scale"))
        self.salience, self.history = tensors.pop("salience"), list(state.values["history"])
        with TorchStream(0, torch.device("cpu")).use():  # nobody else's draws are shifted by weights that are replaced
            self.network = self.network_type(len(self.names), len(self.classes), self.settings)
        weights = {name.removeprefix("network."): torch.from_numpy(value) for name, value in tensors.items()}
        try:
            self.network.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelError("damaged-predictor", f"the tensors are not those of a '{self.name}': {error}") from error
        self.network.eval()


@register("lstm")
class LSTM(SequenceModel):
    """LSTM 128 → 64 → 32 with attention."""

    settings_type = LSTMSettings
    network_type = LSTMNetwork
    has_attention = True


@register("gru")
class GRU(SequenceModel):
    """GRU pooled by attention."""

    settings_type = GRUSettings
    network_type = GRUNetwork
    has_attention = True


@register("tcn")
class TCN(SequenceModel):
    """Causal dilated convolutions."""

    settings_type = TCNSettings
    network_type = TCNNetwork
    has_attention = False


@register("tft")
class TFT(SequenceModel):
    """A compact temporal fusion transformer."""

    settings_type = TFTSettings
    network_type = TFTNetwork
    has_attention = True


def device_of(name: str) -> torch.device:
    """The torch device of a setting. Raises ConfigError when cuda is asked for and not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no-cuda", "'predictor.device' is cuda, and torch finds no CUDA device", needed="cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def salience(network: nn.Module, windows: Windows, length: int) -> np.ndarray:
    """(F,) mean over windows of Σ_s |x_s ∂z/∂x_s|, z the largest logit: how much each feature moves the answer."""
    network.eval()
    rows = windows.rows[:: max(1, len(windows.rows) // SALIENT_WINDOWS)][:SALIENT_WINDOWS]
    x = gather(windows.features, rows, length).requires_grad_()
    largest = network(x).logits.max(dim=-1).values.sum()
    (gradient,) = torch.autograd.grad(largest, x)
    return (gradient * x.detach()).abs().sum(dim=1).mean(dim=0).double().numpy()


def _with_curves(trainer: Trainer, folder: Path | None, events: Path) -> Progress:
    from torch.utils.tensorboard import SummaryWriter

    def told(progress: Progress) -> None:
        for name, value in progress.history[-1].items():
            writer.add_scalar(f"predictor/{name}", value, progress.epoch)

    with SummaryWriter(str(events)) as writer:
        return trainer.run(folder, told)


def _fingerprint(lesson: Lesson, *more: object) -> str:
    digest = sha256(repr((lesson.names, lesson.classes, *more)).encode())
    for array in (lesson.features, lesson.labels, lesson.ends):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
