"""What a vector environment hands out: arrays of their own, or two sets that take turns."""

import numpy as np
import pytest
from tapes import random_tape

from regimegym.envs.observation import OBSERVATIONS
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings, EpisodeSettings
from regimegym.envs.stages import Stage
from regimegym.envs.vector_env import TradingVectorEnv
from regimegym.features.tape import Segment

N = 33
SEGMENTS = (Segment("A", 0, 130, 4), Segment("B", 130, 300, 140))


def pair(observation, window=7):
    """The same environment with arrays of their own and with two sets."""
    tape = random_tape(300, 5, volatility=0.06, segments=SEGMENTS)
    settings = EnvSettings(
        account=AccountSettings(max_leverage=3.0, maintenance_margin=0.9),
        action=ActionSettings(mode="trade", allow_short=True),
        episode=EpisodeSettings(window=window, length=25),
    )
    return [TradingVectorEnv(N, tape, settings, observation=observation, copy=copy) for copy in (True, False)]


def flat(value):
    """Every array in what reset or step returned, in order."""
    if isinstance(value, dict):
        return [array for name in sorted(value) if name != "episode" for array in flat(value[name])]
    if isinstance(value, tuple):
        return [array for part in value for array in flat(part)]
    if value.dtype == object:
        return [array for part in value if part is not None and not isinstance(part, str) for array in flat(part)]
    return [value]


def check_same(got, expected):
    assert len(got) == len(expected) > 5
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("observation", "window"), [("reference", 7), *(("window", w) for w in (1, 2, 3, 7, 25))])
def test_two_sets_say_what_arrays_of_their_own_do_and_hold_through_the_next_step(observation, window):
    own, shared = pair(observation, window)
    last = flat(shared.reset(seed=5))
    check_same(last, flat(own.reset(seed=5)))
    actions, ends = np.random.default_rng(0).integers(0, 3, (150, N)), 0
    for action in actions:
        kept = [array.copy() for array in last]
        said = shared.step(action)
        check_same(last, kept)
        check_same(flat(said), flat(own.step(action)))
        last, ends = flat(said), ends + int((said[2] | said[3]).sum())
    assert ends > 2 * N


def test_two_sets_follow_a_stage_to_another_tape():
    own, shared = pair("window")
    for env in (own, shared):
        env.reset(seed=1)
        env.set_stage(Stage(tapes=(random_tape(300, 9, segments=SEGMENTS),)))
    for action in np.random.default_rng(0).integers(0, 3, (60, N)):
        check_same(flat(shared.step(action)), flat(own.step(action)))
    assert shared.batch.references.max() >= 300


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_arrays_of_their_own_are_never_written_again(observation):
    env = pair(observation)[0]
    said = [env.reset(seed=2)]
    copies = [[array.copy() for array in flat(said[0])]]
    for action in np.random.default_rng(0).integers(0, 3, (60, N)):
        said.append(env.step(action))
        copies.append([array.copy() for array in flat(said[-1])])
    for arrays, copy in zip(said, copies, strict=True):
        check_same(flat(arrays), copy)


def test_final_observations_of_two_sets_are_never_written_again():
    env = pair("window")[1]
    env.reset(seed=2)
    kept = []
    for action in np.random.default_rng(0).integers(0, 3, (60, N)):
        infos = env.step(action)[4]
        if "final_obs" in infos:
            kept.append((flat(infos["final_obs"]), [array.copy() for array in flat(infos["final_obs"])]))
    assert len(kept) > 3
    for arrays, copies in kept:
        for array, copy in zip(arrays, copies, strict=True):
            np.testing.assert_array_equal(array, copy)


def test_rolling_windows_cannot_be_written_to():
    own, shared = pair("window")
    own.reset(seed=0)[0]["market"][0, 0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        shared.reset(seed=0)[0]["market"][0, 0, 0] = 1.0
