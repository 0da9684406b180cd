"""The ensemble's network and rules against explicit loops and truth tables (DEFINITIONS §10)."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regimegym.agents.ensemble_rules import contributions, disagreement, elect, switch, vote_shares
from regimegym.agents.networks.ensemble import EnsembleQNetwork, build_ensemble_network
from regimegym.agents.networks.settings import NetworkSettings

HOLD, SELL, BUY = 0, 1, 2
SMALL = NetworkSettings(feature_width=8, pathway_width=4, memory_width=4, detector_width=4, head_width=4)
MLP = NetworkSettings(kind="mlp", feature_width=8, memory_width=4, detector_width=4, head_width=4)


@pytest.fixture(params=[SMALL, MLP], ids=["regime", "mlp"])
def network(request) -> EnsembleQNetwork:
    torch.manual_seed(0)
    return build_ensemble_network(6, 5, 2, 3, request.param).eval()


def inputs(batch: int, steps: int = 6):
    generator = torch.Generator().manual_seed(batch * 10 + steps)
    return torch.randn(batch, steps, 5, generator=generator), torch.randn(batch, 2, generator=generator)


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (1, 6), (4, 6), (6, 6), (5, 1), (3, 3)])
def test_values_equal_an_explicit_loop_whatever_batch_and_length(network, batch, steps):
    market, account = inputs(batch, steps)
    q, weights = network(market, account)
    assert q.shape == (batch, 3)
    for b in range(batch):
        gate = torch.softmax(network.gate(market[b, -1]), dim=-1)
        total = torch.zeros(3)
        for k in range(4):
            total += gate[k] * network.experts[k](market[b : b + 1], account[b : b + 1])[0][0]
        torch.testing.assert_close(q[b], total, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(weights[b], gate)


def test_a_sure_gate_returns_its_expert(network):
    market, account = inputs(4)
    for k in range(4):
        with torch.no_grad():
            network.gate[-1].weight.zero_()
            network.gate[-1].bias.copy_(torch.where(torch.arange(4) == k, 100.0, 0.0))
        expected = network.experts[k](market, account)[0]
        torch.testing.assert_close(network(market, account)[0], expected)


def test_one_sample_does_not_move_another(network):
    market, account = inputs(3)
    before = network(market, account)[0][0]
    market[1:] += 1.0
    torch.testing.assert_close(network(market, account)[0][0], before)


def test_values_from_a_table_of_encodings_are_the_direct_ones(network):
    market, account = inputs(5)
    table, _ = network.encode(market)
    torch.testing.assert_close(network.q(table[[2, 2, 4]], account[:3]), network(market[[2, 2, 4]], account[:3])[0])


def test_the_experts_start_out_different(network):
    market, account = inputs(2)
    members = network.members(network.encode(market)[0], account)
    assert members.q.shape == (2, 4, 3)
    assert members.q.detach().std(dim=1).min().item() > 0


# --- deciding together ---------------------------------------------------------------------------------


def best(*actions):
    """Values of four experts whose best actions are `actions`, (1, 4, 3)."""
    return np.eye(3)[list(actions)][None]


@pytest.mark.parametrize(
    ("weights", "actions", "expected"),
    [
        ([0.25] * 4, (BUY, BUY, BUY, SELL), BUY),
        ([0.25] * 4, (BUY, BUY, SELL, SELL), HOLD),  # a tie
        ([0.25] * 4, (BUY, SELL, HOLD, HOLD), HOLD),
        ([0.25] * 4, (SELL, SELL, SELL, SELL), SELL),
        ([0.4, 0.2, 0.2, 0.2], (BUY, SELL, SELL, HOLD), HOLD),  # .4 against .4
        ([0.41, 0.2, 0.19, 0.2], (BUY, SELL, SELL, HOLD), BUY),
        ([0.1, 0.1, 0.1, 0.7], (BUY, BUY, BUY, SELL), SELL),
    ],
)
def test_the_truth_table_of_votes(weights, actions, expected):
    shares = vote_shares(np.array([weights]), best(*actions))
    np.testing.assert_allclose(shares.sum(), 1.0)
    assert elect(shares, HOLD)[0] == expected


@given(st.integers(0, 2**32 - 1))
def test_contributions_sum_to_the_mixture(seed):
    rng = np.random.default_rng(seed)
    weights, q = rng.dirichlet(np.ones(4), 6), rng.normal(size=(6, 4, 3))
    parts = contributions(weights, q)
    np.testing.assert_allclose(parts.sum(axis=1), np.einsum("nk,nka->na", weights, q))


def test_members_who_agree_or_decide_alone_do_not_disagree():
    rng = np.random.default_rng(0)
    q = rng.normal(size=(3, 4, 3))
    alone = np.eye(4)[[0, 2, 3]]
    np.testing.assert_allclose(disagreement(alone, q), 0.0)
    same = np.repeat(q[:, :1], 4, axis=1) + rng.normal(size=(3, 4, 1))  # another level is no other opinion
    np.testing.assert_allclose(disagreement(np.full((3, 4), 0.25), same), 0.0, atol=1e-12)
    assert (disagreement(np.full((3, 4), 0.25), q) > 0.05).all()


def test_nobody_takes_over_within_the_dwell_or_the_margin():
    a, b = np.array([[0.9, 0.1, 0, 0]]), np.array([[0.1, 0.9, 0, 0]])
    close = np.array([[0.45, 0.55, 0, 0]])
    no, yes = np.array([False]), np.array([True])
    state = switch(a, None, yes, margin=0.2, dwell=3)
    took = []
    for weights in (b, b, b, b, close, a):
        state = switch(weights, state, no, margin=0.2, dwell=3)
        took.append(int(state.expert[0]))
    assert took == [0, 0, 1, 1, 1, 0]
    state = switch(close, switch(a, None, yes, 0.2, 1), no, margin=0.2, dwell=1)
    assert state.expert[0] == 0  # ahead, but not by the margin
    assert switch(b, state, yes, margin=0.2, dwell=100).expert[0] == 1  # an episode's start forgets


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_a_reign_lasts_at_least_the_dwell(seed, dwell):
    rng = np.random.default_rng(seed)
    state, reigns, last = None, [], None
    for t in range(60):
        state = switch(rng.dirichlet(np.full(4, 0.3), 1), state, np.array([False]), 0.0, dwell)
        if last is None or state.expert[0] != last:
            reigns.append(t)
            last = state.expert[0]
    assert (np.diff(reigns) >= dwell).all()
