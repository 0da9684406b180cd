"""Every command that README and docs show is one that can be typed: its words compose, its arguments parse."""

import re
import shlex
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from regimegym.cli.fit import one_predictor
from regimegym.cli.main import COMMANDS
from regimegym.common.errors import ConfigError
from regimegym.training.compose import compose_config
from regimegym.training.wiring import build

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^\s*(?:\$ )?(?:\.venv/bin/)?regime-gym (?P<words>[a-z].*)$")
REMARK = re.compile(
    r"\s{2,}\S.*$|\s#.*$|\s(?:\|\|?|&&|[<>;])\s.*$"
)  # what stands behind a command, the shell's words too
PLAIN = {"bench", "completion", "convert", "data", "report", "signal"}  # no settings of a training to build
FLAGS = {"-m", "--multirun", "--help", "--json"}
FILES = {"data", "context"}  # are read when they are built
LATER = {*FILES, "network", "agent", "predictors", "targets"}  # need more than the settings alone
PLACES = {"data", "data.path", "run", "run_dir", "runs", "resume", "sweep_dir", "random_seed"}
OWN = re.compile(r"\bmy_\w+")  # code of the reader's


@pytest.fixture(autouse=True, scope="module")
def files_read_once():
    """Parsing YAML is half of composing, and the files of conf/ stay what they are."""
    kept: dict[str, Any] = {}
    load = OmegaConf.load

    def load_once(file):
        if file.name not in kept:
            kept[file.name] = load(file)
        return deepcopy(kept[file.name])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", load_once)
        yield


def essence(words: str) -> tuple[str, frozenset[str]]:
    """What makes a command another one: folders and files do not."""
    command, *overrides = shlex.split(words)
    return command, frozenset(word for word in overrides if word.partition("=")[0] not in PLACES)


def commands() -> dict[str, str]:
    """Words behind `regime-gym` by page and line, each kind once."""
    found: dict[tuple[str, frozenset[str]], tuple[str, str]] = {}
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for line in text.splitlines():
            if match := COMMAND.match(line):
                words = REMARK.sub("", re.sub(r" +(?=\S)", lambda m: m[0] if len(m[0]) > 2 else " ", match["words"]))
                found.setdefault(essence(words), (page.name, words))
    return {f"{page}: {words}": words for page, words in found.values()}


def first_of(words: list[str]) -> list[str]:
    """Overrides with the first of several values, as one job of a sweep has them."""
    parsed = OverridesParser.create().parse_overrides(words)
    return [
        f"{one.key_or_group}={next(one.sweep_string_iterator())}" if one.is_sweep_override() else word
        for one, word in zip(parsed, words, strict=True)
    ]


def settings_of(command: str, words: list[str]) -> DictConfig:
    """The configuration that the words of a Hydra command compose."""
    words = [word for word in words if word not in FLAGS and not re.match(r"[+~]?hydra[./]", word)]
    if command == "fit":
        words = one_predictor(words)
    if command == "walkforward":
        command, words = "train", ["rolling=walk_forward", *words]
    return compose_config(command, first_of(words))


def test_there_are_commands_of_every_kind():
    shown = {words.split()[0] for words in commands().values()}
    assert shown <= COMMANDS.keys()
    assert COMMANDS.keys() - shown <= {"completion", "convert"}
    assert len(commands()) > 80


@pytest.mark.parametrize("word", ["agent.learning_rat=1", "replay=regim", "trainer.total_steps=soon"])
def test_a_word_that_cannot_be_typed_is_found(word):
    with pytest.raises((HydraException, OmegaConfBaseException, ConfigError)):
        build(settings_of("train", [word]).trainer)


@pytest.mark.parametrize("line", commands())
def test_a_command_of_a_page_can_be_typed(line):
    command, *words = shlex.split(commands()[line])
    if "…" in words or "--config-dir" in words:
        pytest.skip("the reader completes it")
    if command == "data":
        parse = getattr(import_module(f"regimegym.cli.data_{words[0]}"), "_options", None)
        assert parse is not None or words[1:] == []
        if parse is not None:
            parse(words[1:])
    elif command == "bench":
        import_module("regimegym.cli.bench")._options(words)
    elif command not in {"completion", "convert"}:
        config = settings_of(command, words)
        OmegaConf.to_container(config, resolve=True)
        if command not in PLAIN and not OWN.search(line):
            for name, part in config.items():
                if isinstance(part, DictConfig) and "_target_" in part and name not in LATER:
                    build(part)
