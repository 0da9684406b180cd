"""Features of coarser timeframes and changes over durations, seen from the base bars (DEFINITIONS §4).

A bin of `minutes` is labelled with its right edge and holds the bars that start in [label − length,
label). Bins of up to a day start at midnight UTC, longer ones on a fixed grid of Sundays. The row
that closes at c sees the last bin with label ≤ c, so never one that is still open. Empty bins do
not exist. A trading break ends a bin: what comes after it below the same label is another bin, and
no bin holds bars of both sides. In bins of up to a day a break is a step between bars longer than
an hour and than five bars (the night, the weekend), in longer ones a step longer than five days.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numba import njit

from regimegym.common.regimes import N_REGIMES, Regime
from regimegym.features import families, ranges, volumes
from regimegym.features.bars import NS_PER_DAY, NS_PER_SECOND, Bars
from regimegym.features.feature import FEATURES, Compute, Feature, FeatureInputs
from regimegym.features.moving import last_at_or_before
from regimegym.features.regimes import Regimes
from regimegym.features.steps import log_of

NS_PER_MINUTE = 60 * NS_PER_SECOND
NS_PER_HOUR = 60 * NS_PER_MINUTE
SUNDAY_NS = 3 * NS_PER_DAY  # 1970-01-04: weeks of currencies begin on a Sunday evening, all others later
BREAK_BARS = 5  # a step between bars of more than this, and of more than BREAK_NS, is a trading break
BREAK_NS = NS_PER_HOUR  # in bins of up to a day: nights and weekends
LONG_BREAK_NS = 5 * NS_PER_DAY  # in longer bins: an exchange that stayed closed
MOST_BARS = 250  # in a bin of a set that omits what does not suit the data

SOURCES = (families, ranges, volumes)  # must be registered before they are taken to other timeframes
TIMEFRAMES = (5, 15, 30, 60, 240)
LONG_TIMEFRAMES = (1_440, 10_080, 40_320)  # a day, a week, four weeks
COLUMNS = (
    *("momentum_10", "close_z_10", "up_share_10", "range_position_10", "slope_10", "fit_10"),
    *("residual_10", "volatility_10", "range_expansion_10", "close_location", "volume_surge_10"),
)
CHANGES = {"1h": NS_PER_HOUR, "4h": 4 * NS_PER_HOUR, "24h": NS_PER_DAY}


@dataclass(frozen=True, eq=False)
class Bins:
    """Closed bins of one timeframe.

    Attributes:
        bars: B bins as bars; `timestamps` are their left edges, strictly increasing but for bins
            that a trading break divided.
        first, stop: (B,) base rows [first, stop) of each bin.
        of_row: (T,) the last bin that each base row may see; −1 before there is one.
    """

    bars: Bars
    first: np.ndarray
    stop: np.ndarray
    of_row: np.ndarray


def break_ns(timeframe_ns: int, length_ns: int) -> int:
    """Longest step between two bars of one bin that is no trading break, in nanoseconds."""
    return max(BREAK_NS if length_ns <= NS_PER_DAY else LONG_BREAK_NS, BREAK_BARS * timeframe_ns)


def bin_labels(timestamps: np.ndarray, length_ns: int) -> np.ndarray:
    """Right edge of the bin that each bar (T,) starts in, UTC nanoseconds."""
    origin = _origin(length_ns)
    return (timestamps - origin) // length_ns * length_ns + origin + length_ns


def _origin(length_ns: int) -> int:
    """A moment that is the edge of a bin."""
    return 0 if NS_PER_DAY % length_ns == 0 else SUNDAY_NS


def bin_bars(bars: Bars, length_ns: int) -> Bins:
    """The closed bins of `bars`. A bin is closed when its label is not after the last bar's close."""
    times = bars.timestamps
    first = _first_rows(times, length_ns, break_ns(bars.timeframe_ns, length_ns), _origin(length_ns))
    labels, stop = bin_labels(times[first], length_ns), np.append(first[1:], len(times))
    closed = labels <= times[-1] + bars.timeframe_ns
    labels, first, stop = labels[closed], first[closed], stop[closed]
    high, low, volume = _aggregate(bars.high, bars.low, bars.volume, first, stop)
    binned = replace(
        bars,
        timestamps=labels - length_ns,
        open=bars.open[first],
        high=high,
        low=low,
        close=bars.close[stop - 1],
        volume=volume,
        timeframe_ns=length_ns,
        periods_per_year=bars.periods_per_year * bars.timeframe_ns / length_ns,
        spread_open=None,
        spread_close=None,
        funding_rate=None,
        bid_size=None,
        ask_size=None,
    )
    return Bins(binned, first, stop, last_at_or_before(times, labels - bars.timeframe_ns))


@njit(cache=True)
def _first_rows(times: np.ndarray, length_ns: int, longest_step: int, origin: int) -> np.ndarray:
    """Rows of the sorted `times` that open a bin: beyond the last label, or after a trading break."""
    first = np.empty(len(times), np.int64)
    n, label = 0, times[0]
    for t in range(len(times)):
        if times[t] >= label or times[t] - times[t - 1] > longest_step:
            label = (times[t] - origin) // length_ns * length_ns + origin + length_ns
            first[n] = t
            n += 1
    return first[:n].copy()


