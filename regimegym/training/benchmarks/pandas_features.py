"""The features as one writes them in plain pandas: the peer of the benchmark and the oracle of the tests.

Series that several columns need are made once, and rolling windows are pandas' own. Indicators of
TA-Lib and columns made of regimes are left out on both sides.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import pandas as pd

from regimegym.features.bars import Bars
from regimegym.features.timeframes import COLUMNS, TIMEFRAMES

LN_2 = float(np.log(2.0))
Series = pd.Series


def _log(values: Series) -> Series:
    return Series(np.log(values))


def _root(values: Series) -> Series:
    return Series(np.sqrt(values))


class PandasFeatures:
    """Columns of one frame of bars, oldest first, indexed by the start of the bar (UTC)."""

    def __init__(self, frame: pd.DataFrame, bar: pd.Timedelta) -> None:
        self.frame, self.bar = frame, bar
        self.open, self.high, self.low, self.close = (frame[name] for name in ("open", "high", "low", "close"))
        self.volume = frame["volume"]

    @cached_property
    def logs(self) -> Series:
        """Log close."""
        return _log(self.close)

    @cached_property
    def r(self) -> Series:
        """Log returns."""
        return self.logs.diff()

    @cached_property
    def highs(self) -> Series:
        """Log high."""
        return _log(self.high)

    @cached_property
    def lows(self) -> Series:
        """Log low."""
        return _log(self.low)

    @cached_property
    def ranges(self) -> Series:
        """Log range of each bar."""
        return _log(self.high / self.low)

    @cached_property
    def time(self) -> Series:
        """Row numbers, the x of the regressions."""
        return pd.Series(np.arange(len(self.close), dtype=float), self.close.index)

    @cached_property
    def made(self) -> dict[tuple[str, int], Series]:
        """Rolling series that several columns need, by name and window."""
        return {}

    def once(self, name: str, w: int, make: Callable[[], Series]) -> Series:
        """The series of this name and window, made when it is first asked for."""
        if (name, w) not in self.made:
            self.made[name, w] = make()
        return self.made[name, w]

    def sd(self, w: int) -> Series:
        """Deviation of the last w returns."""
        return self.once("sd", w, lambda: self.r.rolling(w).std(ddof=0))

    def squares(self, w: int) -> Series:
        """Σ r² of the last w returns."""
        return self.once("squares", w, lambda: (self.r**2).rolling(w).sum())

    def path(self, w: int) -> Series:
        """Σ |r| of the last w returns."""
        return self.once("path", w, lambda: self.r.abs().rolling(w).sum())

    def highest(self, w: int) -> Series:
        """Highest log high of the last w bars."""
        return self.once("highest", w, lambda: self.highs.rolling(w).max())

    def lowest(self, w: int) -> Series:
        """Lowest log low of the last w bars."""
        return self.once("lowest", w, lambda: self.lows.rolling(w).min())

    def mean_volume(self, w: int) -> Series:
        """Mean volume of the last w bars."""
        return self.once("mean_volume", w, lambda: self.volume.rolling(w).mean())

    # --- families ----------------------------------------------------------------------------------

    def momentum(self, w: int) -> Series:
        return self.logs.diff(w) / (self.sd(w) * np.sqrt(w))

    def up_share(self, w: int) -> Series:
        return self.r.clip(lower=0).rolling(w).sum() / self.path(w)

    def efficiency(self, w: int) -> Series:
        return self.logs.diff(w).abs() / self.path(w)

    def range_position(self, w: int) -> Series:
        low = self.lowest(w)
        return (self.logs - low) / (self.highest(w) - low)

    def high_gap(self, w: int) -> Series:
        return (self.highest(w) - self.logs) / (self.sd(w) * np.sqrt(w))

    def low_gap(self, w: int) -> Series:
        return (self.logs - self.lowest(w)) / (self.sd(w) * np.sqrt(w))

    def close_z(self, w: int) -> Series:
        rolling = self.logs.rolling(w)
        return (self.logs - rolling.mean()) / rolling.std(ddof=0)

    def raw_slope(self, w: int) -> Series:
        return self.once("slope", w, lambda: self.logs.rolling(w).cov(self.time, ddof=0) * 12.0 / (w * w - 1.0))

    def slope(self, w: int) -> Series:
        return self.raw_slope(w) / (self.sd(w) / np.sqrt(w))

    def fit(self, w: int) -> Series:
        return self.once("fit", w, lambda: self.logs.rolling(w).corr(self.time) ** 2)

    def residual(self, w: int) -> Series:
        rolling = self.logs.rolling(w)
        left = rolling.std(ddof=0) * np.sqrt(1.0 - self.fit(w))
        return (self.logs - rolling.mean() - self.raw_slope(w) * (w - 1) / 2.0) / left

    def volatility(self, w: int) -> Series:
        return self.close.pct_change().rolling(w).std(ddof=0)

    def skew(self, w: int) -> Series:
        return self.r.rolling(w).skew() * (w - 2.0) / np.sqrt(w * (w - 1.0))

    def kurtosis(self, w: int) -> Series:
        return ((self.r.rolling(w).kurt() * (w - 2.0) * (w - 3.0) / (w - 1.0)) - 6.0) / (w + 1.0) + 3.0

    def autocorrelation(self, w: int) -> Series:
        return (self.r * self.r.shift()).rolling(w).sum() / self.squares(w)

    def jump_share(self, w: int) -> Series:
        bipower = (self.r.abs() * self.r.abs().shift()).rolling(w).sum() * np.pi / 2.0
        return 1.0 - bipower / self.squares(w)

    def variance_ratio(self, w: int) -> Series:
        return (self.logs.diff(5) ** 2).rolling(w).sum() / (5.0 * self.squares(w))

    def downside_share(self, w: int) -> Series:
        return (self.r.clip(upper=0) ** 2).rolling(w).sum() / self.squares(w)

    def volatility_of_volatility(self, w: int) -> Series:
        rolling = self.r.abs().rolling(w)
        return rolling.std(ddof=0) / rolling.mean()

    def largest_gain(self, w: int) -> Series:
        return self.r.rolling(w).max() / _root(self.squares(w) / w)

    def largest_loss(self, w: int) -> Series:
        return self.r.rolling(w).min() / _root(self.squares(w) / w)

    def turning_share(self, w: int) -> Series:
        turned = (self.r * self.r.shift() < 0).astype(float).where(self.r.shift().notna())
        return turned.rolling(w).mean()

    def parkinson(self, w: int) -> Series:
        return self.once("parkinson", w, lambda: _root((self.ranges**2).rolling(w).mean() / (4.0 * LN_2)))

    def garman_klass(self, w: int) -> Series:
        body = _log(self.close / self.open) ** 2
        return _root((0.5 * self.ranges**2 - (2.0 * LN_2 - 1.0) * body).rolling(w).mean())

    def rogers_satchell_variances(self) -> Series:
        up = _log(self.high / self.close) * _log(self.high / self.open)
        return up + _log(self.low / self.close) * _log(self.low / self.open)

    def rogers_satchell(self, w: int) -> Series:
        return _root(self.rogers_satchell_variances().rolling(w).mean())

    def yang_zhang(self, w: int) -> Series:
        k = 0.34 / (1.34 + (w + 1.0) / (w - 1.0))
        gaps = _log(self.open / self.close.shift()).rolling(w).var()
        bodies = _log(self.close / self.open).rolling(w).var()
        return _root(gaps + k * bodies + (1.0 - k) * self.rogers_satchell_variances().rolling(w).mean())

    def range_ratio(self, w: int) -> Series:
        return self.parkinson(w) / self.sd(w)

    def range_expansion(self, w: int) -> Series:
        return self.ranges / self.ranges.rolling(w).mean()

    def body_mean(self, w: int) -> Series:
        return self.body().rolling(w).mean()

    def shadow_balance(self, w: int) -> Series:
        return (self.lower_shadow() - self.upper_shadow()).rolling(w).mean()

    def inside_share(self, w: int) -> Series:
        inside = (self.high <= self.high.shift()) & (self.low >= self.low.shift())
        return inside.astype(float).where(self.high.shift().notna()).rolling(w).mean()

    def outside_share(self, w: int) -> Series:
        outside = (self.high > self.high.shift()) & (self.low < self.low.shift())
        return outside.astype(float).where(self.high.shift().notna()).rolling(w).mean()

    def true_range(self, w: int) -> Series:
        before = self.close.shift()
        parts = [self.high - self.low, (self.high - before).abs(), (self.low - before).abs()]
        return pd.concat(parts, axis=1).max(axis=1).where(before.notna()).rolling(w).mean() / self.close

    def momentum_acceleration(self, w: int) -> Series:
        returns = self.logs.diff(w)
        return (returns - returns.shift(w)) / (self.sd(60) * np.sqrt(2.0 * w))

    def volatility_breakout(self, w: int) -> Series:
        return self.r.abs() / _root(self.squares(w) / w)

    def range_breakout(self, w: int) -> Series:
        above = self.logs - self.highest(w).shift()
        below = self.logs - self.lowest(w).shift()
        return (above.clip(lower=0) + below.clip(upper=0)) / (self.sd(w) * np.sqrt(w))

    def average_gap(self, w: int) -> Series:
        return (self.logs - self.logs.ewm(span=w).mean()) / (self.sd(60) * np.sqrt(w))

    def return_1_lag(self, w: int) -> Series:
        return self.r.shift(w) / self.sd(60)

    def volume_surge(self, w: int) -> Series:
        return self.volume / self.mean_volume(w)

    def volume_score(self, w: int) -> Series:
        rolling = self.volume.rolling(w)
        return (self.volume - rolling.mean()) / rolling.std(ddof=0)

    def volume_dispersion(self, w: int) -> Series:
        rolling = self.volume.rolling(w)
        return rolling.std(ddof=0) / rolling.mean()

    def signed_volume(self, w: int) -> Series:
        return Series(np.sign(self.r) * self.volume).rolling(w).sum() / (w * self.mean_volume(w))

    def money_flow(self, w: int) -> Series:
        return (self.close_location() * self.volume).rolling(w).sum() / (w * self.mean_volume(w))

    def volume_impact(self, w: int) -> Series:
        return self.r.abs().rolling(w).corr(self.volume)

    # --- single columns ----------------------------------------------------------------------------

    def body(self) -> Series:
        return (self.close - self.open) / (self.high - self.low)

    def upper_shadow(self) -> Series:
        return (self.high - np.maximum(self.open, self.close)) / (self.high - self.low)

    def lower_shadow(self) -> Series:
        return (np.minimum(self.open, self.close) - self.low) / (self.high - self.low)

    def close_location(self) -> Series:
        return (2.0 * self.close - self.high - self.low) / (self.high - self.low)

    def overlap(self) -> Series:
        common = np.minimum(self.high, self.high.shift()) - np.maximum(self.low, self.low.shift())
        return common / (np.maximum(self.high, self.high.shift()) - np.minimum(self.low, self.low.shift()))

    def opening_gap(self) -> Series:
        return _log(self.open / self.close.shift()) / self.sd(60)

    def keltner_position(self) -> Series:
        ranges = self.ranges.rolling(20).mean()
        return (self.logs - self.logs.ewm(span=20).mean()) / ranges

    def volume_change(self) -> Series:
        return self.volume.diff() / self.mean_volume(20)


FAMILIES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("momentum", "range_position", "slope", "fit", "residual"), (10, 30, 60, 120)),
    **dict.fromkeys(("up_share", "efficiency"), (10, 30, 60)),
    **dict.fromkeys(("high_gap", "low_gap"), (20, 60, 120)),
    **dict.fromkeys(("skew", "kurtosis", "autocorrelation"), (30, 60, 120)),
    **dict.fromkeys(("downside_share", "volatility_of_volatility", "largest_gain", "largest_loss"), (20, 60)),
    **dict.fromkeys(("turning_share", "parkinson", "garman_klass", "rogers_satchell", "yang_zhang"), (20, 60)),
    **dict.fromkeys(("range_ratio", "volatility_breakout", "range_breakout"), (20, 60)),
    "close_z": (10, 40, 60, 120),
    "volatility": (10, 20, 60, 120),
    "jump_share": (30, 60),
    "variance_ratio": (60, 120),
    "range_expansion": (10, 30),
    "body_mean": (5, 20),
    "shadow_balance": (10,),
    "inside_share": (20,),
    "outside_share": (20,),
    "true_range": (14, 50),
    "momentum_acceleration": (5, 20),
    "average_gap": (10, 40),
    "return_1_lag": (1, 2, 3, 4, 5),
    "volume_surge": (10, 20, 60),
    "volume_score": (20, 120),
    "volume_dispersion": (20,),
    "signed_volume": (10, 30),
    "money_flow": (20,),
    "volume_impact": (30,),
}
SINGLE = (
    *("body", "upper_shadow", "lower_shadow", "close_location", "overlap", "opening_gap"),
    *("keltner_position", "volume_change"),
)
BASE_NAMES = (*(f"{family}_{w}" for family, windows in FAMILIES.items() for w in windows), *SINGLE)
NAMES = (*BASE_NAMES, *(f"{column}_{minutes}min" for minutes in TIMEFRAMES for column in COLUMNS))


def base_column(features: PandasFeatures, name: str) -> Series:
    """One of BASE_NAMES."""
    if name in SINGLE:
        return getattr(features, name)()
    family, _, window = name.rpartition("_")
    return getattr(features, family)(int(window))


def pandas_columns(bars: Bars, names: tuple[str, ...] = NAMES) -> pd.DataFrame:
    """The columns `names` of `bars`, as pandas makes them; coarser timeframes by resample and merge_asof."""
    index = pd.to_datetime(bars.timestamps, utc=True)
    frame = pd.DataFrame({n: getattr(bars, n) for n in ("open", "high", "low", "close", "volume")}, index=index)
    features = PandasFeatures(frame, pd.Timedelta(bars.timeframe_ns, "ns"))
    columns = {name: base_column(features, name).to_numpy() for name in names if name in BASE_NAMES}
    for minutes in TIMEFRAMES:
        wanted = [name for name in names if name.endswith(f"_{minutes}min")]
        if wanted:
            seen = coarse_columns(features, minutes, [name.rpartition("_")[0] for name in wanted])
            columns |= {name: seen[name.rpartition("_")[0]].to_numpy() for name in wanted}
    return pd.DataFrame(columns, index=index)[list(names)]


def coarse_columns(features: PandasFeatures, minutes: int, names: list[str]) -> pd.DataFrame:
    """Columns on closed bins, as each base row may see them."""
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    bins = features.frame.resample(f"{minutes}min", label="right", closed="left", origin="start_day").agg(how)
    bins = bins.dropna(subset=["close"])
    closes_at = pd.DatetimeIndex(features.frame.index) + features.bar
    bins = bins[: closes_at[-1]]
    coarse = PandasFeatures(bins, pd.Timedelta(minutes, "min"))
    table = pd.DataFrame({name: base_column(coarse, name) for name in names})
    closes = pd.DataFrame(index=closes_at)
    return pd.merge_asof(closes, table, left_index=True, right_index=True, allow_exact_matches=True)
