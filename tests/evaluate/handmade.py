"""Trajectories made by hand."""

import numpy as np

from regimegym.common.actions import Action
from regimegym.common.policy import Decision
from regimegym.envs.trades import FILL_DTYPE
from regimegym.evaluate.trajectory import Trajectory
from regimegym.features.tape import MarketTape, Segment

HOUR_NS = 3_600_000_000_000


def make_fills(*fills) -> np.ndarray:
    """Fills from (step, row, side, units, mid, price, fee, reason)."""
    return np.array(list(fills), dtype=FILL_DTYPE)


def make_trajectory(equity, exposure=None, fills=None, cash=None, units=None, regimes=None, periods=252.0, first_row=0):
    """A trajectory around an equity curve; what is not given is flat."""
    equity = np.asarray(equity, dtype=np.float64)
    n = len(equity) - 1
    zeros = np.zeros(n + 1)
    return Trajectory(
        first_row=first_row,
        timestamps=np.arange(n + 1, dtype=np.int64) * HOUR_NS,
        timeframe_ns=HOUR_NS,
        close=np.full(n + 1, 100.0),
        equity=equity,
        cash=equity.copy() if cash is None else np.asarray(cash, dtype=np.float64),
        units=zeros if units is None else np.asarray(units, dtype=np.float64),
        exposure=zeros if exposure is None else np.asarray(exposure, dtype=np.float64),
        regimes=np.full(n, 3, dtype=np.int8) if regimes is None else np.asarray(regimes, dtype=np.int8),
        actions=np.zeros(n, dtype=np.int64),
        log_returns=np.log(np.maximum(equity[1:], 1e-3 * equity[:-1]) / equity[:-1]),
        shaped_rewards=np.zeros(n),
        fills=make_fills() if fills is None else fills,
        periods_per_year=periods,
        terminated=False,
    )


def make_tape(
    close,
    open_=None,
    n_features=3,
    periods=8766.0,
    first_row=0,
    timeframe_ns=HOUR_NS,
    regimes=None,
    spread=0.0,
):
    """A tape of one segment around `close`; bars open at the last close unless told otherwise."""
    close = np.asarray(close, dtype=np.float64)
    n = len(close)
    opened = np.concatenate([close[:1], close[:-1]]) if open_ is None else np.asarray(open_, dtype=np.float64)
    rng = np.random.default_rng(0)
    return MarketTape(
        timestamps=np.arange(n, dtype=np.int64) * timeframe_ns,
        open=opened,
        high=np.maximum(opened, close),
        low=np.minimum(opened, close),
        close=close,
        volume=np.zeros(n),
        half_spread_open=np.full(n, spread),
        half_spread_close=np.full(n, spread),
        features=rng.normal(size=(n, n_features)).astype(np.float32),
        feature_names=tuple(f"f{i}" for i in range(n_features)),
        regimes=(np.arange(n) // 25 % 4 if regimes is None else np.asarray(regimes)).astype(np.int8),
        regime_probabilities=np.full((n, 4), 0.25, dtype=np.float32),
        segments=(Segment("HAND", 0, n, first_row),),
        segment_start=np.zeros(n, dtype=np.int64),
        periods_per_year=periods,
        timeframe_ns=timeframe_ns,
    )


def random_tape(n, random_seed=0, volatility=0.01, drift=0.0, **kwargs):
    """A tape of a random walk with gaps between close and open."""
    rng = np.random.default_rng(random_seed)
    close = 100 * np.exp(np.cumsum(rng.normal(drift, volatility, n)))
    opened = np.concatenate([close[:1], close[:-1]]) * np.exp(rng.normal(0, volatility / 3, n))
    return make_tape(close, opened, **kwargs)


class WindowPolicy:
    """Decides from the window and the account alone, as a network would: long while a feature is high."""

    def act(self, observations, state, episode_starts):
        market, account = observations["market"], observations["account"]
        score = market[:, -5:, 0].mean(axis=1) - 0.2 * account[:, 0]
        return Decision(np.where(score > 0.1, Action.BUY, np.where(score < -0.1, Action.SELL, Action.HOLD))), state


class TabledWindowPolicy(WindowPolicy):
    """The same decisions from rows of a tape, and a count of how often it was bound."""

    def __init__(self):
        self.n_bound = 0

    def on_tape(self, tape, start, stop):
        self.n_bound += 1
        return _Bound(tape)


class _Bound:
    def __init__(self, tape):
        self.tape = tape

    def act(self, observations, state, episode_starts):
        market = self.tape.windows(observations["row"], 30)
        return WindowPolicy().act({"market": market, "account": observations["account"]}, state, episode_starts)
