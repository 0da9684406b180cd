"""The replay benchmark's cases: a cycle is to add one transition, draw 256, and set the priorities of 256.

Ours holds real accounts of a real tape, four regimes deep; the others hold both windows of every
transition, as they are meant to. Everything that is stored or learned is made before the clock runs.
"""

import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from regimegym.common.files import flush_to_disk
from regimegym.common.state_file import write_state
from regimegym.envs.recorded_source import RecordedSource, record_steps
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import EnvSettings, EpisodeSettings
from regimegym.replay.regime import RegimeReplayBuffer
from regimegym.replay.settings import ReplaySettings
from regimegym.training.benchmarks.harness import Work
from regimegym.training.benchmarks.market import RANDOM_SEED, Sizes, random_tape

OURS, CPPRB, SB3 = "regime-gym replay", "cpprb", "stable-baselines3"
SMALL, LARGE = 100_000, 1_000_000
BATCH = 256
CYCLES = 16  # between two looks at the clock
ALPHA, BETA = 0.6, 0.4
FILLERS = 1000  # accounts, or transitions, that fill a buffer at once


class Held(NamedTuple):
    """What a transition costs: bytes, those of the priority trees included, and to save all of them."""

    bytes: float
    bytes_with_trees: float
    file_bytes: int
    save_seconds: float


def replay_peer_version(name: str) -> str | None:
    """The installed version of a peer, None where it is missing; nothing is imported."""
    return None if find_spec(name.replace("-", "_")) is None else version(name)


def our_replay_cases(sizes: Sizes) -> dict[str, Callable[[], Work]]:
    """`cycle-N` with N transitions held."""
    return {f"cycle-{n}": partial(_our_cycles, n, sizes) for n in (SMALL, LARGE)}


def cpprb_cases(sizes: Sizes) -> dict[str, Callable[[], Work]]:
    """cpprb's prioritised buffer."""
    return {f"cycle-{n}": partial(_cpprb_cycles, n, sizes) for n in (SMALL, LARGE)}


def sb3_cases(sizes: Sizes) -> dict[str, Callable[[], Work]]:
    """Stable-baselines3's buffer, which is uniform: a cycle without priorities."""
    return {f"cycle-{SMALL}": partial(_sb3_cycles, SMALL, sizes)}


def measure_held(sizes: Sizes, n: int, folder: Path) -> Held:
    """Memory of our buffer with `n` transitions, and what it takes to save it as a checkpoint does, into `folder`."""
    buffer, _ = _our_buffer(n, sizes)
    began = time.perf_counter()
    write_state(folder, buffer.state())
    written = [path for path in folder.iterdir() if path.is_file()]
    for path in written:
        with path.open("rb+") as file:
            flush_to_disk(file)
    seconds = time.perf_counter() - began
    trees = buffer.nbytes + buffer.tree_nbytes
    return Held(buffer.nbytes / n, trees / n, sum(path.stat().st_size for path in written), seconds)


def sb3_bytes(sizes: Sizes) -> float:
    """Bytes of a transition in stable-baselines3's buffer."""
    buffer = _sb3_buffer(FILLERS, sizes)
    arrays = (buffer.observations, buffer.next_observations, buffer.actions, buffer.rewards)
    return sum(array.nbytes for array in (*arrays, buffer.dones, buffer.timeouts)) / FILLERS


def cpprb_bytes(sizes: Sizes) -> float:
    """Bytes of a transition in cpprb's buffer, its trees (of a size it does not tell) left out."""
    return float(2 * sizes.window_bytes + 3 * np.dtype(np.float32).itemsize)


def _repeated(cycle: Callable[[], None]) -> Work:
    """Cycles as gradient steps are: a batch is let go before the next one is drawn."""

    def work() -> int:
        for _ in range(CYCLES):
            cycle()
        return CYCLES

    return work


# --- ours ----------------------------------------------------------------------------------------


class _Again:
    """A source whose last step happens again and again."""

    def __init__(self, source: RecordedSource) -> None:
        self.size, self.tapes, self.write_blocks = source.size, source.tapes, source.write_blocks
        self._step = source.last_step()

    def last_step(self, *_observed: object) -> Any:
        return self._step


