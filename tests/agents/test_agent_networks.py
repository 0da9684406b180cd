"""The networks of DEFINITIONS §9: shapes, independence, causality, and equality with slow loops."""

import math
from dataclasses import replace

import pytest
import torch

from regimegym.agents.networks.attention import TemporalAttentionLayer
from regimegym.agents.networks.dueling import DuelingHeads
from regimegym.agents.networks.encoder import build_encoder, padding_mask
from regimegym.agents.networks.pathways import RegimePathways, mix
from regimegym.agents.networks.q_network import build_q_network
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.common.errors import ConfigError, ModelError

SMALL = NetworkSettings()
MLP = NetworkSettings(kind="mlp")
KINDS = pytest.mark.parametrize("settings", [SMALL, MLP], ids=["regime", "mlp"])
F, T, K, A = 5, 30, 3, 3


@pytest.fixture
def random() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def network(settings: NetworkSettings, n_account: int = K):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return build_q_network(T, F, n_account, A, settings).eval()


@KINDS
@pytest.mark.parametrize("batch", [1, 4, 5, 30])
@pytest.mark.parametrize("steps", [1, 5, 30])
def test_q_and_regime_probabilities_have_one_row_per_window(settings, batch, steps, random):
    q, g = network(settings)(torch.randn(batch, steps, F, generator=random), torch.randn(batch, K, generator=random))
    assert q.shape == (batch, A)
    assert g.shape == (batch, 4)
    torch.testing.assert_close(g.sum(dim=1), torch.ones(batch))


def test_a_network_without_account_fields_works(random):
    q, _ = network(SMALL, n_account=0)(torch.randn(2, T, F, generator=random), torch.zeros(2, 0))
    assert q.shape == (2, A)


@KINDS
def test_changing_one_window_leaves_the_others_unchanged(settings, random):
    net = network(settings)
    x, u = torch.randn(4, T, F, generator=random), torch.randn(4, K, generator=random)
    changed = x.clone()
    changed[1] += 1.0
    q, q_changed = net(x, u)[0], net(changed, u)[0]
    torch.testing.assert_close(q[[0, 2, 3]], q_changed[[0, 2, 3]], rtol=0, atol=1e-6)
    assert (q[1] - q_changed[1]).abs().max() > 1e-6


@KINDS
@pytest.mark.parametrize("shape", [(4, F), (4, T + 1, F), (4, T, F + 1), (4, 0, F)])
def test_a_window_of_another_shape_is_refused(settings, shape):
    with pytest.raises(ModelError, match=r"shape \("):
        network(settings)(torch.zeros(shape), torch.zeros(4, K))


def test_attention_of_a_prefix_is_the_prefix_of_attention(random):
    layer = TemporalAttentionLayer(8)
    f = torch.randn(2, T, 8, generator=random)
    whole, weights = layer(f)
    for k in (1, 2, 17, T):
        part, _ = layer(f[:, :k])
        torch.testing.assert_close(part, whole[:, :k], rtol=0, atol=1e-6)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, T))
    assert weights.triu(1).abs().max() == 0


def test_attention_equals_the_explicit_sum(random):
    layer = TemporalAttentionLayer(8)
    f = torch.randn(1, 4, 8, generator=random)
    q, k, v = layer.project(f)[0].split(8, dim=-1)
    for t in range(4):
        score = torch.stack([q[t] @ k[s] / math.sqrt(8) for s in range(t + 1)]).softmax(dim=0)
        expected = sum(score[s] * v[s] for s in range(t + 1))
        torch.testing.assert_close(layer(f)[0][0, t], expected, rtol=1e-5, atol=1e-6)


def test_pathways_and_their_mixture_equal_the_explicit_loop(random):
    paths = RegimePathways(6, 5)
    with torch.no_grad():
        paths.second_bias.normal_(generator=random)
    a, gate = torch.randn(3, 7, 6, generator=random), torch.rand(3, 7, 4, generator=random)
    u = paths(a)
    c = torch.zeros(3, 7, 5)
    for b in range(3):
        for t in range(7):
            for k in range(4):
                first = torch.relu(paths.first(a[b, t]))[5 * k : 5 * k + 5]
                slow = torch.relu(paths.second_weight[k] @ first + paths.second_bias[k, 0])
                torch.testing.assert_close(u[k][b, t], slow, rtol=1e-5, atol=1e-6)
                c[b, t] += gate[b, t, k] * slow
    torch.testing.assert_close(mix(gate, u), c, rtol=1e-5, atol=1e-6)


