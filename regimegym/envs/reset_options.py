"""Where `reset(options=…)` wants an episode to begin."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from regimegym.common.errors import ConfigError, nearest_name

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ResetOptions(NamedTuple):
    """What is None is chosen as the settings say."""

    symbol: str | None = None
    timeframe: str | None = None  # such as 1h
    start: int | str | None = None  # row of the symbol in this timeframe, or ISO time


NO_OPTIONS = ResetOptions()


def reset_options(options: Mapping[str, Any] | None) -> ResetOptions:
    """The checked options of a reset.

    Raises:
        ConfigError: an unknown name, or a start that is neither a row nor a text.
    """
    options = options or {}
    for name in options:
        if name not in ResetOptions._fields:
            raise ConfigError(
                "unknown-option",
                f"reset has no option '{name}'",
                needed=", ".join(ResetOptions._fields),
                nearest=nearest_name(str(name), ResetOptions._fields),
            )
    start = options.get("start")
    if isinstance(start, bool) or not isinstance(start, int | np.integer | str | None):
        raise ConfigError("bad-start", f"'start' must be a row of the symbol or a time as text, got {start!r}")
    start = int(start) if isinstance(start, np.integer) else start
    return ResetOptions(options.get("symbol"), options.get("timeframe"), start)


def utc_nanoseconds(text: str) -> int:
    """UTC nanoseconds of an ISO time; without a zone it is UTC.

    Raises:
        ConfigError: the text is no time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            "bad-time", f"'{text}' is no time", needed="ISO text such as 2024-03-01 or 2024-03-01T16:00Z"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000
