"""Notes on prices and volume: prices that stand still or leap, splits, cut-off bars."""

from math import ceil, log

import numpy as np
import pandas as pd

from regimegym.features.quality.robust import causal_outliers, past_scale
from regimegym.features.quality.runs import runs
from regimegym.features.quality.subject import Note, Subject, counted

LIMIT = 25.0  # robust deviations of a move that a person should look at
SPIKE = 12.0  # of a move that the next bar takes back
TAKEN_BACK = 0.8  # share of the move
WICK = 6.0  # robust deviations of the range of a bar, and
CALM = 3.0  # times the largest range of the last few bars: a bad tick comes out of a calm market
FEW = 10
PAST, LEAST = 500, 50  # bars that a scale is taken from
GAPS, LEAST_GAPS = 60, 20  # the same for moves over nights and weekends
SPLITS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 50.0, 1.5)
SPLIT_TOLERANCE = 0.04  # relative; a night's ordinary move
CHANCE = 0.01  # expected number of runs this long in the whole file, were repeats independent
NOWHERE = np.empty(0, dtype=np.int64)


def price_notes(subject: Subject) -> list[Note]:
    """Everything odd about the prices and the volume of `subject`."""
    if np.ptp(subject.columns["close"]) == 0:
        return [Note("constant-price", "every close is the same: nothing can be learned from it", NOWHERE)]
    return [
        *stale_prices(subject),
        *zero_volume(subject),
        *leaps(subject),
        *wicks(subject),
        *cut_off_bars(subject),
    ]


def stale_prices(subject: Subject) -> list[Note]:
    """Runs of bars that repeat the one before, longer than chance explains.

    Where a share p of all bars repeats, n bars hold about n·p^k runs of k repeats; runs are named
    from the k on at which that falls below 0.01, and from 3 on.
    """
    same = np.ones(len(subject) - 1, dtype=bool)
    for name in ("open", "high", "low", "close", "volume"):
        if name in subject.columns:
            same &= np.diff(subject.columns[name]) == 0
    first, stop = runs(same)
    if not len(first):
        return []
    # Each run counts once: a single long one must not make itself likely.
    p = min(0.99, len(first) / max(1, len(same) - int(same.sum()) + len(first)))
    long = (stop - first) >= max(3, ceil(log(CHANCE / len(same)) / log(p)))
    sizes = dict(zip((first[long] + 1).tolist(), (stop - first)[long].tolist(), strict=True))

    def text(row: int) -> str:
        return f"{counted(sizes[row], 'bar')} from {subject.time(row)} as the one before, at {_price(subject, row)}"

    sentence = "prices stand still: filled in by the source, or the market was closed"
    return [Note("stale-prices", sentence, first[long] + 1, text)] if long.any() else []


def zero_volume(subject: Subject) -> list[Note]:
    """No volume at all, or bars without volume in a file that has it."""
    volume = subject.columns.get("volume")
    if volume is None or not volume.any():
        return [Note("no-volume", "the file has no volume: features of volume say nothing", NOWHERE)]
    moved = (volume == 0) & (subject.columns["high"] > subject.columns["low"])
    still = (volume == 0) & ~moved
    notes = []
    if still.any():
        sentence = f"{still.mean():.2%} of bars without volume: nothing was traded, or filled in by the source"
        rows = np.flatnonzero(still)
        notes.append(Note("zero-volume", sentence, rows, lambda i: f"no volume at {subject.time(i)}"))
    if moved.any():
        sentence = "the price moved and no volume says why: quotes, not trades"
        rows = np.flatnonzero(moved)
        notes.append(Note("moved-without-volume", sentence, rows, lambda i: f"no volume at {subject.time(i)}"))
    return notes


def leaps(subject: Subject) -> list[Note]:
    """Moves far outside what bars before them did: outliers, spikes taken back at once, splits.

    Moves over nights and weekends are compared with such moves, moves inside sessions with those.
    """
    move, overnight = _moves(subject)
    far = np.zeros(len(move), dtype=bool)
    scale = np.full(len(move), np.nan)
    for kind, window, least in ((~overnight, PAST, LEAST), (overnight, GAPS, LEAST_GAPS)):
        scale[kind] = past_scale(move[kind], window, least)
        far[kind] = causal_outliers(move[kind], window, least, LIMIT)
    far[subject.times - np.roll(subject.times, 1) > 30 * 86_400_000_000_000] = False  # another piece of the file
    spike = _spikes(subject, move, scale) & ~overnight & ~np.roll(overnight, -1)
    split = _splits(subject, scale)
    size = np.abs(move) / scale
    notes = []
    if split.any():
        sentence = "the price leaps by a ratio of whole numbers and stays: a split that is not adjusted for?"
        notes.append(Note("split", sentence, np.flatnonzero(split), lambda i: f"{_change(subject, move, i)}"))
    if spike.any():
        sentence = "the close leaps and the next bar takes it back: a bad tick?"
        rows = np.flatnonzero(spike)
        notes.append(Note("spike", sentence, rows, lambda i: f"{_change(subject, move, i)}, {size[i]:.0f} deviations"))
    rest = far & ~split & ~spike & ~np.roll(spike, 1)
    if rest.any():
        sentence = f"moves beyond {LIMIT:.0f} robust deviations of the bars before: news, or a bad print"
        rows = np.flatnonzero(rest)
        notes.append(
            Note("outlier", sentence, rows, lambda i: f"{_change(subject, move, i)}, {size[i]:.0f} deviations")
        )
    return notes


