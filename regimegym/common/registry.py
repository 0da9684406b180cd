"""A table of named parts that refuses duplicates and knows the nearest name."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from regimegym.common.errors import ConfigError, nearest_name

Part = TypeVar("Part")


class Registry(Generic[Part]):
    """Parts of one `kind`, in the order in which they were registered."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, Part] = {}

    def register(self, name: str) -> Callable[[Part], Part]:
        """Decorator that files its part under `name`. Raises ValueError when the name is taken."""

        def file(part: Part) -> Part:
            if name in self._parts:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._parts[name] = part
            return part

        return file

    def get(self, name: str) -> Part:
        """The part called `name`. Raises ConfigError that names the nearest one."""
        if name not in self._parts:
            raise ConfigError(
                f"unknown-{self.kind}",
                f"there is no {self.kind} '{name}'",
                needed=f"one of {', '.join(self._parts)}",
                nearest=nearest_name(name, self._parts),
            )
        return self._parts[name]

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)
