"""The agents on TradingVecEnv: what the stand-in promised holds for the real environment."""

import numpy as np
import pytest

from regimegym.agents.build import build_agent
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.policy import policy_of
from regimegym.agents.settings import EnhancedDQNSettings
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import ActionSettings, EnvSettings, EpisodeSettings
from regimegym.evaluate.rollout import rollout
from regimegym.features.market import build_tape, prepare_market
from regimegym.features.scaling import fit_scaler
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.worlds import sine_bars


@pytest.fixture(scope="module")
def sine():
    """Tape of a noiseless sine, its training rows and later rows."""
    market = prepare_market(sine_bars(2400))
    first = market.table.warm_up
    train, later = RowRange(first, 1600), RowRange(1640, 2400)
    return build_tape(market, fit_scaler(market.table, train)), train, later


def test_replayed_references_are_the_observations_that_were_seen(sine, tiny_network):
    tape, train, _ = sine
    env = TradingVecEnv(4, tape, EnvSettings(episode=EpisodeSettings(window=10, length=20)), train, 1)
    model = build_agent(EnhancedDQNSettings(buffer_size=400, learning_starts=1000), env, tiny_network, 1)
    windows, rows, accounts, ends = [], [], [], []

    def note(local, _global) -> bool:
        windows.append(model._last_obs["market"].copy())
        accounts.append(model._last_obs["account"].copy())
        rows.append([info["row"] for info in local["infos"]])
        ends.append([info.get("terminal_observation") for info in local["infos"]])
        return True

    model.learn(240, callback=note)
    stored = model.replay_buffer.stored
    batch = model.replay_buffer.draw(1000)
    slots = batch.slots
    assert model.replay_buffer.size() == 240 == len(stored.reference)
    assert len(np.unique(slots)) > 200
    np.testing.assert_array_equal(stored.reference, np.concatenate(rows))
    np.testing.assert_array_equal(batch.market.numpy(), np.concatenate(windows)[slots])
    np.testing.assert_allclose(batch.account.numpy(), np.concatenate(accounts)[slots], rtol=3e-7, atol=1e-9)
    finished = {4 * t + i: end for t, step in enumerate(ends) for i, end in enumerate(step) if end is not None}
    assert len(finished) == 12
    assert not stored.terminated.any()
    last = [b for b, slot in enumerate(slots) if int(slot) in finished]
    assert len(last) > 20
    for b in last:
        end = finished[int(slots[b])]
        np.testing.assert_array_equal(batch.next_market[b].numpy(), end["market"])
        np.testing.assert_allclose(batch.next_account[b].numpy(), end["account"], rtol=3e-7, atol=1e-9)


def test_a_sine_is_traded_far_above_buy_and_hold_after_costs(sine):
    tape, train, later = sine
    settings = EnvSettings()
    env = TradingVecEnv(8, tape, settings, train, 1)
    network = NetworkSettings(kind="mlp", feature_width=32, memory_width=32)
    agent = EnhancedDQNSettings(learning_starts=256, epsilon_fraction=0.3)
    model = build_agent(agent, env, network, 1).learn(3000)
    (found,) = rollout(policy_of(model.policy), tape, settings, later)
    # 19 rises of 0.1 less two sides of 0.15 % each is 1.84
    assert np.log(found.equity[-1] / found.equity[0]) > 1.4


def test_every_algorithm_runs_on_every_discrete_action_mode(sine, tiny_network, quick_settings):
    tape, train, later = sine
    for mode, n in (("trade", 3), ("target", 4)):
        action = ActionSettings(mode=mode, ladder=(-1.0, 0.0, 0.5, 1.0))
        settings = EnvSettings(action=action, episode=EpisodeSettings(window=10, length=40))
        env = TradingVecEnv(4, tape, settings, train, 1)
        model = build_agent(quick_settings, env, tiny_network, 1).learn(160)
        policy = policy_of(model.policy)
        decision, _ = policy.act(env.reset(), None, np.ones(4, dtype=bool))
        assert decision.scores.shape == (4, n)
        (found,) = rollout(policy, tape, settings, RowRange(later.start, later.start + 50))
        assert len(found.actions) == 49
