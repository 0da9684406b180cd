"""Plain arguments of a command: a mistake in them ends as every mistake does."""

import argparse
from typing import NoReturn

from regimegym.common.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """argparse for `regime-gym NAME`; a wrong argument raises ConfigError instead of exiting."""

    def __init__(self, name: str, description: str | None) -> None:
        super().__init__(f"regime-gym {name}", allow_abbrev=False, description=description)
        self.name = name

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError `bad-argument`."""
        raise ConfigError("bad-argument", f"{self.name}: {message}", help=[f"regime-gym {self.name} --help"])
