"""A configuration from words of the command line, wherever it is needed: in a sweep, in another process."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

PLAIN_TEXT = re.compile(r"""([^=]+)=([^"'\[\]{},$=]+)""")  # one value without any sign of a list or of a reference
SPECIAL = re.compile(r"[^\x00-\x7f]|[()]")  # what Hydra reads within quotes only
FUNCTION = re.compile(r"\w+\(.*\)")


def expanded(words: Sequence[str]) -> list[str]:
    """The words as Hydra has them: `targets.NAME=OPTION` as `+target@targets.NAME=OPTION`, odd letters in quotes."""
    return [_expanded(word) for word in words]


def _expanded(word: str) -> str:
    if re.fullmatch(r"targets\.\w+=[a-z][\w,]*", word):
        return f"+target@{word}"
    text = PLAIN_TEXT.fullmatch(word)
    if text and SPECIAL.search(text[2]) and not FUNCTION.fullmatch(text[2]):
        return f'{text[1]}="{text[2]}"'
    return word


def compose_config(name: str, overrides: Sequence[str]) -> DictConfig:
    """conf/`name`.yaml under `overrides`. Raises Hydra's and OmegaConf's own exceptions."""
    with _hydra():
        return compose(name, overrides=expanded(overrides))


def chosen_options(name: str, overrides: Sequence[str]) -> dict[str, str | None]:
    """Option by group of conf/ that `overrides` end up with; Hydra's own groups are left out."""
    with _hydra():
        hydra = compose(name, overrides=expanded(overrides), return_hydra_config=True).hydra
    return {group: option for group, option in hydra.runtime.choices.items() if not group.startswith("hydra/")}


@contextmanager
def hydra_set_aside() -> Iterator[None]:
    """Hydra can be initialised inside the block; an application that runs goes on as it was."""
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = before


@contextmanager
def _hydra() -> Iterator[None]:
    with hydra_set_aside(), initialize_config_module("regimegym.conf", version_base="1.3"):
        yield


def changed_values(config: DictConfig, base: DictConfig) -> dict[str, Any]:
    """Values by dotted key in which `config` differs from `base`, references as they are written."""
    before = flat_values(base)
    return {key: value for key, value in flat_values(config).items() if key not in before or before[key] != value}


def flat_values(config: DictConfig) -> dict[str, Any]:
    """Values by dotted key, references as they are written; a list is one value, and so is an empty mapping."""
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    return dict(_below(plain, ""))


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flat_values`: mappings in the place of dots."""
    whole: dict[str, Any] = {}
    for key, value in values.items():
        *path, last = key.split(".")
        place = whole
        for name in path:
            place = place.setdefault(name, {})
        place[last] = value
    return whole


def _below(node: dict[Any, Any], path: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in node.items():
        name = f"{path}{key}"
        found += _below(value, f"{name}.") if isinstance(value, dict) and value else [(name, value)]
    return found
