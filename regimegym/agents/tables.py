"""Tables of encodings: every bar of a stretch of the tape encoded once, for all accounts that stand on it."""

import numpy as np
import torch
from torch import Tensor

from regimegym.agents.networks.folded import Stretch
from regimegym.agents.networks.q_network import QNetwork
from regimegym.common.policy import MASKS, Observations
from regimegym.features.tape import MarketTape

PIECE = 1_024  # bars that are encoded at a time; what stands between is a few kB a bar


@torch.no_grad()
def encode_rows(
    network: QNetwork, tape: MarketTape, start: int, stop: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Encodings (stop − start, H) and regime probabilities (stop − start, 4) of tape rows by an evaluating network."""
    encode, parts = network.along(), []
    for first in range(start, stop, PIECE):
        hidden, logits = encode(stretch_of(tape, first, min(first + PIECE, stop), network.sequence_length, device))
        parts.append((hidden, torch.softmax(logits, dim=-1)))
    return torch.cat([hidden for hidden, _ in parts]), torch.cat([p for _, p in parts])


def stretch_of(tape: MarketTape, start: int, stop: int, steps: int, device: torch.device) -> Stretch:
    """The windows of `steps` bars that end at the rows [start, stop).

    As in networks.encoder.padding_mask the leading bars whose features are all zero are padding, and
    with them what lies before the start of a row's segment.
    """
    begin, earliest = max(0, start - steps + 1), start - steps + 1
    bars = np.zeros((stop - earliest, tape.features.shape[1]), np.float32)
    bars[begin - earliest :] = tape.features[begin:stop]
    rows = np.arange(start, stop)
    reach = np.maximum(tape.segment_start[start:stop], rows - steps + 1) - earliest
    place = np.where(bars.any(axis=1), np.arange(len(bars)), len(bars))
    next_filled = np.minimum.accumulate(place[::-1])[::-1]
    padding = np.minimum(next_filled[reach] - (rows - steps + 1 - earliest), steps - 1)
    return Stretch(torch.from_numpy(bars).to(device), torch.from_numpy(padding).to(device))


def to_tensors(observations: Observations, device: torch.device) -> dict[str, Tensor]:
    """The observations as float32 tensors on `device`; masks are none of them."""
    return {
        key: torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32)).to(device)
        for key, value in observations.items()
        if key != MASKS
    }
