"""Features bar by bar: each new bar gives the row that the whole history would give in one piece.

A feature is computed by the same function as in batch, on the last `memory` bars that its value
depends on. Rows agree with the batch to a relative 1e-9 (exponential averages forget their start
to 1e-14, window sums add in another order), scaled rows of equal values are equal bit by bit.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from regimegym.common.regimes import N_REGIMES
from regimegym.features.bars import Bars
from regimegym.features.external import ExternalSeries
from regimegym.features.feature import FEATURES, Compute, Feature, FeatureInputs
from regimegym.features.interactions import ProductFeature, product
from regimegym.features.regimes import Regimes, RegimeSettings, classify_regimes
from regimegym.features.tail import Bar, BarTail, Rows, bar_at, check_bar
from regimegym.features.timeframes import (
    NS_PER_MINUTE,
    ChangeFeature,
    TimeframeFeature,
    bin_bars,
    bin_labels,
    unknown_regimes,
)

GROUPS = (136, 304, 1_100)  # features whose memories end below the same edge share a tail, and its steps


class StreamedRow(NamedTuple):
    """What one bar gives.

    Attributes:
        values: (F,) float64 unscaled features; all NaN in the warm-up.
        regime: code of Regime, −1 while unknown.
        regime_probabilities: (4,) float64.
    """

    values: np.ndarray
    regime: int
    regime_probabilities: np.ndarray


class Part(NamedTuple):
    """Features that are computed on one tail: its bars, and (column, function) of each."""

    n_bars: int | None
    work: tuple[tuple[int, Compute], ...]


class FeatureStream:
    """Features `names` of one instrument, fed bar by bar; one segment, so no gap may be too long for it.

    Args:
        names: columns, as of the batch table to be continued.
        timeframe_ns: length of a bar in nanoseconds.
        regime_settings: as in batch.
        symbol, periods_per_year: as in Bars.

    `push` in the order of time; a new segment needs a new stream.
    """

    def __init__(
        self,
        names: Sequence[str],
        timeframe_ns: int,
        regime_settings: RegimeSettings | None = None,
        symbol: str = "",
        periods_per_year: float = 1.0,
    ) -> None:
        self._names = list(names)
        self._products = [(i, self._columns_of(FEATURES.get(name))) for i, name in enumerate(names)]
        features = [(i, f) for i, f in enumerate(map(FEATURES.get, self._names)) if not isinstance(f, ProductFeature)]
        coarse = [(i, f) for i, f in features if isinstance(f, TimeframeFeature)]
        base = [(i, f) for i, f in features if not isinstance(f, TimeframeFeature)]
        self._symbol, self._timeframe_ns = symbol, timeframe_ns
        self._settings = regime_settings or RegimeSettings()
        self._parts = _parts([(i, f.compute, f.memory_on(timeframe_ns)) for i, f in base])
        about = (symbol, timeframe_ns, periods_per_year)
        self._coarse = [
            _Timeframe(about, minutes, [(i, f) for i, f in coarse if f.minutes == minutes])
            for minutes in sorted({f.minutes for _, f in coarse})
        ]
        self._regime_bars = self._settings.long_window + 1
        longest = [part.n_bars for part in self._parts] + [level.bars_per_bin for level in self._coarse]
        kept = None if None in longest else max([self._regime_bars, *(n for n in longest if n is not None)])
        self._tail = BarTail(*about, kept)
        self._regimes = Rows(kept, (np.int8, (np.float64, N_REGIMES), np.float64, np.float64))
        self._n_features = len(names)
        self._values = np.full(len(self._names), np.nan)
        self._warm_up = max([self._settings.window, *(f.warm_up for _, f in base)])
        self._durations = [f.duration_ns for _, f in base if isinstance(f, ChangeFeature)]
        self._first: int | None = None

    @property
    def is_warm(self) -> bool:
        """Whether the last pushed bar had a value in every column."""
        last = self._tail.last_timestamp
        return (
            last is not None
            and self._first is not None
            and self._tail.seen > self._warm_up
            and all(level.is_warm for level in self._coarse)
            and all(last - self._first >= duration for duration in self._durations)
        )

    def push(
        self,
        bar: Bar,
        others: Mapping[str, Bars] | None = None,
        series: Mapping[str, ExternalSeries] | None = None,
    ) -> StreamedRow:
        """The row of `bar`, which has just closed.

        Args:
            bar: the next bar.
            others: bars of the other instruments up to now, for features that need them.
            series: external series up to now.

        Raises:
            DataError: the bar breaks the data contract; the stream is as before.
        """
        check_bar(bar, self._tail.last_timestamp, self._symbol)
        self._tail.append(bar)
        self._first = bar.timestamp if self._first is None else self._first
        regime, probabilities = self._push_regime()
        for level in self._coarse:
            level.update(self._tail, self._values)
        if not self.is_warm:
            return StreamedRow(np.full(self._n_features, np.nan), regime, probabilities)
        self._update_base(others or {}, series or {})
        for i, factors in self._products:
            if factors:
                self._values[i] = product([self._values[j] for j in factors])
        return StreamedRow(self._values[: self._n_features].copy(), regime, probabilities)

    def _update_base(self, others: Mapping[str, Bars], series: Mapping[str, ExternalSeries]) -> None:
        """New values of the columns that are made of base bars."""
        bars, regimes = self._tail.bars(), self._regimes.last(None)
        for part in self._parts:
            start = 0 if part.n_bars is None else max(0, len(bars) - part.n_bars)
            inputs = FeatureInputs(
                bars.rows(start, len(bars)), Regimes(*(values[start:] for values in regimes)), others, series
            )
            for i, compute in part.work:
                self._values[i] = compute(inputs)[-1]

    def _columns_of(self, feature: Feature) -> list[int]:
        """Columns of a product's factors; those that nobody asked for stand behind the others."""
        factors = feature.factors if isinstance(feature, ProductFeature) else ()
        self._names += [name for name in dict.fromkeys(factors) if name not in self._names]
        return [self._names.index(name) for name in factors]

    def _push_regime(self) -> tuple[int, np.ndarray]:
        """Label and probabilities of the newest bar, which are kept for the tails."""
        found = classify_regimes(self._tail.bars(self._regime_bars).close, self._settings)
        label, probabilities = int(found.labels[-1]), found.probabilities[-1].copy()
        self._regimes.append([label, probabilities, found.z[-1], found.v[-1]])
        return label, probabilities