@njit(cache=True)
def _aggregate(
    high: np.ndarray, low: np.ndarray, volume: np.ndarray, first: np.ndarray, stop: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Highest high, lowest low and volume of the rows [first, stop) of each bin, each (B,)."""
    highest, lowest, total = np.empty(len(first)), np.empty(len(first)), np.empty(len(first))
    for b in range(len(first)):
        top, bottom, traded = high[first[b]], low[first[b]], 0.0
        for t in range(first[b], stop[b]):
            top, bottom, traded = max(top, high[t]), min(bottom, low[t]), traded + volume[t]
        highest[b], lowest[b], total[b] = top, bottom, traded
    return highest, lowest, total


def spread_over_rows(of_bins: np.ndarray, of_row: np.ndarray) -> np.ndarray:
    """The value of the bin that each row sees, (T,); NaN where it sees none."""
    out = np.empty(len(of_row))
    _spread_into(out, of_bins, of_row)
    return out


@njit(cache=True)
def _spread_into(out: np.ndarray, of_bins: np.ndarray, of_row: np.ndarray) -> None:
    for t in range(len(of_row)):
        out[t] = of_bins[of_row[t]] if of_row[t] >= 0 else np.nan


def bins_of(inputs: FeatureInputs, minutes: int) -> tuple[Bins, FeatureInputs]:
    """The closed bins of `inputs` and the inputs that features on them get, whose regimes are unknown."""

    def make() -> tuple[Bins, FeatureInputs]:
        bins = bin_bars(inputs.bars, minutes * NS_PER_MINUTE)
        return bins, FeatureInputs(bins.bars, unknown_regimes(len(bins.bars)))

    return inputs.shared(("bins", minutes), make)


def unknown_regimes(n_bars: int) -> Regimes:
    """Regimes of bars whose regimes nobody asks for."""
    nan = np.full(n_bars, np.nan)
    return Regimes(np.full(n_bars, Regime.UNKNOWN, np.int8), np.full((n_bars, N_REGIMES), 0.25), nan, nan)


@dataclass(frozen=True)
class TimeframeFeature(Feature):
    """A registered feature computed on closed bins of `minutes`; warm_up and memory count bins."""

    of: str = ""
    minutes: int = 0

    def lacks(self, inputs: FeatureInputs) -> list[str]:
        """As Feature; also bars shorter than the bins."""
        lacking = super().lacks(inputs)
        too_long = inputs.bars.timeframe_ns >= self.minutes * NS_PER_MINUTE
        return [*lacking, f"bars below {self.minutes} minutes"] if too_long else lacking

    def out_of_proportion(self, bars: Bars) -> list[str]:
        """Bins of more than 250 bars: their warm-up would eat most of a history."""
        least = self.minutes / MOST_BARS
        return [f"bars of {least:g} minutes or more"] if bars.timeframe_ns < least * NS_PER_MINUTE else []

    def warm_up_on(self, inputs: FeatureInputs) -> int:
        """First row that sees a bin past the warm-up."""
        of_row = bins_of(inputs, self.minutes)[0].of_row
        return int(np.searchsorted(of_row, self.warm_up))

    def compute_into(self, inputs: FeatureInputs, out: np.ndarray) -> None:
        """As Feature, without a column between the bins and `out`."""
        bins, on_bins = bins_of(inputs, self.minutes)
        _spread_into(out, on_bins.column(self.of), bins.of_row)

    def memory_on(self, timeframe_ns: int) -> int | None:
        """Base bars that `memory` bins hold at most, and one bin more that may be open."""
        assert self.memory is not None
        return (self.memory + 1) * -(-self.minutes * NS_PER_MINUTE // timeframe_ns)


@dataclass(frozen=True)
class ChangeFeature(Feature):
    """ln of the close over the last close known `duration_ns` before; at least one duration of history."""

    duration_ns: int = 0

    def lacks(self, inputs: FeatureInputs) -> list[str]:
        """As Feature; also bars shorter than the duration."""
        too_long = inputs.bars.timeframe_ns >= self.duration_ns
        return [f"bars below {self.duration_ns // NS_PER_MINUTE} minutes"] if too_long else super().lacks(inputs)

    def warm_up_on(self, inputs: FeatureInputs) -> int:
        """First row that lies a whole duration behind the first."""
        times = inputs.bars.timestamps
        return int(np.searchsorted(times, times[0] + self.duration_ns))

    def memory_on(self, timeframe_ns: int) -> int | None:
        """Bars that fit into the duration, and the one at its start."""
        return -(-self.duration_ns // timeframe_ns) + 1


def _on_timeframe(inputs: FeatureInputs, of: str, minutes: int) -> np.ndarray:
    bins, on_bins = bins_of(inputs, minutes)
    return spread_over_rows(on_bins.column(of), bins.of_row)


def _change(inputs: FeatureInputs, duration_ns: int) -> np.ndarray:
    times, logs = inputs.bars.timestamps, log_of(inputs, "close")
    then = last_at_or_before(times - duration_ns, times)
    return logs - spread_over_rows(logs, then)


def _register(feature: Feature) -> str:
    FEATURES.register(feature.name)(feature)
    return feature.name


def _timeframe_feature(of: str, minutes: int) -> str:
    base = FEATURES.get(of)
    compute: Compute = partial(_on_timeframe, of=of, minutes=minutes)
    name = f"{of}_{minutes}min"
    return _register(
        TimeframeFeature(name, compute, base.warm_up, base.memory, base.needs, base.scale_free, of=of, minutes=minutes)
    )


TIMEFRAME_NAMES = tuple(
    _timeframe_feature(of, minutes) for minutes in (*TIMEFRAMES, *LONG_TIMEFRAMES) for of in COLUMNS
)
CHANGE_NAMES = tuple(
    _register(ChangeFeature(f"change_{words}", partial(_change, duration_ns=ns), 0, 0, duration_ns=ns))
    for words, ns in CHANGES.items()
)
