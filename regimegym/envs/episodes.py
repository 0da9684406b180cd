"""Where episodes begin and end: contiguous pieces of one segment of the tape.

Starts are kept as runs of consecutive rows, so that a tape of a million rows costs a few numbers.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from regimegym.common.errors import ConfigError, DataError, nearest_name
from regimegym.common.regimes import N_REGIMES, Regime
from regimegym.envs.settings import EpisodeSettings
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape, Segment

RESET_OPTIONS = ("symbol", "start")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ResetOptions(NamedTuple):
    """Where `reset(options=…)` wants the episode to begin; what is None is chosen as the settings say."""

    symbol: str | None = None
    start: int | str | None = None


NO_OPTIONS = ResetOptions()


def reset_options(options: Mapping[str, Any] | None) -> ResetOptions:
    """The checked options of a reset.

    Raises:
        ConfigError: an unknown name, or a start that is neither a row nor a text.
    """
    options = options or {}
    for name in options:
        if name not in RESET_OPTIONS:
            raise ConfigError(
                "unknown-option",
                f"reset has no option '{name}'",
                needed=" or ".join(RESET_OPTIONS),
                nearest=nearest_name(str(name), RESET_OPTIONS),
            )
    start = options.get("start")
    if isinstance(start, bool) or not isinstance(start, int | np.integer | str | None):
        raise ConfigError("bad-start", f"'start' must be a row of the symbol or a time as text, got {start!r}")
    return ResetOptions(options.get("symbol"), int(start) if isinstance(start, np.integer) else start)


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
            little room, or no episode has one of the wanted regimes.
        ConfigError: a symbol that the tape does not hold.
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
        self._by_symbol: dict[str, RowRuns] = {}
        weights = settings.symbol_weights or {}
        self._pools = [self._of_symbol(symbol) for symbol in weights] or [self._runs]
        chances = np.cumsum(list(weights.values()) or [1.0])
        self._chances = chances / chances[-1]

    @property
    def count(self) -> int:
        """Number of rows on which an episode may begin."""
        return len(self._runs)

    def rows(self) -> np.ndarray:
        """All of them, (count,) int64 tape rows."""
        return self._runs.rows()

    def draw(self, generator: np.random.Generator, symbol: str | None = None) -> int:
        """A start row, of one symbol where given: every possible one equally likely."""
        if symbol is not None:
            pool = self._of_symbol(symbol)
        elif len(self._pools) == 1:
            pool = self._pools[0]
        else:
            pool = self._pools[int(np.searchsorted(self._chances, generator.random(), side="right"))]
        return pool.nth(int(generator.integers(len(pool))))

    def tile(self, index: int) -> int:
        """The start row of the `index`-th sequential episode; begins again after the last one."""
        return self._runs.nth(index % len(self._runs))

    def end_of(self, row: int) -> int:
        """The last row of the episode that begins on `row`."""
        if self.settings.length is not None:
            return row + self.settings.length
        return int(self._ends_of(np.array([row]))[0])

    def at(self, symbol: str | None, start: int | str) -> int:
        """The tape row of `start` in `symbol` (None where the tape holds one only), as EpisodeSettings.starts.

        A time stands for the first bar that begins at it or later.

        Raises:
            ConfigError: an unknown symbol, or a text that is no time.
            DataError: no such row, or an episode of the length does not fit behind it.
        """
        symbol = self._known(self._the_symbol() if symbol is None else symbol)
        segments = [segment for segment in self.tape.segments if segment.symbol == symbol]
        row = self._row_at_time(segments, start) if isinstance(start, str) else _row_of_symbol(segments, int(start))
        return self._checked(row, f"start {start!r} of {symbol}")

    # --- which rows --------------------------------------------------------------------------------

    def _candidates(self, only: np.ndarray | None) -> RowRuns:
        if only is not None:
            return RowRuns.of(np.array([self._checked(int(row), f"start row {row}") for row in only], np.int64))
        if self.settings.starts is not None:
            return RowRuns.of(np.array([self.at(*start) for start in self.settings.starts], np.int64))
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
        dominant, _ = dominant_regimes(self.tape.regimes, rows, self._ends_of(rows))
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

    def _ends_of(self, rows: np.ndarray) -> np.ndarray:
        if self.settings.length is not None:
            return rows + self.settings.length
        return self._stop[np.searchsorted(self._first, rows, side="right") - 1] - 1

    def _of_symbol(self, symbol: str) -> RowRuns:
        if symbol not in self._by_symbol:
            self._known(symbol)
            rows = self._runs.rows()
            starts = np.array([segment.start for segment in self.tape.segments])
            is_its = np.array([segment.symbol == symbol for segment in self.tape.segments])
            self._by_symbol[symbol] = RowRuns.of(rows[is_its[np.searchsorted(starts, rows, side="right") - 1]])
        if not len(self._by_symbol[symbol]):
            raise DataError("no-such-episode", f"no episode of {symbol} fits into the rows")
        return self._by_symbol[symbol]

    # --- one start ---------------------------------------------------------------------------------

    def _known(self, symbol: str) -> str:
        symbols = self.tape.symbols
        if symbol not in symbols:
            raise ConfigError(
                "unknown-symbol",
                f"the tape holds no symbol '{symbol}'",
                needed=f"one of {', '.join(symbols)}",
                nearest=nearest_name(str(symbol), symbols),
            )
        return symbol

    def _the_symbol(self) -> str:
        symbols = self.tape.symbols
        if len(symbols) > 1:
            raise ConfigError(
                "which-symbol",
                f"'start' needs a 'symbol': the tape holds {len(symbols)}",
                needed=f"one of {', '.join(symbols)}",
            )
        return symbols[0]

    def _row_at_time(self, segments: Sequence[Segment], text: str) -> int:
        moment = _nanoseconds(text)
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


def _nanoseconds(text: str) -> int:
    """UTC nanoseconds of an ISO time; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            "bad-time", f"'{text}' is no time", needed="ISO text such as 2024-03-01 or 2024-03-01T16:00Z"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000
