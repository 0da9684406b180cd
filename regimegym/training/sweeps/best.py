"""The best trial as an experiment file: `regime-gym train optimised=FOLDER` takes it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from regimegym.common.errors import RunError
from regimegym.training.compose import changed_values, chosen_options, compose_config, nested
from regimegym.training.sweeps.space import override_text

NAME = "best"
GROUP = "experiment"


def best_file(folder: Path) -> Path:
    """Where a sweep in `folder` leaves its best settings."""
    return folder / GROUP / f"{NAME}.yaml"


def experiment_text(overrides: Sequence[str], folder: Path, said: str) -> str:
    """The differences that `overrides` make from conf/train.yaml, as an experiment file.

    Args:
        overrides: words of the command line, groups among them.
        folder: of the sweep, for the command in the first line.
        said: what the file is, for people.
    """
    options = chosen_options("train", overrides)
    defaults = chosen_options("train", [])
    # Groups inside others (predictor@predictors.xgboost) come with those.
    chosen = {group: options[group] for group in defaults if group != GROUP and options[group] != defaults[group]}
    words = [f"{group}={override_text(name)}" for group, name in chosen.items()]
    values = changed_values(compose_config("train", overrides), compose_config("train", words))
    body: dict[str, Any] = {}
    if chosen:
        body["defaults"] = [{f"override /{group}": name} for group, name in chosen.items()]
    body |= nested(values)
    lines = ["# @package _global_", f"# regime-gym train optimised={folder}", f"# {said}"]
    return "\n".join(lines) + "\n" + yaml.safe_dump(body, sort_keys=False, allow_unicode=True)


def optimised_words(folder: str, overrides: Sequence[str]) -> list[str]:
    """The command line `overrides` with the best settings of the sweep in `folder` below them.

    Raises:
        RunError: `no-best-trial`, there is no such file; or `two-experiments`.
    """
    file = best_file(Path(folder))
    if not file.is_file():
        raise RunError(
            "no-best-trial",
            f"'{folder}' holds no best settings of a sweep",
            needed=f"the file {file}",
            help=[
                f"make one: regime-gym sweep search=smoke sweep_dir={folder}",
                "or keep the fixed settings: optimised=null",
            ],
            kept="nothing was written",
        )
    other = next((word for word in overrides if word.lstrip("+").startswith(f"{GROUP}=")), None)
    if other is not None:
        raise RunError("two-experiments", f"optimised={folder} is an experiment itself", found=other)
    rest = [word for word in overrides if not word.startswith("optimised=")]
    return [f"hydra.searchpath=[file://{Path(folder).absolute()}]", f"{GROUP}={NAME}", *rest]
