"""Hydra's and OmegaConf's exceptions in our own words.

Each becomes one message that shows the offending argument, the nearest valid name among all
settings and options, and a command to paste. What is no mistake of the user stays what it is.
"""

import contextlib
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from hydra import compose, initialize_config_dir
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

import regimegym
from regimegym.common.errors import ConfigError, RegimeGymError, nearest_name

PROGRAM = "regime-gym"
CONF = Path(regimegym.__path__[0]) / "conf"
WIDTH = 74  # columns of the shown command line; a longer one is shortened around the argument


class Settings(NamedTuple):
    """What can be set: values by dotted key, options by group."""

    values: dict[str, Any]
    groups: dict[str, list[str]]


class Argument(NamedTuple):
    """One override on the command line: its position in argv, text, key and value."""

    position: int
    text: str
    key: str
    value: str


def config_error_from_hydra(
    exception: BaseException,
    argv: Sequence[str],
    config_dir: str | Path = CONF,
    config_name: str | None = None,
) -> RegimeGymError | None:
    """The message for an exception that came out of composing or instantiating a config.

    Args:
        exception: what was caught (Hydra must run with HYDRA_FULL_ERROR=1).
        argv: arguments after the program's name, the subcommand first.
        config_dir: folder of the config groups.
        config_name: the primary config; the one named like the subcommand when None.

    Returns:
        A ConfigError, or the RegimeGymError that a settings class raised, with the argument
        shown; None when the exception is a bug of ours and must be raised again.
    """
    chain = list(_chain(exception))
    for error in chain:
        if isinstance(error, RegimeGymError):
            return _with_place(error, argv)
    arguments = parse_arguments(argv)
    if not isinstance(exception, HydraException | OmegaConfBaseException):
        nameless = next((a for a in arguments if not a.key and "=" in a.text), None)
        return None if nameless is None else _bad_override(nameless.text, str(exception), argv)
    settings = known_settings(config_dir, config_name or _subcommand(argv), arguments)
    match exception:
        case OverrideParseException():
            return _bad_override(str(exception.override), str(exception), argv)
        case MissingConfigException():
            return _missing_config(exception, argv, arguments, settings)
        case InstantiationException():
            return _instantiation(exception, chain, argv, arguments, settings)
        case MissingMandatoryValue():
            return _missing_value(str(exception.full_key), argv, settings)
        case ConfigCompositionException():
            return _composition(exception, chain, argv, arguments, settings)
        case ValidationError():
            return _wrong_type(str(exception.full_key), str(exception), argv, arguments, settings)
        case InterpolationResolutionError():
            return ConfigError("broken-reference", f"'{exception.full_key}': {_first_line(exception)}")
    return ConfigError("invalid", _first_line(exception))


def parse_arguments(argv: Sequence[str]) -> list[Argument]:
    """The overrides in argv; flags and the subcommand are left out."""
    found = []
    for i, text in enumerate(argv):
        if text.startswith("-") or ("=" not in text and not text.startswith("~")):
            continue
        left, _, value = text.partition("=")
        found.append(Argument(i, text, left.lstrip("+~").partition("@")[0], value))
    return found


def known_settings(config_dir: str | Path, config_name: str, arguments: Sequence[Argument] = ()) -> Settings:
    """All settings under the groups that the arguments choose validly, and all options of groups."""
    folder = Path(config_dir).resolve()
    groups: dict[str, list[str]] = {}
    for file in sorted(folder.rglob("*.yaml")):
        if file.parent != folder:
            groups.setdefault(file.parent.relative_to(folder).as_posix(), []).append(file.stem)
    # A group that takes several options names them in brackets.
    chosen = [
        f"{a.key}={a.value}"
        for a in arguments
        if a.key in groups and {word.strip() for word in a.value.strip("[]").split(",")} <= set(groups[a.key])
    ]
    for overrides in (chosen, []):
        with contextlib.suppress(HydraException, OmegaConfBaseException):
            with initialize_config_dir(str(folder), version_base="1.3"):
                config = compose(config_name, overrides=overrides)
            return Settings(dict(_flat(config)), groups)
    return Settings({}, groups)


def command_place(argv: Sequence[str], index: int, part: str | None = None) -> list[str]:
    """Lines that show argument `index` of argv, with carets below it or below its `part`."""
    words = [PROGRAM, *(shlex.quote(a) for a in argv)]
    shown = index + 1
    if len(" ".join(words)) > WIDTH:
        before = words[: min(2, shown)] + (["…"] if shown > 2 else [])
        words, shown = [*before, words[shown], *(["…"] if shown + 1 < len(words) else [])], len(before)
    word = words[shown]
    start = len(" ".join([*words[:shown], ""]))
    # The value stands at the end, so the last place of the part is the right one.
    inside = word.rfind(part) if part else -1
    start, length = (start + inside, len(part or "")) if inside >= 0 else (start, len(word))
    return [f"command line, argument {index + 1}", " ".join(words), " " * start + "^" * length]


