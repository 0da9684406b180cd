"""RP07: what a hundred thousand transitions of a wide market take."""

import tracemalloc

import numpy as np
from gymnasium import spaces
from markets import GivenSource, number_tape

from regimegym.replay.regime import RegimeReplayBuffer
from regimegym.replay.settings import ReplaySettings


def test_a_hundred_thousand_transitions_of_30_by_183_take_megabytes():
    window, features, n = 30, 183, 100_000
    both_windows = 2 * n * window * features * 4
    space = spaces.Dict(
        {
            "market": spaces.Box(-np.inf, np.inf, (window, features), np.float32),
            "account": spaces.Box(-1, 1, (6,), np.float32),
        }
    )
    source = GivenSource([number_tape()])
    source.size = 6

    def make(n_slots: int) -> RegimeReplayBuffer:
        rng, settings = np.random.default_rng(0), ReplaySettings(kind="regime")
        return RegimeReplayBuffer(
            n_slots, space, spaces.Discrete(3), "cpu", 16, rng=rng, settings=settings, source=source
        )

    make(1000)  # compiles
    tracemalloc.start()
    buffer = make(n)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert both_windows > 4.3e9
    assert buffer.nbytes / n == 68
    assert (buffer.nbytes + buffer.tree_nbytes) / n < 80
    assert held < 8.5e6
