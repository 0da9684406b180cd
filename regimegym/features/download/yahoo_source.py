"""Candles of Yahoo Finance, by way of yfinance."""

from typing import Any

import numpy as np
import pandas as pd

from regimegym.common.errors import ConfigError, DataError, MachineError, nearest_name
from regimegym.features.download.candles import NO_CANDLES, Candles, TransientError

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
# Bar length → its nanoseconds, and the days that one request may span.
TIMEFRAMES = {
    "1m": (60 * SECOND, 7),
    "5m": (300 * SECOND, 59),
    "15m": (900 * SECOND, 59),
    "30m": (1800 * SECOND, 59),
    "1h": (3600 * SECOND, 700),
    "1d": (DAY, 20_000),
    "1wk": (7 * DAY, 20_000),
}
NAMES = ["Open", "High", "Low", "Close", "Volume"]


class YahooFetcher:
    """One ticker; prices are adjusted for splits and dividends.

    Raises:
        MachineError: yfinance is not installed.
        ConfigError: unknown bar length.
    """

    def __init__(self, symbol: str, timeframe: str) -> None:
        self._yfinance = _yfinance()
        if timeframe not in TIMEFRAMES:
            raise ConfigError(
                "unknown-timeframe",
                f"yahoo has no bars of '{timeframe}'",
                needed=f"one of {', '.join(TIMEFRAMES)}",
                nearest=nearest_name(timeframe, TIMEFRAMES),
            )
        self._symbol, self._timeframe = symbol, timeframe
        self.name = f"yahoo {symbol} {timeframe}"
        self.timeframe_ns, self._days = TIMEFRAMES[timeframe]
        self.page_size = max(1, self._days * DAY // self.timeframe_ns)
        self.seconds_between = 1.0

    def fetch(self, since_ns: int, stop_ns: int) -> Candles:
        """As `Fetcher.fetch`."""
        stop_ns = min(stop_ns, since_ns + self._days * DAY)
        failures = self._yfinance.exceptions
        try:
            frame = self._yfinance.Ticker(self._symbol).history(
                start=pd.Timestamp(since_ns, tz="UTC"),
                end=pd.Timestamp(stop_ns, tz="UTC"),
                interval=self._timeframe,
                auto_adjust=True,
                actions=False,
            )
        except failures.YFPricesMissingError:
            return NO_CANDLES
        except failures.YFTickerMissingError as error:
            raise DataError("unknown-symbol", f"Yahoo has no ticker '{self._symbol}': {error}") from error
        except Exception as error:  # limits, and the errors of three network libraries
            raise TransientError(f"{type(error).__name__}: {error}") from error
        if frame is None or frame.empty:
            return NO_CANDLES
        frame = frame.dropna(subset=NAMES[:4])
        return Candles(self._starts(frame.index), frame[NAMES].to_numpy(np.float64))

    def _starts(self, index: pd.DatetimeIndex) -> np.ndarray:
        """UTC nanoseconds; a day is its date, not midnight in New York, as every file of daily bars has it."""
        if self.timeframe_ns >= DAY:
            index = index.tz_localize(None).normalize()
        elif index.tz is not None:
            index = index.tz_convert("UTC").tz_localize(None)
        return index.as_unit("ns").asi8


def _yfinance() -> Any:
    try:
        import yfinance
    except ImportError as error:
        raise MachineError(
            "missing-extra",
            "downloads from Yahoo need yfinance, which is not installed",
            help=('pip install "regime-gym[data]"',),
        ) from error
    yfinance.config.debug.hide_exceptions = False  # otherwise a refusal looks like a history without bars
    return yfinance