def _command(argv: Sequence[str], index: int | None = None, text: str = "") -> str:
    """The command line, with argument `index` replaced by `text`."""
    words = [text if i == index else a for i, a in enumerate(argv)]
    return shlex.join([PROGRAM, *words])


def _show_settings(argv: Sequence[str]) -> str:
    return f"all settings: {PROGRAM} {_subcommand(argv)} --cfg job"


def _subcommand(argv: Sequence[str]) -> str:
    """The application whose settings `argv` names; `data audit` takes those of `train`."""
    is_named = argv and argv[0] != "data" and "=" not in argv[0] and not argv[0].startswith("-")
    return argv[0] if is_named else "train"


def _unknown_key(key: str, argv: Sequence[str], arguments: Sequence[Argument], settings: Settings) -> ConfigError:
    plain_key = key.partition("@")[0]
    argument = _argument(plain_key, arguments)
    nearest = _nearest_key(plain_key, settings)
    help_lines = [_show_settings(argv)]
    needed, shown = None, None
    if nearest is None:
        group = key.rpartition(".")[0]
        siblings = [k for k in settings.values if group and k.rpartition(".")[0] == group]
        tops = {k.partition(".")[0] for k in settings.values} | {g for g in settings.groups if "/" not in g}
        needed = f"one of {', '.join(siblings or sorted(tops))}"
    elif nearest in settings.values:
        shown = f"{nearest} (now {settings.values[nearest]})"
    else:
        shown = f"{nearest} (options: {', '.join(settings.groups[nearest])})"
    if nearest is not None and argument is not None and argument.value:
        help_lines.insert(0, _command(argv, argument.position, f"{nearest}={argument.value}"))
    return ConfigError(
        "unknown-key",
        f"'{key}' is not a setting",
        place=command_place(argv, argument.position, key) if argument else (),
        needed=needed,
        nearest=shown,
        help=help_lines,
    )


def _nearest_key(key: str, settings: Settings) -> str | None:
    """A key that ends with `key`, or the most similar key or group, or the most similar last part."""
    # A group above the key says nothing new; its settings are listed instead.
    keys = [*settings.values, *(g for g in settings.groups if not key.startswith(f"{g}."))]
    group, _, last = key.rpartition(".")
    if sibling := _closest(key, [k for k in keys if group and k.rpartition(".")[0] == group], 0.85):
        return sibling
    same_end = [k for k in keys if k.rpartition(".")[2] == last]
    if same_end:
        return _closest(key, same_end, 0.0)
    ends = {k.rpartition(".")[2]: k for k in reversed(keys)}
    end = _closest(last, ends, 0.75)
    return _closest(key, keys, 0.65) or (None if end is None else ends[end])


def _closest(name: str, known: Iterable[str], cutoff: float) -> str | None:
    found = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return found[0] if found else None


def _missing_config(
    error: MissingConfigException, argv: Sequence[str], arguments: Sequence[Argument], settings: Settings
) -> ConfigError:
    group, _, option = str(error.missing_cfg_file or "").rpartition("/")
    options = list(error.options or settings.groups.get(group) or ())
    if not options:
        return ConfigError("missing-config", f"there is no config '{error.missing_cfg_file}'")
    nearest = nearest_name(option, options)
    argument = _argument(group, arguments)
    help_lines = []
    if argument is not None:
        better = _replace_last(argument.text, option, nearest or options[0])
        help_lines.append(_command(argv, argument.position, better))
    return ConfigError(
        "unknown-option",
        f"there is no {group} '{option}'",
        place=command_place(argv, argument.position, option) if argument else (),
        needed=f"one of {', '.join(options)}",
        nearest=nearest,
        help=help_lines,
    )


def _composition(
    error: ConfigCompositionException,
    chain: Sequence[BaseException],
    argv: Sequence[str],
    arguments: Sequence[Argument],
    settings: Settings,
) -> ConfigError:
    text = str(error)
    for deeper in chain:
        if isinstance(deeper, ValidationError):
            return _wrong_type(str(deeper.full_key), str(deeper), argv, arguments, settings)
    found = re.match(r"Could not (?:override|delete from config\.) '([^']*)'", text)
    if found:
        return _unknown_key(found[1], argv, arguments, settings)
    appended = re.match(r"Could not append to config\. An item is already at '([^']*)'", text)
    argument = _argument(appended[1], arguments) if appended else None
    if argument is not None:
        return ConfigError(
            "needless-plus",
            f"'{argument.key}' is a setting already, the + is not needed",
            place=command_place(argv, argument.position),
            help=[_command(argv, argument.position, argument.text.lstrip("+"))],
        )
    several = re.match(r"Ambiguous value for argument '(.*)'", text)
    argument = next((a for a in arguments if several and a.text == several[1]), None)
    if argument is not None:
        head, tail = (argv[:1], argv[1:]) if argv[0] == _subcommand(argv) else ([_subcommand(argv)], argv)
        return ConfigError(
            "several-values",
            f"'{argument.text}' gives several values to one run",
            place=command_place(argv, argument.position, argument.value),
            help=["one run for each value:", _command([*head, "-m", *tail])],
        )
    return ConfigError("invalid", _first_line(error))


