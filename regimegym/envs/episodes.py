"""Where episodes begin and end: contiguous pieces of one segment of the tape.

Starts are kept as runs of consecutive rows, so that a tape of a million rows costs a few numbers.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import prod

import numpy as np

from regimegym.common.errors import ConfigError, DataError, nearest_name
from regimegym.common.regimes import N_REGIMES, Regime
from regimegym.envs.draws import draw_below
from regimegym.envs.reset_options import NO_OPTIONS, ResetOptions, utc_nanoseconds
from regimegym.envs.settings import EpisodeSettings
from regimegym.features.durations import timeframe_of, timeframe_words
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape, Segment


class RowRuns:
    """An ordered list of rows, kept as runs [first, first + count) of consecutive ones."""

    def __init__(self, firsts: Iterable[int], counts: Iterable[int]) -> None:
        self.firsts = np.array(list(firsts), np.int64)
        self.ends = np.cumsum(np.array(list(counts), np.int64))  # number of rows up to and including each run
        self._pairs = self.firsts.tolist(), self.ends.tolist()  # bisect is faster on lists

    @classmethod
    def of(cls, rows: np.ndarray) -> "RowRuns":
        """The runs of `rows` (n,), in their order."""
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        edges = np.concatenate([[0], breaks, [len(rows)]]) if len(rows) else np.zeros(1, np.int64)
        return cls(rows[edges[:-1]], np.diff(edges))

    def __len__(self) -> int:
        return self._pairs[1][-1] if self._pairs[1] else 0

    def nth(self, k: int) -> int:
        """The k-th row, 0 ≤ k < len."""
        firsts, ends = self._pairs
        run = bisect_right(ends, k)
        return firsts[run] + k - (ends[run - 1] if run else 0)

    def nth_each(self, k: np.ndarray) -> np.ndarray:
        """`nth` of each of `k` (n,) int64."""
        run = np.searchsorted(self.ends, k, side="right")
        return self.firsts[run] + k - np.where(run > 0, self.ends[run - 1], 0)

    def rows(self) -> np.ndarray:
        """All rows (n,) int64, in order."""
        counts = np.diff(self.ends, prepend=0)
        within = np.arange(len(self)) - np.repeat(self.ends - counts, counts)
        return np.repeat(self.firsts, counts) + within


class EpisodeStarts:
    """The rows on which episodes may begin, and how they are chosen.

    An episode that begins on row s takes its decisions on rows s … end_of(s) − 1 and ends on row
    end_of(s), all within `rows` and one segment, and none before the segment's warm-up ends.

    Args:
        tape: the market.
        rows: rows that may be used.
        settings: length, order, weights and choice of starts.
        only: (n,) tape rows to begin on, instead of `settings.starts`; in this order.

    Raises:
        DataError: no piece of `rows` is long enough for one episode, a given start leaves too
            little room, or no episode is of a weighted symbol, timeframe or regime.
        ConfigError: a symbol or timeframe that the tape does not hold.
    """

    def __init__(
        self, tape: MarketTape, rows: RowRange, settings: EpisodeSettings, only: np.ndarray | None = None
    ) -> None:
        self.tape, self.settings = tape, settings
        self.random = settings.start == "random"
        pieces = [(max(rows.start, segment.first_row), min(rows.stop, segment.stop)) for segment in tape.segments]
        self._first, self._stop = np.array(pieces, np.int64).T
        self._check_room()
        self._runs = self._with_regimes(self._candidates(only))
        self._asked: dict[ResetOptions, RowRuns] = {NO_OPTIONS: self._runs}
        self._pools, chances = self._weighted_pools()
        self._chances = np.cumsum(chances) / sum(chances)

    @property
    def count(self) -> int:
        """Number of rows on which an episode may begin."""
        return len(self._runs)

    def rows(self) -> np.ndarray:
        """All of them, (count,) int64 tape rows."""
        return self._runs.rows()

    def draw(self, generator: np.random.Generator, options: ResetOptions = NO_OPTIONS) -> int:
        """A start row, of one symbol or timeframe where given: every possible one equally likely then."""
        if options != NO_OPTIONS:
            pool = self._asked_for(options)
        elif len(self._pools) == 1:
            pool = self._pools[0]
        else:
            pool = self._pools[int(np.searchsorted(self._chances, generator.random(), side="right"))]
        return pool.nth(int(generator.integers(len(pool))))

    def draw_each(self, generators: Sequence[np.random.Generator]) -> np.ndarray:
        """Start rows (n,), each what `draw` would return of its generator."""
        if len(self._pools) > 1:
            return np.array([self.draw(generator) for generator in generators], np.int64)
        (pool,) = self._pools
        return pool.nth_each(draw_below(generators, len(pool)))

    def tile(self, index: int) -> int:
        """The start row of the `index`-th sequential episode; begins again after the last one."""
        return self._runs.nth(index % len(self._runs))

    def end_of(self, row: int) -> int:
        """The last row of the episode that begins on `row`."""
        if self.settings.length is not None:
            return row + self.settings.length
        return int(self.ends_of(np.array([row]))[0])

    def at(self, options: ResetOptions) -> int:
        """The tape row of `start` in the symbol and timeframe (None where there is one only).

        A row is counted from 0 over their segments; a time stands for the first bar that begins at
        it or later.

        Raises:
            ConfigError: an unknown symbol or timeframe, none where there are several, or a text
                that is no time.
            DataError: no such row, or an episode of the length does not fit behind it.
        """
        assert options.start is not None
        segments, start = self._segments_of(options), options.start
        _check_one("symbol", [segment.symbol for segment in segments])
        _check_one("timeframe", [segment.timeframe for segment in segments])
        row = self._row_at_time(segments, start) if isinstance(start, str) else _row_of_symbol(segments, start)
        return self._checked(row, f"start {start!r} of {segments[0].symbol}")

    # --- which rows --------------------------------------------------------------------------------

    def _candidates(self, only: np.ndarray | None) -> RowRuns:
        if only is not None:
            return RowRuns.of(np.array([self._checked(int(row), f"start row {row}") for row in only], np.int64))
        if self.settings.starts is not None:
            return RowRuns.of(np.array([self.at(ResetOptions(*start)) for start in self.settings.starts], np.int64))
        firsts, stops = self._first, self._stop - self.settings.least_length
        if self.random:
            return RowRuns(firsts, np.maximum(0, stops - firsts))
        steps = self.settings.length or len(self.tape)
        tiles = [np.arange(first, stop, steps) for first, stop in zip(firsts, stops, strict=True)]
        return RowRuns.of(np.concatenate(tiles))

    def _with_regimes(self, runs: RowRuns) -> RowRuns:
        if self.settings.regimes is None:
            return runs
        rows = runs.rows()
        dominant, _ = dominant_regimes(self.tape.regimes, rows, self.ends_of(rows))
        wanted = [Regime[name.upper()] for name in self.settings.regimes]
        chosen = rows[np.isin(dominant, wanted)]
        if not len(chosen):
            counts = np.bincount(dominant, minlength=N_REGIMES)
            raise DataError(
                "no-such-episode",
                f"no episode's dominant regime is {' or '.join(self.settings.regimes)}",
                found=", ".join(f"{Regime(k).name.lower()} {counts[k]:,}" for k in range(N_REGIMES)) + " episodes",
                help=("allow more regimes (env.episode.regimes) or shorten the episode (env.episode.length)",),
            )
        return RowRuns.of(chosen)

    def ends_of(self, rows: np.ndarray) -> np.ndarray:
        """`end_of` each of `rows` (n,)."""
        if self.settings.length is not None:
            return rows + self.settings.length
        return self._stop[np.searchsorted(self._first, rows, side="right") - 1] - 1

    def _weighted_pools(self) -> tuple[list[RowRuns], list[float]]:
        """The rows that are drawn from and their chances: one pool for every combination of weighted names."""
        settings = self.settings
        weights: dict[str, Mapping[str, float]] = {
            name: given
            for name, given in (
                ("symbol", settings.symbol_weights),
                ("timeframe", settings.timeframe_weights),
                ("regime", settings.regime_weights),
            )
            if given is not None
        }
        if not weights:
            return [self._runs], [1.0]
        rows = self._runs.rows()
        is_of = {kind: {name: self._is_of(rows, kind, name) for name in given} for kind, given in weights.items()}
        pools, chances = [], []
        for names in product(*weights.values()):
            chosen = np.logical_and.reduce([is_of[kind][name] for kind, name in zip(weights, names, strict=True)])
            if chosen.any():
                pools.append(RowRuns.of(rows[chosen]))
                chances.append(prod(given[name] for given, name in zip(weights.values(), names, strict=True)))
        if not pools:
            raise DataError("no-such-episode", f"no episode is of a weighted {' and '.join(weights)} at once")
        return pools, chances

    def _is_of(self, rows: np.ndarray, kind: str, name: str) -> np.ndarray:
        """(n,) bool, whether an episode that begins on each of `rows` is of the symbol, timeframe or regime `name`."""
        if kind == "regime":
            found = dominant_regimes(self.tape.regimes, rows, self.ends_of(rows))[0] == Regime[name.upper()]
        else:
            found = self._is_in(self._segments_of(ResetOptions(**{kind: name})), rows)
        if not found.any():
            raise DataError("no-such-episode", f"no episode of {name} fits into the rows")
        return found

    def _asked_for(self, options: ResetOptions) -> RowRuns:
        if options not in self._asked:
            rows = self._runs.rows()
            chosen = rows[self._is_in(self._segments_of(options), rows)]
            if not len(chosen):
                names = " in ".join(name for name in (options.symbol, options.timeframe) if name)
                raise DataError("no-such-episode", f"no episode of {names} fits into the rows")
            self._asked[options] = RowRuns.of(chosen)
        return self._asked[options]

    def _is_in(self, segments: Sequence[Segment], rows: np.ndarray) -> np.ndarray:
        return np.isin(self.tape.segment_start[rows], [segment.start for segment in segments])

    # --- one start ---------------------------------------------------------------------------------

    def _segments_of(self, options: ResetOptions) -> list[Segment]:
        """Those of the symbol and timeframe, of all where None."""
        segments, timeframe = list(self.tape.segments), options.timeframe
        if options.symbol is not None:
            _check_known("symbol", options.symbol, self.tape.symbols)
            segments = [segment for segment in segments if segment.symbol == options.symbol]
        if timeframe is not None:
            words = timeframe_words(timeframe_of(timeframe))
            _check_known("timeframe", words, tuple(dict.fromkeys(segment.timeframe for segment in segments)))
            segments = [segment for segment in segments if segment.timeframe == words]
        return segments

    def _row_at_time(self, segments: Sequence[Segment], text: str) -> int:
        moment = utc_nanoseconds(text)
        for segment in segments:
            row = segment.start + int(np.searchsorted(self.tape.timestamps[segment.start : segment.stop], moment))
            if row < segment.stop:
                return row
        raise DataError("no-such-row", f"no bar of {segments[0].symbol} begins at {text} or later")

    def _checked(self, row: int, what: str) -> int:
        least = self.settings.least_length
        if ((self._first <= row) & (row + least < self._stop)).any():
            return row
        pieces = zip(self._first, self._stop, strict=True)
        fitting = [f"{first} … {stop - least - 1}" for first, stop in pieces if stop - first > least]
        raise DataError(
            "no-such-episode",
            f"no episode of {least} decisions can begin on {what} (row {row} of the tape)",
            needed=f"tape rows {', '.join(fitting)}",
        )

    def _check_room(self) -> None:
        least, longest = self.settings.least_length, int((self._stop - self._first).max())
        if longest < least + 1:
            raise DataError(
                "too-few-rows",
                f"an episode of {least} decisions does not fit into the rows",
                needed=f"{least + 1} rows of one segment after its warm-up",
                found=f"{max(0, longest)} rows at most",
                help=("shorten the episode (env.episode.length) or give more bars",),
            )


def dominant_regimes(regimes: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent causal label of each episode's decisions (rows starts … ends − 1).

    Args:
        regimes: (T,) int8 labels of the tape, codes of Regime; UNKNOWN counts for none.
        starts, ends: (n,) first and last rows of the episodes, starts < ends.

    Returns:
        (n,) int64 codes, the lower one where two are equally frequent, and (n,) float64 shares of
        the decisions.
    """
    best = np.full(len(starts), -1, np.int64)
    dominant = np.zeros(len(starts), np.int64)
    for code in range(N_REGIMES):
        before = np.concatenate([[0], np.cumsum(regimes == code)])
        count = before[ends] - before[starts]
        dominant[count > best] = code
        np.maximum(best, count, out=best)
    return dominant, best / (ends - starts)


def _check_known(kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ConfigError(
            f"unknown-{kind}",
            f"the tape holds no {kind} '{name}'",
            needed=f"one of {', '.join(known)}",
            nearest=nearest_name(str(name), known),
        )


def _check_one(kind: str, found: Sequence[str]) -> None:
    names = tuple(dict.fromkeys(found))
    if len(names) > 1:
        raise ConfigError(
            f"which-{kind}",
            f"'start' needs a '{kind}': the tape holds {len(names)}",
            needed=f"one of {', '.join(names)}",
        )


def _row_of_symbol(segments: Sequence[Segment], row: int) -> int:
    """Tape row of the `row`-th bar of a symbol, counted over its segments."""
    total = sum(segment.stop - segment.start for segment in segments)
    if not 0 <= row < total:
        raise DataError(
            "no-such-row",
            f"{segments[0].symbol} has no row {row}",
            needed=f"0 ≤ start < {total}",
        )
    for segment in segments:
        if row < segment.stop - segment.start:
            break
        row -= segment.stop - segment.start
    return segment.start + row
