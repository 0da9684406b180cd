"""Further instruments to learn from: their bars before validation join the training tape, nothing else changes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from regimegym.common.checks import check_list
from regimegym.common.errors import ConfigError, DataError
from regimegym.features.bars import Bars
from regimegym.features.durations import timeframe_words
from regimegym.features.loading import load_bars
from regimegym.features.market import Market, build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.regimes import RegimeSettings
from regimegym.features.scaling import Scaler
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape, join_tapes, rows_of_tape


def load_further(paths: Sequence[str], main: Bars) -> list[Bars]:
    """The bars of the files `paths`, their names and dialects found out, times without a zone in UTC.

    Raises:
        ConfigError: the same instrument in bars of the same length twice, `main` counted in.
        DataError: with file, row and column.
    """
    check_list("also_learn_from", paths)
    found = [load_bars(path) for path in paths]
    seen = {_name(main): main.source}
    for path, bars in zip(paths, found, strict=True):
        name = _name(bars)
        if name in seen:
            raise ConfigError(
                "instrument-twice",
                f"'also_learn_from' names {' '.join(name)} again: {path}",
                needed="every instrument and length of bars once",
                found=f"{seen[name]} holds it already",
                help=("a file's name is its instrument's: rename one of them",),
            )
        seen[name] = str(path)
    return found


def further_markets(
    further: Sequence[Bars], main: Market, regimes: RegimeSettings, features: FeatureSettings
) -> list[Market]:
    """Each of `further` with the features of `main`, under its regime thresholds.

    Raises:
        DataError: an instrument lacks the input of a feature.
    """
    wanted = replace(features, names=main.table.names, missing="raise")
    return [prepare_market(bars, regimes, wanted) for bars in further]


def training_end(market: Market, train: RowRange) -> int:
    """When the last training bar closes, UTC nanoseconds: nothing that is learned from closes later."""
    return int(market.bars.timestamps[train.stop - 1]) + market.bars.timeframe_ns


def joined_training_tape(
    further: Sequence[Market], main: MarketTape, train: RowRange, end: int, scaler: Scaler, least: int
) -> tuple[MarketTape, RowRange]:
    """One tape of the training rows of `main` and of what `further` holds up to the same moment, and its rows.

    The scaler is that of `main`, frozen. A bar of another instrument joins when it has closed by `end`, the end
    of the last training bar: where markets move together, later ones would tell of validation.

    Args:
        least: rows that an episode needs.

    Raises:
        DataError: an instrument has too few bars before that moment.
    """
    tapes = [_rows_until(main, end)]
    for market in further:
        bars = market.bars
        first = np.datetime64(int(bars.timestamps[0]), "ns")
        tape = _rows_until(build_tape(market, scaler), end)
        if not any(segment.stop - segment.first_row >= least for segment in tape.segments):
            raise DataError(
                "too-few-bars",
                f"{bars.symbol} gives nothing to learn from before validation begins",
                needed=f"an episode of {least:,} bars behind the warm-up that ends by {np.datetime64(end, 'ns')!s:.16}",
                found=f"{bars.source}: from {first!s:.16}, {len(tape):,} bars by then",
                help=("leave the file out of also_learn_from, or env.episode.length=…",),
            )
        tapes.append(tape)
    joined = join_tapes(tapes)
    return joined, RowRange(train.start, len(joined))


def _rows_until(tape: MarketTape, end: int) -> MarketTape:
    """The rows of `tape` whose bars have closed by `end`, UTC nanoseconds."""
    lengths = np.array([tape.segment_of(segment.start).timeframe_ns for segment in tape.segments], np.int64)
    counts = [segment.stop - segment.start for segment in tape.segments]
    stop = int(np.searchsorted(tape.timestamps + np.repeat(lengths, counts), end, side="right"))
    segments = tuple(
        segment._replace(stop=min(segment.stop, stop)) for segment in tape.segments if segment.first_row < stop
    )
    return rows_of_tape(tape, np.arange(segments[-1].stop if segments else 0), segments=segments)


def _name(bars: Bars) -> tuple[str, str]:
    return bars.symbol, timeframe_words(bars.timeframe_ns)


def further_paths(config: object) -> list[str]:
    """`also_learn_from` of a composed configuration; runs of earlier versions have none."""
    return [str(Path(path)) for path in getattr(config, "also_learn_from", None) or ()]
