"""EnsembleTrader: trained together, specialists specialise, and every mode decides as it says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from stand_in import TinyVecEnv, make_tape

from regimegym.agents.ensemble import EnsembleTrader
from regimegym.agents.ensemble_lessons import imbalance
from regimegym.agents.ensemble_policy import EnsemblePolicy, EnsemblePolicyAdapter
from regimegym.agents.ensemble_settings import EnsembleSettings
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.common.errors import ConfigError
from regimegym.common.policy import TapePolicy

MLP = NetworkSettings(kind="mlp", feature_width=16, memory_width=16, head_width=16, dropout=0.0)
QUICK = EnsembleSettings(learning="sampled", learning_starts=64, batch_size=16, buffer_size=2000)


def planted_tape(n: int = 1200):
    """Four regimes in turns of 20 bars; features name them, and the drift is theirs: +, −, 0, and 0."""
    rng = np.random.default_rng(0)
    regimes = np.repeat(np.tile([0, 1, 2, 3], n // 80), 20)
    features = np.eye(4)[regimes] + 0.2 * rng.normal(size=(n, 4))
    close = 100 * np.exp(np.cumsum(np.array([0.004, -0.004, 0.0, 0.0])[regimes] + 0.002 * rng.normal(size=n)))
    tape = make_tape(close, features, regimes, 1)
    probabilities = (0.05 + 0.8 * np.eye(4))[regimes].astype(np.float32)
    return replace(tape, regime_probabilities=probabilities)


@pytest.fixture(scope="module")
def trained():
    """An ensemble that has learned the planted market."""
    settings = EnsembleSettings(
        learning="sampled", learning_starts=200, batch_size=64, gamma=0.5, updates_per_bar=0.25, weight_decay=0.01,
        epsilon_end=0.3, regime_loss_weight=1.0, member_loss_weight=1.0, learning_rate=3e-3, final_learning_rate=3e-4,
    )  # fmt: skip
    env = TinyVecEnv(planted_tape(), n_envs=8, window=4)
    return EnsembleTrader(env, settings, MLP, 1).learn(2400)


def members_at(model: EnsembleTrader, rows: np.ndarray, weight: float = 0.0):
    network, tape = model.policy.acting, model.env.tape
    h, _ = network.encode(torch.from_numpy(tape.windows(rows, 4)))
    return network.members(h, torch.full((len(rows), 1), weight))


def test_the_gate_and_each_specialist_know_their_regime(trained):
    rows = np.arange(100, 1100)
    regimes = trained.env.tape.regimes[rows]
    with torch.no_grad():
        members = members_at(trained, rows)
    weights, q = members.weights.numpy(), members.q.numpy()
    assert (weights.argmax(axis=1) == regimes).mean() > 0.9
    assert weights.mean(axis=0).min() > 0.1  # no collapse to one
    entropy = -(weights * np.log(weights)).sum(axis=1).mean()
    assert entropy < 0.7 * np.log(4)
    up, down = regimes == 0, regimes == 1
    assert (q[up, 0].argmax(axis=1) == 2).mean() > 0.9  # the expert of uptrends buys in them
    assert (q[down, 1].argmax(axis=1) != 2).mean() > 0.9
    # Buying earns 0.4 a bar in an uptrend and −0.4 in a downtrend, and the specialist of each knows it.
    edge = (q[:, :, 2] - q[:, :, 1]) * float(trained.policy.reward_scale)
    assert np.abs(edge[up, 0] - 0.4).mean() < 0.15
    assert np.abs(edge[down, 1] + 0.4).mean() < 0.15


def test_specialists_learn_most_from_their_own_regime(trained):
    shares = {}

    def note(local, _global) -> bool:
        shares.update({k: v for k, v in trained.logger.name_to_value.items() if "own_regime_share" in k})
        return True

    trained.learn(800, callback=note, reset_num_timesteps=False)
    assert len(shares) == 4
    assert min(shares.values()) > 0.5  # a quarter of the bars are of each regime


def test_the_mixture_reaches_the_known_q_of_a_tiny_market():
    """Every bar grows by 1 %: being long is worth 1/(1 − γ), waiting a bar costs exactly 1 (T053)."""
    growth = np.exp(0.01 * np.arange(300))
    env = TinyVecEnv(make_tape(growth, np.ones((300, 1)), np.zeros(300), 1), n_envs=8, window=2, length=20)
    settings = EnsembleSettings(
        learning="sampled", learning_starts=100, batch_size=32, gamma=0.8, tau=0.05, weight_decay=0.0,
        scale_rewards=False, epsilon_end=0.5, updates_per_bar=0.25,
    )  # fmt: skip
    model = EnsembleTrader(env, settings, replace(MLP, feature_width=32, memory_width=32), 1).learn(4000)
    windows, flat = torch.ones(1, 2, 1), torch.zeros(1, 1)
    with torch.no_grad():
        torch.testing.assert_close(
            model.policy.average(windows, flat)[0][0], torch.tensor([4.0, 4.0, 5.0]), rtol=0.06, atol=0.1
        )
        torch.testing.assert_close(
            model.policy.average(windows, flat + 1)[0][0], torch.tensor([5.0, 4.0, 5.0]), rtol=0.06, atol=0.1
        )


def policy_in(trained, mode: str) -> EnsemblePolicy:
    policy = trained.policy
    policy.mode, policy.switch_dwell, policy.switch_margin = mode, 4, 0.0
    return policy


@pytest.mark.parametrize("mode", ["mixture", "switch", "vote"])
def test_decisions_from_a_table_are_the_direct_ones_and_say_who_made_them(trained, mode):
    tape = trained.env.tape
    adapter = EnsemblePolicyAdapter(policy_in(trained, mode))
    assert isinstance(adapter, TapePolicy)
    tabled = adapter.on_tape(tape, 100, 200)
    state = other = None
    starts = np.ones(2, bool)
    experts = []
    for row in range(100, 200):
        account = np.array([[0.0], [1.0]], np.float32)
        market = tape.windows(np.array([row, row]), 4)
        direct, state = adapter.act({"market": market, "account": account}, state, starts)
        again, other = tabled.act({"row": np.array([row, row]), "account": account}, other, starts)
        starts = np.zeros(2, bool)
        np.testing.assert_allclose(again.scores, direct.scores, atol=1e-5)
        np.testing.assert_allclose(direct.contributions.sum(axis=1), direct.scores)
        np.testing.assert_allclose(direct.regime_probabilities.sum(axis=1), 1.0, atol=1e-6)
        assert direct.contributions.shape == (2, 4, 3)
        assert (direct.uncertainty >= 0).all()
        experts.append(None if state is None else int(state.expert[0]))
    if mode == "switch":
        changes = np.flatnonzero(np.diff(experts))
        assert len(changes) >= 3  # the market changes every 20 bars
        assert (np.diff(changes) >= 4).all()
    else:
        assert set(experts) == {None}


def test_the_mixture_is_what_predict_decides_by(trained):
    observation = trained.env.reset()
    decision, _ = EnsemblePolicyAdapter(policy_in(trained, "mixture")).act(observation, None, np.ones(8, bool))
    np.testing.assert_array_equal(decision.action, trained.predict(observation)[0])


def test_a_row_outside_the_table_is_refused(trained):
    tabled = EnsemblePolicyAdapter(trained.policy).on_tape(trained.env.tape, 100, 110)
    with pytest.raises(IndexError, match=r"\[100, 110\)"):
        tabled.act({"row": np.array([99]), "account": np.zeros((1, 1), np.float32)})


def test_equal_seeds_give_equal_ensembles(tape, tiny_network):
    def trained_with(seed):
        model = EnsembleTrader(TinyVecEnv(tape), QUICK, tiny_network, seed).learn(200)
        return torch.cat([p.flatten() for p in model.policy.parameters()])

    assert torch.equal(trained_with(3), trained_with(3))
    assert not torch.equal(trained_with(3), trained_with(4))


def test_imbalance_is_nothing_when_all_are_used_and_most_when_one_is():
    assert float(imbalance(torch.full((5, 4), 0.25))) == pytest.approx(0.0, abs=1e-6)
    assert float(imbalance(torch.eye(4))) == pytest.approx(0.0, abs=1e-6)
    assert float(imbalance(torch.eye(4)[[1, 1]])) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"learning": "afterstate"}, "afterstate"), ({"mode": "vot"}, "mixture"), ({"switch_dwell": 0}, "switch_dwell")],
)
def test_settings_that_cannot_be_are_refused_by_name(change, words):
    with pytest.raises(ConfigError, match=words):
        EnsembleSettings(**change)
