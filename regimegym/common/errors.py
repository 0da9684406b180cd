"""What a user did that cannot work, said once and clearly.

A message has a name (`data/missing-column`), one sentence, and, where they help, the place,
what was needed, what was found, the one nearest name, a command to paste, and what was kept.
Every mistake of a user ends the command line with exit code 2; a fault of the machine
(disk, permission, missing extra) with 3; code 1 with a traceback is left for our own bugs.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class RegimeGymError(ValueError):
    """A mistake that its author can mend.

    Args:
        name: short slug of the mistake, printed behind the group: `missing-column`.
        sentence: what is wrong, with the value that came.
        place: lines that show where (file, row, the text with a caret below).
        needed: what was expected.
        found: what came instead.
        nearest: the one nearest valid name.
        help: lines of advice; a command to paste stands on its own line.
        kept: what was kept, or that nothing was written.
    """

    group = "input"
    exit_code = 2

    def __init__(
        self,
        name: str,
        sentence: str,
        *,
        place: Sequence[str] = (),
        needed: str | None = None,
        found: str | None = None,
        nearest: str | None = None,
        help: Sequence[str] = (),
        kept: str | None = None,
    ) -> None:
        self.name = name
        self.sentence = sentence
        self.place = tuple(place)
        self.needed = needed
        self.found = found
        self.nearest = nearest
        self.help = tuple(help)
        self.kept = kept
        super().__init__(sentence)

    def __reduce__(self) -> tuple:
        """Keyword arguments survive the way back from a worker process."""
        return (_rebuild, (type(self), self.name, self.sentence, self.__dict__.copy()))

    def lines(self) -> list[str]:
        """The whole message as it stands in the terminal, without colours."""
        text = [f"error {self.group}/{self.name} {self.sentence}"]
        text += [f"  {'┌' if i == 0 else '│'} {line}" for i, line in enumerate(self.place)]
        for label, value in (("needed", self.needed), ("found", self.found), ("nearest", self.nearest)):
            if value is not None:
                text.append(f"  {label:<9} {value}")
        for i, line in enumerate(self.help):
            text.append(f"  {'help' if i == 0 else '':<5} {line}".rstrip())
        if self.kept is not None:
            text.append(f"  {self.kept}")
        text.append(f"  exit code {self.exit_code}")
        return text


def _rebuild(kind: type[RegimeGymError], name: str, sentence: str, fields: dict) -> RegimeGymError:
    error = kind(name, sentence)
    error.__dict__.update(fields)
    return error


class DataError(RegimeGymError):
    """Bars, files or features that break the data contract."""

    group = "data"


class ConfigError(RegimeGymError):
    """A setting outside its range, of the wrong kind, or unknown."""

    group = "config"


class ModelError(RegimeGymError):
    """A model folder that is damaged, foreign, or does not fit the data."""

    group = "model"


class RunError(RegimeGymError):
    """A run folder that is missing, taken or incomplete."""

    group = "run"


class MachineError(RegimeGymError):
    """The machine refused: disk, permission, a missing optional package."""

    group = "machine"
    exit_code = 3


def nearest_name(name: str, known: Iterable[str], least: float = 0.5) -> str | None:
    """The one known name most like `name`, or None when none shares at least that much of its letters."""
    found = get_close_matches(name, list(known), n=1, cutoff=least)
    return found[0] if found else None
