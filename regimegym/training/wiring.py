"""From composed configuration to objects, without letting a stranger's file choose the code.

`_target_` in a user's own configuration may name any class, `features.own` any function. A configuration
that comes out of a run folder may be a stranger's: there only the parts that conf/ names and settings of this
package are built, and what the user names on the command line (`trust=[my_module.MyReward]`).
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import is_dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from regimegym.common.errors import ConfigError, RegimeGymError

PACKAGE, CONF = "regimegym", "regimegym.conf"
OWN_FEATURE = re.compile(r"(^|\.)own(\.|$)")  # `features.own`, wherever it stands


def build(node: Any, **more: Any) -> Any:
    """Instantiate a config node; lists and dicts inside become plain Python.

    Raises:
        RegimeGymError: as the part itself raised it, without Hydra's wrapping.
        ConfigError: `no-such-part`, a `_target_` that cannot be imported.
    """
    try:
        return hydra.utils.instantiate(node, **more, _convert_="all")
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, RegimeGymError):
            cause = cause.__cause__
        if cause is not None:
            raise cause from None
        missing = re.search(r"Error locating target '([^']*)'", str(error))
        if missing is None:
            raise
        raise ConfigError(
            "no-such-part",
            f"'{missing[1]}' cannot be imported: {_root_of(error)}",
            help=["a module of your own is found in the working folder, or on PYTHONPATH"],
        ) from error


def _root_of(error: BaseException) -> BaseException:
    """What went wrong first."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def read_run_config(path: Path, trusted: Collection[str] = (), command: str | None = None) -> DictConfig:
    """The resolved configuration of a run, as data: it may come from anybody.

    Args:
        path: its config.yaml.
        trusted: dotted names of the user's own classes and functions that it may use.
        command: that would read it again, for the message; None: evaluate.

    Raises:
        ConfigError: the file is no YAML mapping, holds an interpolation, or names a `_target_`
            or a feature of somebody's own that is neither a part of this package nor trusted.
    """
    try:
        config = OmegaConf.load(path)
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        raise ConfigError("unreadable", f"{path} cannot be read as YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(config, DictConfig):
        raise ConfigError("unreadable", f"{path} holds no settings")
    for key, value in leaves(OmegaConf.to_container(config, resolve=False)):
        if isinstance(value, str) and "${" in value:
            raise ConfigError("interpolation", f"'{key}' of {path} is '{value}'; a run's config holds plain values")
    check_code(config, path, trusted, command or f"regime-gym evaluate run={path.parent}")
    return config


def check_code(config: DictConfig, path: Path, trusted: Collection[str], command: str) -> None:
    """Raise ConfigError where a configuration, which came from `path`, names code that is neither ours nor trusted.

    `command` would open it again.
    """
    foreign = {key: name for key, name in own_code(config).items() if name not in trusted}
    if not foreign:
        return
    key, value = next(iter(foreign.items()))
    names = ",".join(dict.fromkeys([*trusted, *foreign.values()]))
    raise ConfigError(
        "foreign-target",
        f"'{key}' of {path} names '{value}', which is no part of this package",
        needed=f"a part or settings of {PACKAGE}, or what is trusted by name",
        help=[
            "a folder can come from anybody, so it may not choose the code to run;",
            f"where that code is yours: {command} 'trust=[{names}]'",
        ],
        kept="nothing was run",
    )


def own_code(config: DictConfig) -> dict[str, str]:
    """What a configuration names that is no part of this package, by dotted key: rewards, features, parts."""
    found = {}
    for key, value in leaves(OmegaConf.to_container(config, resolve=False)):
        is_target = key.rpartition(".")[2] == "_target_" and not _is_ours(str(value))
        if is_target or OWN_FEATURE.search(key):
            found[key] = str(value)
    return found


def trust_word(config: DictConfig) -> str:
    """` 'trust=[…]'` for a command that opens this configuration again; empty where all of it is of this package."""
    names = ",".join(dict.fromkeys(own_code(config).values()))
    return f" 'trust=[{names}]'" if names else ""


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything below `node` that is no mapping and no list."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from leaves(value, f"{path}.{i}")
    else:
        yield path, node


def _is_ours(target: str) -> bool:
    """Whether conf/ names it, or it is a frozen dataclass of this package: settings, which run nothing."""
    if target in _parts_of_conf():
        return True
    module, _, name = target.rpartition(".")
    if module.split(".")[0] != PACKAGE:
        return False
    try:
        part = getattr(import_module(module), name, None)
    except ImportError:
        return False
    # `regimegym.x.os.system` would be reachable by name; its module gives it away.
    is_own = str(getattr(part, "__module__", "")).split(".")[0] == PACKAGE
    return is_own and is_dataclass(part) and getattr(part, "__dataclass_params__").frozen  # noqa: B009


@cache
def _parts_of_conf() -> frozenset[str]:
    """Every `_target_` of the package's own configuration files."""
    folders, found = [files(CONF)], set()
    while folders:
        for entry in folders.pop().iterdir():
            if entry.is_dir():
                folders.append(entry)
            elif entry.name.endswith(".yaml"):
                found |= set(re.findall(r"_target_: ([\w.]+)", entry.read_text(encoding="utf-8")))
    return frozenset(found)


def trusted_names(names: object) -> list[str]:
    """The user's own list of classes and functions a run's config may use; one may stand alone."""
    given = OmegaConf.to_container(names) if OmegaConf.is_config(names) else names
    given = [given] if isinstance(given, str) else given
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise ConfigError(
            "bad-trust", f"'trust' is a list of dotted names, got {given!r}", needed="trust=[my_module.MyReward]"
        )
    return given