def _our_buffer(n: int, sizes: Sizes) -> tuple[RegimeReplayBuffer, tuple[Any, ...]]:
    """A full buffer of one account, and the arguments of its next `add`."""
    tape = random_tape(sizes.n_bars, sizes.n_features)
    settings = EnvSettings(episode=EpisodeSettings(window=sizes.window))
    rng = np.random.default_rng(RANDOM_SEED)
    many, one = (_buffer_on(TradingVecEnv(k, tape, settings), n, rng) for k in (FILLERS, 1))
    buffer, step = many
    while buffer.size() < n:
        buffer.add(*step(rng.integers(0, 3, FILLERS)))
    full, (alone, step_alone) = buffer.state(), one
    arguments = step_alone(np.array([2]))
    pending = {name: array for name, array in alone.state().items() if name.startswith("pending")}
    alone.load_state(full | pending)
    alone.source = _Again(alone.source)
    return alone, arguments


def _buffer_on(
    env: TradingVecEnv, n: int, rng: np.random.Generator
) -> tuple[RegimeReplayBuffer, Callable[[np.ndarray], tuple[Any, ...]]]:
    """An empty buffer that records `env`, and a function that steps and returns what `add` takes."""
    source = record_steps(env)
    buffer = RegimeReplayBuffer(
        n,
        env.observation_space,
        env.action_space,
        "cpu",
        env.num_envs,
        rng=rng,
        settings=ReplaySettings(kind="regime", alpha=ALPHA, beta=BETA),
        source=source,
    )
    env.reset()

    def step(actions: np.ndarray) -> tuple[Any, ...]:
        observed, rewards, dones, infos = env.step(actions)
        return observed, observed, actions, rewards, dones, infos

    return buffer, step


def _our_cycles(n: int, sizes: Sizes) -> Work:
    buffer, arguments = _our_buffer(n, sizes)
    errors = np.random.default_rng(RANDOM_SEED).standard_normal(BATCH)

    def cycle() -> None:
        buffer.add(*arguments)
        batch = buffer.draw(BATCH)
        buffer.update_priorities(batch.slots, batch.born, errors)

    return _repeated(cycle)


# --- peers ---------------------------------------------------------------------------------------


def _cpprb_cycles(n: int, sizes: Sizes) -> Work:
    from cpprb import PrioritizedReplayBuffer

    window = {"shape": (sizes.window, sizes.n_features), "dtype": np.float32}
    number = {"dtype": np.float32}
    fields = {"obs": window, "next_obs": window, "act": {"dtype": np.int32}, "rew": number, "done": number}
    buffer = PrioritizedReplayBuffer(n, fields, alpha=ALPHA)
    many, one = _windows(sizes, FILLERS), _windows(sizes, 1)[0]
    zeros = np.zeros(FILLERS)
    for _ in range(n // FILLERS):
        buffer.add(obs=many, next_obs=many, act=zeros, rew=zeros, done=zeros)
    errors = np.abs(np.random.default_rng(RANDOM_SEED).standard_normal(BATCH))

    def cycle() -> None:
        buffer.add(obs=one, next_obs=one, act=1, rew=0.0, done=0.0)
        batch = buffer.sample(BATCH, beta=BETA)
        buffer.update_priorities(batch["indexes"], errors)

    return _repeated(cycle)


def _sb3_buffer(n: int, sizes: Sizes) -> Any:
    from stable_baselines3.common.buffers import ReplayBuffer

    space = spaces.Box(-np.inf, np.inf, (sizes.window, sizes.n_features), np.float32)
    return ReplayBuffer(n, space, spaces.Discrete(3), "cpu")


def _sb3_cycles(n: int, sizes: Sizes) -> Work:
    buffer = _sb3_buffer(n, sizes)
    window, one, no = _windows(sizes, 1), np.ones(1), np.zeros(1)
    for _ in range(n):
        buffer.add(window, window, one, one, no, [{}])

    def cycle() -> None:
        buffer.add(window, window, one, one, no, [{}])
        buffer.sample(BATCH)

    return _repeated(cycle)


def _windows(sizes: Sizes, n: int) -> np.ndarray:
    shape = (n, sizes.window, sizes.n_features)
    return np.random.default_rng(RANDOM_SEED).standard_normal(shape, dtype=np.float32)
