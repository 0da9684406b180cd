"""Values over a table of encodings against the heads themselves."""

import numpy as np
import pytest
import torch

from regimegym.agents.networks.q_network import build_q_network
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.networks.tabled import FoldedValues, TabledValues

R, K = 40, 6


def network(n_quantiles=1, cvar_level=1.0, noisy=False, afterstate=False):
    torch.manual_seed(3)
    settings = NetworkSettings(kind="mlp", feature_width=16, memory_width=12, head_width=8, noisy=noisy)
    more = {"n_quantiles": n_quantiles, "cvar_level": cvar_level, "afterstate": afterstate}
    made = build_q_network(5, 3, K, 4, settings, **more)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made.train(False)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (FoldedValues, {}),
        (FoldedValues, {"noisy": True}),
        (FoldedValues, {"n_quantiles": 8, "cvar_level": 0.25}),
        (TabledValues, {"afterstate": True}),
    ],
)
def test_values_of_a_table_are_those_of_the_heads(kind, settings):
    rng, made = np.random.default_rng(0), network(**settings)
    hidden = torch.from_numpy(rng.standard_normal((R, 12), dtype=np.float32))
    account = rng.random((90, K), dtype=np.float32)
    rows = rng.integers(0, R, 90)
    values = made.over(hidden)
    assert isinstance(values, kind)
    with torch.no_grad():
        expected = made.q(hidden[torch.from_numpy(rows)], torch.from_numpy(account)).numpy()
    found = values(rows, account)
    assert found.shape == (90, 4)
    assert found.dtype == np.float32
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_a_table_holds_the_weights_of_its_making():
    made, account = network(), np.zeros((1, K), np.float32)
    values = made.over(torch.zeros(1, 12))
    before = values(np.array([0]), account)
    for parameter in made.parameters():
        torch.nn.init.zeros_(parameter)
    np.testing.assert_array_equal(values(np.array([0]), account), before)
