"""Our cases of the environment benchmark."""

from collections.abc import Callable

import numpy as np

from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import EnvSettings, EpisodeSettings
from regimegym.envs.trading_env import TradingEnv
from regimegym.envs.vector_env import TradingVectorEnv
from regimegym.features.tape import MarketTape
from regimegym.features.windows import write_windows
from regimegym.training.benchmarks.harness import Work
from regimegym.training.benchmarks.market import RANDOM_SEED, Sizes, random_tape
from regimegym.training.benchmarks.stepping import sb3_steps, single_steps, vector_steps

N_ACTIONS = 3  # HOLD, SELL, BUY


def our_cases(sizes: Sizes) -> dict[str, Callable[[], Work]]:
    """Builders of `single`, `windows`, `references`, `copies`, `sb3` (steps), `gather`, `memcpy` (bytes).

    Settings are the defaults of EnvSettings with the window of `sizes`. `windows` and `references` hand out
    two sets of arrays in turns (copy=False, as the peers' wrapper does); `copies` are windows in arrays of their own.
    """
    tape = random_tape(sizes.n_bars, sizes.n_features)
    settings = EnvSettings(episode=EpisodeSettings(window=sizes.window))
    n = sizes.n_accounts

    def vector(observation: str, copy: bool) -> Work:
        return vector_steps(TradingVectorEnv(n, tape, settings, observation=observation, copy=copy), N_ACTIONS)

    return {
        "single": lambda: single_steps(TradingEnv(tape, settings), N_ACTIONS),
        "windows": lambda: vector("window", copy=False),
        "references": lambda: vector("reference", copy=False),
        "copies": lambda: vector("window", copy=True),
        "sb3": lambda: sb3_steps(TradingVecEnv(n, tape, settings), N_ACTIONS),
        "gather": lambda: _gather(tape, sizes),
        "memcpy": lambda: _memcpy(sizes),
    }


def _gather(tape: MarketTape, sizes: Sizes) -> Work:
    """The windows of N accounts, each on a row of its own, into one array; bytes written."""
    rows = np.random.default_rng(RANDOM_SEED).integers(sizes.window, sizes.n_bars, sizes.n_accounts)
    out = np.empty((sizes.n_accounts, sizes.window, sizes.n_features), np.float32)

    def work() -> int:
        write_windows(tape.features, tape.segment_start, rows, out)
        return out.nbytes

    return work


def _memcpy(sizes: Sizes) -> Work:
    """As many bytes from one contiguous array into another: what the machine can do."""
    source = np.zeros((sizes.n_accounts, sizes.window, sizes.n_features), np.float32)
    source[:] = 1.0  # zeros that were never written share one page
    out = np.empty_like(source)

    def work() -> int:
        np.copyto(out, source)
        return out.nbytes

    return work
