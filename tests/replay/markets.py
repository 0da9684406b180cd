"""A tape of numbers, a source that replays given steps, and buffers on them."""

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from regimegym.features.tape import MarketTape, Segment
from regimegym.replay.regime import RegimeReplayBuffer
from regimegym.replay.settings import ReplaySettings

T, F, W, K, GAMMA = 200, 3, 6, 2, 0.9


def number_tape(random_seed: int = 1, n_rows: int = T, regimes: np.ndarray | None = None) -> MarketTape:
    """Random features and regimes (some of them unknown) in two segments."""
    rng = np.random.default_rng(random_seed)
    ones, zeros = np.ones(n_rows), np.zeros(n_rows)
    half = n_rows // 2
    return MarketTape(
        timestamps=np.arange(n_rows),
        open=ones,
        high=ones,
        low=ones,
        close=ones,
        volume=zeros,
        half_spread_open=zeros,
        half_spread_close=zeros,
        features=rng.normal(size=(n_rows, F)).astype(np.float32),
        feature_names=("a", "b", "c"),
        regimes=rng.integers(-1, 4, size=n_rows).astype(np.int8) if regimes is None else regimes.astype(np.int8),
        regime_probabilities=np.full((n_rows, 4), 0.25, dtype=np.float32),
        segments=(Segment("X", 0, half, 0), Segment("Y", half, n_rows, half)),
        segment_start=np.repeat([0, half], [half, n_rows - half]),
        periods_per_year=252.0,
        timeframe_ns=1,
    )


class Given(NamedTuple):
    """One step of N accounts."""

    reference: np.ndarray
    account: np.ndarray
    next_account: np.ndarray


class GivenSource:
    """Hands the steps on as they are given; blocks are what was packed."""

    size = K

    def __init__(self, tapes: list[MarketTape]) -> None:
        self.tapes = tapes
        self.step: Given | None = None

    def last_step(self, obs: Any, next_obs: Any, infos: Any) -> Given:
        assert self.step is not None
        return self.step

    def write_blocks(self, packed: np.ndarray, out: np.ndarray) -> None:
        out[:] = packed


SPACE = spaces.Dict(
    {
        "market": spaces.Box(-np.inf, np.inf, (W, F), np.float32),
        "account": spaces.Box(-1, 1, (K,), np.float32),
    }
)


def make_buffer(
    tapes: list[MarketTape], size: int = 1000, n_envs: int = 3, n_steps: int = 1, random_seed: int = 0, **settings: Any
) -> RegimeReplayBuffer:
    """A buffer on a GivenSource; `settings` are those of ReplaySettings."""
    return RegimeReplayBuffer(
        size,
        SPACE,
        spaces.Discrete(3),
        device="cpu",
        n_envs=n_envs,
        rng=np.random.default_rng(random_seed),
        settings=ReplaySettings(**settings),
        source=GivenSource(tapes),
        n_steps=n_steps,
        gamma=GAMMA,
    )


def feed(buffer: RegimeReplayBuffer, steps: Any) -> None:
    """Add steps (reference, account, action, reward, next account, ended, cut), each of N accounts."""
    for row, account, action, reward, nxt, ended, cut in steps:
        buffer.source.step = Given(row, account, nxt)
        buffer.add(None, None, action, reward, ended, [{"TimeLimit.truncated": bool(c)} for c in cut])


def feed_rows(buffer: RegimeReplayBuffer, rows: np.ndarray, rewards: np.ndarray | None = None) -> None:
    """Add one-step transitions of the accounts at the given rows (M,), N at a time."""
    n = buffer.n_envs
    assert len(rows) % n == 0
    rewards = np.zeros(len(rows)) if rewards is None else rewards
    zeros, no = np.zeros((n, K), np.float32), np.zeros(n, bool)
    for i in range(0, len(rows), n):
        feed(buffer, [(rows[i : i + n], zeros, np.zeros(n, int), rewards[i : i + n], zeros, no, no)])
