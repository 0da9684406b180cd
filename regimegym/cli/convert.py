"""`regime-gym convert OLD.yaml`: an old configuration as an experiment file of today, on stdout."""

import sys
from pathlib import Path
from typing import Any

import yaml

from regimegym.cli.arguments import Parser
from regimegym.common.errors import ConfigError


def run(words: list[str]) -> None:
    """Print the experiment file.

    Raises:
        ConfigError: the file is no YAML mapping, or holds a setting that nobody knows.
    """
    parser = Parser("convert", "Type: regime-gym convert old.yaml > mine/experiment/old.yaml")
    parser.add_argument("file", type=Path, help="settings under names they once had")
    file = parser.parse_args(words).file
    # Hydra is imported once the argument is known to be right.
    from regimegym.training.compose import compose_config, flat_values, nested
    from regimegym.training.migration import migrate

    settings = migrate(_read(file), list(flat_values(compose_config("train", []))))
    body = yaml.safe_dump(nested(settings), sort_keys=False, allow_unicode=True)
    folder = "mine"
    sys.stdout.write(
        f"# @package _global_\n# regime-gym train --config-dir {folder} experiment={file.stem}\n"
        f"# Converted from {file}; below {folder}/experiment/ it is found.\n{body}"
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError("unreadable", f"{file} cannot be read as YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(found, dict):
        raise ConfigError("unreadable", f"{file} holds no settings", needed="names with a value each")
    return found
