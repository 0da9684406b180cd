"""What a feature is: a named, causal, scale-free function of what the market has shown so far."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import ceil, log
from typing import Any, TypeVar

import numpy as np

from regimegym.common.checks import check_choice
from regimegym.common.registry import Registry
from regimegym.features.bars import NS_PER_DAY, Bars
from regimegym.features.external import ExternalSeries
from regimegym.features.regimes import Regimes

SERIES = ("sentiment", "news", "mentions")  # names of external series that features know
NEEDS = ("volume", "quotes", "sizes", "others", *SERIES, "book", "trades", "intraday", "gaps")
Shared = TypeVar("Shared")


@dataclass(frozen=True, eq=False)
class FeatureInputs:
    """All that a feature may look at.

    Attributes:
        bars: T bars of one contiguous segment.
        regimes: their regimes.
        others: bars of other instruments by name; a feature joins them by time, not by row.
        series: external series by name; a value counts from its publication on.
        book, trades: order book snapshots and single trades, None where the data has none.
        part_of: where these are a part: all the inputs, and the row of them that is the first here.
    """

    bars: Bars
    regimes: Regimes
    others: Mapping[str, Bars] = field(default_factory=dict)
    series: Mapping[str, ExternalSeries] = field(default_factory=dict)
    book: Any = None
    trades: Any = None
    part_of: "tuple[FeatureInputs, int] | None" = field(default=None, repr=False)
    _memo: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.bars)

    def rows(self, start: int, stop: int) -> "FeatureInputs":
        """The bars [start, stop) and their regimes, as views; of what all of them shared only `whole` stays."""
        bars, regimes = self.bars.rows(start, stop), self.regimes.rows(start, stop)
        return replace(self, bars=bars, regimes=regimes, part_of=(self, start))

    def whole(self, key: Hashable, make: "Compute") -> np.ndarray:
        """As `shared`, for a step (T,) that remembers all bars before: a part gets its rows of the step of all."""
        if self.part_of is None:
            return self.shared(key, lambda: make(self))
        inputs, start = self.part_of
        return inputs.whole(key, make)[start : start + len(self)]

    def shared(self, key: Hashable, make: Callable[[], Shared]) -> Shared:
        """What `make()` gives, made once per inputs: features share their intermediate steps.

        Every caller with an equal key must mean the same; nobody may write into the result.
        """
        if key not in self._memo:
            self._memo[key] = make()
        return self._memo[key]

    def column(self, name: str) -> np.ndarray:
        """The registered feature `name` on these inputs (T,); computed once, read-only by agreement."""
        return self.shared(("column", name), lambda: FEATURES.get(name).compute(self))

    def put_column(self, name: str, values: np.ndarray) -> None:
        """Tell that the feature `name` has these values (T,), so that nobody computes it again."""
        self._memo["column", name] = values

    @cached_property
    def available(self) -> frozenset[str]:
        """Which of NEEDS this data has; zeros throughout are no volume.

        `intraday`: bars shorter than a day; `gaps`: a bar that opens elsewhere than the last one closed.
        """
        bars = self.bars
        there = {
            "volume": bool(bars.volume.any()),
            "quotes": bars.spread_close is not None,
            "sizes": bars.bid_size is not None and bars.ask_size is not None,
            "others": bool(self.others),
            **{name: name in self.series for name in SERIES},
            "book": self.book is not None,
            "trades": self.trades is not None,
            "intraday": bars.timeframe_ns < NS_PER_DAY,
            "gaps": bool((bars.open[1:] != bars.close[:-1]).any()),
        }
        return frozenset(name for name, is_there in there.items() if is_there)


Compute = Callable[[FeatureInputs], np.ndarray]


@dataclass(frozen=True)
class Feature:
    """A column: `compute(inputs)` gives (T,) float64; the first `warm_up` rows do not count.

    `warm_up` rows may hold anything, NaN too; every later value is finite and uses the past only.

    Attributes:
        name: unique name.
        compute: pure function; must not write into its inputs.
        warm_up: leading rows of a segment without a value.
        memory: bars back from t, t included, on which the value at t depends to within a relative
            1e-9: what a stream must keep. None: all of them.
        needs: which of NEEDS the feature cannot do without.
        scale_free: whether another unit of price, or of volume, leaves it as it is.
        windowed: whether the value at t is made of the last `memory` bars and of `whole` steps alone,
            bit for bit: then tables are made block by block, each in the cache.
    """

    name: str
    compute: Compute
    warm_up: int
    memory: int | None = None
    needs: tuple[str, ...] = ()
    scale_free: bool = True
    windowed: bool = False

    def compute_into(self, inputs: FeatureInputs, out: np.ndarray) -> None:
        """Write the column into `out` (T,)."""
        out[:] = self.compute(inputs)

    @property
    def is_built_in(self) -> bool:
        """Whether it is computed by this package and by nobody else's code."""
        return all(str(function.__module__).startswith("regimegym.") for function in _functions(self.compute))

    def lacks(self, inputs: FeatureInputs) -> list[str]:
        """What of NEEDS, or of the length of a bar, this data does not have."""
        return sorted(set(self.needs) - inputs.available)

    def out_of_proportion(self, bars: Bars) -> list[str]:
        """What speaks against the feature on such bars; only sets that omit features ask."""
        return []

    def warm_up_on(self, inputs: FeatureInputs) -> int:
        """Leading rows of `inputs` without a value; more than there are rows when there is none."""
        return self.warm_up

    def memory_on(self, timeframe_ns: int) -> int | None:
        """`memory` where bars have this length."""
        return self.memory

    def __post_init__(self) -> None:
        for need in self.needs:
            check_choice(f"needs of feature '{self.name}'", need, NEEDS)
        assert self.memory is not None or not self.windowed


def _functions(compute: Any) -> list[Callable[..., Any]]:
    """The function itself, or all that a partial is made of."""
    if not isinstance(compute, partial):
        return [compute]
    parts = [compute.func, *compute.args, *compute.keywords.values()]
    return [function for part in parts if callable(part) for function in _functions(part)]


FEATURES: Registry[Feature] = Registry("feature")


def feature(
    name: str,
    warm_up: int,
    memory: int | None = None,
    needs: Sequence[str] = (),
    scale_free: bool = True,
    windowed: bool = False,
) -> Callable[[Compute], Compute]:
    """Decorator that registers a function of FeatureInputs as the feature `name`; see Feature."""

    def register(compute: Compute) -> Compute:
        FEATURES.register(name)(Feature(name, compute, warm_up, memory, tuple(needs), scale_free, windowed))
        return compute

    return register


def ewma_memory(span: float) -> int:
    """Bars after which an exponential average of this span has forgotten all but 1e-14 of its start."""
    return ceil(34.0 / -log(1.0 - 2.0 / (span + 1.0)))


def wilder_memory(window: int) -> int:
    """The same for Wilder's average, smoothed twice as in the ADX."""
    return 2 * window + ceil(36.0 / -log(1.0 - 1.0 / window))
