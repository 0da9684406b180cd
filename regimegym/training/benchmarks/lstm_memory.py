"""Time and memory of the network by the layers and the width of its LSTM."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from regimegym.agents.networks.q_network import build_q_network
from regimegym.agents.networks.settings import NetworkSettings

LAYERS = (1, 2, 3)
WIDTHS = (32, 64, 128)
BATCH, WINDOW, N_FEATURES, N_ACCOUNT, N_ACTIONS = 256, 30, 20, 6, 3
UPDATES = 6
KIB = 1024


@dataclass(frozen=True)
class LstmSize:
    """One size of the LSTM in the otherwise full network.

    Attributes:
        weights: trainable numbers of the whole network.
        seconds: CPU-seconds of a forward and backward pass of 256 windows, the fastest of several.
        peak_bytes: what the process grew by at its largest; None where the system does not tell.
    """

    layers: int
    width: int
    weights: int
    seconds: float
    peak_bytes: int | None


def lstm_sizes(on_progress: Callable[[str], None] = lambda _: None) -> list[LstmSize]:
    """Every number of layers with every width, each in a process of its own."""
    found = []
    for layers in LAYERS:
        for width in WIDTHS:
            on_progress(f"LSTM of {layers} layers, {width} wide")
            found.append(measured_alone(layers, width))
    return found


def measured_alone(layers: int, width: int) -> LstmSize:
    """One size, measured in a fresh process, so that no other size's memory counts."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(theirs, layers, width))
    child.start()
    theirs.close()
    found = ours.recv()
    child.join()
    return found


def _measure(answers: Connection, layers: int, width: int) -> None:
    torch.set_num_threads(1)
    full = NetworkSettings(feature_width=128, pathway_width=64, detector_width=64, head_width=32)
    network = build_q_network(
        WINDOW, N_FEATURES, N_ACCOUNT, N_ACTIONS, replace(full, lstm_layers=layers, memory_width=width)
    )
    market, account = torch.randn(BATCH, WINDOW, N_FEATURES), torch.randn(BATCH, N_ACCOUNT)
    before = _reset_peak()
    seconds = []
    for _ in range(UPDATES):
        began = time.process_time()
        network(market, account)[0].square().mean().backward()
        seconds.append(time.process_time() - began)
    grown = None if before is None else _status("VmHWM") - before
    weights = sum(p.numel() for p in network.parameters())
    answers.send(LstmSize(layers, width, weights, min(seconds), grown))
    answers.close()


def _reset_peak() -> int | None:
    """Resident memory now, bytes, from which the peak is counted anew; None where the system has no such thing."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: VmHWM falls to what is resident
        return _status("VmRSS")
    except OSError:
        return None


def _status(key: str) -> int:
    """A line of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return KIB * int(next(line for line in lines if line.startswith(f"{key}:")).split()[1])
