"""Range checks of settings: each names the setting, the rule and the value that came."""

import math
from collections.abc import Collection

from regimegym.common.errors import ConfigError, nearest_name


def check_number(name: str, value: float, rule: str, ok: bool) -> None:
    """Raise ConfigError unless `value` is finite and `ok`; `rule` reads like "≥ 0"."""
    if not (isinstance(value, int | float) and math.isfinite(value) and ok):
        raise ConfigError("out-of-range", f"'{name}' must be {rule}, got {value}")


def check_not_negative(name: str, value: float) -> None:
    """Finite and ≥ 0."""
    check_number(name, value, "≥ 0", value >= 0)


def check_positive(name: str, value: float) -> None:
    """Finite and > 0."""
    check_number(name, value, "> 0", value > 0)


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Finite and inside the closed interval [low, high]."""
    check_number(name, value, f"in [{low}, {high}]", low <= value <= high)


def check_at_least(name: str, value: int, least: int) -> None:
    """Whole number of at least `least`."""
    check_number(name, value, f"a whole number ≥ {least}", value == int(value) and value >= least)


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """One of `choices`; the message names the nearest one."""
    if value not in choices:
        raise ConfigError(
            "unknown-choice",
            f"'{name}' must be one of {', '.join(choices)}, got '{value}'",
            nearest=nearest_name(str(value), choices),
        )
