"""Functions of the user's own by import path: `features.own=[my_features.close_in_range]`, `data audit feature=…`.

Importing a module runs it, so a path comes from the user's command line or from a configuration that
was checked for what it names (training.wiring); never from a model's files.
"""

import inspect
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from regimegym.common.errors import ConfigError, RegimeGymError, nearest_name
from regimegym.features.feature import FEATURES


def own_function(path: str, setting: str = "features.own") -> Callable[..., Any]:
    """The function at `module.function`.

    Args:
        path: where it is.
        setting: that named it, for the message.

    Raises:
        ConfigError: no module is named, found or can be imported, or it has no such function.
    """
    module_name, _, name = path.rpartition(".")
    if not module_name:
        raise ConfigError("no-such-feature", f"'{setting}={path}' names no module", needed=f"{setting}=module.function")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            "no-such-feature",
            f"'{setting}={path}': {error}",
            help=("a module of your own is found in the working folder, or on PYTHONPATH",),
        ) from error
    except Exception as error:
        raise _failed(f"importing '{module_name}' of '{setting}'", error) from error
    function = getattr(module, name, None)
    if not callable(function):
        functions = [known for known, value in vars(module).items() if inspect.isfunction(value)]
        raise ConfigError(
            "no-such-feature",
            f"'{module_name}' has no function '{name}'",
            found=", ".join(functions) or "no function",
            nearest=nearest_name(name, functions),
        )
    return function


def own_feature(path: str) -> str:
    """The name under which the function at `path` registers itself as a feature. Raises as `own_function`."""
    function = own_function(path)
    names = [name for name in FEATURES if FEATURES.get(name).compute is function]
    if not names:
        raise ConfigError(
            "not-a-feature",
            f"'features.own' names '{path}', which is not registered as a feature",
            needed=f'@feature("{path.rpartition(".")[2]}", warm_up=ROWS) above it',
            help=("from regimegym.features.feature import feature", "what warm_up and memory mean: docs/features.md"),
        )
    return names[0]


@contextmanager
def told(what: str) -> Iterator[None]:
    """Exceptions of a function that is not of this package become one message that says where they came from."""
    try:
        yield
    except RegimeGymError:
        raise
    except Exception as error:
        raise _failed(what, error) from error


def _failed(what: str, error: Exception) -> ConfigError:
    frames = traceback.extract_tb(error.__traceback__)
    place = () if not frames else (f"{frames[-1].filename}, line {frames[-1].lineno}, in {frames[-1].name}",)
    return ConfigError(
        "feature-failed",
        f"{what} raised {type(error).__name__}: {error}",
        place=place,
        needed="a function of regimegym.features.feature.FeatureInputs that gives one value per bar",
    )
