"""Lengths of bars as people write them: 15min, 1h, 1d."""

import re

from regimegym.common.errors import ConfigError

NS_PER_SECOND = 1_000_000_000
SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}


def timeframe_words(timeframe_ns: int) -> str:
    """Length of a bar: 1h, 15min, 1d; seconds where no minutes fit."""
    minutes, rest = divmod(timeframe_ns, SECONDS["min"] * NS_PER_SECOND)
    if rest or not minutes:
        return f"{timeframe_ns / NS_PER_SECOND:g}s"
    size = {unit: seconds // SECONDS["min"] for unit, seconds in SECONDS.items() if unit != "s"}
    return next(f"{minutes // size[unit]}{unit}" for unit in ("d", "h", "min") if minutes % size[unit] == 0)


def timeframe_of(words: str) -> int:
    """Nanoseconds of a length such as 15min, 60min, 1h, 1d.

    Raises:
        ConfigError: `bad-timeframe`, other words.
    """
    match = re.fullmatch(r"([1-9][0-9]*) ?(s|min|h|d)", str(words))
    if match is None:
        raise ConfigError("bad-timeframe", f"'{words}' is no timeframe", needed="a length such as 15min, 1h or 1d")
    return int(match[1]) * SECONDS[match[2]] * NS_PER_SECOND
