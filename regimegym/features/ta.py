"""TA-Lib's functions without their wrapper, which asks every argument whether it comes from pandas or polars.

A stream calls them some fifty times for each bar, on a few hundred values; the question took a third of that.
"""

from collections.abc import Callable
from inspect import unwrap
from typing import Any

import talib

ADX: Callable[..., Any] = unwrap(talib.ADX)
AROON: Callable[..., Any] = unwrap(talib.AROON)
CCI: Callable[..., Any] = unwrap(talib.CCI)
LINEARREG_SLOPE: Callable[..., Any] = unwrap(talib.LINEARREG_SLOPE)
MACD: Callable[..., Any] = unwrap(talib.MACD)
MAX: Callable[..., Any] = unwrap(talib.MAX)
MIN: Callable[..., Any] = unwrap(talib.MIN)
MINUS_DI: Callable[..., Any] = unwrap(talib.MINUS_DI)
PLUS_DI: Callable[..., Any] = unwrap(talib.PLUS_DI)
RSI: Callable[..., Any] = unwrap(talib.RSI)
TRANGE: Callable[..., Any] = unwrap(talib.TRANGE)
ULTOSC: Callable[..., Any] = unwrap(talib.ULTOSC)
WMA: Callable[..., Any] = unwrap(talib.WMA)
