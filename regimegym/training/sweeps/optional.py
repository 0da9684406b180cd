"""Libraries of the extras `tune` and `ray`: imported where they are used, missing ones named."""

import os
from importlib import import_module
from typing import Any

from regimegym.common.errors import MachineError


def import_optuna() -> Any:
    """The module optuna, quiet. Raises MachineError without the extra `tune`."""
    optuna = _import("optuna", "tune", "a search")
    # Its own log lines would repeat ours.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def import_ray(name: str = "ray") -> Any:
    """The module `name` of ray, which then reports to nobody. Raises MachineError without the extra `ray`."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    return _import(name, "ray", "a cluster")


def _import(name: str, extra: str, purpose: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise MachineError(
            "missing-extra",
            f"{purpose} needs {package}, which is not installed",
            help=(f'pip install "regime-gym[{extra}]"',),
            kept="nothing was written",
        ) from error
