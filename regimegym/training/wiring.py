"""From composed configuration to objects, without letting a stranger's file choose the code.

`_target_` in a user's own configuration may name any class. A configuration that comes out of a
run folder may be a stranger's: there only classes and functions of this package are built, and those
that the user names on the command line (`trust=[my_module.MyReward]`).
"""

import re
from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from regimegym.common.errors import ConfigError, RegimeGymError

PACKAGE = "regimegym"


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


def read_run_config(path: Path, trusted: Collection[str] = ()) -> DictConfig:
    """The resolved configuration of a run, as data: it may come from anybody.

    Args:
        path: its config.yaml.
        trusted: dotted names of the user's own classes and functions that it may use.

    Raises:
        ConfigError: the file is no YAML mapping, holds an interpolation, or names a `_target_`
            that is neither a class or function of this package nor trusted.
    """
    try:
        config = OmegaConf.load(path)
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        raise ConfigError("unreadable", f"{path} cannot be read as YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(config, DictConfig):
        raise ConfigError("unreadable", f"{path} holds no settings")
    foreign = {}
    for key, value in leaves(OmegaConf.to_container(config, resolve=False)):
        if isinstance(value, str) and "${" in value:
            raise ConfigError("interpolation", f"'{key}' of {path} is '{value}'; a run's config holds plain values")
        if key.rpartition(".")[2] == "_target_" and not (str(value) in trusted or _is_ours(str(value))):
            foreign[key] = str(value)
    if foreign:
        raise _foreign(path, foreign, trusted)
    return config


def _foreign(path: Path, foreign: dict[str, str], trusted: Collection[str]) -> ConfigError:
    key, value = next(iter(foreign.items()))
    names = ",".join(dict.fromkeys([*trusted, *foreign.values()]))
    return ConfigError(
        "foreign-target",
        f"'{key}' of {path} names '{value}', which is no part of this package",
        needed=f"a class or function below {PACKAGE}., or one that is trusted by name",
        help=[
            "a run folder can come from anybody, so it may not choose the code to run;",
            f"where that code is yours: regime-gym evaluate run={path.parent} 'trust=[{names}]'",
        ],
        kept="nothing was run",
    )


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
    module, _, name = target.rpartition(".")
    if module.split(".")[0] != PACKAGE:
        return False
    try:
        part = getattr(import_module(module), name, None)
    except ImportError:
        return False
    # `regimegym.x.os.system` would be reachable by name; its module gives it away.
    return str(getattr(part, "__module__", "")).split(".")[0] == PACKAGE


def trusted_names(names: object) -> list[str]:
    """The user's own list of classes and functions a run's config may use; one may stand alone."""
    given = OmegaConf.to_container(names) if OmegaConf.is_config(names) else names
    given = [given] if isinstance(given, str) else given
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise ConfigError(
            "bad-trust", f"'trust' is a list of dotted names, got {given!r}", needed="trust=[my_module.MyReward]"
        )
    return given