def _moves(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """(T,) log return of each bar's close (0 for the first), and whether a pause lies before it."""
    move = np.diff(np.log(subject.columns["close"]), prepend=np.log(subject.columns["close"][0]))
    steps = np.diff(subject.times, prepend=subject.times[0] - subject.timeframe_ns)
    return move, steps > subject.timeframe_ns


def _spikes(subject: Subject, move: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(T,) bool: a close beyond SPIKE deviations that no trade of the next bar comes near.

    The next bar confirms: the whole of it lies in the nearer half of the way, and it closes where the
    price came from. A market that falls and recovers trades through the way back.
    """
    high, low = np.log(subject.columns["high"]), np.log(subject.columns["low"])
    came_from = np.roll(np.log(subject.columns["close"]), 1)
    reach = np.where(move > 0, np.roll(high, -1) - came_from, came_from - np.roll(low, -1))
    back = -np.roll(move, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        spike = (np.abs(move) > SPIKE * scale) & (reach < np.abs(move) / 2) & (back / move >= TAKEN_BACK)
    spike[[0, -1]] = False
    return spike


def _splits(subject: Subject, scale: np.ndarray) -> np.ndarray:
    """(T,) bool: the open over the last close is a split's ratio, and the day was an ordinary one.

    Ordinary: money traded within a factor of four of the 20 bars before (a crash draws a crowd), and a
    range of a quarter of the leap at most.
    """
    sessions = subject.sessions
    ordinary = sessions is None or not sessions.around_the_clock or subject.timeframe_ns >= 86_400_000_000_000
    if not ordinary or (sessions is not None and sessions.never_closes):  # only shares are split
        return np.zeros(len(subject), dtype=bool)
    columns = subject.columns
    leap = np.log(columns["open"][1:] / columns["close"][:-1])
    size = np.abs(leap)
    near = np.zeros(len(size), dtype=bool)
    for ratio in SPLITS:
        near |= np.abs(size - log(ratio)) <= SPLIT_TOLERANCE
    near &= np.log(columns["high"] / columns["low"])[1:] <= size / 4
    with np.errstate(invalid="ignore"):
        near &= size > 8 * np.nan_to_num(scale[1:])
    volume = columns.get("volume")
    if volume is not None and volume.any():
        money = volume * columns["close"]
        usual = pd.Series(money).rolling(20, min_periods=1).median().to_numpy()[:-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            near &= np.abs(np.log(money[1:] / usual)) <= log(4)
    return np.concatenate([[False], near])


def wicks(subject: Subject) -> list[Note]:
    """Highs and lows far from open and close, beyond what bars before them did: a single bad tick inside a bar."""
    columns = subject.columns
    above = np.log(columns["high"] / np.maximum(columns["open"], columns["close"]))
    below = np.log(columns["low"] / np.minimum(columns["open"], columns["close"]))
    wick = np.maximum(above, -below)
    span = np.log(columns["high"] / columns["low"])
    usual = past_scale(span, PAST, LEAST)
    widest = pd.Series(span).rolling(FEW).max().shift(1).to_numpy()
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero((wick > WICK * usual) & (wick > CALM * widest))
    if not len(rows):
        return []

    def text(row: int) -> str:
        side, share = ("high", above[row]) if above[row] > -below[row] else ("low", below[row])
        return f"{subject.time(row)}: {side} {columns[side][row]:.10g} is {np.expm1(share):+.1%} from open and close"

    sentence = "highs or lows far from open and close, out of a calm market: a bad tick, or a flash crash"
    return [Note("wick", sentence, rows, text)]


def cut_off_bars(subject: Subject) -> list[Note]:
    """A last bar with hardly any volume: it had not closed when the file was written."""
    volume = subject.columns.get("volume")
    if volume is None or len(volume) < LEAST:
        return []
    before = volume[-PAST - 1 : -1]
    before = before[before > 0]
    if len(before) < LEAST or volume[-1] >= before.min() / 2 or volume[-1] == 0:
        return []
    sentence = "the last bar has less than half of the smallest volume before: it had not closed?"
    return [Note("partial-last-bar", sentence, np.array([len(volume) - 1]), lambda i: f"volume {volume[i]:.6g}")]


def _price(subject: Subject, row: int) -> str:
    return f"{subject.columns['close'][row]:.10g}"


def _change(subject: Subject, move: np.ndarray, row: int) -> str:
    before, after = subject.columns["close"][row - 1], subject.columns["close"][row]
    return f"{subject.time(row)}: close {before:.10g} to {after:.10g} ({np.expm1(move[row]):+.1%})"
