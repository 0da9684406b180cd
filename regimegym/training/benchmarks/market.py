"""The one market that all contenders of a benchmark walk on, and how large everything is."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from regimegym.features.bars import NS_PER_SECOND
from regimegym.features.tape import MarketTape, Segment

HOUR_NS = 3600 * NS_PER_SECOND
BARS_PER_YEAR = 8766.0
RANDOM_SEED = 0


@dataclass(frozen=True)
class Sizes:
    """How large the cases are; the defaults are the ones that count.

    Attributes:
        n_bars, n_features, window: market and observation of the stepping cases.
        n_accounts: N of our vector environments.
        peer_batches: sizes at which the peers' vector wrappers are tried; the best one counts.
        tape_bars, tape_features: the tape whose memory is measured.
    """

    n_bars: int = 10_000
    n_features: int = 20
    window: int = 30
    n_accounts: int = 1024
    peer_batches: tuple[int, ...] = (64, 128)
    tape_bars: int = 1_000_000
    tape_features: int = 64

    @property
    def window_bytes(self) -> int:
        """Bytes of one float32 window."""
        return self.window * self.n_features * np.dtype(np.float32).itemsize


def random_tape(n_bars: int, n_features: int) -> MarketTape:
    """An hourly random walk whose features are noise; the same one every time."""
    generator = np.random.default_rng(RANDOM_SEED)
    close = 100.0 * np.exp(np.cumsum(1e-3 * generator.standard_normal(n_bars)))
    start = np.concatenate([[100.0], close[:-1]])
    return MarketTape(
        timestamps=np.arange(n_bars, dtype=np.int64) * HOUR_NS,
        open=start,
        high=1.0005 * np.maximum(start, close),
        low=0.9995 * np.minimum(start, close),
        close=close,
        volume=np.ones(n_bars),
        half_spread_open=np.zeros(n_bars),
        half_spread_close=np.zeros(n_bars),
        features=generator.standard_normal((n_bars, n_features), dtype=np.float32),
        feature_names=tuple(f"feature_{i}" for i in range(n_features)),
        regimes=(np.arange(n_bars) // 50 % 4).astype(np.int8),
        regime_probabilities=np.full((n_bars, 4), 0.25, np.float32),
        segments=(Segment("RANDOM", 0, n_bars, 0),),
        segment_start=np.zeros(n_bars, np.int64),
        periods_per_year=BARS_PER_YEAR,
        timeframe_ns=HOUR_NS,
    )


def frame_of(tape: MarketTape, n_features: int) -> pd.DataFrame:
    """Prices and the first `n_features` features as the table the peers take."""
    prices = {name: getattr(tape, name) for name in ("open", "high", "low", "close", "volume")}
    features = {tape.feature_names[i]: tape.features[:, i] for i in range(n_features)}
    return pd.DataFrame(prices | features, index=pd.to_datetime(tape.timestamps))
