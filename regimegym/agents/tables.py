"""Tables of encodings: every bar of a stretch of the tape encoded once, for all accounts that stand on it."""

import numpy as np
import torch
from torch import Tensor

from regimegym.agents.networks.q_network import QNetwork
from regimegym.common.policy import MASKS, Observations
from regimegym.features.tape import MarketTape

ENCODING_BATCH = 64  # windows per forward pass; what a full network holds between its layers stays in the cache


@torch.no_grad()
def encode_rows(
    network: QNetwork, tape: MarketTape, start: int, stop: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Encodings (stop − start, H) and regime probabilities (stop − start, 4) of tape rows."""
    parts = []
    for first in range(start, stop, ENCODING_BATCH):
        rows = np.arange(first, min(first + ENCODING_BATCH, stop))
        windows = torch.from_numpy(tape.windows(rows, network.sequence_length)).to(device)
        hidden, logits = network.encode(windows)
        parts.append((hidden, torch.softmax(logits, dim=-1)))
    return torch.cat([hidden for hidden, _ in parts]), torch.cat([p for _, p in parts])


def to_tensors(observations: Observations, device: torch.device) -> dict[str, Tensor]:
    """The observations as float32 tensors on `device`; masks are none of them."""
    return {
        key: torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32)).to(device)
        for key, value in observations.items()
        if key != MASKS
    }
