"""An exchange on 127.0.0.1 that speaks Binance's klines, and a fetcher that asks it without any library."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from regimegym.features.download.candles import Candles, TransientError, candles

HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000  # 2024-01-01 00:00 UTC
MARKET = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "baseAssetPrecision": 8,
    "quotePrecision": 8,
    "isSpotTradingAllowed": True,
    "permissions": ["SPOT"],
    "permissionSets": [["SPOT"]],
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
    ],
}


def kline(i: int) -> list:
    """Candle i of the market, hourly from START_MS, as the exchange writes it."""
    opens, close = 100 + (7 * i) % 13, 100 + (7 * (i + 1)) % 13
    high, low = max(opens, close) + 1, min(opens, close) - 1
    start = START_MS + i * HOUR_MS
    prices = [f"{price:.2f}" for price in (opens, high, low, close)]
    return [start, *prices, f"{1 + i % 5:.3f}", start + HOUR_MS - 1, "0", 1, "0", "0", "0"]


class Exchange:
    """The state of the server: its candles, the failures to come, and every request with its time."""

    def __init__(self, rows: list[list], limit: int = 100) -> None:
        self.rows = rows
        self.limit = limit
        self.failures: list[tuple[int, dict[str, str]]] = []  # status and headers of the next answers
        self.asked: list[tuple[float, dict[str, str]]] = []
        self.url = ""

    def answer(self, path: str, query: dict[str, str]) -> object:
        """JSON for one request."""
        if path.endswith("exchangeInfo"):
            return {"timezone": "UTC", "serverTime": 0, "symbols": [MARKET] if path.startswith("/api/") else []}
        since, stop = int(query.get("startTime", 0)), int(query.get("endTime", 2**60))
        limit = min(self.limit, int(query.get("limit", 500)))
        return [row for row in self.rows if since <= row[0] <= stop][:limit]


@contextmanager
def exchange(rows: list[list], limit: int = 100) -> Iterator[Exchange]:
    """A running server; `url` is its address."""
    state = Exchange(rows, limit)

    class Handler(BaseHTTPRequestHandler):
        """Answers from `state`."""

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            status, headers = 200, {}
            if "klines" in parts.path:
                state.asked.append((time.monotonic(), query))
                if state.failures:
                    status, headers = state.failures.pop(0)
            answer = state.answer(parts.path, query) if status == 200 else {"code": -1003, "msg": "too many requests"}
            body = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Nothing: tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class KlinesFetcher:
    """A `Fetcher` of hourly candles over plain HTTP."""

    name = "test BTC/USDT 1h"
    timeframe_ns = HOUR_MS * 1_000_000

    def __init__(self, url: str, page_size: int = 100, seconds_between: float = 0.0) -> None:
        self.url = url
        self.page_size = page_size
        self.seconds_between = seconds_between

    def fetch(self, since_ns: int, stop_ns: int) -> Candles:
        """As `Fetcher.fetch`."""
        url = (
            f"{self.url}/api/v3/klines?symbol=BTCUSDT&interval=1h&startTime={since_ns // 10**6}&limit={self.page_size}"
        )
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return candles(json.loads(answer.read()), 1_000_000)
        except urllib.error.HTTPError as error:
            wait = error.headers.get("Retry-After")
            error.close()
            raise TransientError(f"status {error.code}", None if wait is None else float(wait)) from error
        except OSError as error:
            raise TransientError(str(error)) from error
