"""What TensorBoard is told about replay."""

from types import SimpleNamespace

import numpy as np

from regimegym.common.regimes import REGIMES
from regimegym.envs.recorded_source import record_steps
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.replay.regime import RegimeReplayBuffer
from regimegym.replay.samples import RegimeUse
from regimegym.replay.settings import ReplaySettings
from regimegym.training.replay_scalars import replay_scalars, replay_tags


def test_every_measure_of_every_regime_is_a_scalar_and_adds_up():
    env = TradingVecEnv(8)
    buffer = RegimeReplayBuffer(
        4000,
        env.observation_space,
        env.action_space,
        "cpu",
        8,
        rng=np.random.default_rng(0),
        settings=ReplaySettings(kind="regime"),
        source=record_steps(env),
    )
    observed = env.reset()
    for _ in range(200):
        after, rewards, dones, infos = env.step(np.full(8, 2))
        buffer.add(observed, after, np.full(8, 2), rewards, dones, infos)
        observed = after
    batch = buffer.draw(400)
    buffer.update_priorities(batch.slots, batch.born, np.ones(400))
    scalars = replay_scalars(SimpleNamespace(replay_buffer=buffer))
    assert set(scalars) == {"replay/beta", *(tag for measure in RegimeUse._fields for tag in replay_tags(measure))}
    assert len(scalars) == 1 + 5 * len(REGIMES)
    assert sum(scalars[tag] for tag in replay_tags("fill")) == 1.0
    held = [tag for tag in replay_tags("fill") if scalars[tag] > 0]
    for tag in held:
        assert scalars[tag.replace("fill", "sampled")] == 1 / len(held)
        assert scalars[tag.replace("fill", "td_error")] == 1.0
        assert 0 < scalars[tag.replace("fill", "age")] <= 1600
    assert len(held) >= 2


def test_an_algorithm_without_our_replay_has_no_such_scalars():
    assert replay_scalars(SimpleNamespace()) == {}
    assert replay_scalars(SimpleNamespace(replay_buffer=object())) == {}
