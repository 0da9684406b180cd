"""Tiny hand-made tapes for tests."""

import numpy as np

from regimegym.features.tape import MarketTape, Segment

HOUR_NS = 3_600_000_000_000


def make_tape(
    open_,
    high,
    low,
    close,
    *,
    half_spread_open=None,
    half_spread_close=None,
    volume=None,
    funding_rate=None,
    regimes=None,
    timestamps=None,
    features=None,
    segments=None,
    periods_per_year=8760.0,
):
    """A tape over given prices; features default to two columns of finite numbers."""
    n = len(close)
    close = np.asarray(close, float)
    if features is None:
        features = np.stack([np.sin(np.arange(n)), np.arange(n) / n], axis=1).astype(np.float32)
    segments = segments or (Segment("TEST", 0, n, 0),)
    segment_start = np.concatenate([np.full(s.stop - s.start, s.start, np.int64) for s in segments])
    return MarketTape(
        timestamps=np.arange(n, dtype=np.int64) * HOUR_NS if timestamps is None else timestamps,
        open=np.asarray(open_, float),
        high=np.asarray(high, float),
        low=np.asarray(low, float),
        close=close,
        volume=np.ones(n) if volume is None else np.asarray(volume, float),
        half_spread_open=np.zeros(n) if half_spread_open is None else np.asarray(half_spread_open, float),
        half_spread_close=np.zeros(n) if half_spread_close is None else np.asarray(half_spread_close, float),
        features=features,
        feature_names=tuple(f"f{i}" for i in range(features.shape[1])),
        regimes=(np.arange(n) // 3 % 4).astype(np.int8) if regimes is None else np.asarray(regimes, np.int8),
        regime_probabilities=np.full((n, 4), 0.25, np.float32),
        segments=tuple(segments),
        segment_start=segment_start,
        periods_per_year=periods_per_year,
        timeframe_ns=HOUR_NS,
        funding_rate=None if funding_rate is None else np.asarray(funding_rate, float),
    )


def random_tape(n=400, seed=0, volatility=0.02, **changes):
    """A valid random market of `n` bars with gaps at the open."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(volatility * rng.standard_normal(n)))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(0.3 * volatility * rng.standard_normal(n))
    high = np.maximum(open_, close) * np.exp(volatility * rng.random(n))
    low = np.minimum(open_, close) * np.exp(-volatility * rng.random(n))
    changes.setdefault("half_spread_open", 0.002 * rng.random(n))
    changes.setdefault("half_spread_close", 0.002 * rng.random(n))
    changes.setdefault("regimes", rng.integers(0, 4, n))
    return make_tape(open_, high, low, close, **changes)


def constant_tape(n=60, price=100.0, **changes):
    """A market that never moves."""
    flat = np.full(n, price)
    return make_tape(flat, flat, flat, flat, **changes)
