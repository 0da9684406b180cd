"""The environment pays what the dynamic program says: learned from its steps alone, the same value comes out."""

import numpy as np
import pytest
from tapes import random_tape

from regimegym.envs.hindsight import hindsight_optimal
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings, EpisodeSettings, RewardSettings
from regimegym.envs.trading_env import TradingEnv

N_BARS = 12
LADDER = (-1.0, 0.0, 1.0)


@pytest.mark.parametrize("execution", ["next_open", "same_close"])
def test_tabular_q_learning_reaches_the_value_of_the_dynamic_program(execution):
    tape = random_tape(N_BARS, 4, 0.02)
    settings = EnvSettings(
        AccountSettings(execution=execution, rebalance="always", margin_check="none"),
        RewardSettings(kind="log_return", reward_scale=1.0),
        action=ActionSettings(mode="target", ladder=LADDER),
        episode=EpisodeSettings(window=1, length=N_BARS - 1),
    )
    ceiling = hindsight_optimal(tape, settings)
    assert ceiling.is_exact
    env, rng = TradingEnv(tape, settings, observation="reference"), np.random.default_rng(0)
    # A state is what the agent is shown: the row, and the target its account was last brought to.
    q = np.zeros((N_BARS, len(LADDER), len(LADDER)))
    for _ in range(1_500):
        observation, _ = env.reset(options={"start": 0})
        over = False
        while not over:
            state = _state(observation)
            action = int(rng.integers(3)) if rng.random() < 0.5 else int(q[state].argmax())
            observation, reward, terminated, truncated, _ = env.step(action)
            over = terminated or truncated
            # Transitions are deterministic, so a learning rate of 1 is allowed; no reward follows the end.
            q[state][action] = reward + (0.0 if over else q[_state(observation)].max())
    assert q[0, LADDER.index(0.0)].max() == pytest.approx(ceiling.log_return, abs=1e-9)
    observation, _ = env.reset(options={"start": 0})
    walked = []
    for _ in range(N_BARS - 1):
        walked.append(LADDER[int(q[_state(observation)].argmax())])
        observation, *_ = env.step(LADDER.index(walked[-1]))
    np.testing.assert_array_equal(walked, ceiling.targets[:-1])


def _state(observation):
    return int(observation["row"][0]), LADDER.index(round(float(observation["account"][4]), 6))
