"""The command `regime-gym`: picks the subcommand and turns every error into one clear message."""

import io
import os
import sys
from importlib import import_module
from importlib.metadata import version

from rich.console import Console

from regimegym.cli.messages import config_error_from_hydra, render_error
from regimegym.cli.notes import notes_on_stderr
from regimegym.common.errors import ConfigError, nearest_name

COMMANDS = {
    "train": "train an agent on the training bars, select it on validation, test it once",
    "evaluate": "evaluate a trained run again: baselines, intervals, costs, report",
    "fit": "train predictors alone: out of fold, validation, floors, paired tests, figures",
    "report": "the report of a run once more, or several runs side by side",
    "sweep": "search for settings on validation: Optuna, resumable, parallel",
    "walkforward": "train and test window after window, one account over all of them",
    "monitor": "whether a trained run is still well on later bars; exit code 4 where it is not",
    "signal": "what a trained run decides at the newest bar: action, size, scores, regime",
    "data": "check, repair and download prices; audit for look-ahead; synthetic worlds",
    "convert": "settings under old names as an experiment file of today",
    "completion": "what bash and zsh need to complete commands and settings",
    "bench": "measured speed and memory, side by side with other projects",
}
NOBODY_READS = 141  # what a shell reports for a program whose pipe was closed
INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended

USAGE = """regime-gym {version}: a trading gym, agents that learn in it, and the evidence

usage: regime-gym COMMAND [SETTING=VALUE ...]

{commands}

  regime-gym train                                        built-in market, minutes on two cores
  regime-gym train data=file data.path=prices.csv         your own bars
  regime-gym train -m agent.learning_rate=1e-4,5e-4       a sweep, scored on validation only
  regime-gym evaluate run=last                            test block and report of the newest run
  regime-gym data check prices.csv                        every violation of the data contract
  regime-gym bench envs --json bench.json                 speed against other environments
  regime-gym train --help                                 all settings and their values
"""


def main(argv: list[str] | None = None) -> int:
    """Run `argv` (default: the process's arguments) and return the exit code.

    0 done, or stopped with everything saved; 2 a mistake in the input, 3 the machine refused, 130 Ctrl-C
    where nothing could be saved; a traceback and 1
    mean a bug of ours.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal or pipe without such letters ends no command
    console = Console(stderr=True, highlight=False)
    try:
        with notes_on_stderr():
            return _dispatch(words)
    except BrokenPipeError:  # `regime-gym train --help | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    except Exception as error:  # what is no mistake of the user is raised again
        mistake = config_error_from_hydra(error, words)
        if mistake is None:
            raise
        render_error(mistake, console)
        return mistake.exit_code
    except KeyboardInterrupt as stop:
        console.print(str(stop) or "stopped by Ctrl-C", markup=False, soft_wrap=True)
        return getattr(stop, "exit_code", INTERRUPTED)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"regime-gym {version('regime-gym')}")
        return 0
    command = words[0]
    if command not in COMMANDS:
        raise ConfigError(
            "unknown-command",
            f"'{command}' is not a command",
            needed=f"one of {', '.join(COMMANDS)}",
            nearest=nearest_name(command, COMMANDS),
            help=["regime-gym --help"],
        )
    import_module(f"regimegym.cli.{command}").run(words[1:])
    return 0


def usage() -> str:
    """Text of `regime-gym --help`."""
    commands = "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items())
    return USAGE.format(version=version("regime-gym"), commands=commands)


if __name__ == "__main__":
    sys.exit(main())