def _instantiation(
    error: InstantiationException,
    chain: Sequence[BaseException],
    argv: Sequence[str],
    arguments: Sequence[Argument],
    settings: Settings,
) -> ConfigError | None:
    found = re.search(r"full_key: (\S+)", str(error))
    full_key = found[1] if found else ""
    if not isinstance(chain[-1], TypeError):
        return None
    unexpected = re.search(r"unexpected keyword argument '([^']*)'", str(chain[-1]))
    if unexpected:
        key = f"{full_key}.{unexpected[1]}".lstrip(".")
        # The setting that does not exist is part of the composed config when a file or + brought it.
        rest = Settings({k: v for k, v in settings.values.items() if k != key}, settings.groups)
        return _unknown_key(key, argv, arguments, rest)
    for argument in arguments:
        default = settings.values.get(argument.key)
        inside = argument.key.startswith(f"{full_key}.") or not full_key
        if inside and isinstance(default, int | float) and not _is_number(argument.value):
            return _wrong_type(argument.key, "", argv, arguments, settings)
    return None


def _wrong_type(
    key: str, text: str, argv: Sequence[str], arguments: Sequence[Argument], settings: Settings
) -> ConfigError:
    argument = _argument(key, arguments)
    default = settings.values.get(key)
    kind = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}.get(type(default))
    value = "" if argument is None else f", got '{argument.value}'"
    return ConfigError(
        "wrong-type",
        f"'{key}' must be {kind}{value}" if kind else f"'{key}': {text.splitlines()[0]}",
        place=command_place(argv, argument.position, argument.value) if argument else (),
        help=[_command(argv, argument.position, f"{key}={default}")] if argument else [_show_settings(argv)],
    )


def _missing_value(key: str, argv: Sequence[str], settings: Settings) -> ConfigError:
    last = key.rpartition(".")[2]
    example = {"run": "last", "path": "prices.csv"}.get(last, "VALUE")
    group = key.partition(".")[0]
    options = settings.groups.get(group)
    return ConfigError(
        "missing-value",
        f"'{key}' has no value and needs one",
        needed=f"one of {', '.join(options)}" if options and group == key else f"{key}=VALUE",
        help=[_command([*argv, f"{key}={example}"] if argv else [_subcommand(argv), f"{key}={example}"])],
    )


def _bad_override(text: str, reason: str, argv: Sequence[str]) -> ConfigError:
    index = next((i for i, a in enumerate(argv) if a == text), None)
    key, equals, value = text.partition("=")
    found = None
    if not equals:
        sentence, better = f"'{text}' is not of the form KEY=VALUE", f"{text}=VALUE"
    elif not key:
        sentence, better = f"'{text}' has no key", f"KEY{text}"
    else:
        sentence, better = f"the value of '{key}' cannot be read", f"{key}={_readable(value)}"
        found = next((line for line in reason.splitlines() if not line.startswith(("Error", "See"))), None)
    return ConfigError(
        "bad-override",
        sentence,
        place=command_place(argv, index) if index is not None else (),
        needed='a list as [a,b], text with special signs as "text"' if equals and key else None,
        found=found,
        help=[_command(argv, index, better) if index is not None else better],
    )


def _readable(value: str) -> str:
    """`value` with its open brackets closed, or else in quotes."""
    missing = [close for opened, close in ("[]", "{}", "()") if value.count(opened) > value.count(close)]
    if missing:
        return value + "".join(reversed(missing))
    return '"' + value.replace('"', "") + '"'


def _with_place(error: RegimeGymError, argv: Sequence[str]) -> RegimeGymError:
    """Show the argument that a settings class complained about, when it is on the command line."""
    named = {name.rpartition(".")[2] for name in re.findall(r"'([\w.]+)'", error.sentence)}
    if not error.place and isinstance(error, ConfigError):
        for argument in parse_arguments(argv):
            if argument.key.rpartition(".")[2] in named:
                error.place = tuple(command_place(argv, argument.position, argument.value))
                break
    return error


def _argument(key: str, arguments: Sequence[Argument]) -> Argument | None:
    """The last argument that sets `key`."""
    exact = [a for a in arguments if a.key == key]
    return exact[-1] if exact else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _flat(values: DictConfig | dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values, interpolations as they are written."""
    plain = OmegaConf.to_container(values, resolve=False) if isinstance(values, DictConfig) else values
    assert isinstance(plain, dict)
    for name, value in plain.items():
        key = str(name)
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        elif not key.startswith("_"):
            yield f"{prefix}{key}", value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _replace_last(text: str, old: str, new: str) -> str:
    head, found, tail = text.rpartition(old)
    return f"{head}{new}{tail}" if found else text


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
