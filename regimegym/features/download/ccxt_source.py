"""Candles of exchanges, by way of ccxt."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from regimegym.common.errors import ConfigError, DataError, MachineError, nearest_name
from regimegym.features.download.candles import Candles, TransientError, candles

NS_PER_MS = 1_000_000
TIMEOUT_MS = 30_000
USUAL_PAGE = 500  # where ccxt does not know what an exchange gives


class CcxtFetcher:
    """One market of one exchange.

    Args:
        exchange: name in ccxt: `binance`, `kraken`, …
        symbol: as ccxt writes it: `BTC/USDT`.
        timeframe: `1m`, `1h`, `1d`, … as the exchange has it.
        api_url: another host that speaks the exchange's interface, `http://host:port`; None asks the exchange.

    Raises:
        MachineError: ccxt is not installed.
        ConfigError: unknown exchange or bar length.
    """

    def __init__(self, exchange: str, symbol: str, timeframe: str, api_url: str | None = None) -> None:
        self._ccxt = _ccxt()
        if exchange not in self._ccxt.exchanges:
            raise ConfigError(
                "unknown-exchange",
                f"ccxt knows no exchange '{exchange}'",
                nearest=nearest_name(exchange, self._ccxt.exchanges),
            )
        self._exchange = getattr(self._ccxt, exchange)({"enableRateLimit": False, "timeout": TIMEOUT_MS})
        if not self._exchange.has.get("fetchOHLCV"):
            raise ConfigError("no-candles", f"{exchange} gives no candles through ccxt")
        known = self._exchange.timeframes or {}
        if timeframe not in known:
            raise ConfigError(
                "unknown-timeframe",
                f"{exchange} has no bars of '{timeframe}'",
                needed=f"one of {', '.join(known)}",
                nearest=nearest_name(timeframe, known),
            )
        if api_url is not None:
            self._exchange.urls["api"] = _redirected(self._exchange.urls["api"], api_url.rstrip("/"))
        self._symbol, self._timeframe = symbol, timeframe
        self.name = f"{exchange} {symbol} {timeframe}"
        self.timeframe_ns = int(self._exchange.parse_timeframe(timeframe)) * 1_000_000_000
        self.page_size = _page_size(self._exchange)
        self.seconds_between = self._exchange.rateLimit / 1000

    def fetch(self, since_ns: int, stop_ns: int) -> Candles:
        """As `Fetcher.fetch`."""
        since_ms = since_ns // NS_PER_MS
        asked = self._guarded(
            lambda: self._exchange.fetch_ohlcv(self._symbol, self._timeframe, since=since_ms, limit=self.page_size)
        )
        return candles(asked, NS_PER_MS)

    def _guarded(self, request: Callable[[], Any]) -> Any:
        """The answer to a request; ccxt's errors as ours."""
        try:
            return request()
        except self._ccxt.BadSymbol as error:
            raise DataError(
                "unknown-symbol",
                f"{self._exchange.id} has no market '{self._symbol}'",
                nearest=nearest_name(self._symbol, self._exchange.symbols or []),
            ) from error
        except self._ccxt.NetworkError as error:  # time-outs, limits, maintenance
            raise TransientError(f"{type(error).__name__}: {_short(error)}") from error
        except self._ccxt.BaseError as error:
            raise DataError("refused-by-source", f"{self.name}: {_short(error)}") from error


def _ccxt() -> Any:
    try:
        import ccxt
    except ImportError as error:
        raise MachineError(
            "missing-extra",
            "downloads from exchanges need ccxt, which is not installed",
            help=('pip install "regime-gym[data]"',),
        ) from error
    return ccxt


def _page_size(exchange: Any) -> int:
    features = getattr(exchange, "features", None) or {}
    limit = ((features.get("spot") or {}).get("fetchOHLCV") or {}).get("limit")
    return int(limit or USUAL_PAGE)


def _redirected(urls: Any, host: str) -> Any:
    """ccxt's addresses, nested as they are, with another scheme and host."""
    if isinstance(urls, dict):
        return {key: _redirected(value, host) for key, value in urls.items()}
    if isinstance(urls, str):
        return host + urlsplit(urls).path
    return urls


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else "no further word"