def _parts(features: Sequence[tuple[int, Compute, int | None]]) -> list[Part]:
    """Features grouped by how far they look back."""
    groups: dict[int, list[tuple[int, Compute, int | None]]] = {}
    for feature in features:
        memory = feature[2]
        group = len(GROUPS) if memory is None else int(np.searchsorted(GROUPS, memory))
        groups.setdefault(group, []).append(feature)
    parts = []
    for group in sorted(groups):
        memories = [memory for _, _, memory in groups[group]]
        n_bars = None if None in memories else max(memory for memory in memories if memory is not None)
        parts.append(Part(n_bars, tuple((i, compute) for i, compute, _ in groups[group])))
    return parts


class _Timeframe:
    """Closed bins of one coarser timeframe, and the features on them."""

    def __init__(
        self, about: tuple[str, int, float], minutes: int, features: Sequence[tuple[int, TimeframeFeature]]
    ) -> None:
        symbol, base_ns, periods_per_year = about
        self._length_ns, self._base_ns = minutes * NS_PER_MINUTE, base_ns
        self.bars_per_bin = 2 * -(-self._length_ns // base_ns) + 1  # twice: bars may come closer than usual
        self._parts = _parts([(i, FEATURES.get(f.of).compute, f.memory) for i, f in features])
        memories = [f.memory for _, f in features]
        kept = None if None in memories else max(memory for memory in memories if memory is not None)
        self._bins = BarTail(symbol, self._length_ns, periods_per_year * base_ns / self._length_ns, kept)
        self._warm_up = max(f.warm_up for _, f in features)
        self._pending = 0  # base bars that belong to no closed bin yet
        self._label = 0  # of the first of them

    @property
    def is_warm(self) -> bool:
        """Whether a bin past the warm-up is closed."""
        return self._bins.seen > self._warm_up

    def update(self, base: BarTail, values: np.ndarray) -> None:
        """Take in the newest base bar; where it closes a bin, write the new values of this timeframe."""
        newest = base.last_timestamp
        assert newest is not None
        self._pending += 1
        if self._pending == 1:
            self._label = int(bin_labels(np.array([newest]), self._length_ns)[0])
        if self._label > newest + self._base_ns:
            return
        pending = base.bars(self._pending)
        bins = bin_bars(pending, self._length_ns)
        for row in range(len(bins.bars)):
            self._bins.append(bar_at(bins.bars, row))
        self._pending -= int(bins.stop[-1])
        if self._pending:
            self._label = int(bin_labels(pending.timestamps[-self._pending :][:1], self._length_ns)[0])
        for part in self._parts if self.is_warm else ():
            bars = self._bins.bars(part.n_bars)
            inputs = FeatureInputs(bars, unknown_regimes(len(bars)))
            for i, compute in part.work:
                values[i] = compute(inputs)[-1]
