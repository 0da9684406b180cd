"""Scenarios: a policy's market as it was in hard times, and as it never was.

A family plans scenarios by name; each plan builds its own tape when it is asked to, so that one
that cannot be built (too few bars, a feature without its input) leaves the others as they are.
Histories that the model was trained on are marked as seen: they are no test of anything but of
what it does there. Nothing behind the judged part is looked at.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np

from regimegym.common.checks import check_at_least, check_positive
from regimegym.common.errors import DataError
from regimegym.common.seeding import generator
from regimegym.envs.settings import EnvSettings
from regimegym.features.bars import NS_PER_DAY, Bars
from regimegym.features.spans import day, parse_date
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.bars import SYMBOL
from regimegym.features.synthetic.catalogue import draw_world
from regimegym.features.synthetic.world import WorldSettings
from regimegym.features.tape import MarketTape

LEAD_BARS = 600  # bars before a changed part that its features are computed from, besides their warm-up
UNSEEN = ("test", "new")  # parts whose opening is a look


@dataclass(frozen=True, eq=False)
class Scenario:
    """Rows of a tape, and the rules under which they are traded.

    Attributes:
        name: of its own in the suite. group: its family. words: what it is, for people.
        tape: features as the model sees them, with the spreads of the scenario.
        rows: of the decisions and marks.
        settings: account, costs, actions.
        seen: `train`, `validation`, `test`, `new`, or `synthetic`: where its prices come from.
        delay: bars by which every order is late.
        multiple: of the assumed costs, where those are what the scenario changes.
    """

    name: str
    group: str
    words: str
    tape: MarketTape
    rows: RowRange
    settings: EnvSettings
    seen: str
    delay: int = 0
    multiple: float = 1.0


class Plan(NamedTuple):
    """A scenario that can be built."""

    name: str
    group: str
    build: Callable[[], Scenario]


@dataclass(frozen=True, eq=False)
class Ground:
    """What scenarios are made of.

    Attributes:
        bars: the history, row by row that of `tape`.
        tape: it as the model sees it.
        settings: account, costs and actions of the run.
        rows: the part that is judged.
        part: its name.
        spans: rows by the names `train`, `validation`, `test`; empty on data the model never saw.
        as_tape: other bars as the model sees them; raises DataError where a feature lacks its input.
        random_seed: of everything that is drawn.
    """

    bars: Bars
    tape: MarketTape
    settings: EnvSettings
    rows: RowRange
    part: str
    spans: Mapping[str, RowRange]
    as_tape: Callable[[Bars], MarketTape]
    random_seed: int = 0

    def seen(self, rows: RowRange) -> str:
        """The part in which the model saw most: `train` before `validation` before `test`; `new` elsewhere."""
        for name in ("train", "validation", "test"):
            span = self.spans.get(name)
            if span is not None and span.start < rows.stop and rows.start < span.stop:
                return name
        return "new" if not self.spans else "train"

    def generator(self, name: str) -> np.random.Generator:
        """The generator of the scenario `name`."""
        return generator(self.random_seed, f"scenario-{name}")

    def scenario(self, name: str, group: str, words: str, rows: RowRange | None = None, **more: Any) -> Scenario:
        """A scenario on rows of the history as it was; the judged part where `rows` is None."""
        rows = self.rows if rows is None else rows
        given: dict[str, Any] = {"tape": self.tape, "settings": self.settings, "seen": self.seen(rows)} | more
        return Scenario(name=name, group=group, words=words, rows=rows, **given)

    def changed(self, name: str, group: str, words: str, change: Callable[[Bars, int], Bars]) -> Scenario:
        """A scenario on the judged part with other prices.

        Args:
            change: (bars, first) → bars, where the rows from `first` on are the judged part.
        """
        segment = self.tape.segment_of(self.rows.start)
        begin = max(segment.start, self.rows.start - (segment.first_row - segment.start) - LEAD_BARS)
        bars = change(self.bars.rows(begin, self.rows.stop), self.rows.start - begin)
        tape = self.as_tape(bars)
        rows = RowRange(max(self.rows.start - begin, tape.segments[-1].first_row), len(tape))
        if len(tape) != len(bars) or rows.count < 2:
            raise DataError("too-few-bars", f"the changed history of '{name}' has a gap, or too few bars")
        return Scenario(name, group, words, tape, rows, self.settings, self.seen(self.rows))


class Family(Protocol):
    """Scenarios of one kind."""

    def plans(self, ground: Ground) -> list[Plan]:
        """Those that can be tried on this history."""


@dataclass(frozen=True)
class Blocks:
    """The judged part cut into `count` stretches of equal length, one behind the other."""

    count: int = 8
    group: str = "held-out blocks"

    def __post_init__(self) -> None:
        check_at_least("count", self.count, 1)

    def plans(self, ground: Ground) -> list[Plan]:
        """One for each block of two bars or more."""
        edges = np.linspace(ground.rows.start, ground.rows.stop, self.count + 1).astype(np.int64).tolist()
        blocks = [RowRange(*pair) for pair in pairwise(edges)]
        return [self._plan(ground, i, rows) for i, rows in enumerate(blocks) if rows.count >= 2]

    def _plan(self, ground: Ground, i: int, rows: RowRange) -> Plan:
        name = f"block {i + 1} of {self.count}"
        words = f"{_dates(ground.bars, rows)}, bars {rows.start:,} to {rows.stop:,} of the {ground.part} part"
        return Plan(name, self.group, lambda: ground.scenario(name, self.group, words, rows))


CRISES = {
    "dot-com crash": ("2000-03-24", "2002-10-10"),
    "financial crisis": ("2007-10-09", "2009-03-10"),
    "Lehman weeks": ("2008-09-12", "2008-11-21"),
    "flash crash": ("2010-05-03", "2010-07-03"),
    "euro crisis": ("2011-07-22", "2011-10-04"),
    "oil and China": ("2015-08-10", "2016-02-12"),
    "Bitcoin bear market": ("2017-12-17", "2018-12-16"),
    "volatility shock": ("2018-01-26", "2018-04-03"),
    "fourth quarter 2018": ("2018-10-03", "2018-12-25"),
    "covid crash": ("2020-02-19", "2020-03-24"),
    "mining ban": ("2021-05-08", "2021-07-21"),
    "rate shock": ("2022-01-03", "2022-10-13"),
    "Terra collapse": ("2022-05-04", "2022-06-19"),
    "FTX collapse": ("2022-11-05", "2022-11-22"),
}


@dataclass(frozen=True)
class Crises:
    """Falls that history remembers, by date, where the data covers them; from peak to trough.

    Attributes:
        dates: (first day, day behind the last), by name.
        least_bars: fewer bars of the data in a crisis make no scenario.
    """

    dates: Mapping[str, Sequence[str]] = field(default_factory=lambda: dict(CRISES))
    least_bars: int = 20
    group: str = "crises by date"

    def __post_init__(self) -> None:
        check_at_least("least_bars", self.least_bars, 2)

    def plans(self, ground: Ground) -> list[Plan]:
        """Those that lie in one piece of the history, whole or at least half of their days; none in made prices."""
        found: list[Plan] = []
        if ground.bars.symbol == SYMBOL:
            return found
        for name, (first, stop) in self.dates.items():
            begin, end = parse_date(f"{name}, first day", first), parse_date(f"{name}, last day", stop)
            times = ground.bars.timestamps
            rows = _usable(ground, *np.searchsorted(times, [begin, end]).tolist())
            covered = 0 if rows.count < 1 else int(times[rows.stop - 1] - times[rows.start])
            if rows.count >= self.least_bars and 2 * covered >= end - begin - 4 * NS_PER_DAY:
                found.append(self._plan(ground, name, rows))
        return found

    def _plan(self, ground: Ground, name: str, rows: RowRange) -> Plan:
        words = f"{_dates(ground.bars, rows)}, market {_move(ground.bars, rows)}"
        return Plan(name, self.group, lambda: ground.scenario(name, self.group, words, rows))


@dataclass(frozen=True)
class Drawdowns:
    """The deepest falls of the closes in the whole history, found by themselves; peak to trough, without overlap.

    Attributes:
        count: how many, the deepest first.
        least_depth: fall below which nothing is called a crisis, a share of the peak.
        least_bars: a shorter fall is shown with as many bars before its peak.
    """

    count: int = 5
    least_depth: float = 0.05
    least_bars: int = 60
    group: str = "deepest falls"

    def __post_init__(self) -> None:
        check_at_least("count", self.count, 1)
        check_positive("least_depth", self.least_depth)
        check_at_least("least_bars", self.least_bars, 2)

    def plans(self, ground: Ground) -> list[Plan]:
        """The falls that were found."""
        falls = []
        for segment in ground.tape.segments:
            rows = RowRange(segment.first_row, min(segment.stop, ground.rows.stop))
            falls += deepest_falls(ground.tape.close, rows, self.count, self.least_depth)
        falls.sort(key=lambda fall: -fall[0])
        return [self._plan(ground, i, *fall) for i, fall in enumerate(falls[: self.count])]

    def _plan(self, ground: Ground, i: int, depth: float, fall: RowRange) -> Plan:
        segment = ground.tape.segment_of(fall.start)
        rows = RowRange(max(segment.first_row, min(fall.start, fall.stop - self.least_bars)), fall.stop)
        name, words = f"fall {i + 1}", f"{_dates(ground.bars, rows)}, −{100 * depth:.1f} % from peak to trough"
        return Plan(name, self.group, lambda: ground.scenario(name, self.group, words, rows))


def deepest_falls(close: np.ndarray, rows: RowRange, count: int, least: float) -> list[tuple[float, RowRange]]:
    """(depth, rows from peak to trough) of the `count` deepest falls inside `rows` that do not overlap.

    The deepest is found, then what lies before its peak and behind its trough is searched, deepest first.
    """
    waiting = _fall(close, rows)
    found: list[tuple[float, RowRange]] = []
    while waiting and len(found) < count:
        depth, start, stop, part = heapq.heappop(waiting)
        if -depth < least:
            break
        found.append((-depth, RowRange(start, stop)))
        for rest in (RowRange(part.start, start), RowRange(stop, part.stop)):
            for fall in _fall(close, rest):
                heapq.heappush(waiting, fall)
    return found


def _fall(close: np.ndarray, rows: RowRange) -> list[tuple[float, int, int, RowRange]]:
    """[(−depth, peak, row behind the trough, rows)] of the deepest fall inside `rows`; empty without two rows."""
    if rows.count < 2:
        return []
    prices = close[rows.start : rows.stop]
    depths = 1.0 - prices / np.maximum.accumulate(prices)
    trough = int(depths.argmax())
    peak = int(prices[: trough + 1].argmax())
    return [(-float(depths[trough]), rows.start + peak, rows.start + trough + 1, rows)]


WORLD_NAMES = (
    "flash_crash", "gap", "melt_up", "whipsaw", "plateau", "slow_bleed", "liquidity_hole", "volatility_burst",
    "regime_switches", "gbm",
)  # fmt: skip


@dataclass(frozen=True)
class Worlds:
    """Synthetic worlds (docs/worlds.md), `draws` of each, in bars as long as those of the history.

    Attributes:
        names: of registered worlds.
        n_bars: bars that are traded; the warm-up comes before them.
        draws: fresh draws of each.
        settings: of single worlds, by name; the worlds' own defaults otherwise.
    """

    names: Sequence[str] = WORLD_NAMES
    n_bars: int = 2_000
    draws: int = 2
    settings: Mapping[str, WorldSettings] = field(default_factory=dict)
    group: str = "worlds"

    def __post_init__(self) -> None:
        check_at_least("n_bars", self.n_bars, 2)
        check_at_least("draws", self.draws, 1)

    def plans(self, ground: Ground) -> list[Plan]:
        """Every draw of every world."""
        names = [(world, f"{world} {i + 1}") for world in self.names for i in range(self.draws)]
        return [
            Plan(name, self.group, lambda world=world, name=name: self._build(ground, world, name))  # type: ignore[misc]
            for world, name in names
        ]

    def _build(self, ground: Ground, world: str, name: str) -> Scenario:
        segment = ground.tape.segment_of(ground.rows.start)
        n_bars = self.n_bars + segment.first_row - segment.start
        drawn = draw_world(world, n_bars, ground.generator(name), self.settings.get(world)).bars
        times = drawn.timestamps[0] + np.arange(n_bars) * segment.timeframe_ns
        bars = replace(
            drawn,
            timestamps=times,
            timeframe_ns=segment.timeframe_ns,
            periods_per_year=segment.periods_per_year,
            symbol=ground.bars.symbol,
        )
        tape = ground.as_tape(bars)
        rows = RowRange(tape.segments[0].first_row, len(tape))
        words = f"a drawn market with the world's own moves, {rows.count:,} bars"
        return Scenario(name, self.group, words, tape, rows, ground.settings, "synthetic")


def _usable(ground: Ground, start: int, stop: int) -> RowRange:
    """The most of the rows [start, stop), none behind the judged part, that lies in one segment after its warm-up."""
    stop = min(stop, ground.rows.stop)
    cut = [RowRange(max(start, s.first_row), min(stop, s.stop)) for s in ground.tape.segments]
    return max(cut, key=lambda rows: rows.count)


def _dates(bars: Bars, rows: RowRange) -> str:
    return f"{day(bars.timestamps[rows.start])} … {day(bars.timestamps[rows.stop - 1])}"


def _move(bars: Bars, rows: RowRange) -> str:
    change = 100.0 * (bars.close[rows.stop - 1] / bars.close[rows.start] - 1.0)
    return f"{'−' if change < 0 else '+'}{abs(change):.1f} %"
