"""The peers' cases: the same market and window, their own default settings, their best wrappers.

Each peer is imported only inside its own worker process: gym-trading-env turns every Python
warning into an error when it is imported, which is undone here so that the wrappers can run.
"""

import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from gymnasium.vector import SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv

from regimegym.training.benchmarks.harness import Work
from regimegym.training.benchmarks.market import Sizes, frame_of, random_tape
from regimegym.training.benchmarks.stepping import sb3_steps, single_steps, vector_steps

MODULES = {"gym-anytrading": "gym_anytrading", "gym-trading-env": "gym_trading_env"}
N_ACTIONS = 2  # sell, buy; and the positions 0, 1
OWN_FEATURES = 2  # gym-trading-env adds its position and its real position to every row


def peer_version(name: str) -> str | None:
    """The installed version of a peer, None where it is missing; nothing is imported."""
    return None if find_spec(MODULES[name]) is None else version(name)


def anytrading_cases(sizes: Sizes) -> dict[str, Callable[[], Work]]:
    """gym-anytrading's StocksEnv with `n_features` signals, as its README shows."""
    from gym_anytrading.envs import StocksEnv

    tape = random_tape(sizes.n_bars, sizes.n_features)
    frame = frame_of(tape, 0).rename(columns=str.capitalize)
    prices = tape.close.astype(np.float32)

    class Stocks(StocksEnv):
        def _process_data(self) -> tuple[np.ndarray, np.ndarray]:
            return prices, tape.features

    return _cases(lambda: Stocks(frame, sizes.window, (sizes.window, sizes.n_bars)), sizes)


def trading_env_cases(sizes: Sizes) -> dict[str, Callable[[], Work]]:
    """gym-trading-env with as many features as leave room for the two it adds."""
    with warnings.catch_warnings():
        from gym_trading_env.environments import TradingEnv

    n_features = sizes.n_features - OWN_FEATURES
    frame = frame_of(random_tape(sizes.n_bars, sizes.n_features), n_features)
    return _cases(lambda: TradingEnv(frame, windows=sizes.window, verbose=0), sizes)


def _cases(make: Callable[[], Any], sizes: Sizes) -> dict[str, Callable[[], Work]]:
    """Builders of `single`, and of `sync-N` (gymnasium) and `dummy-N` (SB3) for every batch size."""

    def sync(n: int) -> Work:
        # Without copies the wrapper is faster; the peers' numbers are their best.
        return vector_steps(SyncVectorEnv([make] * n, copy=False), N_ACTIONS)

    def dummy(n: int) -> Work:
        return sb3_steps(DummyVecEnv([make] * n), N_ACTIONS)

    cases: dict[str, Callable[[], Work]] = {"single": lambda: single_steps(make(), N_ACTIONS)}
    for n in sizes.peer_batches:
        cases |= {f"sync-{n}": partial(sync, n), f"dummy-{n}": partial(dummy, n)}
    return cases
