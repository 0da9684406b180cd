"""The settings by which runs are compared: what was asked for. A table of all two hundred would hide it."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from regimegym.training.wiring import leaves

ALWAYS = ("random_seed",)
NEVER = ("run_dir", "name", "resume", "trust")


def compared_settings(config: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """The settings of ALWAYS that the run has, and what the command line set, by dotted key.

    Args:
        config: composed.
        overrides: words of the command line; `agent=ppo` names an option, `agent.gamma=0.9` a value.
    """
    flat = dict(leaves(OmegaConf.to_container(config, resolve=True)))
    found = {key: flat[key] for key in ALWAYS if key in flat}
    for word in overrides:
        key, _, option = word.lstrip("+").partition("=")
        if key not in NEVER and option:
            found[key] = flat.get(key, option)
    return found
