"""The trainer of the sequence models: focal loss, AdamW, cosine schedule, early stopping, going on where it stopped.

The rows learned from and the later, purged rows that decide when to stop are two lessons that the
caller has cut. A training with the same lesson, settings and generator ends in the same weights,
however often it was interrupted in between.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from regimegym.common.errors import ModelError
from regimegym.common.files import replace_folder
from regimegym.common.state_file import read_state, write_state
from regimegym.common.torch_stream import TorchStream
from regimegym.supervised.sequence.settings import SequenceModelSettings
from regimegym.supervised.sequence.windows import gather

ANSWERS = 512  # windows of one batch that is only asked


class Windows(NamedTuple):
    """Labelled windows of one stretch of rows."""

    features: Tensor  # (N, F) float32
    rows: Tensor  # (n,) int64, the last row of each window
    labels: Tensor  # (n,) int64


@dataclass
class Progress:
    """Where a training stands.

    Attributes:
        epoch: passes done.
        best_loss, best_epoch: smallest loss on the later rows so far, and after which pass.
        best: weights then.
        history: of every pass: its learning rate at the end, loss while learning, loss on the later rows.
    """

    epoch: int
    best_loss: float
    best_epoch: int
    best: dict[str, Tensor]
    history: list[dict[str, float]]


class Trainer:
    """One training of one network.

    Args:
        network: new weights; it is trained in place.
        loss: of logits (B, C) and labels (B,).
        settings: of the model.
        fitted: windows that are learned from.
        tail: later windows that decide when to stop.
        stream: the torch draws, for dropout and the order of windows.
        device: where it runs.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        settings: SequenceModelSettings,
        fitted: Windows,
        tail: Windows,
        stream: TorchStream,
        device: torch.device,
    ) -> None:
        self.network, self.loss, self.settings, self.stream = network.to(device), loss.to(device), settings, stream
        self.fitted = Windows(*(part.to(device) for part in fitted))
        self.tail = Windows(*(part.to(device) for part in tail))
        self.optimizer = build_optimizer(network, settings)
        self.steps_per_epoch = math.ceil(len(fitted.rows) / settings.batch_size)
        self.progress = Progress(0, math.inf, 0, _copied(network), [])

    def run(self, folder: Path | None, on_epoch: Callable[[Progress], None] | None = None) -> Progress:
        """Train until it stops, and put the best weights into the network.

        Args:
            folder: holds the state after every pass; a training that is found there goes on.
            on_epoch: told after every pass.

        Raises:
            ModelError: the state in `folder` is damaged.
            OSError: the disk or its permissions refuse.
        """
        if folder is not None and folder.is_dir():
            self._load(read_state(folder))
        while not self.is_done:
            self._epoch()
            if folder is not None:
                replace_folder(folder, lambda fresh: write_state(fresh, self._state()))
            if on_epoch is not None:
                on_epoch(self.progress)
        self.network.load_state_dict(self.progress.best)
        self.network.eval()
        return self.progress

    @property
    def is_done(self) -> bool:
        """All passes are done, or the later rows have not gained for too many."""
        progress, settings = self.progress, self.settings
        return progress.epoch >= settings.epochs or progress.epoch - progress.best_epoch >= settings.patience

    def _epoch(self) -> None:
        progress = self.progress
        with self.stream.use():
            order = torch.randperm(len(self.fitted.rows)).to(self.fitted.rows.device)
            self.network.train()
            losses = [
                self._step(chosen, progress.epoch * self.steps_per_epoch + k)
                for k, chosen in enumerate(order.split(self.settings.batch_size))
            ]
        tail_loss = self._tail_loss()
        progress.epoch += 1
        rate = self.optimizer.param_groups[0]["lr"]
        progress.history.append({"learning_rate": rate, "loss": float(np.mean(losses)), "tail_loss": tail_loss})
        if tail_loss < progress.best_loss:
            progress.best_loss, progress.best_epoch, progress.best = tail_loss, progress.epoch, _copied(self.network)

    def _step(self, chosen: Tensor, step: int) -> float:
        settings, fitted = self.settings, self.fitted
        total = settings.epochs * self.steps_per_epoch
        for group in self.optimizer.param_groups:
            group["lr"] = cosine_rate(step, total, settings.learning_rate, settings.least_learning_rate)
        x = gather(fitted.features, fitted.rows[chosen], settings.sequence_length)
        loss = self.loss(self.network(x).logits, fitted.labels[chosen])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), settings.gradient_clip)
        self.optimizer.step()
        return float(loss.detach())

    def _tail_loss(self) -> float:
        tail = self.tail
        logits = asked(self.network, tail.features, tail.rows, self.settings.sequence_length)
        with torch.no_grad():
            return float(self.loss(logits, tail.labels))

    def _state(self) -> dict[str, Any]:
        progress = self.progress
        return {
            "network": dict(self.network.state_dict()),
            "optimizer": [self.optimizer.state[p] for g in self.optimizer.param_groups for p in g["params"]],
            "stream": self.stream.state(),
            "epoch": progress.epoch,
            "best_loss": progress.best_loss if math.isfinite(progress.best_loss) else None,
            "best_epoch": progress.best_epoch,
            "best": progress.best,
            "history": progress.history,
        }

    def _load(self, state: dict[str, Any]) -> None:
        try:
            self.network.load_state_dict(state["network"])
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            for parameter, kept in zip(parameters, state["optimizer"], strict=True):
                self.optimizer.state[parameter] = {
                    name: value if name == "step" else value.to(parameter.device) for name, value in kept.items()
                }
            self.stream.load_state(state["stream"])
            best_loss = math.inf if state["best_loss"] is None else state["best_loss"]
            self.progress = Progress(state["epoch"], best_loss, state["best_epoch"], state["best"], state["history"])
        except (KeyError, ValueError, RuntimeError, AttributeError) as error:
            raise ModelError("damaged-checkpoint", f"the checkpoint is of another training: {error}") from error


def build_optimizer(network: nn.Module, settings: SequenceModelSettings) -> torch.optim.AdamW:
    """AdamW; vectors – biases, scales and shifts of norms – do not decay."""
    matrices = [parameter for parameter in network.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate)


def cosine_rate(step: int, total: int, most: float, least: float) -> float:
    """η_t = η_min + (η_max − η_min)(1 + cos(π t/(T − 1)))/2, t = 0 … T − 1 (Loshchilov & Hutter 2017)."""
    share = step / (total - 1) if total > 1 else 0.0
    return least + (most - least) * (1.0 + math.cos(math.pi * share)) / 2.0


def asked(network: nn.Module, features: Tensor, rows: Tensor, length: int, part: str = "logits") -> Tensor:
    """One field (n, …) of the network's output for the windows that end at `rows` (n,), in eval mode."""
    network.eval()
    with torch.no_grad():
        found = [getattr(network(gather(features, some, length)), part) for some in rows.split(ANSWERS)]
    return torch.cat(found)


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
