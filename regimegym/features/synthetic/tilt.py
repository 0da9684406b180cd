"""Real bars bent into trends, plateaus and oscillations: in logs, noise and bar shapes kept.

Every generator draws windows from training rows only and returns a list of episodes: overlapping
copies with their own ids, each behind a lead-in of untouched bars, never joined to one history.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from scipy.signal import lfilter

from regimegym.common.checks import check_at_least, check_number, check_positive
from regimegym.common.errors import DataError
from regimegym.common.regimes import Regime
from regimegym.features.bars import Bars
from regimegym.features.splits import RowRange

PRICES = ("open", "high", "low", "close")
LEAD_IN = 200  # bars of real history before each window: the long window of the regimes
LEAST_SCORE = 3.0  # a made trend moves by at least so many standard deviations of a walk as long
OSCILLATION_MEMORY, PLATEAU_MEMORY = 0.85, 0.8  # share of the distance from the level that a bar leaves


@dataclass(frozen=True, eq=False)
class Episode:
    """A window of bent bars behind its lead-in.

    Attributes:
        id: name of its own, which is also the symbol of its bars.
        kind: the regime it was made for.
        bars: lead-in and window; times are those of the source.
        first_row: first row of `bars` that is bent.
        source_row: row of the source at which the window begins.
    """

    id: str
    kind: Regime
    bars: Bars
    first_row: int
    source_row: int


def synthetic_uptrend(
    bars: Bars,
    train: RowRange,
    rng: np.random.Generator,
    num_samples: int = 1_000,
    window: int = 100,
    strengthening: float = 1.1,
) -> list[Episode]:
    """Windows tilted upwards: a constant is added to every log return.

    The log return over the window becomes strengthening·max(|its own|, LEAST_SCORE·σ·√window).

    Args:
        bars: the source.
        train: its training rows; nothing outside of them is looked at.
        rng: draws the windows.
        num_samples: bent bars in all; the last window is whole, so there may be a few more.
        window: bars of a window.
        strengthening: factor > 0 on the trend.

    Raises:
        DataError: fewer training rows than lead-in and window need, or a window that never moves.
    """
    return _trends(Regime.UPTREND, bars, train, rng, num_samples, window, strengthening)


def synthetic_downtrend(
    bars: Bars,
    train: RowRange,
    rng: np.random.Generator,
    num_samples: int = 1_000,
    window: int = 100,
    strengthening: float = 1.1,
) -> list[Episode]:
    """Windows tilted downwards; see `synthetic_uptrend`."""
    return _trends(Regime.DOWNTREND, bars, train, rng, num_samples, window, strengthening)


def synthetic_plateau(
    bars: Bars,
    train: RowRange,
    rng: np.random.Generator,
    num_samples: int = 1_000,
    window: int = 100,
    noise: float = 0.005,
    band_sd: float = 0.2,
) -> list[Episode]:
    """Windows whose returns shrink and that are drawn back to the level at which they begin.

    Args:
        bars, train, rng, num_samples, window: as for `synthetic_uptrend`.
        noise: greatest deviation of a bar's own log return.
        band_sd: deviation of a bar as a share of the source's, where `noise` allows it.

    Raises:
        DataError: as `synthetic_uptrend`.
    """
    check_positive("noise", noise)
    check_number("band_sd", band_sd, "in (0, 1]", lambda share: 0 < share <= 1)
    made = []
    for episode in _windows(Regime.PLATEAU, bars, train, rng, num_samples, window):
        scale = min(band_sd, noise / _log_returns(episode).std())
        bent = bend(episode.bars, episode.first_row, scale=scale, memory=PLATEAU_MEMORY)
        made.append(replace(episode, bars=bent))
    return made


def synthetic_oscillation(
    bars: Bars, train: RowRange, rng: np.random.Generator, num_samples: int = 1_000, window: int = 100
) -> list[Episode]:
    """Windows with all of their noise that are drawn back to the level at which they begin."""
    return [
        replace(episode, bars=bend(episode.bars, episode.first_row, memory=OSCILLATION_MEMORY))
        for episode in _windows(Regime.OSCILLATING, bars, train, rng, num_samples, window)
    ]


def bend(bars: Bars, first_row: int, *, drift: float = 0.0, scale: float = 1.0, memory: float = 1.0) -> Bars:
    """`bars` whose rows from `first_row` ≥ 1 on follow another path, with the source's own noise.

    d_t = memory·d_{t−1} + scale·r_t + drift, d the log close above that of row first_row − 1 and r
    the source's log returns. All four prices of a bar are multiplied by the same factor; with
    another scale their log distances from the close are scaled too. Quoted spreads keep their
    share of the price, and the volume its value in money.
    """
    rows = slice(first_row, None)
    returns = np.diff(np.log(bars.close))[first_row - 1 :]
    close = bars.close[first_row - 1] * np.exp(lfilter([1.0], [1.0, -memory], scale * returns + drift))
    factor = close / bars.close[rows]
    if scale == 1.0:
        new = {name: getattr(bars, name)[rows] * factor for name in PRICES}
    else:
        new = {name: close * (getattr(bars, name)[rows] / bars.close[rows]) ** scale for name in PRICES}
        new["high"] = np.maximum(new["high"], np.maximum(new["open"], close))  # one rounding of the power
        new["low"] = np.minimum(new["low"], np.minimum(new["open"], close))
    new["volume"] = bars.volume[rows] / factor
    for name in ("spread_open", "spread_close"):
        if getattr(bars, name) is not None:
            new[name] = getattr(bars, name)[rows] * factor
    arrays: dict[str, Any] = {name: np.concatenate([getattr(bars, name)[:first_row], new[name]]) for name in new}
    return replace(bars, **arrays)


def _trends(
    kind: Regime,
    bars: Bars,
    train: RowRange,
    rng: np.random.Generator,
    num_samples: int,
    window: int,
    strengthening: float,
) -> list[Episode]:
    check_positive("strengthening", strengthening)
    direction = 1.0 if kind == Regime.UPTREND else -1.0
    made = []
    for episode in _windows(kind, bars, train, rng, num_samples, window):
        returns = _log_returns(episode)
        least = LEAST_SCORE * returns.std() * np.sqrt(window)
        wanted = direction * strengthening * max(abs(returns.sum()), least)
        tilted = bend(episode.bars, episode.first_row, drift=(wanted - returns.sum()) / window)
        made.append(replace(episode, bars=tilted))
    return made


def _windows(
    kind: Regime, bars: Bars, train: RowRange, rng: np.random.Generator, num_samples: int, window: int
) -> list[Episode]:
    """Untouched windows with their lead-in, begun anywhere they fit, the last place included."""
    check_at_least("num_samples", num_samples, 1)
    check_at_least("window", window, 2)
    if train.count < LEAD_IN + window:
        raise DataError(
            "too-few-bars",
            f"{train.count:,} training rows do not hold a window of {window:,} bars",
            needed=f"{LEAD_IN + window:,} rows, {LEAD_IN} of them before the window",
            found=f"{train.count:,} rows",
        )
    n_windows = -(-num_samples // window)
    starts = rng.integers(train.start + LEAD_IN, train.stop - window + 1, size=n_windows)
    return [_window(kind, bars, int(start), window, number) for number, start in enumerate(starts)]


def _window(kind: Regime, bars: Bars, start: int, window: int, number: int) -> Episode:
    rows = slice(start - LEAD_IN, start + window)
    own = {f.name: getattr(bars, f.name) for f in fields(bars)}
    cut: dict[str, Any] = {name: value[rows] for name, value in own.items() if isinstance(value, np.ndarray)}
    name = f"{bars.symbol}~{kind.name.lower()}-{number:04d}"
    part = replace(bars, **cut, symbol=name, source=f"{bars.source}, rows {rows.start} … {rows.stop - 1}")
    if not np.ptp(part.close[LEAD_IN - 1 :]) > 0:
        raise DataError(
            "flat-window", f"the prices of {bars.symbol} do not move in rows {start} … {start + window - 1}"
        )
    return Episode(name, kind, part, LEAD_IN, start)


def _log_returns(episode: Episode) -> np.ndarray:
    """Log returns (window,) of the window's bars."""
    return np.diff(np.log(episode.bars.close))[episode.first_row - 1 :]
