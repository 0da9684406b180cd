"""What a search may vary: a range or a list of values for each parameter, and the setting it sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from regimegym.common.checks import check_number
from regimegym.common.errors import ConfigError, nearest_name

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Parameter:
    """One dimension of a space: `values`, or everything from `low` to `high`.

    Args:
        name: short name, as tables and plots show it.
        sets: setting by dotted key, or a group of conf/ whose option is chosen.
        low, high: closed interval; whole numbers where both are.
        log: uniform in the logarithm.
        step: distance of the numbers between low and high; None: all of them.
        values: the list to choose from, instead of low and high.
        given: what the setting becomes for each of `values`, where that is not the value itself.

    Raises:
        ConfigError: neither or both of the forms, or numbers that make no interval.
    """

    name: str
    sets: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    values: Sequence[Value] | None = None
    given: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        name = f"search.parameters.{self.name}"
        has_ends = self.low is not None and self.high is not None
        if has_ends == (self.values is not None):
            raise ConfigError(
                "bad-parameter", f"'{name}' has neither a range nor values, or both", needed="low and high, or values"
            )
        if self.values is not None:
            self._check_values(name)
            return
        assert self.low is not None
        assert self.high is not None
        low = self.low
        check_number(f"{name}.low", low, "> 0 where log is true", lambda v: v > 0 or not self.log)
        check_number(f"{name}.high", self.high, f"> low, which is {low}", lambda v: v > low)
        if self.step is not None:
            check_number(f"{name}.step", self.step, "> 0, without log", lambda v: v > 0 and not self.log)

    def _check_values(self, name: str) -> None:
        assert self.values is not None
        if isinstance(self.values, str) or not self.values or len(set(map(str, self.values))) < len(self.values):
            raise ConfigError("bad-parameter", f"'{name}.values' must be a list of different values")
        if self.given is not None and len(self.given) != len(self.values):
            raise ConfigError("bad-parameter", f"'{name}.given' must have one entry for each of 'values'")

    @property
    def is_whole(self) -> bool:
        """Whether a range holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int) and isinstance(self.step, int | None)

    def suggest(self, trial: Any) -> Value:
        """The value that the optuna trial has for it, or now chooses."""
        if self.values is not None:
            return trial.suggest_categorical(self.name, list(self.values))
        if self.is_whole:
            return trial.suggest_int(self.name, self.low, self.high, step=int(self.step or 1), log=self.log)
        assert self.low is not None
        assert self.high is not None
        return trial.suggest_float(self.name, float(self.low), float(self.high), step=self.step, log=self.log)

    def grid_values(self) -> list[Value]:
        """All values it can take; raises ConfigError where they are not countable."""
        if self.values is not None:
            return list(self.values)
        assert self.low is not None
        assert self.high is not None
        if self.step is None and not self.is_whole:
            raise ConfigError(
                "no-grid",
                f"a grid needs values, and '{self.name}' is a range without a step",
                help=[f"search.parameters.{self.name}.step=…", "or another search.sampler"],
            )
        step = self.step or 1
        numbers = self.low + step * np.arange(int((self.high - self.low) / step + 1e-9) + 1)
        return [int(number) if self.is_whole else float(number) for number in numbers]

    def setting(self, value: Value) -> Any:
        """What the setting becomes when the parameter is `value`."""
        if self.given is None or self.values is None:
            return value
        return self.given[list(self.values).index(value)]


@dataclass(frozen=True)
class Space:
    """The parameters of a search, by name and in order."""

    parameters: tuple[Parameter, ...]

    @classmethod
    def of(cls, described: Mapping[str, Mapping[str, Any]], fixed: Sequence[str] = ()) -> "Space":
        """The space of a `parameters:` mapping, without those that stay as they are configured.

        Raises:
            ConfigError: an unknown word, a parameter that cannot be, or nothing left to vary.
        """
        for name in fixed:
            if name not in described:
                raise ConfigError(
                    "unknown-choice",
                    f"'search.fixed' names '{name}', which is no parameter of this search",
                    needed=f"some of {', '.join(described)}",
                    nearest=nearest_name(name, described),
                )
        found = [_parameter(name, words) for name, words in described.items() if name not in fixed]
        if not found:
            raise ConfigError("empty-space", "the search has no parameter to vary", needed="search.parameters")
        return cls(tuple(found))

    @property
    def names(self) -> list[str]:
        """Names of the parameters."""
        return [parameter.name for parameter in self.parameters]

    def overrides(self, values: Mapping[str, Value]) -> list[str]:
        """The command-line words that set `values` (by name)."""
        return [f"{p.sets}={override_text(p.setting(values[p.name]))}" for p in self.parameters]

    def grid_size(self) -> int:
        """Number of combinations; raises ConfigError where they are not countable."""
        return int(np.prod([len(parameter.grid_values()) for parameter in self.parameters], dtype=object))

    def grid_point(self, number: int) -> dict[str, Value]:
        """Combination `number` of all, the last parameter changing fastest."""
        point: dict[str, Value] = {}
        for parameter in reversed(self.parameters):
            values = parameter.grid_values()
            number, place = divmod(number, len(values))
            point[parameter.name] = values[place]
        return {name: point[name] for name in self.names}


def override_text(value: Any) -> str:
    """`value` as a word of the command line takes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(float(value)) if isinstance(value, float) else str(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{override_text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(map(override_text, value)) + "]"
    text = str(value)
    if text and all(sign.isalnum() or sign in "_-./" for sign in text) and not text[0].isdigit():
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _parameter(name: str, words: Mapping[str, Any]) -> Parameter:
    known = {field.name for field in fields(Parameter)} - {"name"}
    if not isinstance(words, Mapping) or "sets" not in words:
        raise ConfigError(
            "bad-parameter", f"'search.parameters.{name}' does not say what it sets", needed="sets: SETTING"
        )
    for word in words:
        if word not in known:
            raise ConfigError(
                "unknown-key",
                f"'search.parameters.{name}.{word}' is not a setting",
                needed=f"one of {', '.join(sorted(known))}",
                nearest=nearest_name(str(word), known),
            )
    return Parameter(name, **words)
