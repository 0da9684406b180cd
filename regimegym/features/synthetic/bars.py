"""From a synthetic log-price path to valid bars."""

import numpy as np

from regimegym.common.errors import ConfigError
from regimegym.features.bars import NS_PER_SECOND, Bars
from regimegym.features.synthetic.processes import bridge_extremes

HOUR_NS = 3600 * NS_PER_SECOND
HOURS_PER_YEAR = 8760.0  # a calendar without nights and weekends
START_NS = 1_577_836_800 * NS_PER_SECOND  # 2020-01-01 00:00 UTC
START_PRICE = 100.0
SYMBOL = "SYNTHETIC"
USUAL_VOLUME = 1000.0
FARTHEST = 300.0  # log price; beyond it a price, or the square of one, is no float64 any more


def bars_from_log_prices(
    log_close: np.ndarray,
    bar_sd: np.ndarray,
    rng: np.random.Generator,
    *,
    gap_share: float = 0.0,
    source: str,
) -> Bars:
    """Hourly bars of the symbol SYNTHETIC from 2020-01-01, 100 being the price of log 0.

    Args:
        log_close: (T,) log closes.
        bar_sd: (T,) standard deviation of the log price inside each bar, for high and low.
        rng: draws the opens, the extremes and the volume.
        gap_share: standard deviation of open against the close before it, as a share of bar_sd.
        source: name of the generator.

    The volume is log-normal and larger on bars that move more than usual.

    Raises:
        ConfigError: `price-out-of-range` where the settings lead prices out of what a float holds.
    """
    before = log_before(log_close)
    log_open = before + gap_share * bar_sd * rng.standard_normal(len(log_close))
    return bars_from_opens_and_closes(log_open, log_close, bar_sd, rng, source=source)


def bars_from_opens_and_closes(
    log_open: np.ndarray,
    log_close: np.ndarray,
    bar_sd: np.ndarray,
    rng: np.random.Generator,
    *,
    volume_factor: np.ndarray | float = 1.0,
    spread: np.ndarray | None = None,
    source: str,
) -> Bars:
    """As `bars_from_log_prices`, with given opens.

    Args:
        log_open, log_close, bar_sd: (T,) as there.
        rng: draws the extremes and the volume.
        volume_factor: multiple of the usual volume, (T,) or one for all.
        spread: (T,) quoted spread as a share of the price, or None for no quotes.
        source: name of the generator.
    """
    n_bars = len(log_close)
    if not max(np.abs(log_open).max(), np.abs(log_close).max()) < FARTHEST:
        raise ConfigError(
            "price-out-of-range",
            f"log prices of this world go beyond ±{FARTHEST:g}",
            help=("use fewer bars, or less drift or volatility",),
        )
    log_high, log_low = bridge_extremes(log_open, log_close, bar_sd, rng)
    moved = np.minimum(np.abs(log_close - log_open), 5.0 * bar_sd) / np.where(bar_sd > 0, bar_sd, 1.0)
    volume = USUAL_VOLUME * volume_factor * np.exp(0.3 * moved + 0.3 * rng.standard_normal(n_bars))
    open_, close = START_PRICE * np.exp(log_open), START_PRICE * np.exp(log_close)
    # exp may move an extreme to the wrong side of open or close by one rounding.
    high = np.maximum(START_PRICE * np.exp(np.minimum(log_high, FARTHEST)), np.maximum(open_, close))
    low = np.minimum(START_PRICE * np.exp(np.maximum(log_low, -FARTHEST)), np.minimum(open_, close))
    return Bars(
        timestamps=START_NS + HOUR_NS * np.arange(n_bars, dtype=np.int64),
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        symbol=SYMBOL,
        timeframe_ns=HOUR_NS,
        periods_per_year=HOURS_PER_YEAR,
        spread_open=None if spread is None else spread * open_,
        spread_close=None if spread is None else spread * close,
        source=source,
    )


def log_before(log_close: np.ndarray) -> np.ndarray:
    """Log price at which each bar begins (T,): the close before it, 0 for the first."""
    return np.concatenate([[0.0], log_close[:-1]])
