"""`regime-gym completion bash|zsh`: what the shell needs to complete commands, groups and settings."""

import os

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.bash_completion import BashCompletion
from hydra._internal.utils import create_config_search_path

from regimegym.cli import launchers
from regimegym.cli.arguments import Parser
from regimegym.cli.config_messages import CONF
from regimegym.common.checks import check_choice

SHELLS = ("bash", "zsh")
QUERY = "query"  # asked by the script below, with the line so far in COMP_LINE
SCRIPT = """_regime_gym()
{
    local IFS=$'\\n'
    COMPREPLY=($(COMP_LINE="${COMP_LINE:0:COMP_POINT}" regime-gym completion query 2> /dev/null))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -o default -F _regime_gym regime-gym
"""
ZSH = "autoload -Uz bashcompinit && bashcompinit\n"


def run(words: list[str]) -> None:
    """Print the script of a shell, or what fits the line in COMP_LINE.

    Raises:
        ConfigError: another shell.
    """
    parser = Parser("completion", 'Type: eval "$(regime-gym completion bash)"')
    parser.add_argument("shell", help=f"one of {', '.join(SHELLS)}")
    shell = parser.parse_args(words).shell
    if shell == QUERY:
        for text in completions(os.environ.get("COMP_LINE", "")):
            print(text)
        return
    check_choice("shell", shell, SHELLS)
    print((ZSH if shell == "zsh" else "") + SCRIPT, end="")


def completions(line: str) -> list[str]:
    """Words that the last word of `line` can become: commands, groups, their options, settings."""
    from regimegym.cli.main import COMMANDS

    words = line.split()
    is_new = line.endswith(" ") or not words
    if len(words) + is_new <= 2:
        begun = "" if is_new else words[-1]
        return sorted(f"{name} " for name in COMMANDS if name.startswith(begun))
    if not (CONF / f"{words[1]}.yaml").is_file():
        return []  # the shell then completes files
    launchers.register()
    loader = ConfigLoaderImpl(create_config_search_path("pkg://regimegym.conf"))
    last = "" if is_new else words[-1]
    flags = [word for word in ("-m", "--help", "--cfg") if last and word.startswith(last)]
    return flags or BashCompletion(loader)._query(words[1], " ".join([*_settled(words[2:], is_new), last]))


def _settled(words: list[str], is_new: bool) -> list[str]:
    """The overrides before the one that is being typed."""
    return [word for word in (words if is_new else words[:-1]) if not word.startswith("-")]
