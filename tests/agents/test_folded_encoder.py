"""Encodings of a whole stretch of bars against the network's own, window by window."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import make_tape

from regimegym.agents.networks.ensemble import build_ensemble_network
from regimegym.agents.networks.q_network import build_q_network
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.tables import PIECE, encode_rows, stretch_of
from regimegym.features.tape import join_tapes

F, K, A = 3, 2, 4
CPU = torch.device("cpu")


def small_tape(seed: int, n_bars: int, warm_up: int, holes: int = 0):
    """A tape of noise whose first features are zeros, and some later ones."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n_bars, F))
    features[:warm_up] = 0
    features[rng.integers(0, n_bars, holes)] = 0
    return make_tape(100 + rng.random(n_bars), features, np.zeros(n_bars), warm_up)


def random_weights(network, seed: int):
    """Every weight drawn, so that no part of the network stays at zero and no gate at a quarter."""
    drawn = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data.normal_(std=0.7 / max(1, parameter.shape[-1]) ** 0.5, generator=drawn)
    return network.train(False)


@torch.no_grad()
def assert_encodes_its_windows(network, tape, start, stop, atol=2e-6):
    """The encodings of rows are those of the tape's windows that end there."""
    hidden, probabilities = encode_rows(network, tape, start, stop, CPU)
    direct, logits = network.encode(torch.from_numpy(tape.windows(np.arange(start, stop), network.sequence_length)))
    assert len(hidden) == stop - start
    torch.testing.assert_close(hidden, direct, rtol=1e-6, atol=atol)
    torch.testing.assert_close(probabilities, torch.softmax(logits, dim=-1), rtol=1e-6, atol=atol)


NETWORKS = st.builds(
    NetworkSettings,
    kind=st.sampled_from(["regime", "regime", "regime", "mlp"]),
    feature_width=st.sampled_from([2, 8, 14]),
    pathway_width=st.integers(1, 9),
    memory_width=st.integers(1, 9),
    detector_width=st.integers(1, 9),
    head_width=st.just(2),
    lstm_layers=st.integers(1, 3),
    positions=st.booleans(),
    residual=st.booleans(),
)


@settings(deadline=None, max_examples=40)
@given(
    network=NETWORKS,
    window=st.integers(1, 12),
    seed=st.integers(0, 99),
    warm_up=st.integers(0, 9),
    holes=st.integers(0, 20),
    begin=st.integers(0, 70),
)
def test_rows_are_encoded_as_their_windows_whatever_the_network(network, window, seed, warm_up, holes, begin):
    made = random_weights(build_q_network(window, F, K, A, network), seed)
    tapes = [small_tape(seed, 40, warm_up, holes), small_tape(seed + 1, 50, 2, holes)]
    assert_encodes_its_windows(made, join_tapes(tapes), begin, 90)


def test_rows_of_several_pieces_are_those_of_one_and_each_its_own():
    made = random_weights(build_q_network(5, F, K, A, NetworkSettings(feature_width=8, memory_width=6)), 1)
    tape = small_tape(3, PIECE + 300, 4)
    assert_encodes_its_windows(made, tape, 100, PIECE + 250)
    hidden, _ = encode_rows(made, tape, 100, PIECE + 250, CPU)
    assert len(torch.unique(hidden, dim=0)) == PIECE + 150


def test_an_ensemble_encodes_rows_as_their_windows():
    network = build_ensemble_network(6, F, K, A, NetworkSettings(feature_width=8, memory_width=5))
    tape = join_tapes([small_tape(5, 50, 3), small_tape(6, 60, 3)])
    assert_encodes_its_windows(random_weights(network, 2), tape, 0, 110)


@pytest.mark.parametrize("kind", ["positions", "residual"])
def test_positions_and_residual_change_what_is_encoded(kind):
    """Else the comparison above would not notice if both were left out on both sides."""
    with_it = NetworkSettings(feature_width=8, memory_width=5)
    stretch = stretch_of(small_tape(5, 60, 0), 10, 60, 6, CPU)
    without = replace(with_it, **{kind: False})
    one, other = (
        random_weights(build_q_network(6, F, K, A, made), 2).along()(stretch)[0] for made in (with_it, without)
    )
    assert (one - other).abs().max() > 1e-3


def test_what_stands_in_the_padding_is_not_read():
    network = random_weights(build_q_network(6, F, K, A, NetworkSettings(feature_width=8, memory_width=5)), 3)
    stretch = stretch_of(small_tape(5, 40, 5), 0, 40, 6, CPU)
    assert stretch.padding.tolist() == [5] * 6 + [4, 3, 2, 1] + [0] * 30
    other = stretch._replace(bars=torch.where((stretch.bars == 0).all(dim=1, keepdim=True), 7.0, stretch.bars))
    for encode in (network.along(), network._window_by_window):
        ours, theirs = encode(other)[0], encode(stretch)[0]
        torch.testing.assert_close(ours[5:], theirs[5:], rtol=0, atol=0)
        assert not torch.equal(ours[:5], theirs[:5])  # the last bar of a window always counts