def test_pathways_learn_what_one_batched_product_would(random):
    paths = RegimePathways(6, 5)
    with torch.no_grad():
        paths.second_bias.normal_(generator=random)
    a = torch.randn(3, 7, 6, generator=random, requires_grad=True)
    gate = torch.rand(3, 7, 4, generator=random, requires_grad=True)
    hidden = torch.relu(paths.first(a)).unflatten(-1, (4, 5))
    u = torch.relu(torch.einsum("btki,koi->btko", hidden, paths.second_weight) + paths.second_bias[:, 0])
    batched = (gate.unsqueeze(-1) * u).sum(dim=2).square().sum()
    inputs = [a, gate, *paths.parameters()]
    expected = torch.autograd.grad(batched, inputs)
    gradients = torch.autograd.grad(mix(gate, paths(a)).square().sum(), inputs)
    for gradient, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-5, atol=1e-6)
        assert wanted.abs().max() > 0


@pytest.mark.parametrize("k", range(4))
def test_a_one_hot_gate_lets_exactly_its_pathway_through(k, random):
    net = network(SMALL)
    encoder = net.encoder
    with torch.no_grad():
        encoder.detector[-1].weight.zero_()
        encoder.detector[-1].bias.fill_(-1e4)[k] = 1e4
    x = torch.randn(2, T, F, generator=random)
    f = encoder.features(x) + encoder.positions
    alone = encoder.pathways(encoder.attention(f)[0] + f)[k]
    torch.testing.assert_close(net.encode(x)[0], encoder.memory(alone)[0][:, -1], rtol=0, atol=1e-6)


def test_the_mean_of_q_over_actions_is_the_value(random):
    heads = DuelingHeads(6, K, 5, A)
    h, u = torch.randn(4, 6, generator=random), torch.randn(4, K, generator=random)
    value = heads.value(torch.cat([h, u], dim=1))
    torch.testing.assert_close(heads(h, u).mean(dim=1), value)


def test_the_encoding_does_not_depend_on_the_account(random):
    net = network(SMALL)
    x = torch.randn(1, T, F, generator=random).expand(5, T, F)
    accounts = torch.randn(5, K, generator=random)
    h = net.encode(x[:1])[0].expand(5, -1)
    torch.testing.assert_close(net.q(h, accounts), net(x, accounts)[0], rtol=0, atol=1e-6)


def test_a_padded_window_means_the_same_as_the_short_history(random):
    net = network(SMALL)
    short, u = torch.randn(3, 9, F, generator=random), torch.randn(3, K, generator=random)
    padded = torch.cat([torch.zeros(3, T - 9, F), short], dim=1)
    padded[2] = torch.randn(T, F, generator=random)  # a full window in the same batch
    q_padded, q_full = net(padded, u)[0], net(padded[2:], u[2:])[0]
    torch.testing.assert_close(q_padded[:2], net(short[:2], u[:2])[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(q_padded[2:], q_full, rtol=0, atol=1e-5)


def test_only_leading_zero_rows_are_padding_and_never_the_last():
    x = torch.zeros(2, 4, F)
    x[0, 1] = 1.0
    mask = padding_mask(x)
    assert mask.tolist() == [[True, False, False, False], [True, True, True, False]]
    assert padding_mask(torch.ones(2, 4, F)) is None
    q, g = network(SMALL)(x, torch.zeros(2, K))
    assert torch.isfinite(q).all()
    assert torch.isfinite(g).all()


def test_attention_weights_of_the_network_are_returned_when_asked_for(random):
    x, u = torch.randn(2, T, F, generator=random), torch.zeros(2, K)
    assert network(SMALL)(x, u, attention=True)[2].shape == (2, T, T)
    assert network(MLP)(x, u, attention=True)[2] is None


def test_the_full_network_has_the_widths_of_the_definitions():
    full = NetworkSettings(feature_width=128, pathway_width=64, memory_width=64, detector_width=64, head_width=32)
    shapes = {name: tuple(p.shape) for name, p in network(full).named_parameters()}
    assert shapes["encoder.features.0.weight"] == (128, F)
    assert shapes["encoder.detector.0.weight"] == (64, 128)
    assert shapes["encoder.pathways.first.weight"] == (4 * 64, 128)
    assert shapes["encoder.memory.weight_hh_l1"] == (4 * 64, 64)
    assert shapes["heads.advantage.0.weight"] == (32, 64 + K)
    assert shapes["heads.value.2.weight"] == (1, 32)


def test_dropout_acts_while_learning_only(random):
    net = network(replace(SMALL, dropout=0.5))
    x = torch.randn(1, T, F, generator=random)
    torch.testing.assert_close(net.encode(x)[0], net.encode(x)[0], rtol=0, atol=0)
    net.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert (net.encode(x)[0] - net.encode(x)[0]).abs().max() > 0


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [("kind", "regim", "one of regime, mlp"), ("dropout", 1.0, r"in \[0, 1\)"), ("feature_width", 3, "even")],
)
def test_settings_outside_their_range_are_refused(field, value, text):
    with pytest.raises(ConfigError, match=text):
        replace(SMALL, **{field: value})


def test_positions_count_from_the_last_bar():
    encoder = build_encoder(F, T, SMALL)
    assert encoder.positions[-1].tolist() == [0.0, 1.0] * 32
    assert build_encoder(F, T, replace(SMALL, positions=False)).positions.abs().max() == 0
