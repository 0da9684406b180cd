"""A tiny market for tests of the agents: long or flat, close to close, one account field."""

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from regimegym.features.tape import MarketTape, Segment


def make_tape(close: np.ndarray, features: np.ndarray, regimes: np.ndarray, first_row: int) -> MarketTape:
    """A one-segment tape around given closes (T,), features (T, F) and regimes (T,)."""
    n = len(close)
    probabilities = np.full((n, 4), 0.25, dtype=np.float32)
    zeros = np.zeros(n)
    return MarketTape(
        timestamps=np.arange(n) * 3_600_000_000_000,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=zeros,
        half_spread_open=zeros,
        half_spread_close=zeros,
        features=features.astype(np.float32),
        feature_names=tuple(f"f{i}" for i in range(features.shape[1])),
        regimes=regimes.astype(np.int8),
        regime_probabilities=probabilities,
        segments=(Segment("TINY", 0, n, first_row),),
        segment_start=np.zeros(n, dtype=np.int64),
        periods_per_year=8760.0,
        timeframe_ns=3_600_000_000_000,
    )


def sine_tape(n: int = 600, period: int = 40, n_features: int = 3) -> MarketTape:
    """A sine of log prices; its features are the last returns, its regime the sign of the slope."""
    log_price = 0.05 * np.sin(2 * np.pi * np.arange(n) / period)
    returns = np.diff(log_price, prepend=log_price[0]) * 100
    features = np.stack([np.roll(returns, i) for i in range(n_features)], axis=1)
    features[: n_features + 1] = 0
    regimes = np.where(returns > 0, 0, 1)
    regimes[: n_features + 1] = -1
    return make_tape(100 * np.exp(log_price), features, regimes, n_features + 1)


class TinyVecEnv(VecEnv):
    """N accounts on a tape; actions HOLD, SELL, BUY; reward 100·(weight·log return − cost·|change|).

    Episodes are truncated after `length` decisions; an account of `doomed` terminates instead.
    """

    def __init__(
        self,
        tape: MarketTape,
        n_envs: int = 4,
        window: int = 8,
        length: int = 64,
        cost: float = 0.0,
        doomed: tuple[int, ...] = (),
    ) -> None:
        self.tape, self.window, self.length, self.cost, self.doomed = tape, window, length, cost, doomed
        space = spaces.Dict(
            {
                "market": spaces.Box(-np.inf, np.inf, (window, tape.n_features), np.float32),
                "account": spaces.Box(-1, 1, (1,), np.float32),
            }
        )
        self.render_mode = None
        super().__init__(n_envs, space, spaces.Discrete(3))
        self.rng = np.random.default_rng(0)

    def seed(self, seed: int | None = None) -> list[int | None]:
        self.rng = np.random.default_rng(seed)
        return [seed] * self.num_envs

    def reset(self) -> dict[str, np.ndarray]:
        self.row = np.zeros(self.num_envs, dtype=np.int64)
        self.weight = np.zeros(self.num_envs, dtype=np.float32)
        self.left = np.zeros(self.num_envs, dtype=np.int64)
        self._begin(np.ones(self.num_envs, dtype=bool))
        return self._observe()

    def _begin(self, who: np.ndarray) -> None:
        first = self.tape.segments[0].first_row
        self.row[who] = self.rng.integers(first, len(self.tape) - self.length, size=who.sum())
        self.weight[who] = 0.0
        self.left[who] = self.length

    def _observe(self) -> dict[str, np.ndarray]:
        return {"market": self.tape.windows(self.row, self.window), "account": self.weight[:, None].copy()}

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = np.asarray(actions)

    def step_wait(self) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]:
        decided = self.row.copy()
        weight = np.select([self.actions == 2, self.actions == 1], [1.0, 0.0], self.weight)
        growth = np.log(self.tape.close[decided + 1] / self.tape.close[decided])
        reward = 100 * (weight * growth - self.cost * np.abs(weight - self.weight))
        self.weight = weight.astype(np.float32)
        self.row = decided + 1
        self.left -= 1
        done = self.left == 0
        infos: list[dict[str, Any]] = [{"row": int(r), "regime": int(self.tape.regimes[r])} for r in decided]
        last = self._observe()
        for i in np.nonzero(done)[0]:
            infos[i]["terminal_observation"] = {key: value[i] for key, value in last.items()}
            infos[i]["TimeLimit.truncated"] = i not in self.doomed
        self._begin(done)
        return self._observe(), reward.astype(np.float32), done, infos

    def close(self) -> None: ...

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        assert method_name == "action_masks"
        return list(self.action_masks())

    def action_masks(self) -> np.ndarray:
        """(N, 3) bool; everything is allowed."""
        return np.ones((self.num_envs, 3), dtype=bool)

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs
