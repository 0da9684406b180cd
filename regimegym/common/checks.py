"""Range checks of settings: each names the setting, the rule and the value that came."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence

from regimegym.common.errors import ConfigError, nearest_name


def check_number(name: str, value: float, rule: str, is_ok: Callable[[float], bool]) -> None:
    """Raise ConfigError unless `value` is a finite number and `is_ok`; `rule` reads like "≥ 0"."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ConfigError("wrong-type", f"'{name}' must be a number, got {value!r}", needed=rule)
    if not (math.isfinite(value) and is_ok(value)):
        raise ConfigError("out-of-range", f"'{name}' must be {rule}, got {value}")


def check_not_negative(name: str, value: float) -> None:
    """Finite and ≥ 0."""
    check_number(name, value, "≥ 0", lambda v: v >= 0)


def check_positive(name: str, value: float) -> None:
    """Finite and > 0."""
    check_number(name, value, "> 0", lambda v: v > 0)


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Finite and inside the closed interval [low, high]."""
    check_number(name, value, f"in [{low}, {high}]", lambda v: low <= v <= high)


def check_at_least(name: str, value: int, least: int) -> None:
    """Whole number of at least `least`."""
    check_number(name, value, f"a whole number ≥ {least}", lambda v: v == int(v) and v >= least)


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """One of `choices`; the message names the nearest one."""
    if value not in choices:
        raise ConfigError(
            "unknown-choice",
            f"'{name}' must be one of {', '.join(choices)}, got '{value}'",
            nearest=nearest_name(str(value), choices),
        )


def check_list(name: str, value: object) -> None:
    """A list or tuple, not one word for it."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ConfigError("wrong-type", f"'{name}' must be a list, got {value!r}")


def check_mapping(name: str, value: object) -> None:
    """Names with a value each."""
    if not isinstance(value, Mapping):
        raise ConfigError(
            "wrong-type", f"'{name}' must be names with a value each, got {value!r}", needed="{A: 2, B: 1}"
        )


def check_kind(name: str, value: object, kind: type) -> None:
    """An object of the class `kind`."""
    if not isinstance(value, kind):
        raise ConfigError("wrong-type", f"'{name}' must be {kind.__name__}, got {value!r}")


def check_flag(name: str, value: bool) -> None:
    """True or False, not a word or a number for it."""
    if not isinstance(value, bool):
        raise ConfigError("not-a-flag", f"'{name}' must be true or false, got {value!r}")
